"""Bugs that are planted on purpose: each a small change of the code, the promise that it breaks, and who must catch it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Saboteur:
    """One planted bug. `edits`: (file, exact text, what stands there instead)."""

    name: str
    promise: str
    edits: tuple[tuple[str, str, str], ...]
    caught_by: str = ""
    """A test file, where the simulation has nothing that it could break (it has no transport)."""


def bug(name: str, promise: str, file: str, old: str, new: str, *, caught_by: str = "") -> Saboteur:
    return Saboteur(name, promise, ((file, old, new),), caught_by)


_CONFIRM, _DOUBTS, _ANSWERS = "connector/apply_confirm.py", "connector/apply_doubts.py", "connector/apply_answers.py"
_PLAN_NOTES, _PLAN_UPDATE = "connector/plan_notes.py", "connector/plan_update.py"
_APPLY, _PLANNING = "connector/apply.py", "connector/planning.py"
_RUN_FRAME, _RUN_ROUNDS, _RUN_SYNC = "connector/run_frame.py", "connector/run_rounds.py", "connector/run_sync.py"
_UNDO, _UNDO_TAGS = "connector/undo_plan.py", "connector/undo_tags.py"
_LEDGER, _POLLED, _POLLING = "connector/journal/ledger.py", "connector/journal/polled.py", "connector/polling.py"

SABOTEURS: tuple[Saboteur, ...] = (
    Saboteur(
        "the intent is recorded after the write",
        "1",
        (
            (
                _APPLY,
                "        with self.journal.transaction():\n            self.journal.intend(",
                "        later: list[Intent] = []\n        with self.journal.transaction():\n            later.extend(",
            ),
            (
                _APPLY,
                "        taken: list[tuple[Operation, Outcome]] = []\n",
                "        self.journal.intend(later)\n        taken: list[tuple[Operation, Outcome]] = []\n",
            ),
        ),
    ),
    bug(
        "what is in doubt is sent again without a look-up",
        "1",
        _DOUBTS,
        "            elif not look_up:\n                self._ask(op, work, applied)",
        "            elif True:\n                ready.append(op)",
    ),
    bug(
        "settle time is not waited for",
        "1",
        _DOUBTS,
        "        settle = self.adapters[side].capabilities.settle",
        "        settle = 0.0",
    ),
    bug(
        "keys differ from run to run",
        "1",
        "connector/state.py",
        """    digest = hashlib.blake2b("\\x1f".join(parts)""",
        """    import itertools
    global _calls
    _calls = globals().get("_calls") or itertools.count()
    parts = (*parts, str(next(_calls)))
    digest = hashlib.blake2b("\\x1f".join(parts)""",
    ),
    Saboteur(
        "our own notes are taken for people's",
        "3",
        (
            (
                _LEDGER,
                '("SELECT target FROM note WHERE pair = ? AND target IN", notes)',
                '("SELECT target FROM note WHERE pair = ? AND 1 = 0 AND target IN", notes)',
            ),
            (_POLLING, "            if note.key is not None:\n", "            if False:\n"),
            ("connector/note_routes.py", "if note.ref not in ours and note.key is None", "if note.ref not in ours"),
        ),
    ),
    Saboteur(
        "the cursor moves before the page is recorded",
        "6",
        (
            (
                _POLLED,
                "        with self.transaction():\n            self.mark_dirty(stream, dirty)\n            self.store.run(",
                "        if True:\n            self.store.run(",
            ),
            (
                _POLLED,
                "                (self.pair, cursor_stream, cursor),\n            )\n",
                "                (self.pair, cursor_stream, cursor),\n            )\n"
                "        self.mark_dirty(stream, dirty)\n",
            ),
        ),
        caught_by="tests/core/test_page.py",
    ),
    bug(
        "both sides read from one cursor",
        "6",
        _RUN_ROUNDS,
        "run.poller.pages(adapter, str(side), since=begin, anew=anew)",
        'run.poller.pages(adapter, "desk", since=begin, anew=anew)',
    ),
    bug(
        "dirty is cleared before the writes are done",
        "6",
        _CONFIRM,
        "            self._clear(plan.settled, work)",
        "            self._clear(plan.sources, work)",
    ),
    bug(
        "a cursor that is a time has no overlap",
        "6",
        "connector/sandbox/memory_poll.py",
        "            return change.at >= place.at - overlap",
        "            return change.at > place.at",
    ),
    bug(
        "the merge base is what was asked for, not what was stored",
        "3",
        _CONFIRM,
        "        if base.written is None or outcome is None or outcome.record is None:",
        "        if True:",
    ),
    bug(
        "notes are public",
        "5",
        _PLAN_NOTES,
        "            visibility, template = desk_rule.visibility, desk_rule.template",
        "            visibility, template = Visibility.PUBLIC, desk_rule.template",
    ),
    bug(
        "answers to customers travel like internal notes",
        "5",
        _PLAN_NOTES,
        "(rule.internal if note.visibility is Visibility.INTERNAL else rule.public)",
        "rule.internal",
    ),
    bug(
        "nobody looks whether a vendor kept its word on visibility",
        "5",
        _ANSWERS,
        "        if not self.adapters[op.side].capabilities.note_public:",
        "        if True:",
        caught_by="tests/core/test_visibility.py",
    ),
    bug(
        "a public note that is met in a poll is recorded without a word",
        "5",
        _PLAN_NOTES,
        "            if key in self.snapshot.exposed and visibility is Visibility.INTERNAL:",
        "            if False:",
        caught_by="tests/core/test_visibility.py",
    ),
    bug(
        "among several matches the first is taken",
        "11",
        "connector/match.py",
        "        if len(hits) == 1:",
        "        if len(hits) >= 1:",
    ),
    bug(
        "a merged record is not followed",
        "11",
        "connector/reading.py",
        "        while (gone := self.gone.get(at)) is not None and gone.merged_into is not None:",
        "        while (gone := self.gone.get(at)) is not None and gone.merged_into is self:",
        caught_by="tests/core/test_sync.py",
    ),
    bug(
        "what a poll does not show is taken for deleted",
        "7",
        _POLLING,
        "        for gone in page.gone:",
        "        linked = {end for link in self.journal.links() for end in (link.desk, link.crm)}\n"
        "        for missing in linked - set(batch.records):\n"
        "            if str(missing.side) == cursor_stream:\n"
        "                from connector.model import Gone\n"
        "                batch.gone[missing] = Gone(missing)\n"
        "                dirty.add(missing)\n"
        "        for gone in page.gone:",
    ),
    bug(
        "the lock is not taken",
        "10",
        "connector/lock.py",
        "fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(handle, fcntl.LOCK_UN)",
    ),
    bug(
        "the whole record is sent",
        "2",
        _PLAN_UPDATE,
        "    # The same wish from the same versions has the same key",
        '    fields = {n: v for n, v in change.current.fields.items() if n in ("name", "phone", "priority")} | fields\n'
        "    # The same wish from the same versions has the same key",
    ),
    bug(
        "tags are set and not added",
        "2",
        _PLAN_UPDATE,
        "frozenset(change.add - change.remove), frozenset(change.remove - change.add)",
        "frozenset(change.add - change.remove), (change.current.tags or frozenset()) - change.add if change.add else"
        " frozenset(change.remove)",
    ),
    bug(
        "a note's text is in an error",
        "5",
        _ANSWERS,
        '        why = f"{op.write.name} on {op.target}:',
        "        why = f\"{getattr(getattr(op.write, 'body', None), 'text', op.write.name)[-60:]} on {op.target}:",
    ),
    bug(
        "the brake on writes is off by one",
        "8",
        _RUN_SYNC,
        "    if count > allowed:",
        "    if count > allowed + 1:",
    ),
    bug(
        "the brake on the share is off by one",
        "8",
        _RUN_SYNC,
        "len(changed) > brakes.floor and share > brakes.max_share",
        "len(changed) > brakes.floor and (len(changed) - 1) / links > brakes.max_share",
    ),
    bug(
        "a dry run records what it polled",
        "9",
        _RUN_FRAME,
        "self.poller = Poller(self.journal, self.watched, stream, record=journal is None)",
        "self.poller = Poller(self.journal, self.watched, stream)",
    ),
    bug(
        "a backfill writes to the help desk too",
        "13",
        _PLANNING,
        "            only=Side.CRM if self.backfilling else None,",
        "            only=None,",
    ),
    bug(
        "what a poll could not read is passed over",
        "6",
        _POLLING,
        "for ref in dirty | set(batch.unreadable) if wanted(ref)",
        "for ref in dirty if wanted(ref)",
    ),
    bug(
        "a note that cannot be read stops those who only watch it",
        "12",
        "connector/note_routes.py",
        "        self.unread |= what_can_be(sorted(set(parents) - self.aside), read, Unreadable)\n",
        "        read(sorted(set(parents) - self.aside))\n",
    ),
    bug(
        "a ticket that cannot be read holds up its deal's others",
        "12",
        "connector/gather.py",
        "        self.reader.fetch_linked(wanted)\n",
        "        self.reader.fetch(wanted)\n",
        caught_by="tests/core/test_unreadable_linked.py",
    ),
    bug(
        "what is left out because it cannot be read is forgotten",
        "2",
        _PLANNING,
        "        found = {**gathered.unread, **gathered.left}\n",
        "        found = {**gathered.unread}\n",
        caught_by="tests/core/test_unreadable_linked.py",
    ),
    bug(
        "one record that fails fails the run",
        "12",
        _PLANNING,
        "                if not refs:\n                    raise\n",
        "                raise\n",
    ),
    bug(
        "what could not be found is forgotten for good",
        "7",
        _RUN_SYNC,
        "        back = found_again(run)\n",
        "        back: set[Ref] = set()\n",
    ),
    bug(
        "a conflict is decided for the help desk",
        "2",
        "connector/merge.py",
        "    return Decision(Action.REVIEW, why)",
        "    return Decision(Action.TO_CRM, why, rule.to_crm(desk_value))",
    ),
    bug(
        "a create is sent again after a 502",
        "1",
        "connector/transport.py",
        "            if retry is Retry.CREATE:",
        "            if retry is Retry.CREATE and answer.status != 502:",
        caught_by="tests/transport/test_retry.py",
    ),
    bug(
        "an undo takes back what a person wrote since",
        "2",
        _UNDO,
        "            why = self._changed(record.ref, rows, prints.of(now))",
        '            why = ""',
    ),
    bug(
        "the sync after an undo does it all again",
        "2",
        _UNDO,
        "bases=tuple(self._apart(record, name, target.before, rows[-1].after)) if in_doubt or not there else (),",
        "bases=(),",
    ),
    bug(
        "an undo takes a note away with what a person wrote into it",
        "2",
        "connector/undo_notes.py",
        '        return "" if self.journal.prints.text(note.version) == left_as else _EDITED',
        '        return ""',
    ),
    bug(
        "a note that an undo took away is written again",
        "1",
        _UNDO,
        "        effects = Effects(unsent=self.notes.rows[made], taken_back=(TakenBack(intent.key),))",
        "        effects = Effects()",
    ),
    bug(
        "a tag that an undo took off counts as new on the other side",
        "2",
        _UNDO_TAGS,
        "if other is None or (named in theirs) != wanted or (not wanted and named in (other.tags or ())):",
        "if named in theirs and wanted:",
    ),
    bug(
        "two values of one field travel round a ring at once",
        "4",
        "connector/plan_turns.py",
        "if wish.origin != first}",
        "if False}",
        caught_by="tests/core/test_rings.py",
    ),
    bug(
        "a doubt that no plan names goes to a person at once",
        "12",
        _DOUBTS,
        "            known = [one for one in mine.values() if one.name in adapter.capabilities.look_up]",
        "            known: list[Intent] = []",
        caught_by="tests/core/test_left_in_doubt.py",
    ),
    bug(
        "a record that cannot be seen proves that it has no note",
        "7",
        _DOUBTS,
        "                        case None if mine[key] in known and Ref.parse(mine[key].target) in seen:",
        "                        case None:",
        caught_by="tests/core/test_left_in_doubt.py",
    ),
    bug(
        "a missing right is asked about record by record",
        "12",
        _ANSWERS,
        "            case Status.LATER if isinstance(outcome.error, Forbidden):\n                applied.later += 1\n",
        "            case Status.LATER if isinstance(outcome.error, Forbidden):\n"
        "                self._refused(op, outcome, work, applied)\n                return\n",
        caught_by="tests/core/test_rights.py",
    ),
    bug(
        "what waited for a right is not let go when it is back",
        "6",
        "connector/apply_rights.py",
        "                self.journal.release(name)",
        "                pass",
        caught_by="tests/core/test_rights.py",
    ),
    bug(
        "what a poll showed lately is not looked for",
        "6",
        "connector/journal/recent.py",
        "        return {Ref.parse(row[0]) for row in rows}",
        "        return {Ref.parse(row[0]) for row in rows[:0]}",
        caught_by="tests/core/test_index_lag.py",
    ),
    bug(
        "what a run meets behind its polls counts as known",
        "2",
        _RUN_ROUNDS,
        "            run.journal.unsee(ref)  # what it holds now may be carried over",
        "            pass",
        caught_by="tests/core/test_as_before.py",
    ),
    bug(
        "a ticket that no poll showed closed counts as open",
        "6",
        _RUN_ROUNDS,
        "        run.journal.shut(run.journal.open_refs(closed))",
        "        pass",
        caught_by="tests/core/test_opened_again.py",
    ),
    bug(
        "an undo takes a tag for its run's that was gone meanwhile",
        "2",
        _UNDO_TAGS,
        "            if (other, named) in changes.untagged_since(self.run, [other]) and not again:",
        "            if False:",
        caught_by="tests/undo/test_undo.py",
    ),
    bug(
        "an undo that is done twice takes a tag off that it had left",
        "2",
        _UNDO_TAGS,
        "if mine != tag or row.origin is not here or not (row.sure or row.apart):",
        "if mine != tag or row.origin is not here or not row.sure:",
        caught_by="tests/undo/test_tags_on_both_sides.py",
    ),
    bug(
        "what an undo could take from one side alone counts as gone from both",
        "2",
        _UNDO_TAGS,
        "(not wanted and named in (other.tags or ()))",
        "False",
        caught_by="tests/undo/test_tags_on_both_sides.py",
    ),
    bug(
        "an undo takes a tag for its run's that a sync had taken off here",
        "2",
        _UNDO_TAGS,
        "if (record.ref, tag) in changes.untagged_since(self.run, [record.ref]) and not again:",
        "if False:",
        caught_by="tests/undo/test_tags_on_both_sides.py",
    ),
    bug(
        "a tag that an undo may still take off counts as agreed",
        "2",
        _CONFIRM,
        "            if any(row.apart for row in held):",
        "            if False:",
        caught_by="tests/undo/test_tags_on_both_sides.py",
    ),
    bug(
        "an undo does not know that a sync found what nobody had heard of",
        "2",
        _UNDO,
        "rows[-1].key in self.unheard and not self._was_there(record.ref, rows[-1])",
        "rows[-1].key in self.unheard",
        caught_by="tests/undo/test_rewritten.py",
    ),
)

HINTS = {
    "an undo takes back what a person wrote since": 4,
    "the sync after an undo does it all again": 69,
    "an undo takes a note away with what a person wrote into it": 12,
    "a note that an undo took away is written again": 4,
    "a tag that an undo took off counts as new on the other side": 4,
    "a cursor that is a time has no overlap": 77,
    "the intent is recorded after the write": 292,
    "what is in doubt is sent again without a look-up": 5,
    "settle time is not waited for": 5,
    "keys differ from run to run": 3,
    "our own notes are taken for people's": 1,
    "both sides read from one cursor": 2,
    "dirty is cleared before the writes are done": 24,
    "the merge base is what was asked for, not what was stored": 3,
    "notes are public": 1,
    "answers to customers travel like internal notes": 2,
    "among several matches the first is taken": 73,
    "what a poll does not show is taken for deleted": 1,
    "the lock is not taken": 1,
    "the whole record is sent": 1,
    "tags are set and not added": 2,
    "a note's text is in an error": 36,
    "the brake on writes is off by one": 7,
    "the brake on the share is off by one": 30,
    "a dry run records what it polled": 1,
    "a backfill writes to the help desk too": 5,
    "what a poll could not read is passed over": 14,
    "a note that cannot be read stops those who only watch it": 340,
    "one record that fails fails the run": 8,
    "what could not be found is forgotten for good": 48,
    "a conflict is decided for the help desk": 8,
}
"""A seed that caught each when all were last lived in order: tried first. Where it does not, seeds 1 to 500 follow."""
