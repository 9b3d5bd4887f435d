"""A business that works in a real Request Tracker and a real Tryton: filled once, saved, and put back as it was.

What happened is read from the servers' own databases, so that neither their APIs nor our adapters are believed.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connector.sandbox.data import Dataset, Person, make

from . import recipes, servers
from .pair_canaries import WORD, Canaries, planted
from .request_tracker_people import People
from .tryton_people import COMPANY
from .tryton_people import Person as Seller

TICKETS, PEOPLE, DEALS = 204, 120, 40
FILLED = "filled"
"""The saved state in which both were filled and never synced."""
US = "integration"
"""The user of Request Tracker that Deskbridge works as; all others are people."""
KEY = re.compile(r"\[deskbridge:([a-z2-7]{16})\]")
TOKEN = re.compile(r"src-[a-z]+\d+")
_STATUS = {"pending": "open", "hold": "open", "solved": "resolved", "closed": "resolved"}
_TAGGED = '"party_party-party_category"'
_BUSY = 3
"""Requests under way at once: as many as Request Tracker has workers here."""


@dataclass
class Filled:
    """What was put in, by the servers' own ids."""

    users: dict[int, str] = field(default_factory=dict)
    """Request Tracker's user of a person of the dataset."""
    parties: dict[int, int] = field(default_factory=dict)
    tickets: dict[int, str] = field(default_factory=dict)
    asker: dict[str, int] = field(default_factory=dict)
    """Who asked, by ticket number."""
    deals: dict[int, int] = field(default_factory=dict)
    deals_of: dict[int, list[int]] = field(default_factory=dict)
    internal: dict[str, str] = field(default_factory=dict)
    """Token of each internal note to its ticket."""
    public: dict[str, str] = field(default_factory=dict)
    sales: dict[str, int] = field(default_factory=dict)
    """Token of each salesperson's note to the person it is about."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Text:
    """A text on a record, as a server holds it."""

    on: str
    """`ticket 7`, `party.party,3`, `sale.opportunity,2`"""
    kind: str
    """Comment, Correspond, Create; `note` at Tryton."""
    by: str
    text: str

    @property
    def key(self) -> str | None:
        found = KEY.search(self.text)
        return found[1] if found else None


class World:
    """Both servers, the people in them, and what their databases say."""

    def __init__(self, both: servers.RealServers, folder: Path) -> None:
        self.rt, self.tryton = both.rt, both.tryton
        self.agent, self.seller = People(both.rt), Seller(both.tryton)
        self.folder = folder
        self.data: Dataset = planted(make(11, tickets=TICKETS, people=PEOPLE, companies=12, deals=DEALS))
        self.canaries = Canaries(self.data, (*both.rt.tokens.values(), both.tryton.key))
        self.filled = Filled()
        self.state = ""
        """The saved state that the servers were last put back to, '' when unknown."""

    # -- filling

    def fill(self) -> None:
        """Both servers filled through their APIs, as people and scripts of theirs would; kept for a day's sessions."""
        kept = servers.cache_folder() / f"filled-{self._recipe()}"
        if (kept / "filled.txt").exists():
            self.filled = Filled(**ast.literal_eval((kept / "filled.txt").read_text()))
            shutil.copytree(kept, self.folder / FILLED)
            self.restore(FILLED)
            return
        begun = time.monotonic()
        for server in (self.rt, self.tryton):
            server.reset()
        with ThreadPoolExecutor(2) as pool:
            for done in (pool.submit(self._fill_rt), pool.submit(self._fill_tryton)):
                done.result()
        self.filled.seconds = time.monotonic() - begun
        self.save(FILLED)
        (self.folder / FILLED / "filled.txt").write_text(repr(asdict(self.filled)))
        for old in servers.cache_folder().glob("filled-*"):
            shutil.rmtree(old, ignore_errors=True)
        being = kept.with_name(f".{kept.name}-{os.getpid()}")
        shutil.copytree(self.folder / FILLED, being)
        with contextlib.suppress(OSError):  # another session was quicker
            being.rename(kept)
        shutil.rmtree(being, ignore_errors=True)

    def _recipe(self) -> str:
        """Changes with the data, with the way it is put in, and with the day: everything is of today."""
        steps = (World._fill_rt, World._user, World._tickets, World._fill_tryton, _party)
        how = "".join(map(inspect.getsource, steps)) + recipes.RT_SEED + recipes.RT_CONFIG + recipes.TRYTON_SEED
        return hashlib.sha256(f"{how}{datetime.now(UTC).date()}{self.data}".encode()).hexdigest()[:12]

    def _fill_rt(self) -> None:
        askers = [n for n, one in enumerate(self.data.people) if one.on_desk and one.email]
        made = _parallel(lambda some: [self._user(n) for n in some], _shares(askers))
        self.filled.users = dict(zip(askers, made, strict=True))
        tickets = [n for n, one in enumerate(self.data.tickets) if one.requester in self.filled.users]
        numbers = _parallel(lambda some: self._tickets(some), _shares(tickets))
        self.filled.tickets = dict(zip(tickets, numbers, strict=True))
        self.filled.asker = {number: self.data.tickets[n].requester for n, number in self.filled.tickets.items()}
        said: dict[str, list[dict[str, str]]] = {"comment": [], "correspond": []}
        for n, number in self.filled.tickets.items():
            for message in self.data.tickets[n].messages:
                verb = "correspond" if message.public else "comment"
                if message.agent is None or (message.public and n % 5):
                    continue  # each public reply mails somebody, which takes this server long
                token = f"src-{verb}{len(said[verb])}"
                (self.filled.public if message.public else self.filled.internal)[token] = number
                text = f"{message.text} {token}"
                said[verb].append({"id": number, "Content": text, "ContentType": "text/plain"})
        for verb, messages in said.items():
            path = f"/tickets/bulk/{verb}"
            _parallel(lambda some, path=path: self.agent.call("POST", path, json=list(some)), _shares(messages))

    def _user(self, n: int) -> str:
        one = self.data.people[n]
        body = {"Name": one.email, "EmailAddress": one.email, "RealName": one.name}
        if one.phone and n % 2:
            body["WorkPhone"] = one.phone
        return str(self.agent.call("POST", "/user", json=body)["id"])

    def _tickets(self, some: Sequence[int]) -> list[str]:
        bodies = []
        for n in some:
            one = self.data.tickets[n]
            bodies.append({
                "Queue": "General", "Subject": one.subject, "Requestor": self.data.people[one.requester].email,
                "Content": one.text, "ContentType": "text/plain", "Status": _STATUS.get(one.status, one.status),
                "CustomFields": {"Tags": list(one.tags)},
            })  # fmt: skip
        return [str(one["id"]) for one in self.agent.call("POST", "/tickets/bulk", json=bodies)]

    def _fill_tryton(self) -> None:
        category = self.seller.category(COMPANY)
        firms = [{"name": firm.name, "categories": [["add", [category]]]} for firm in self.data.companies]
        known = [n for n, one in enumerate(self.data.people) if one.in_crm and one.name != f"Reception Two {WORD}"]
        ids = self._bulk("party.party", [*(_party(self.data.people[n]) for n in known), *firms])
        self.filled.parties = dict(zip(known, ids, strict=False))
        deals = [n for n, one in enumerate(self.data.deals) if one.people and one.people[0] in self.filled.parties]
        rows = []
        for n in deals:
            deal = self.data.deals[n]
            rows.append({
                "description": deal.name, "party": self.filled.parties[deal.people[0]], "company": 1, "currency": 1,
                "employee": 1, "amount": money(deal.amount),
            })  # fmt: skip
        for n, id_ in zip(deals, self._bulk("sale.opportunity", rows), strict=True):
            self.filled.deals[n] = id_
            self.filled.deals_of.setdefault(self.data.deals[n].people[0], []).append(id_)
        notes = [one for one in self.data.notes if one.person in self.filled.parties]
        rows = []
        for n, note in enumerate(notes):
            self.filled.sales[f"src-sales{n}"] = note.person
            resource = f"party.party,{self.filled.parties[note.person]}"
            rows.append({"resource": resource, "message": f"{note.text} src-sales{n}"})
        self._bulk("ir.note", rows)

    def _bulk(self, model: str, rows: list[dict[str, Any]]) -> list[int]:
        """One transaction at Tryton; the new ids, in the order of `rows`."""
        return sorted(self.seller.ask("POST", f"{model}/create", {"vlist": rows}))

    # -- states

    def save(self, name: str, *beside: Path) -> None:
        """Keeps both databases (and the files `beside`) as they are now, with all that is still in a log of theirs."""
        place = self.folder / name
        place.mkdir()
        for source, to in zip(self._databases(), (place / "rtdb", place / "crm.sqlite"), strict=True):
            with closing(_open(source)) as live, closing(sqlite3.connect(to)) as copy:
                live.backup(copy)
        for file in beside:
            shutil.copy2(file, place / file.name)
        self.state = name

    def restore(self, name: str, into: Path | None = None) -> None:
        """Both servers as they were when `name` was saved; the files that were saved beside go `into` a folder."""
        place = self.folder / name
        self.rt.stop()
        self.tryton.stop()
        self.rt.start(place / "rtdb")
        self.tryton.start(place / "crm.sqlite")
        self.rt.wait()
        self.tryton.wait()
        for file in place.iterdir():
            if into is not None and file.name not in ("rtdb", "crm.sqlite"):
                shutil.copy2(file, into / file.name)
        self.state = name

    def _databases(self) -> tuple[Path, Path]:
        return self.rt.folder / "rtdb", self.tryton.folder / "crm.sqlite"

    # -- what the databases say

    def ask_rt(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return _ask(self._databases()[0], sql, values)

    def ask_tryton(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return _ask(self._databases()[1], sql, values)

    def rt_writes(self) -> int:
        """Transactions of Request Tracker by Deskbridge's user: each write of ours makes one or more."""
        ((count,),) = self.ask_rt(
            "SELECT count(*) FROM Transactions JOIN Users ON Users.id = Transactions.Creator WHERE Users.Name = ?", US
        )
        return int(count)

    def tryton_writes(self) -> tuple[Any, ...]:
        """Rows of each model and when the last one was written: any write, even of equal values, changes this."""
        found: list[Any] = []
        for table in (
            "party_party", "party_contact_mechanism", "party_identifier", "party_category", "sale_opportunity", "ir_note",
        ):  # fmt: skip
            sql = f"SELECT count(*), max(coalesce(write_date, create_date)) FROM {table}"
            found += self.ask_tryton(sql)
        found += self.ask_tryton(f"SELECT count(*), max(id) FROM {_TAGGED}")
        return tuple(found)

    def counts(self) -> tuple[Any, ...]:
        return self.rt_writes(), self.tryton_writes()

    def rt_texts(self) -> list[Text]:
        """Everything that was said on tickets, oldest first, with the type of its transaction."""
        rows = self.ask_rt(
            "SELECT t.ObjectId, t.Type, u.Name, a.Content FROM Transactions t JOIN Users u ON u.id = t.Creator"
            " JOIN Attachments a ON a.TransactionId = t.id"
            " WHERE t.ObjectType = 'RT::Ticket' AND t.Type IN ('Create', 'Comment', 'Correspond')"
            " AND a.ContentType LIKE 'text/%' AND a.Content IS NOT NULL ORDER BY a.id"
        )
        return [Text(f"ticket {ticket}", kind, by, _text(content)) for ticket, kind, by, content in rows]

    def tryton_texts(self) -> list[Text]:
        rows = self.ask_tryton("SELECT resource, message FROM ir_note ORDER BY id")
        return [Text(on, "note", "sync", message) for on, message in rows]

    def visible(self) -> dict[str, list[Any]]:
        """What people see in both systems, in an order and with times that no run decides."""
        fields = (
            "SELECT o.ObjectId, c.Name, coalesce(o.LargeContent, o.Content) FROM ObjectCustomFieldValues o"
            " JOIN CustomFields c ON c.id = o.CustomField WHERE o.Disabled = 0 AND o.ObjectType = 'RT::Ticket'"
        )
        return {
            "tickets": sorted(self.ask_rt("SELECT id, Subject, Status FROM Tickets")),
            "ticket fields": sorted(self.ask_rt(fields)),
            "users": sorted(self.ask_rt("SELECT id, EmailAddress, RealName, coalesce(WorkPhone, '') FROM Users")),
            "messages": sorted((one.on, one.kind, one.by, _timeless(one.text)) for one in self.rt_texts()),
            "parties": sorted(self.ask_tryton("SELECT id, name FROM party_party")),
            "mechanisms": sorted(self.ask_tryton("SELECT party, type, value, active FROM party_contact_mechanism")),
            "categories": sorted(
                self.ask_tryton(f"SELECT r.party, c.name FROM {_TAGGED} r JOIN party_category c ON c.id = r.category")
            ),
            "deals": sorted(self.ask_tryton("SELECT id, description, state, amount FROM sale_opportunity")),
            "notes": sorted((one.on, _timeless(one.text)) for one in self.tryton_texts()),
        }

    def quiet(self) -> None:
        """Returns when neither server writes any more: requests of a killed program have come to their end."""
        before: tuple[Any, ...] = ()
        while before != (before := (self.ask_rt("SELECT max(id) FROM Transactions"), self.tryton_writes())):
            time.sleep(0.7)


def keys(texts: Iterable[Text]) -> list[str]:
    """The marker keys in texts, each as often as it occurs."""
    return [one.key for one in texts if one.key]


def money(amount: str) -> dict[str, str]:
    return {"__class__": "Decimal", "decimal": amount}


def _party(person: Person) -> dict[str, Any]:
    rows = [{"type": "email", "value": mail.casefold()} for mail in (person.email, *person.also) if mail]
    rows += [{"type": "phone", "value": person.phone}] if person.phone else []
    return {"name": person.name, "contact_mechanisms": [["create", rows]] if rows else None}


def _shares(items: Sequence[Any]) -> list[Sequence[Any]]:
    size = min(10, max(1, -(-len(items) // _BUSY)))
    return [items[at : at + size] for at in range(0, len(items), size)]


def _parallel(work: Callable[[Any], Iterable[Any]], shares: Sequence[Any]) -> list[Any]:
    with ThreadPoolExecutor(_BUSY) as pool:
        return [one for some in pool.map(work, shares) for one in some]


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)


def _ask(path: Path, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    with closing(_open(path)) as db:
        return db.execute(sql, values).fetchall()


def _text(content: object) -> str:
    return content.decode() if isinstance(content, bytes) else str(content)


def _timeless(text: str) -> str:
    """Without times: an entry says when its ticket last changed, and that differs from run to run."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( UTC)?", "(time)", text)
