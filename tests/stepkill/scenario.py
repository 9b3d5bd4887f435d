"""What a golden scenario is: people's actions as data, played on a pair in memory, and the end as people see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from connector import richtext
from connector.adapter import Capabilities
from connector.mapping.rules import Rules
from connector.model import Body, Kind, Ref, Role, Side, Visibility
from connector.reviews import decide
from connector.run import backfill, sync
from connector.sandbox.memory_terms import US, ManualClock, Quirks
from connector.undo import undo
from tests.core.house import House, rules

Action = tuple[Any, ...]
"""A verb of `PEOPLE` and its words, e.g. `("note", "ticket 1", "hello")`."""

_OWN_NAMES = {
    "requester": (Side.DESK, Kind.CONTACT), "contact": (Side.CRM, Kind.CONTACT), "ticket": (Side.DESK, Kind.TICKET),
    "deal": (Side.CRM, Kind.DEAL), "organisation": (Side.DESK, Kind.COMPANY), "company": (Side.CRM, Kind.COMPANY),
}  # fmt: skip
_TIMES = frozenset({"created", "updated", "url", "external_id"})


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The end as people see it. Notes, entries, tags and reviews are all there are; of the fields, those that matter."""

    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By record: the words of its notes, people's and ours. What we carry begins with its author's name."""
    entries: Sequence[str] = ()
    """`title / body / on which records`."""
    tags: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reviews: Sequence[str] = ()
    """Those open: `kind: about whom`."""
    left: Sequence[str] = ()
    """What an undo lists: `record: what`."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Who did what before, what happens now, and what must be there in the end."""

    name: str
    before: Sequence[Sequence[Action]] = ()
    """Done and settled, one sync after each."""
    now: Sequence[Action]
    """The last of it before the run that is killed."""
    expect: Expected
    mapping: Mapping[str, Any] = field(default_factory=dict)
    desk: Mapping[str, Any] = field(default_factory=dict)
    """Changed capabilities of the help desk; `quirks` are its quirks."""
    crm: Mapping[str, Any] = field(default_factory=dict)
    first: bool = False
    """The killed run is the first of all, on a journal that is not there yet."""
    backfill: bool = False
    """The killed run is a backfill from the beginning."""
    since: Sequence[Action] | None = None
    """The killed run is an undo of the one that brought all this; and this is what people, or an undo, did in between."""
    runs: int = 1
    """How many runs a world without crashes needs."""

    def __str__(self) -> str:
        return self.name


class Stage:
    """A pair in memory, with names for its records."""

    def __init__(self, house: House, names: dict[str, Ref] | None = None) -> None:
        self.house = house
        self.names = names if names is not None else {}
        self.takes_back = 0
        """The run that is undone."""

    def act(self, actions: Sequence[Action]) -> None:
        """Lets people do these things, a second apart."""
        for verb, *words in actions:
            PEOPLE[verb](self, *words)
            self.house.clock.advance(1)

    def ref(self, name: str) -> Ref:
        return self.names[name]

    def last_run(self) -> int:
        journal = self.house.journal()
        try:
            return journal.runs(1)[0].id
        finally:
            journal.close()

    def note(self, text: str) -> Ref:
        """The note that a person wrote with these words."""
        for world in (self.house.desk, self.house.crm):
            for note in world.notes.values():
                if note.author.name != US and note.body.text == text:
                    return note.ref
        raise LookupError(text)

    # -- what can be seen

    def view(self) -> dict[str, Any]:
        """All that people can see, without ids and times."""
        house, called = self.house, self.called()
        worlds = (house.desk, house.crm)
        records = {called[ref]: record for world in worlds for ref, record in world.records.items()}
        notes: dict[str, list[str]] = {}
        for world in worlds:
            for note in sorted(world.notes.values(), key=lambda note: int(note.ref.id)):
                notes.setdefault(called.get(note.parent, "nobody"), []).append(_words(note.body, note.visibility))
        return {
            "notes": {name: sorted(texts) for name, texts in sorted(notes.items())},
            "entries": sorted(
                f"{entry.title} / {_words(entry.body)} / {', '.join(sorted(called.get(r, 'nobody') for r in entry.on))}"
                for entry in house.crm.entries.values()
            ),
            "tags": {name: " ".join(sorted(r.tags)) for name, r in sorted(records.items()) if r.tags},
            "fields": {
                name: {key: value for key, value in sorted(r.fields.items()) if key not in _TIMES}
                for name, r in sorted(records.items())
            },
            "reviews": self._reviews(called),
            "mails": [mail.because for mail in house.desk.mails if mail.actor == US],
        }

    def called(self) -> dict[Ref, str]:
        """Every record's name; those that we made are called by their address."""
        called = {ref: name for name, ref in self.names.items()}
        for world in (self.house.desk, self.house.crm):
            for ref, record in world.records.items():
                if ref not in called:
                    called[ref] = f"new {ref.kind} {record.fields.get('email') or record.fields.get('name')}"
        return called

    def _reviews(self, called: Mapping[Ref, str]) -> list[str]:
        journal = self.house.journal()
        try:
            found = []
            for review in journal.reviews():
                about = [review.detail.get(name, "") for name in ("desk", "crm", "target", "source")]
                refs = [Ref.parse(text) for text in about if text.count(":") >= 2]
                found.append(f"{review.kind}: {', '.join(called.get(ref, str(ref.kind)) for ref in refs)}")
            return sorted(found)
        finally:
            journal.close()

    def check(self, expected: Expected) -> None:
        """Fails where the end is not as written down."""
        seen = self.view()
        assert seen["notes"] == {name: sorted(texts) for name, texts in expected.notes.items()}
        assert seen["entries"] == sorted(expected.entries)
        assert seen["tags"] == {name: " ".join(sorted(t.split())) for name, t in sorted(expected.tags.items())}
        assert seen["reviews"] == sorted(expected.reviews)
        for name, values in expected.fields.items():
            assert {key: seen["fields"][name][key] for key in values} == dict(values), name
        assert seen["mails"] == []


def stage(scenario: Scenario, folder: Path) -> Stage:
    """The pair as it stands just before the run that is killed."""
    worlds = {"desk": _world(Side.DESK, scenario.desk), "crm": _world(Side.CRM, scenario.crm)}
    house = House(folder, mapping=_mapping(scenario), **worlds)
    house.pair = replace(house.pair, start=house.clock.now() if scenario.first else None)
    set_stage = Stage(house)
    if not scenario.first and not scenario.backfill:
        house.sync()  # the first sync starts now
    for actions in scenario.before:
        set_stage.act(actions)
        if not scenario.backfill:
            for _ in range(4):
                if house.sync().planned == 0:
                    break
    set_stage.act(scenario.now)
    if scenario.since is not None:
        house.clock.advance(60)
        if scenario.backfill:
            backfill(house.pair, ManualClock().now())
        else:
            sync(house.pair)
        set_stage.takes_back = set_stage.last_run()
        set_stage.act(scenario.since)
    return set_stage


def _mapping(scenario: Scenario) -> Rules:
    plain = rules()
    assert plain.notes_to_crm
    assert plain.notes_to_desk
    assert plain.entry
    changes: dict[str, Any] = {
        "notes_to_crm": replace(plain.notes_to_crm, template="$author: $body"),
        "notes_to_desk": replace(plain.notes_to_desk, template="$author: $body"),
    }
    for name, value in scenario.mapping.items():
        changes[name] = replace(changes.get(name, getattr(plain, name)), **value) if isinstance(value, dict) else value
    return rules(**changes)


def _world(side: Side, changed: Mapping[str, Any]) -> dict[str, Any]:
    from connector.sandbox.memory_terms import DEFAULTS

    capabilities: Capabilities = replace(DEFAULTS[side], **{k: v for k, v in changed.items() if k != "quirks"})
    return {"capabilities": capabilities, "quirks": Quirks(**changed.get("quirks", {}))}


def _words(body: Body, visibility: Visibility = Visibility.INTERNAL) -> str:
    said = " ".join(richtext.plain(richtext.unmark(body)).split())
    return f"(public) {said}" if visibility is Visibility.PUBLIC else said


# -------------------------------------------------------------------------------------------------------------- people


def _person(side: Side) -> Callable[..., None]:
    def act(on: Stage, name: str, fields: Mapping[str, Any] | None = None, company: str | None = None) -> None:
        world, what = (on.house.desk, "requester") if side is Side.DESK else (on.house.crm, "contact")
        values = {"name": name.title(), "email": f"{name}@acme.example", "phone": None, **(fields or {})}
        links = {Role.COMPANY: (on.ref(company),)} if company else {}
        on.names[f"{what} {name}"] = world.create(Kind.CONTACT, values, links=links).ref

    return act


def _customer(on: Stage, name: str, fields: Mapping[str, Any] | None = None) -> None:
    _person(Side.DESK)(on, name, fields)
    _person(Side.CRM)(on, name, fields)


def _company(side: Side) -> Callable[..., None]:
    def act(on: Stage, name: str, domain: str) -> None:
        world, what = (on.house.desk, "organisation") if side is Side.DESK else (on.house.crm, "company")
        on.names[f"{what} {name}"] = world.create(Kind.COMPANY, {"name": name.title(), "domain": domain}).ref

    return act


def _deal(on: Stage, name: str, party: str, fields: Mapping[str, Any] | None = None) -> None:
    on.names[f"deal {name}"] = on.house.deal(on.ref(party), name.title(), **(fields or {}))


def _ticket(on: Stage, number: str, requester: str, fields: Mapping[str, Any] | None = None) -> None:
    values = {"subject": "Printer on fire", "number": number, **(fields or {})}
    on.names[f"ticket {number}"] = on.house.ticket(on.ref(f"requester {requester}"), **values)


def _note(on: Stage, parent: str, text: str, visibility: str = "internal") -> None:
    ref = on.ref(parent)
    if ref.side is Side.DESK:
        on.house.desk_note(ref, text, Visibility(visibility))
    else:
        on.house.crm_note(ref, text)


def _world_of(on: Stage, ref: Ref) -> Any:
    return on.house.desk if ref.side is Side.DESK else on.house.crm


def _do(method: str) -> Callable[..., None]:
    """An act of the world's own, on named records."""

    def act(on: Stage, name: str, *words: Any) -> None:
        refs = [on.names.get(word, word) if isinstance(word, str) else word for word in words]
        getattr(_world_of(on, on.ref(name)), method)(on.ref(name), *refs)

    return act


def _edit_note(on: Stage, text: str, new: str) -> None:
    ref = on.note(text)
    _world_of(on, ref).edit_note(ref, new)


def _delete_note(on: Stage, text: str) -> None:
    ref = on.note(text)
    _world_of(on, ref).delete_note(ref)


def _close(on: Stage, name: str, status: str) -> None:
    _world_of(on, on.ref(name)).close(on.ref(name), status=status)


def _link(on: Stage, name: str, role: str, to: str) -> None:
    _world_of(on, on.ref(name)).link(on.ref(name), {Role(role): (on.ref(to),)})


def _decide(on: Stage, kind: str, choice: str) -> None:
    journal = on.house.journal()
    try:
        review = next(review for review in journal.reviews() if review.kind == kind)
        decide(journal, review.id, str(on.names.get(choice, choice)), on.house.clock.now())
    finally:
        journal.close()


def _undo(on: Stage) -> None:
    undo(on.house.pair, on.takes_back)
    on.takes_back = on.last_run()


def _sync(on: Stage) -> None:
    sync(on.house.pair)


def _wait(on: Stage, seconds: float) -> None:
    on.house.clock.advance(seconds)


PEOPLE: Mapping[str, Callable[..., None]] = {
    "customer": _customer, "requester": _person(Side.DESK), "contact": _person(Side.CRM),
    "organisation": _company(Side.DESK), "company": _company(Side.CRM), "deal": _deal, "ticket": _ticket,
    "note": _note, "edit note": _edit_note, "delete note": _delete_note, "edit": _do("edit"), "tag": _do("tag"),
    "untag": _do("untag"), "close": _close, "reopen": _do("reopen"), "lock": _do("lock"), "link": _link,
    "merge": _do("merge"), "delete": _do("delete"), "decide": _decide, "wait": _wait, "undo": _undo, "sync": _sync,
}  # fmt: skip
