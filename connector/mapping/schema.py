"""What a mapping file may hold: the models that its TOML is read into, and from which its JSON schema is made."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictBool, StrictInt, StrictStr, Tag

from connector.mapping.rules import Direction, NoteTarget, Pick, Policy, WhenNone, WhenSeveral
from connector.model import Visibility

Scalar: TypeAlias = StrictBool | StrictInt | StrictStr
Text: TypeAlias = Annotated[str, Field(min_length=1)]
DeskKind: TypeAlias = Literal["ticket", "contact", "company"]
CrmKind: TypeAlias = Literal["contact", "company", "deal"]
Steps: TypeAlias = Text | list[Text]


def _table_or_false(value: object) -> str:
    return "false" if value is False else "table"


Off: TypeAlias = Annotated[Literal[False], Tag("false")]
"""What is written to switch an inherited table off."""

PUBLIC_REPLY = "yes, e-mail the customer"
"""The words that make notes from the CRM public replies. Nothing shorter does."""


class Table(BaseModel):
    """A TOML table: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DefaultByDirection(Table):
    """What an unlisted value becomes, for each direction of a two-way rule."""

    to_crm: Scalar | None = Field(None, description="What a value that is not listed becomes in the CRM.")
    to_desk: Scalar | None = Field(None, description="What a value that is not listed becomes at the help desk.")


class FieldTable(Table):
    """One field shared: `[[field]]`."""

    desk: Text = Field(description="The help desk's field, as `<kind>.<field>`, e.g. `ticket.priority`.")
    crm: Text = Field(description="The CRM's field, as `<kind>.<field>`, e.g. `deal.custom.Renewal risk`.")
    direction: Direction = Field(description="Which way the value travels.")
    policy: Policy = Field(Policy.REVIEW, description="Who decides when both sides have changed it differently.")
    transform: Steps = Field([], description="What is done to the value, in order, in either direction.")
    to_crm: Steps = Field([], description="What is done to the value on its way to the CRM alone.")
    to_desk: Steps = Field([], description="What is done to the value on its way to the help desk alone.")
    values: dict[str, Scalar] = Field(
        default_factory=dict, description="The help desk's values and the CRM's for them; read backwards the other way."
    )
    default: Scalar | DefaultByDirection | None = Field(
        None, description="What a value that is not listed becomes. Without it, such a value is a mistake."
    )
    remove: bool = Field(False, description="Takes away the inherited rule of these two fields.")


class TagsTable(Table):
    """Which tags are shared: `[tags]`."""

    on: list[CrmKind] = Field(min_length=1, description="The kinds of CRM records that share tags with a ticket.")
    direction: Direction = Field(Direction.BOTH, description="Which way tags travel.")
    allow: list[Text] = Field(
        ["*"], description="Patterns (`*`, `?`, `[a-z]`); only tags with a name that fits one travel."
    )
    deny: list[Text] = Field(
        [], description="Patterns; tags with a name that fits one stay. Renamed tags travel anyway."
    )
    rename: dict[Text, Text] = Field(default_factory=dict, description="Help desk's tag -> its name in the CRM.")
    prefix_to_crm: str = Field("", description="Stands before the name of a help desk's tag in the CRM.")
    prefix_to_desk: str = Field("", description="Stands before the name of a CRM's tag at the help desk.")


class NotesToCrmTable(Table):
    """Which notes of a ticket go to the CRM: `[notes.to_crm]`."""

    internal: bool = Field(True, description="Internal notes travel.")
    public: bool = Field(False, description="Messages that the customer sees travel too.")
    onto: list[CrmKind] = Field(min_length=1, description="The kinds of CRM records that they are put on.")
    template: Text = Field(description="Markdown with $author $time $ticket $subject $link $visibility $body.")


class NotesToDeskTable(Table):
    """Which notes of the CRM go to the help desk: `[notes.to_desk]`."""

    of: list[CrmKind] = Field(min_length=1, description="Notes of these kinds of CRM records travel.")
    tagged: Text | None = Field(None, description="Only notes that hold this word, e.g. `#support`.")
    target: NoteTarget = Field(
        NoteTarget.LAST_ACTIVE, description="Which of the customer's open tickets gets the note."
    )
    public_reply: Literal["yes, e-mail the customer"] | None = Field(
        None, description="Makes every one of these notes a public reply. Without these very words they are internal."
    )
    template: Text = Field(description="Markdown with $author $time $record $link $visibility $body.")


class NotesTable(Table):
    """Which notes are shared: `[notes]`."""

    to_crm: Annotated[Annotated[NotesToCrmTable, Tag("table")] | Off, Discriminator(_table_or_false)] | None = Field(
        None, description="`false`: none."
    )
    to_desk: Annotated[Annotated[NotesToDeskTable, Tag("table")] | Off, Discriminator(_table_or_false)] | None = Field(
        None, description="`false`: none."
    )


class EntryTable(Table):
    """How a ticket shows on the CRM's timelines: `[entry]`."""

    form: Text = Field("auto", description="One of the CRM's forms, `auto` for its best, `none` for no entry.")
    on: list[CrmKind] = Field(min_length=1, description="The kinds of CRM records that show the ticket.")
    title: Text = Field(
        description="Text with $ticket $subject $status $priority $assignee $queue $link $created $updated."
    )
    body: Text = Field(description="As `title`, in Markdown.")
    states: dict[Text, Text] = Field(
        default_factory=dict,
        description="Ticket status -> the state that matters. Where an entry cannot be edited, only a change of this "
        "makes a new one.",
    )


class KeyTable(Table):
    """A match key with a field of its own on each side."""

    desk: Text = Field(description="The help desk's field, e.g. `ticket.custom.Customer number`.")
    crm: Text = Field(description="The CRM's field, of the kind that is sought.")


class PartyTable(Table):
    """How a contact or a company is found: `[match.contact]`, `[match.company]`."""

    keys: list[Text | KeyTable] = Field(
        min_length=1, description="What is compared, in this order; the first hit decides."
    )
    none: WhenNone = Field(WhenNone.SKIP, description="What happens when nothing matches.")
    several: WhenSeveral = Field(WhenSeveral.REVIEW, description="What happens when several match.")


class CompanyTable(PartyTable):
    """How a company is found: `[match.company]`."""

    free_mail_also: list[Text] = Field([], description="Further domains that say nothing about a company.")


class DealTable(Table):
    """Which deals a ticket belongs to: `[match.deal]`."""

    key: KeyTable | None = Field(None, description="A field of the ticket that names its deal; it decides.")
    of: list[Literal["contact", "company"]] = Field(
        ["contact", "company"], description="Whose deals are looked at, in this order; the first with any decides."
    )
    open_only: bool = Field(True, description="Deals that are won or lost do not count.")
    pipelines: list[Text] = Field([], description="Only deals in these pipelines count; none named: all.")
    pick: Pick = Field(Pick.NEWEST, description="Which of several deals.")


class MatchTable(Table):
    """Who is who: `[match]`."""

    contact: PartyTable
    company: Annotated[Annotated[CompanyTable, Tag("table")] | Off, Discriminator(_table_or_false)] | None = Field(
        None, description="`false`: companies are not matched."
    )
    deal: DealTable = Field(default_factory=DealTable)


class ExampleNote(Table):
    """A note given, or expected, in an example."""

    on: CrmKind | None = Field(
        None, description="The kind of CRM record that it stands on. At the help desk: the ticket."
    )
    visibility: Visibility | None = Field(None, description="`internal` or `public`; given notes of a ticket need it.")
    author: str = Field("Ann Lee", description="Who wrote the given note.")
    text: Text = Field(description="Its text; of an expected note, the whole text as a person reads it.")


class ExampleEntry(Table):
    """The entry expected on the CRM's timelines."""

    title: Text | None = None
    body: Text | None = None


class DeskExample(Table):
    """Records of the help desk: fields by name, and `tags` for a ticket."""

    ticket: dict[str, Any] = Field(default_factory=dict)
    contact: dict[str, Any] = Field(default_factory=dict)
    company: dict[str, Any] = Field(default_factory=dict)
    notes: list[ExampleNote] = []


class CrmExample(Table):
    """Records of the CRM: fields by name, and `tags`."""

    contact: dict[str, Any] = Field(default_factory=dict)
    company: dict[str, Any] = Field(default_factory=dict)
    deal: dict[str, Any] = Field(default_factory=dict)
    notes: list[ExampleNote] = []
    entry: ExampleEntry | None = None


class Expectation(Table):
    """What reaches each side, and nothing else."""

    desk: DeskExample = DeskExample()
    crm: CrmExample = CrmExample()


class ExampleTable(Table):
    """A worked example: `[[example]]`."""

    name: Text = Field(description="What it shows.")
    desk: DeskExample = DeskExample()
    crm: CrmExample = CrmExample()
    expect: Expectation = Expectation()


class MappingFile(Table):
    """A field mapping between a help desk and a CRM."""

    extends: Text | None = Field(None, description="The mapping that this one changes, by name or path.")
    description: str = Field("", description="What it is for, in a line.")
    field: list[FieldTable] = Field([], description="The fields that are shared.")
    tags: Annotated[Annotated[TagsTable, Tag("table")] | Off, Discriminator(_table_or_false)] | None = Field(
        None, description="`false`: no tags are shared."
    )
    notes: NotesTable = NotesTable()
    entry: Annotated[Annotated[EntryTable, Tag("table")] | Off, Discriminator(_table_or_false)] | None = Field(
        None, description="`false`: no timeline entries."
    )
    match: MatchTable
    example: list[ExampleTable] = Field([], description="Worked examples; `deskbridge mapping test` runs them.")


def json_schema() -> dict[str, Any]:
    """The JSON schema of mapping files, for editors. Nothing is required in it: a file may leave to `extends` what it
    likes."""
    schema: dict[str, Any] = MappingFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema.pop("required", None)
    for table in schema["$defs"].values():
        kept = [
            key
            for key in table.get("required", ())
            if table["title"] in ("FieldTable", "KeyTable") and key in ("desk", "crm")
        ]
        table.pop("required", None)
        if kept:
            table["required"] = kept
    return schema


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
