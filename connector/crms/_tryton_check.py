"""Whether a Tryton can be used as it is configured, and which fields it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connector.adapter import FieldInfo, Finding, failure
from connector.crms._tryton_records import DEAL_CUSTOM, NOTE_FIELDS, Account
from connector.crms._tryton_rest import CATEGORY, DEAL, NOTE, PARTY, Domain, Rest, Row
from connector.crms._tryton_write import COMPANY_WRITABLE, CONTACT_WRITABLE, DEAL_WRITABLE
from connector.errors import DeskbridgeError
from connector.model import STANDARD_FIELDS, Kind

_TYPES = {
    "char": "text", "text": "text", "fulltext": "text", "integer": "number", "float": "number", "numeric": "money",
    "boolean": "bool", "date": "date", "datetime": "datetime", "timestamp": "datetime", "selection": "choice",
    "multiselection": "list",
}  # fmt: skip
_STANDARD = {
    "amount": "money", "created": "datetime", "close_date": "date", "emails": "list", "phones": "list",
    "domains": "list", "status": "choice", "stage": "choice",
}  # fmt: skip
_READ = {
    Kind.CONTACT: frozenset(
        {"name", "email", "emails", "phone", "phones", "language", "external_id", "created", "url"}
    ),
    Kind.COMPANY: frozenset({"name", "domain", "domains", "email", "phone", "external_id", "created", "url"}),
    Kind.DEAL: frozenset(STANDARD_FIELDS[Kind.DEAL]) - {"pipeline"},
}
_WRITABLE = {Kind.CONTACT: CONTACT_WRITABLE, Kind.COMPANY: COMPANY_WRITABLE, Kind.DEAL: frozenset(DEAL_WRITABLE)}


def check(rest: Rest, account: Account, company: int) -> list[Finding]:
    """See `Adapter.check`: the key, the company, each model that is read, the configured fields and category."""
    try:
        companies = rest.by_id("company.company", [company], ["party", "currency.code"])
    except DeskbridgeError as error:
        return [failure("Tryton answers and takes the key", error)]
    here = company in companies
    findings = [
        Finding(what="Tryton answers and takes the key", ok=True),
        Finding(
            what=f"company {company} is one of the key's user", ok=here, need="" if here else "set `company` to its id"
        ),
    ]
    own = f"{PARTY},{companies[company].get('party')}" if here else f"{PARTY},0"
    for model, asked, domain in (
        (PARTY, account.asked_of_party, []),
        (CATEGORY, ("name", "parent", "active"), []),
        (DEAL, account.asked_of_deal, [["company", "=", company]]),
        (NOTE, NOTE_FIELDS, [["resource", "=", own]]),
    ):
        findings.append(_readable(rest, model, asked, domain))
    findings.append(
        _tried(
            f"the category {account.company_category!r} that marks companies is there",
            lambda: bool(
                rest.page(CATEGORY, [["name", "=", account.company_category], ["active", "=", True]], ["name"])[0]
            ),
            "make it in Tryton (Parties > Categories), or set `company_category`; until then every party is a contact",
        )
    )
    return findings


def _readable(rest: Rest, model: str, asked: Sequence[str], domain: Domain) -> Finding:
    def works() -> bool:
        known = rest.definitions(model)
        missing.extend(sorted({name.split(".")[0] for name in asked} - known.keys()))
        if missing:
            return False
        rows, _ = rest.page(model, domain, asked)
        # A field that the user may not read is left out of the answer without a word.
        missing.extend(sorted({name.split(".")[0] for name in asked} - rows[0].keys()) if rows else [])
        return not missing

    missing: list[str] = []
    finding = _tried(f"{model} can be read", works, "")
    if missing:
        need = f"fields that it has not, or that the key's user may not read: {', '.join(missing)}"
        return Finding(what=finding.what, ok=False, need=need)
    return finding


def _tried(what: str, works: Callable[[], bool], need: str) -> Finding:
    try:
        ok = works()
    except DeskbridgeError as error:
        return failure(what, error)
    return Finding(what=what, ok=ok, need="" if ok else need)


def describe(rest: Rest, account: Account) -> list[FieldInfo]:
    """See `Adapter.describe`. `party_fields` and `deal_fields` add to the fields."""
    parties, deals = rest.definitions(PARTY), rest.definitions(DEAL)
    fields: list[FieldInfo] = []
    for kind, names in _READ.items():
        for name in sorted(names):
            options = _options(deals.get("state", {})) if (kind, name) == (Kind.DEAL, "stage") else ()
            if (kind, name) == (Kind.DEAL, "status"):
                options = ("open", "won", "lost")
            kind_of_value = _STANDARD.get(name, "text")
            fields.append(
                FieldInfo(path=f"{kind}.{name}", type=kind_of_value, writable=name in _WRITABLE[kind], options=options)
            )
        custom = (
            (*DEAL_CUSTOM, *account.deal_fields) if kind is Kind.DEAL else ("code", "website", *account.party_fields)
        )
        configured = account.deal_fields if kind is Kind.DEAL else account.party_fields
        known = deals if kind is Kind.DEAL else parties
        for name in custom:
            if name in known:
                writable = f"custom.{name}" in _WRITABLE[kind] or (
                    name in configured and not known[name].get("readonly")
                )
                fields.append(
                    FieldInfo(
                        path=f"{kind}.custom.{name}",
                        type=_TYPES.get(str(known[name].get("type")), "text"),
                        writable=writable,
                        options=_options(known[name]),
                    )
                )
    return fields


def _options(field: Row) -> tuple[str, ...]:
    """The keys of a selection, where they are a plain list: some are computed by a method of the server."""
    selection = field.get("selection")
    if not isinstance(selection, list):
        return ()
    return tuple(str(pair[0]) for pair in selection if isinstance(pair, list) and pair and pair[0])
