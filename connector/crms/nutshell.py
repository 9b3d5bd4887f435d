"""Nutshell: polls the event feed, reads records in bulk over REST, writes by create and JSON Patch.

What is public about Nutshell leaves some behaviour open; where it decides what is lost, `check` probes it and the
settings below say it. Two limits to know: REST shows no revision, so a record's version is made from its content; and
a patch has no lock, so a record is compared with the plan's reading just before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from connector.adapter import Capabilities, EntryForm, FieldInfo, Finding, Outcome, Page, Write
from connector.auth import basic
from connector.crms._nutshell_api import Api
from connector.crms._nutshell_feed import Feed
from connector.crms._nutshell_find import FIND_KEYS, Finder
from connector.crms._nutshell_lookup import LookUp
from connector.crms._nutshell_patch import Patches
from connector.crms._nutshell_records import Reader
from connector.crms._nutshell_writes import ACTIVITY, NOTE, Writer
from connector.model import Format, Gone, Kind, Note, Record, Ref, Side
from connector.settings import BasicAuth, VendorSettings
from connector.transport import Http, Tools

_THREE = frozenset((Kind.CONTACT, Kind.COMPANY, Kind.DEAL))
_OPT_IN = {
    "both": (("events", "assignments"), ("events[]", "assignments")),
    "plain": (("events", "assignments"),),
    "brackets": (("events[]", "assignments"),),
    "off": (),
}


class Settings(VendorSettings):
    """`url` is https://app.nutshell.com. The user's e-mail and an API key of Deskbridge's own sign in."""

    auth: BasicAuth
    calls_per_minute: int | None = Field(default=120, ge=1, description="Our own limit: Nutshell documents none.")
    region: str | None = Field(
        default=None, pattern="^[A-Z]{2}$", description="Country of phone numbers without a country code, e.g. US."
    )
    custom_fields: frozenset[Literal["contact", "company", "deal"]] = Field(
        default=frozenset(),
        description="Kinds whose custom fields are read: one more call for each record. Those that the mapping names are.",
    )
    custom_field_path: Literal["customFields", "plain"] = Field(
        default="customFields", description="Where a patch puts custom fields; the other is tried when it is refused."
    )
    stage_by_patch: bool = Field(
        default=False, description="Deals move between stages by a patch: undocumented, so try it on a test deal first."
    )
    note_lookup: Literal["events", "list"] = Field(
        default="events", description="How a record's notes are found; `deskbridge check` says which one works."
    )
    assignment_events: Literal["both", "plain", "brackets", "off"] = Field(
        default="both", description="How the feed is asked for changes of owner; `off` leaves them out."
    )
    deletions: bool = Field(default=True, description="Ask for deleted records: three more calls for each poll.")
    activity_type: str | None = Field(
        default=None, pattern="^[0-9]+-activityTypes$", description="The type of the activities that show tickets."
    )
    note_max: int = Field(default=10_000, ge=500, description="Longest note in characters: Nutshell documents none.")
    look_up_pages: int = Field(
        default=20, ge=1, description="How far back, in pages of 200, a lost note is looked for before asking a person."
    )


class NutshellAdapter:
    """One Nutshell account, as `connector.adapter.Adapter` promises."""

    name = "nutshell"
    side = Side.CRM

    def __init__(self, settings: Settings, http: Http, reads: frozenset[Kind] = frozenset()) -> None:
        """`reads`: the kinds whose custom fields the mapping names."""
        self.settings = settings
        self.http = http
        self.api = Api(http)
        custom = frozenset(Kind(kind) for kind in settings.custom_fields) | reads
        self.reader = Reader(self.api, region=settings.region, custom=custom)
        self.feed = Feed(
            self.api,
            self.reader,
            opt_in=_OPT_IN[settings.assignment_events],
            deletions=settings.deletions,
            limit=200,
        )
        self.finder = Finder(self.api, self.reader)
        self.writer = Writer(
            self.api,
            self.reader,
            Patches(self.api, stage=settings.stage_by_patch),
            activity_type=settings.activity_type,
            plain_custom=settings.custom_field_path == "plain",
        )
        self.lookup = LookUp(
            self.api,
            self.reader,
            self.feed,
            self.finder,
            by_events=settings.note_lookup == "events",
            pages=settings.look_up_pages,
        )
        self.capabilities = Capabilities(
            kinds=_THREE,
            find_keys=FIND_KEYS,
            tags=_THREE,
            create=frozenset((Kind.CONTACT, Kind.COMPANY)),
            note_parents=_THREE,
            note_format=Format.TEXT,
            note_max=settings.note_max,
            note_edit=False,
            note_delete=True,
            note_marker=True,
            note_public=False,
            notes_in_poll=True,
            entries={
                ACTIVITY: EntryForm(editable=True, together=True, on=_THREE),
                NOTE: EntryForm(editable=False, together=False, on=_THREE),
            },
            look_up=frozenset(("create.contact", "create.company", "note", "entry")),
            settle=60.0,
            calls={"update": 1.1, "create.contact": 2, "create.company": 2},
            update_batch=20,
            workers=4,
            deletions=settings.deletions,
        )

    def check(self) -> list[Finding]:
        """Tries reach, rights, and each thing that Nutshell's documents leave open. Writes nothing."""
        from connector.crms._nutshell_check import check

        return check(self)

    def describe(self) -> list[FieldInfo]:
        """The fields of the three kinds, the account's custom fields, and which of them can be written."""
        from connector.crms._nutshell_check import describe

        return describe(self)

    def poll(
        self, cursor: str | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Page]:
        """As `Adapter.poll` promises; records are as they are now, notes as the feed shows them."""
        return self.feed.poll(cursor, since, until)

    def fetch(self, refs: Sequence[Ref]) -> list[Record | Gone]:
        """The records as they are now, a hundred to a request; the merged ones name their survivor."""
        return self.reader.fetch(refs)

    def find(self, kind: Kind, key: str, values: Sequence[str]) -> dict[str, list[Record]]:
        """As `Adapter.find` promises; one search for each value, and one reading for all hits by e-mail."""
        return self.finder.find(kind, key, values)

    def related(self, kind: Kind, refs: Sequence[Ref]) -> dict[Ref, list[Record]]:
        """As `Adapter.related` promises; one list for each ref."""
        return self.finder.related(kind, refs)

    def notes(self, parents: Sequence[Ref]) -> dict[Ref, list[Note]]:
        """As `Adapter.notes` promises."""
        return self.lookup.notes(parents)

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """As `Adapter.write` promises; the records of all updates are read in one request before and one after."""
        return self.writer.write(writes)

    def look_up(self, writes: Sequence[Write]) -> dict[str, Outcome | None]:
        """As `Adapter.look_up` promises. Raises OutcomeUnknown where nothing can be said for certain."""
        return self.lookup.look_up(writes)

    def close(self) -> None:
        """Frees connections."""
        self.http.close()


def connect(settings: Settings, tools: Tools) -> NutshellAdapter:
    """An adapter for the account at `settings.url`. Sends nothing yet."""
    http = tools.http(
        settings.url,
        auth=basic(settings.auth.user, settings.auth.secret),
        timeout=settings.timeout,
        calls_per_minute=settings.calls_per_minute,
        name="nutshell",
    )
    reads = (path.split(".", 2) for path in tools.reads)
    return NutshellAdapter(settings, http, frozenset(Kind(kind) for kind, *field in reads if field[0] == "custom"))
