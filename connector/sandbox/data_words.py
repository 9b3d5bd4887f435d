"""The words from which the sandbox's people, companies, tickets and deals are made. All are invented."""

from __future__ import annotations

from typing import NamedTuple


class Industry(NamedTuple):
    """A trade: how its companies are called, and what its people talk about."""

    name: str
    company: tuple[str, ...]
    place: tuple[str, ...]
    thing: tuple[str, ...]
    job: tuple[str, ...]


class Topic(NamedTuple):
    """A reason to write to support. `{place}`, `{thing}`, `{n}`, `{month}` and `{first}` are filled in."""

    subject: str
    ask: str
    reply: str
    internal: str
    tags: tuple[str, ...]
    type: str
    priority: str


FIRST = (
    "Amara", "Bastien", "Chiara", "Dorota", "Eamon", "Farida", "Gustav", "Hanneke", "Ines", "Jorund", "Katya", "Lorcan",
    "Marisol", "Niamh", "Oskar", "Petra", "Quentin", "Roksana", "Sunniva", "Tadeo", "Ulrike", "Viggo", "Wanda", "Xenia",
    "Yannick", "Zuleika", "Anselm", "Brita", "Casimir", "Delphine",
)  # fmt: skip
LAST = (
    "Abernook", "Brightwell", "Corvane", "Dunmarsh", "Elderfen", "Fairholt", "Grimsvold", "Hartlebee", "Ingersund",
    "Jesperling", "Kestermann", "Lindqvart", "Mossgrove", "Nettlefield", "Oakenshaw", "Pennyworthy", "Quillfeather",
    "Ravensbeck", "Silverdale", "Thistlewood", "Umberleigh", "Vanderquist", "Wetherbourne", "Yarrowby", "Zandervliet",
)  # fmt: skip

INDUSTRIES = (
    Industry(
        "hospitality", ("Hotel {}", "{} Inns", "The {} House"),
        ("the front desk", "the rooftop bar", "the breakfast room", "floor {n}"),
        ("key card printer", "room folio", "minibar list", "check-in tablet"),
        ("Front Office Manager", "General Manager", "Revenue Manager"),
    ),
    Industry(
        "health", ("{} Clinic", "{} Dental", "{} Physio"),
        ("the waiting room", "surgery {n}", "the reception", "the night ward"),
        ("appointment calendar", "reminder texts", "label printer", "patient kiosk"),
        ("Practice Manager", "Head Nurse", "Receptionist"),
    ),
    Industry(
        "food", ("{} Bakery", "{} & Daughters Roasters", "{} Kitchens"),
        ("the shop in Mill Lane", "counter {n}", "the market stall", "the central kitchen"),
        ("till drawer", "allergen sheet", "loyalty stamp", "morning order"),
        ("Owner", "Shop Manager", "Head Baker"),
    ),
    Industry(
        "logistics", ("{} Freight", "{} Couriers", "{} Cold Storage"),
        ("dock {n}", "the Eastgate depot", "the van fleet", "the customs office"),
        ("handheld scanner", "delivery note", "route plan", "temperature log"),
        ("Operations Lead", "Fleet Manager", "Dispatcher"),
    ),
    Industry(
        "education", ("{} College", "{} Language School", "{} Nursery"),
        ("room {n}", "the library", "the admissions office", "the canteen"),
        ("timetable export", "parent portal", "attendance list", "course invoice"),
        ("Registrar", "Head of Studies", "IT Coordinator"),
    ),
    Industry(
        "retail", ("{} Outdoor", "{} Books", "{} Garden Centre"),
        ("branch {n}", "the web shop", "the stock room", "the returns desk"),
        ("barcode label", "gift voucher", "stock count", "card terminal"),
        ("Store Manager", "E-commerce Lead", "Buyer"),
    ),
)  # fmt: skip

TOPICS = (
    Topic(
        "The {thing} stopped working in {place}",
        "Hello,\n\nSince this morning the {thing} in {place} does nothing. We restarted it {n} times. It is urgent, "
        "customers are waiting.\n\nThanks, {first}",
        "Hello {first},\n\nThank you for the details. Please unplug the unit for thirty seconds and start it with the "
        "blue button held down. Does the light turn green?",
        "Same batch as the units replaced in {month}. If the restart does not help, send a replacement at once.",
        ("hardware", "outage"), "incident", "urgent",
    ),
    Topic(
        "Invoice of {month} charges {n} seats too many",
        "Good morning,\n\nour invoice for {month} lists {n} seats more than we use. Could you correct it before our "
        "accounting closes?\n\nKind regards\n{first}",
        "Hi {first},\n\nyou are right, the seats of the old site were still active. A corrected invoice is on its way.",
        "Credit note approved by finance. The account is up for renewal, so handle with care.",
        ("billing",), "question", "normal",
    ),
    Topic(
        "How do we export the {thing} to a spreadsheet?",
        "Hi! Is there a way to export the {thing} as CSV? We need it for our {month} report.",
        "Hi {first}, yes: open Reports, choose the period, and press Export. The file uses semicolons.",
        "Third customer this week who asks; the button is hard to find.",
        ("how-to", "reports"), "question", "low",
    ),
    Topic(
        "Cannot sign in since the update",
        "After yesterday's update {n} colleagues in {place} are asked for a code that never arrives.",
        "Hello {first},\n\nwe have switched the codes to e-mail for your account while we look into the text messages.",
        "The SMS provider drops numbers with a leading zero. Engineering knows.",
        ("login", "regression"), "problem", "high",
    ),
    Topic(
        "Feature request: {thing} per location",
        "We now have {n} locations and would love a separate {thing} for each of them. Is it planned?",
        "Thank you, {first}! I have passed your wish on to the product team and added your vote.",
        "Sales should know: they are ready to move to the bigger plan if this comes.",
        ("feature-request", "upsell"), "task", "low",
    ),
    Topic(
        "Data of {place} missing after the migration",
        "Since the migration in {month} the {thing} of {place} is empty. Everything before that date is gone!",
        "Hello {first}, nothing is lost: the history is still being imported. It should be complete by tonight.",
        "The import stopped at row 40{n}; restarted with smaller batches. Check again at 18:00.",
        ("migration", "data"), "incident", "high",
    ),
    Topic(
        "Question about our contract and the notice period",
        "Dear team,\n\nwe are thinking about our options for next year. Until when would we have to give notice?",
        "Dear {first}, your contract runs until the end of {month}; the notice period is {n} weeks.",
        "Sounds like churn. Tell the account owner before anybody answers further.",
        ("contract", "churn-risk"), "question", "normal",
    ),
    Topic(
        "Integration sends every {thing} twice",
        "Since {month} each {thing} arrives twice in our own system. {n} duplicates today alone.",
        "Hi {first}, please switch off the old webhook under Settings, Integrations: both are active at the moment.",
        "Two webhooks with one target. We should warn about that in the settings.",
        ("integration",), "problem", "normal",
    ),
    Topic(
        "Training for new colleagues in {place}",
        "We have {n} new colleagues who start in {month}. Do you offer a training on the {thing}?",
        "With pleasure, {first}! We have free slots on Tuesday and Thursday. Shall I book one for you?",
        "Good moment for the premium onboarding package.",
        ("training", "upsell"), "task", "low",
    ),
    Topic(
        "Slow since Monday",
        "Every page takes {n} seconds in {place}, the {thing} even longer. Other websites are fine.",
        "Hello {first}, we moved your account to another region this noon. Is it better now?",
        "Noisy neighbour on the old cluster. No customer communication about the cause, please.",
        ("performance",), "incident", "high",
    ),
    Topic(
        "Wrong tax on {thing}",
        "The {thing} shows a tax of {n}% although it should be reduced. Our auditor has noticed.",
        "Hi {first}, under Settings, Taxes you can choose a rate per product group. I have prepared it for you.",
        "Default rate was set wrongly by us at onboarding. Goodwill credit offered: one month.",
        ("billing", "configuration"), "problem", "normal",
    ),
    Topic(
        "Thank you!",
        "Just wanted to say that {n} of us in {place} are very happy with the new {thing} 🎉",
        "You made our day, {first}!",
        "Ask whether they would be a reference customer.",
        ("praise", "reference"), "question", "low",
    ),
)  # fmt: skip

SALES_NOTES = (
    "Met {first} at the trade fair. They want a quote for {n} more seats before the end of {month}.",
    "Called {first}: budget is approved, the board decides in {month}.",
    "{first} asked for a discount of {n}% and mentioned an offer by somebody else. Offered two months free instead.",
    "Decision maker is not {first} but their head of finance. Introduced us by e-mail.",
    "Promised {first} that support will call back about the {thing} this week. #support",
    "Renewal talk went well; {first} wants the open tickets solved before signing. #support",
)
DEALS = ("{} renewal", "{}: {n} more seats", "{} new locations", "{} premium onboarding", "{} integration package")
STAGES = ("Qualify", "Present", "Close")
MONTHS = ("January", "March", "April", "June", "September", "October", "November")
LONG_NOTE = (
    "Minutes of the call. "
    + "They went through every open point again, from the first order to the last invoice. " * 60
)
