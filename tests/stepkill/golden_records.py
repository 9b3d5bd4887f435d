"""Golden scenarios of shared fields and tags."""

from __future__ import annotations

from connector.mapping.rules import Direction, Policy
from tests.core.house import rule
from tests.stepkill.golden_notes import ENTRY, KNOWN, KNOWN_WITH_DEAL, WITH_DEAL
from tests.stepkill.scenario import Expected, Scenario

ONE, TWO, THREE = "+12025550101", "+12025550102", "+12025550103"
WITH_PHONE = [[("customer", "ada", {"phone": ONE}), ("ticket", "1", "ada")]]


def phone_decided_by(policy: Policy) -> dict[str, object]:
    return {"fields": (rule("contact.phone", "contact.phone", Direction.BOTH, policy),)}


def phones(desk: str | None, crm: str | None) -> dict[str, dict[str, str | None]]:
    return {"requester ada": {"phone": desk}, "contact ada": {"phone": crm}}


BOTH_CHANGED = [("edit", "requester ada", {"phone": TWO}), ("edit", "contact ada", {"phone": THREE})]

RECORDS = (
    Scenario(
        name="a field flows to the CRM",
        before=WITH_PHONE,
        now=[("edit", "requester ada", {"phone": TWO})],
        expect=Expected(entries=[ENTRY], fields=phones(TWO, TWO)),
    ),
    Scenario(
        name="a field flows to the help desk",
        before=WITH_PHONE,
        now=[("edit", "contact ada", {"phone": TWO})],
        expect=Expected(entries=[ENTRY], fields=phones(TWO, TWO)),
    ),
    Scenario(
        name="a field flows each way at once, on records without a lock",
        desk={"quirks": {"locking": False}},
        crm={"quirks": {"locking": False}},
        before=WITH_PHONE,
        now=[("edit", "contact ada", {"phone": TWO}), ("edit", "requester ada", {"name": "Ada B."})],
        expect=Expected(
            entries=[ENTRY],
            fields={name: {"phone": TWO, "name": "Ada B."} for name in ("requester ada", "contact ada")},
        ),
    ),
    Scenario(
        name="a blank is filled on either side when two first meet",
        before=[[("requester", "ada", {"phone": ONE}), ("contact", "ada", {"name": None})]],
        now=[("ticket", "1", "ada")],
        expect=Expected(
            entries=[ENTRY],
            fields={name: {"phone": ONE, "name": "Ada"} for name in ("requester ada", "contact ada")},
        ),
    ),
    Scenario(
        name="a clearing travels to the CRM",
        before=WITH_PHONE,
        now=[("edit", "requester ada", {"phone": None})],
        expect=Expected(entries=[ENTRY], fields=phones(None, None)),
    ),
    Scenario(
        name="a clearing travels to the help desk",
        before=WITH_PHONE,
        now=[("edit", "contact ada", {"phone": None})],
        expect=Expected(entries=[ENTRY], fields=phones(None, None)),
    ),
    Scenario(
        name="both sides changed it to the same",
        before=WITH_PHONE,
        now=[("edit", "requester ada", {"phone": TWO}), ("edit", "contact ada", {"phone": TWO})],
        expect=Expected(entries=[ENTRY], fields=phones(TWO, TWO)),
    ),
    Scenario(
        name="a conflict that the help desk decides",
        mapping=phone_decided_by(Policy.DESK),
        before=WITH_PHONE,
        now=BOTH_CHANGED,
        expect=Expected(entries=[ENTRY], fields=phones(TWO, TWO)),
    ),
    Scenario(
        name="a conflict that the CRM decides",
        mapping=phone_decided_by(Policy.CRM),
        before=WITH_PHONE,
        now=BOTH_CHANGED,
        expect=Expected(entries=[ENTRY], fields=phones(THREE, THREE)),
    ),
    Scenario(
        name="a conflict that the newest decides",
        mapping=phone_decided_by(Policy.NEWEST),
        before=WITH_PHONE,
        now=BOTH_CHANGED,
        expect=Expected(entries=[ENTRY], fields=phones(THREE, THREE)),
    ),
    Scenario(
        name="a conflict that a person is to decide is asked once, and nothing of it is written",
        before=WITH_PHONE,
        now=[*BOTH_CHANGED, ("tag", "ticket 1", "refund")],
        expect=Expected(
            entries=[ENTRY], fields=phones(TWO, THREE), reviews=["conflict: requester ada, contact ada"],
            tags={"ticket 1": "refund", "contact ada": "refund"},
        ),
    ),
    Scenario(
        name="a conflict that a person decided is carried out",
        before=[*WITH_PHONE, BOTH_CHANGED],
        now=[("decide", "conflict", "crm")],
        expect=Expected(entries=[ENTRY], fields=phones(THREE, THREE)),
    ),
    Scenario(
        name="a deal's stage reaches its ticket, and the ticket's priority reaches the deal",
        before=KNOWN_WITH_DEAL,
        now=[("edit", "deal renewal", {"stage": "Won soon"}), ("edit", "ticket 1", {"priority": "high"})],
        expect=Expected(
            entries=[WITH_DEAL],
            fields={"ticket 1": {"custom.Deal stage": "Won soon"}, "deal renewal": {"custom.Priority": "high"}},
        ),
    ),
    Scenario(
        name="tags are added on both sides",
        before=KNOWN_WITH_DEAL,
        now=[("tag", "ticket 1", "refund", "no-travel"), ("tag", "contact ada", "vip")],
        expect=Expected(
            entries=[WITH_DEAL],
            tags={"ticket 1": "refund no-travel vip", "contact ada": "refund vip", "deal renewal": "refund"},
        ),
    ),
    Scenario(
        name="a tag that was taken off on one side goes on the other, each way",
        before=[*KNOWN, [("tag", "ticket 1", "refund", "late"), ("tag", "contact ada", "vip")]],
        now=[("untag", "ticket 1", "vip"), ("untag", "contact ada", "refund")],
        expect=Expected(entries=[ENTRY], tags={"ticket 1": "late", "contact ada": "late"}),
    ),
    Scenario(
        name="two tickets share one contact's tags, and one ticket's tag does not reach the other",
        before=[[("customer", "ada"), ("ticket", "1", "ada"), ("ticket", "2", "ada")]],
        now=[("tag", "ticket 1", "refund"), ("tag", "ticket 2", "toner"), ("tag", "contact ada", "vip")],
        expect=Expected(
            entries=[ENTRY, "2 Printer on fire / Status: open / contact ada"],
            tags={"ticket 1": "refund vip", "ticket 2": "toner vip", "contact ada": "refund toner vip"},
        ),
    ),
    Scenario(
        name="two tickets have a tag, and one gives it up",
        before=[
            [("customer", "ada"), ("ticket", "1", "ada"), ("ticket", "2", "ada")],
            [("tag", "ticket 1", "refund"), ("tag", "ticket 2", "refund")],
        ],
        now=[("untag", "ticket 1", "refund")],
        expect=Expected(
            entries=[ENTRY, "2 Printer on fire / Status: open / contact ada"],
            tags={"ticket 2": "refund", "contact ada": "refund"},
        ),
    ),
)  # fmt: skip
