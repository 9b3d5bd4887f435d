"""What an agent and a salesperson do in the sandboxes, through the vendors' own APIs and with their own credentials.

For `deskbridge demo`: it shows that a sync carries what people did, and checks at the vendors that it really arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.auth import basic
from connector.settings import Secret
from connector.tokens import TokenStore
from connector.transport import SYSTEM, Retry, Tools

if TYPE_CHECKING:
    from connector.sandbox.pair import SandboxPair

ANSWER = "We have found it: the spare part leaves tomorrow morning."
INSIDE = "Third fault this month. Sales should know before the renewal."
PROMISE = "They sign on Friday if the open ticket is solved by then."
AMOUNT = "12500.00"
DESK_TAG, CRM_TAG = "escalated", "renewal-at-risk"


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that must be true at a vendor now."""

    text: str
    held: bool


class Story:
    """One customer with an open ticket and an open deal, and the two people who look after them."""

    def __init__(self, pair: SandboxPair, folder: Path) -> None:
        self._pair = pair
        self.ticket, self.contact, self.lead = self._customer()
        users = pair.desk.world.users
        agent = next(user for user in users.values() if user["role"] == "agent")
        seller = pair.crm.rows("users")[-1]
        self.customer = str(pair.crm.record(self.contact)["name"])
        self.subject = str(pair.desk.ticket(self.ticket)["subject"])
        self.deal = str(pair.crm.record(self.lead)["name"])
        self.agent, self.seller = str(agent["name"]), str(seller["name"])
        pair.desk.gate.api_tokens[agent["email"]] = "sandbox-agent-token"
        pair.crm.add_key("sandbox-seller-key", name="Sales", impersonation=True)
        tools = Tools(clock=SYSTEM, tokens=TokenStore(folder / "people.json"))
        self._desk = tools.http(
            pair.desk_server.url, auth=basic(f"{agent['email']}/token", Secret("text", "sandbox-agent-token"))
        )
        self._crm = tools.http(
            pair.crm_server.url, auth=basic(seller["emails"][0], Secret("text", "sandbox-seller-key"))
        )
        self._mails = 0

    def _customer(self) -> tuple[int, str, str]:
        """The newest open ticket of somebody whom the CRM knows once, with exactly one open deal."""
        desk, crm = self._pair.desk, self._pair.crm
        known: dict[str, list[str]] = {}
        for contact in crm.rows("contacts"):
            for entry in contact["emails"]:
                known.setdefault(str(entry["value"]).casefold(), []).append(contact["id"])
        deals: dict[str, list[str]] = {}
        for lead in crm.rows("leads"):
            for contact in lead["links"]["contacts"] if lead["status"] == "open" else ():
                deals.setdefault(contact, []).append(lead["id"])
        for ident, ticket in sorted(desk.world.tickets.items(), reverse=True):
            email = str(desk.world.users[ticket["requester_id"]]["email"] or "").casefold()
            people = known.get(email, [])
            if ticket["status"] == "open" and len(people) == 1 and len(deals.get(people[0], [])) == 1:
                return ident, people[0], deals[people[0]][0]
        raise LookupError("these customers have no open ticket with one open deal; take another seed")

    # -- the people

    def agent_works(self) -> None:
        """Answers the customer, leaves an internal note, tags the ticket, and raises its priority."""
        path = f"/api/v2/tickets/{self.ticket}.json"
        for change in (
            {"comment": {"html_body": f"<p>{ANSWER}</p>", "public": True}},
            {"comment": {"html_body": f"<p>{INSIDE}</p>", "public": False}, "priority": "urgent"},
            {"additional_tags": [DESK_TAG]},
        ):
            self._desk.send("PUT", path, retry=Retry.CREATE, json={"ticket": change})
        self._mails = len(self._pair.desk.emails)

    def seller_works(self) -> None:
        """Notes a promise on the contact, tags the contact, and changes the deal's amount."""
        note = {"data": {"body": PROMISE, "links": {"parent": self.contact}}}
        self._crm.send("POST", "/rest/notes", retry=Retry.CREATE, json=note)
        tag = {"tags": [{"name": CRM_TAG, "tagType": "2"}]}
        made = self._crm.send("POST", "/rest/tags", retry=Retry.CREATE, json=tag).json()
        self._patch("contacts", self.contact, "add", "links/tags/-", made["tags"][0]["id"])
        self._patch("leads", self.lead, "replace", "manualValue", AMOUNT)

    def _patch(self, kind: str, ident: str, op: str, path: str, value: Any) -> None:
        self._crm.send(
            "PATCH", f"/rest/{kind}/{ident}", retry=Retry.CREATE,
            json=[{"op": op, "path": f"/{kind}/0/{path}", "value": value}],
            headers={"Content-Type": "application/json-patch+json"},
        )  # fmt: skip

    # -- what is true now

    def arrived(self) -> list[Claim]:
        """What the sync must have carried, and what it must have left where it was."""
        desk, crm = self._pair.desk, self._pair.crm
        there = [note["body"] for parent in (self.contact, self.lead) for note in crm.notes(parent)]
        here = [comment for comment in desk.comments(self.ticket) if PROMISE in comment["plain_body"]]
        ticket = desk.ticket(self.ticket)
        named = {field["id"]: field["title"] for field in desk.world.fields["ticket"].values()}
        custom = {named[field["id"]]: field["value"] for field in ticket["custom_fields"]}
        return [
            Claim("the agent's internal note is in the CRM", any(INSIDE in text for text in there)),
            Claim("the answer to the customer stayed at the help desk", not any(ANSWER in text for text in there)),
            Claim(f"the contact is tagged {DESK_TAG}", DESK_TAG in crm.tags(self.contact)),
            Claim("the deal shows the ticket's priority", crm.custom(self.lead).get("Support priority") == "Urgent"),
            Claim("the salesperson's note is on the ticket, once", len(here) == 1),
            Claim("and no customer can see it", all(not comment["public"] for comment in here)),
            Claim(f"the ticket is tagged {CRM_TAG}", CRM_TAG in ticket["tags"]),
            Claim("the ticket shows the deal's new amount", custom.get("Deal amount") == AMOUNT),
            Claim("no customer got an e-mail because of it", len(desk.emails) == self._mails),
        ]

    def close(self) -> None:
        self._desk.close()
        self._crm.close()
