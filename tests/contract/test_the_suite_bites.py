"""The contract suite against adapters with a planted fault: each must be caught, or the suite is not a suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import connector.desks
from connector import adapter
from connector.adapter import AddNote, Create, EditNote, Outcome, Page, PutEntry, Status, Update, Write
from connector.desks.zendesk import Zendesk
from connector.errors import BadAnswer, Unreadable
from connector.model import Body, Gone, Kind, Note, Record, Ref, Side, Visibility
from connector.sandbox.memory import MemoryAdapter
from connector.sandbox.memory_terms import CRM, DESK, US, Quirks
from connector.transport import Http

from . import suite, test_adapters, visibility
from .rig import Rig
from .rigs import zendesk
from .rigs.memory import MemoryRig


class CursorAhead(MemoryAdapter):
    def poll(
        self, cursor: str | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Page]:
        pages = list(super().poll(cursor, since=since, until=until))
        for page in pages:
            yield replace(page, cursor=pages[-1].cursor)


class VersionBehind(MemoryAdapter):
    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        versions = {write.key: write.current.version for write in writes if isinstance(write, Update)}
        return [replace(outcome, version=versions.get(outcome.key, "")) for outcome in super().write(writes)]


class WritesTheWholeRecord(MemoryAdapter):
    def _carry_out(self, write: Write) -> Outcome:
        if isinstance(write, Update):
            read = write.current.fields
            whole = {name: read[name] for name in ("name", "title", "subject", "priority") if name in read}
            write = replace(write, fields={**whole, **write.fields})
        return super()._carry_out(write)


class ReplacesTags(MemoryAdapter):
    def _carry_out(self, write: Write) -> Outcome:
        if isinstance(write, Update) and write.add_tags:
            now = self.world.get(write.ref).tags or frozenset()
            write = replace(write, remove_tags=write.remove_tags | (now - (write.current.tags or frozenset())))
        return super()._carry_out(write)


class SaysWhatWasAsked(MemoryAdapter):
    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        asked = {write.key: write.visibility for write in writes if isinstance(write, AddNote)}
        return [replace(outcome, visibility=asked.get(outcome.key)) for outcome in super().write(writes)]


class AllNotesPublic(MemoryAdapter):
    def _add_note(self, key: str, parent: Ref, body: Body, visibility: Visibility) -> Note:
        return super()._add_note(key, parent, body, Visibility.PUBLIC)


class FindsSimilar(MemoryAdapter):
    def find(self, kind: Kind, key: str, values: Sequence[str]) -> dict[str, list[Record]]:
        records = [record for ref, record in self.world.records.items() if ref.kind is kind]
        return {v: [r for r in records if v.casefold() in str(r.fields.get(key)).casefold()] for v in values}


class PicksTheFirst(MemoryAdapter):
    def find(self, kind: Kind, key: str, values: Sequence[str]) -> dict[str, list[Record]]:
        return {value: records[:1] for value, records in super().find(kind, key, values).items()}


class LooksUpByText(MemoryAdapter):
    def _found(self, write: Write) -> Outcome | None:
        if isinstance(write, AddNote):
            for note in self.world.notes_of(write.parent):
                if note.body == write.body:
                    return self._of_note(write.key, note)
        return super()._found(write)


class DropsGone(MemoryAdapter):
    def fetch(self, refs: Sequence[Ref]) -> list[Record | Gone]:
        return [answer for answer in super().fetch(refs) if isinstance(answer, Record)]


class ForgetsMerges(MemoryAdapter):
    def fetch(self, refs: Sequence[Ref]) -> list[Record | Gone]:
        return [Gone(a.ref) if isinstance(a, Gone) else a for a in super().fetch(refs)]


class SaysDone(MemoryAdapter):
    def _carry_out(self, write: Write) -> Outcome:
        if isinstance(write, Update) and self.world.get(write.ref).version != write.current.version:
            return Outcome(key=write.key, status=Status.DONE, ref=write.ref, version=write.current.version)
        return super()._carry_out(write)


class DoesTheUndeclared(MemoryAdapter):
    def _problem(self, write: Write) -> str | None:
        return None if isinstance(write, Create | AddNote | PutEntry) else super()._problem(write)


class ResendsCreates(MemoryAdapter):
    def _carry_out(self, write: Write) -> Outcome:
        if isinstance(write, AddNote):
            self.world.note(write.parent, write.body, write.visibility, by=US, key=write.key, meta_key=write.key)
        return super()._carry_out(write)


class NewestNoteFirst(MemoryAdapter):
    def notes(self, parents: Sequence[Ref]) -> dict[Ref, list[Note]]:
        return {parent: notes[::-1] for parent, notes in super().notes(parents).items()}


class TellsTheBody(MemoryAdapter):
    def __repr__(self) -> str:
        return f"MemoryAdapter({[note.body.text for note in self.world.notes.values()]})"


class FollowsTheNoteBefore(MemoryAdapter):
    def _add_note(self, key: str, parent: Ref, body: Body, visibility: Visibility) -> Note:
        before = [note.visibility for note in self.world.notes_of(parent)]
        return super()._add_note(key, parent, body, before[-1] if before else visibility)


class SaysNothingOfEdits(MemoryAdapter):
    def _carry_out(self, write: Write) -> Outcome:
        if isinstance(write, EditNote):
            return self._of_note(write.key, self.world.edit_note(write.ref, write.body, by=US, key=write.key))
        return super()._carry_out(write)


class SaysEditsAreAsAsked(MemoryAdapter):
    def _carry_out(self, write: Write) -> Outcome:
        outcome = super()._carry_out(write)
        return replace(outcome, visibility=write.visibility) if isinstance(write, EditNote) else outcome


class SaysEntriesAreInternal(MemoryAdapter):
    def _put_entry(self, write: PutEntry) -> Outcome:
        return replace(super()._put_entry(write), visibility=Visibility.INTERNAL)


class SaysNothingOfEntries(MemoryAdapter):
    def _put_entry(self, write: PutEntry) -> Outcome:
        return replace(super()._put_entry(write), visibility=None)


class ShowsEntriesToAll(MemoryAdapter):
    def _add_note(self, key: str, parent: Ref, body: Body, visibility: Visibility) -> Note:
        shown = Visibility.PUBLIC if body.text.startswith("Ticket 7") else visibility
        return super()._add_note(key, parent, body, shown)


class GreetsWithATicket(MemoryAdapter):
    def _carry_out(self, write: Write) -> Outcome:
        outcome = super()._carry_out(write)
        if isinstance(write, Create) and write.kind is Kind.TICKET and outcome.ref:
            self.world.note(outcome.ref, str(write.fields["subject"]), Visibility.PUBLIC, by=US, key=write.key)
        return outcome


class StopsAtTheUnreadable(MemoryAdapter):
    def poll(
        self, cursor: str | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Page]:
        for page in super().poll(cursor, since=since, until=until):
            for error in page.unreadable:
                raise error
            yield page


class PassesTheUnreadable(MemoryAdapter):
    def poll(
        self, cursor: str | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Page]:
        for page in super().poll(cursor, since=since, until=until):
            yield replace(page, unreadable=())


class DropsTheirPage(MemoryAdapter):
    def poll(
        self, cursor: str | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Page]:
        for page in super().poll(cursor, since=since, until=until):
            yield replace(page, records=(), notes=()) if page.unreadable else page


class SaysTheUnreadableIsGone(MemoryAdapter):
    def fetch(self, refs: Sequence[Ref]) -> list[Record | Gone]:
        bad = self.world.spoilt & set(refs)
        return [*super().fetch([ref for ref in refs if ref not in bad]), *map(Gone, bad)]


class FailsWithoutAName(MemoryAdapter):
    def fetch(self, refs: Sequence[Ref]) -> list[Record | Gone]:
        try:
            return super().fetch(refs)
        except Unreadable:
            raise BadAnswer("a part is missing") from None


class LeavesNotesOut(MemoryAdapter):
    def notes(self, parents: Sequence[Ref]) -> dict[Ref, list[Note]]:
        found: dict[Ref, list[Note]] = {}
        for parent in parents:
            try:
                found |= super().notes([parent])
            except Unreadable:
                found[parent] = []
        return found


class FindsTheReadable(MemoryAdapter):
    def find(self, kind: Kind, key: str, values: Sequence[str]) -> dict[str, list[Record]]:
        with self.world.mutex:
            spoilt, self.world.spoilt = self.world.spoilt, set()
            try:
                found = super().find(kind, key, values)
            finally:
                self.world.spoilt = spoilt
        return {value: [r for r in records if r.ref not in spoilt] for value, records in found.items()}


Planted = tuple[type[MemoryAdapter], Side, Callable[..., None], tuple[Any, ...]]
ASKED_FOR = suite.test_a_note_has_the_visibility_that_was_asked_for_and_the_answer_says_so
EVERY_WAY = suite.test_every_way_to_write_says_who_may_read_it_and_reads_it_back
FOUND_OUT = suite.test_a_broken_word_on_visibility_is_found_out_on_every_way
GOES_ON = suite.test_a_record_that_cannot_be_read_is_named_by_its_poll_which_goes_on

PLANTED: list[Planted] = [
    (CursorAhead, Side.DESK, suite.test_no_change_is_passed_when_the_run_dies_after_any_page, (True,)),
    (CursorAhead, Side.CRM, suite.test_no_change_is_passed_when_the_run_dies_after_any_page, (False,)),
    (VersionBehind, Side.DESK, suite.test_the_version_of_an_update_is_what_the_next_poll_shows, (Kind.TICKET,)),
    (WritesTheWholeRecord, Side.CRM, suite.test_an_update_leaves_what_a_person_wrote_meanwhile, (Kind.CONTACT,)),
    (ReplacesTags, Side.DESK, suite.test_tags_are_added_and_removed_and_those_of_others_stay, (Kind.TICKET,)),
    (SaysWhatWasAsked, Side.DESK, suite.test_a_vendor_that_breaks_its_word_on_visibility_is_found_out, ()),
    (AllNotesPublic, Side.DESK, ASKED_FOR, (Visibility.INTERNAL,)),
    (AllNotesPublic, Side.DESK, EVERY_WAY, ()),
    (SaysWhatWasAsked, Side.DESK, FOUND_OUT, ()),
    (FollowsTheNoteBefore, Side.DESK, suite.test_a_notes_visibility_does_not_follow_from_the_note_before_it, ()),
    (SaysNothingOfEdits, Side.CRM, EVERY_WAY, ()),
    (SaysEditsAreAsAsked, Side.CRM, FOUND_OUT, ()),
    (SaysEntriesAreInternal, Side.CRM, FOUND_OUT, ()),
    (SaysNothingOfEntries, Side.CRM, EVERY_WAY, ()),
    (ShowsEntriesToAll, Side.CRM, suite.test_an_entry_is_no_public_note, ()),
    (GreetsWithATicket, Side.DESK, EVERY_WAY, ()),
    (FindsSimilar, Side.CRM, suite.test_a_contact_is_found_by_its_whole_address_only, ()),
    (PicksTheFirst, Side.CRM, suite.test_every_contact_with_the_address_is_found, ()),
    (LooksUpByText, Side.CRM, suite.test_a_note_is_looked_up_by_its_key_and_by_no_other, ()),
    (DropsGone, Side.DESK, suite.test_fetch_answers_every_ref, ()),
    (ForgetsMerges, Side.CRM, suite.test_a_merged_record_is_answered_by_its_survivor, ()),
    (SaysDone, Side.DESK, suite.test_an_update_leaves_what_a_person_wrote_meanwhile, (Kind.TICKET,)),
    (DoesTheUndeclared, Side.CRM, suite.test_what_is_not_declared_is_refused_and_not_done, ()),
    (ResendsCreates, Side.CRM, suite.test_a_note_without_an_answer_is_unknown_and_looked_up, ()),
    (NewestNoteFirst, Side.DESK, suite.test_all_notes_are_read_oldest_first, ()),
    (StopsAtTheUnreadable, Side.DESK, GOES_ON, ()),
    (PassesTheUnreadable, Side.CRM, GOES_ON, ()),
    (PassesTheUnreadable, Side.DESK, suite.test_whoever_dies_after_a_page_has_been_told_of_what_cannot_be_read, ()),
    (PassesTheUnreadable, Side.DESK, suite.test_a_note_that_cannot_be_read_is_told_of_by_its_parent, ()),
    (DropsTheirPage, Side.DESK, GOES_ON, ()),
    (SaysTheUnreadableIsGone, Side.CRM, suite.test_a_record_that_cannot_be_read_fails_its_fetch_by_name, ()),
    (FailsWithoutAName, Side.CRM, suite.test_a_record_that_cannot_be_read_fails_its_fetch_by_name, ()),
    (LeavesNotesOut, Side.CRM, suite.test_a_note_that_cannot_be_read_is_told_of_by_its_parent, ()),
    (FindsTheReadable, Side.CRM, suite.test_what_is_found_and_cannot_be_read_is_named, ()),
    (TellsTheBody, Side.DESK, suite.test_bodies_and_addresses_are_in_no_repr_and_no_error, ()),
]  # fmt: skip
IN_PUBLIC = {SaysNothingOfEdits, SaysEditsAreAsAsked, SaysEntriesAreInternal, SaysNothingOfEntries, ShowsEntriesToAll}
"""Planted in a CRM whose notes customers may read."""
NOT_LOCKING = {WritesTheWholeRecord, ReplacesTags}


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: f"{planted[0].__name__}-{planted[1]}")
def test_a_planted_fault_is_caught(
    planted: tuple[type[MemoryAdapter], Side, Callable[..., None], tuple[Any, ...]],
) -> None:
    broken, side, promise, arguments = planted

    class BrokenRig(MemoryRig):
        def again(self) -> MemoryAdapter:
            self.made.append(broken(self.world))
            return self.made[-1]

    quirks = Quirks(page_size=3, locking=broken not in NOT_LOCKING)
    capabilities = DESK if side is Side.DESK else replace(CRM, note_public=broken in IN_PUBLIC)
    promise(MemoryRig(capabilities, quirks, side), *arguments)
    rig: Rig = BrokenRig(capabilities, quirks, side)
    with pytest.raises((AssertionError, KeyError)):
        promise(rig, *arguments)


def test_a_vendor_is_not_left_to_decide_who_may_read_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real adapter of a vendor whose default is public, with what it says of visibility taken out of its requests."""
    send = Http.send

    def silent(http: Http, method: str, path: str, **more: Any) -> Any:
        said = ((more.get("json") or {}).get("ticket") or {}).get("comment")
        if said:
            del said["public"]
        return send(http, method, path, **more)

    monkeypatch.setattr(Http, "send", silent)
    with zendesk.RIGS["zendesk"]() as rig, pytest.raises(AssertionError, match="internal note"):
        EVERY_WAY(rig)


def test_a_request_that_says_nothing_is_caught_where_the_vendor_happens_to_do_what_was_wanted() -> None:
    with zendesk.RIGS["zendesk"]() as rig:
        write, _ = visibility._note(Visibility.INTERNAL)(rig)
        assert isinstance(write, AddNote)
        rig.note(write.parent, "An internal one before", Visibility.INTERNAL)
        assert rig.adapter.write([write])[0].visibility is Visibility.INTERNAL
        calls = rig.server.log.calls  # type: ignore[attr-defined]
        (sent,) = [call for call in calls if b"comment" in (call.request or b"")]
        assert rig.stated() == [Visibility.INTERNAL]
        rig.server.log.add(replace(sent, request=sent.request.replace(b'"public"', b'"published"')))  # type: ignore[attr-defined]
        assert rig.stated()[-1] is None


@pytest.mark.parametrize("way", ["a module of ours", "an installed package"])
def test_a_new_vendor_without_a_rig_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str) -> None:
    test_adapters.test_every_vendor_has_a_rig()
    if way == "a module of ours":
        (tmp_path / "newdesk.py").write_text("")
        monkeypatch.setattr(connector.desks, "__path__", [*connector.desks.__path__, str(tmp_path)])
    else:
        monkeypatch.setattr(adapter, "_plugins", lambda side: {"newdesk": "somewhere"} if side is Side.DESK else {})
    with pytest.raises(AssertionError, match="newdesk"):
        test_adapters.test_every_vendor_has_a_rig()


def test_a_rig_that_opens_another_adapter_than_its_vendors_fails() -> None:
    test_adapters.is_of(zendesk.__name__.rpartition(".")[2], Zendesk)
    with pytest.raises(AssertionError, match="zendesk"):
        test_adapters.is_of("zendesk", MemoryAdapter)
