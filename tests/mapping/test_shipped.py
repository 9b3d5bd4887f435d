"""The shipped mappings load, do what their own examples say, and are safe; the docs tell every key there is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
from pydantic import BaseModel

from connector.adapter import FieldInfo
from connector.mapping.examples import run
from connector.mapping.explain import explain
from connector.mapping.load import Loaded, read
from connector.mapping.schema import PUBLIC_REPLY, MappingFile, NotesToDeskTable, json_schema
from connector.mapping.transforms import names
from connector.mapping.validate import usable_keys, validate
from connector.model import STANDARD_FIELDS, Kind, Visibility
from connector.sandbox.memory_terms import CRM, DESK

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(path.stem for path in (ROOT / "mappings").glob("*.toml"))
DOCS = (ROOT / "docs" / "mapping.md").read_text(encoding="utf-8")

Mapping = Callable[..., Loaded]


def shipped(name: str) -> Loaded:
    return read(name, [ROOT / "mappings"])


def test_these_mappings_are_shipped() -> None:
    assert {"default", "zendesk-nutshell", "request_tracker-tryton"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_mapping_does_what_its_examples_say(name: str) -> None:
    loaded = shipped(name)
    results = run(loaded.rules, loaded.file.example)
    assert len(results) >= 2
    assert [(result.name, result.differences) for result in results if not result.ok] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_mapping_shows_customers_nothing_and_makes_nobody(name: str) -> None:
    rules = shipped(name).rules
    assert rules.notes_to_desk is not None
    assert rules.notes_to_desk.visibility is Visibility.INTERNAL
    assert rules.notes_to_crm is not None
    assert not rules.notes_to_crm.public
    assert rules.contact.none == "skip"
    assert not [rule for rule in rules.fields if str(rule.desk) == "ticket.status" and rule.direction.reaches_desk]


def test_the_default_fits_vendors_that_can_do_what_is_common() -> None:
    assert validate(shipped("default").rules, DESK, CRM) == []


# -------------------------------------------------------------------------------------------------------------- explain


def test_a_mapping_explains_each_rule_in_one_sentence(mapping: Mapping) -> None:
    loaded = mapping(
        """
        tags = {on = ["contact"], deny = ["x*"], rename = {a = "b"}, prefix_to_crm = "hd:"}
        [[field]]
        desk = "ticket.priority"
        crm = "deal.custom.P"
        direction = "both"
        policy = "desk"
        to_crm = ["strip", "lower"]
        values = { high = "A" }
        [notes.to_desk]
        of = ["deal"]
        template = "$body"
        tagged = "#support"
        public_reply = "yes, e-mail the customer"
        """
    )
    assert explain(loaded) == [
        "A contact is found by email; where none does, the requester is left alone; where several do, a person is asked.",
        "Companies are not matched.",
        "A ticket belongs to the open deals of its contact else of its company, of several the newest.",
        "Tickets make no entries on the CRM's timelines.",
        "No notes of tickets go to the CRM.",
        "Notes on a deal that hold the word '#support' are written on the customer's open ticket that was last active, "
        "AS PUBLIC REPLIES THAT THE CUSTOMER IS E-MAILED.",
        "Tags are shared both ways between a ticket and its contact; none like 'x*'.",
        "The help desk's tag 'a' is 'b' in the CRM.",
        "The help desk's tags have 'hd:' before their names in the CRM.",
        "The CRM's tags without that prefix stay where they are, for they could not find their way back.",
        "The help desk's ticket.priority and the CRM's deal.custom.P are kept the same, on the way to the CRM through strip "
        "and then lower, with the words (help desk's first) 'high' is 'A', and any other word goes to review; when both "
        "have changed differently, the help desk's value wins.",
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_rule_of_a_shipped_mapping_has_its_sentence(name: str) -> None:
    loaded = shipped(name)
    lines = explain(loaded)
    assert len(lines) >= 7 + len(loaded.rules.fields)
    for rule in loaded.rules.fields:
        assert any(f"{rule.desk}" in line and f"{rule.crm}" in line for line in lines)


# ------------------------------------------------------------------------------------------------------------- validate


def test_a_mapping_is_held_against_both_accounts(mapping: Mapping) -> None:
    rules = mapping(
        """
        tags = {on = ["contact", "deal"]}
        entry = {form = "activty", on = ["deal"], title = "x", body = "x"}
        [[field]]
        desk = "ticket.status"
        crm = "deal.status"
        direction = "both"
        [[field]]
        desk = "ticket.custom.Teir"
        crm = "deal.name"
        direction = "to_crm"
        [[field]]
        desk = "ticket.custom.Locked"
        crm = "deal.custom.X"
        direction = "to_desk"
        [match.contact]
        keys = ["title", {desk = "ticket.custom.No", crm = "contact.email"}]
        none = "create"
        """
    ).rules
    desk = [
        FieldInfo(path=path, type="text", writable=path != "ticket.custom.Locked")
        for path in ("ticket.status", "ticket.custom.Tier", "ticket.custom.Locked")
    ]
    crm = [FieldInfo(path=path, type="text", writable=False) for path in ("deal.status", "deal.custom.X")]
    poorer = CRM.__class__(**{name: getattr(CRM, name) for name in CRM.__slots__} | {
        "tags": frozenset({Kind.CONTACT}), "create": frozenset(),
    })  # fmt: skip
    assert [str(trouble) for trouble in validate(rules, DESK, poorer, desk, crm)] == [
        "ticket.status ~ deal.status: writing ticket.status at this help desk may make it e-mail a customer, so no rule may "
        "write it; let the rule go the other way alone",
        "ticket.custom.Teir ~ deal.name: there is no field ticket.custom.Teir at this help desk; did you mean "
        "'ticket.custom.Tier'?",
        "ticket.custom.Locked ~ deal.custom.X: ticket.custom.Locked cannot be written at this help desk; let the rule go "
        "the other way alone",
        "ticket.status ~ deal.status: deal.status cannot be written in this CRM; let the rule go the other way alone",
        "warning: ticket.custom.Teir ~ deal.name: deal.name is not known in this CRM, so the rule does nothing",
        "warning: tags.on: a deal carries no tags in this CRM, so none are shared with it",
        "entry.form: this CRM has no form 'activty'; did you mean 'activity'?",
        "warning: match.contact.keys: this CRM cannot look up contact.title, so it is passed over",
        "match.contact.none: this CRM does not let a contact be made; write skip or review",
        "match: there is no field ticket.custom.No at the help desk; did you mean 'ticket.custom.Locked'?",
    ]


def test_a_key_that_the_crm_cannot_look_up_is_passed_over_and_none_left_is_a_mistake(mapping: Mapping) -> None:
    rules = mapping('[match.contact]\nkeys = ["title", "emails", "phone"]').rules
    assert [str(key.crm) for key in usable_keys(rules.contact, Kind.CONTACT, CRM)] == [
        "contact.emails",
        "contact.phone",
    ]
    rules = mapping('[match.contact]\nkeys = ["title"]').rules
    assert "this CRM can look up none of them; it looks up by: email, external_id, phone" in str(
        validate(rules, DESK, CRM)[-1]
    )


# ------------------------------------------------------------------------------------------------------------- examples


def test_a_wrong_example_says_exactly_what_differs(mapping: Mapping) -> None:
    loaded = mapping(
        """
        extends = "default"
        [[example]]
        name = "wrong"
        desk.ticket = { number = "1", subject = "Hi", tags = ["vip"] }
        desk.contact = { name = "Ann", phone = "" }
        desk.notes = [{ visibility = "internal", text = "x" }]
        expect.crm.contact = { name = "Bob", title = "Dr", tags = ["gold"] }
        expect.crm.notes = [{ on = "contact", text = "y" }]
        expect.crm.entry = { title = "Ticket 2: Hi" }
        [[example]]
        name = "no visibility"
        desk.ticket = { number = "1" }
        desk.notes = [{ text = "x" }]
        [[example]]
        name = "nothing to stand on"
        crm.notes = [{ on = "deal", text = "x" }]
        """
    )
    wrong, no_visibility, no_record = run(loaded.rules, loaded.file.example)
    text = "Ann Lee on ticket 1 (internal), 2026-11-22 09:00 UTC:\\n\\nx"
    assert wrong.differences == (
        "crm.contact.name: expected 'Bob', got 'Ann'",
        "crm.contact.phone: expected nothing, got None",
        "crm.contact.tags: expected ['gold'], got ['vip']",
        "crm.contact.title: expected 'Dr', nothing came",
        "crm.deal.tags: expected nothing, got ['vip']",
        "crm.notes: expected the note on the contact 'y', it did not come",
        f"crm.notes: expected nothing more, got the internal note on the contact '{text}'",
        f"crm.notes: expected nothing more, got the internal note on the deal '{text}'",
        "crm.entry.title: expected 'Ticket 2: Hi', got 'Ticket 1: Hi'",
    )
    assert no_visibility.differences == ("desk.notes: a note of a ticket needs its visibility",)
    assert no_record.differences == ("crm.notes: say with `on` which of the given records a note stands on",)


def test_an_unlisted_value_in_an_example_is_a_difference(mapping: Mapping) -> None:
    loaded = mapping(
        '[[field]]\ndesk = "ticket.priority"\ncrm = "deal.custom.P"\ndirection = "to_crm"\nvalues = {a = "b"}\n'
        '[[example]]\nname = "x"\ndesk.ticket = {priority = "c"}\n'
    )
    (result,) = run(loaded.rules, loaded.file.example)
    assert not result.ok
    assert "not among the rule's values" in result.differences[0]


# ----------------------------------------------------------------------------------------------------------------- docs


def keys_of(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield name
        yield from _inner(info.annotation)


def _inner(annotation: object) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from keys_of(annotation)
    for argument in get_args(annotation):
        yield from _inner(argument)


def test_the_docs_tell_every_key_transform_and_standard_field() -> None:
    known = set(keys_of(MappingFile))
    assert {"prefix_to_desk", "public_reply", "free_mail_also", "pipelines", "states"} <= known
    words = set(re.findall(r"[a-z_]+", DOCS))
    assert known - words == set()
    assert set(names()) - words == set()
    assert {field for kind in Kind for field in STANDARD_FIELDS.get(kind, ()) if kind is not Kind.USER} - words == set()
    assert PUBLIC_REPLY in DOCS
    assert get_args(get_args(NotesToDeskTable.model_fields["public_reply"].annotation)[0]) == (PUBLIC_REPLY,)


BLOCKS = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)


@pytest.mark.parametrize("at", range(len(BLOCKS)))
def test_each_piece_of_toml_in_the_docs_is_a_mapping_that_loads(at: int, mapping: Mapping) -> None:
    text = BLOCKS[at]
    loaded = mapping(text if text.startswith("extends") else f'extends = "default"\n{text}')
    for result in run(loaded.rules, loaded.file.example):
        assert result.differences == ()


def test_the_json_schema_in_the_docs_is_that_of_the_models_and_takes_the_shipped_mappings() -> None:
    kept = json.loads((ROOT / "docs" / "mapping.schema.json").read_text(encoding="utf-8"))
    assert kept == json_schema(), "write it anew: python -m connector.mapping.schema > docs/mapping.schema.json"
    jsonschema.Draft202012Validator.check_schema(kept)
    for name in SHIPPED:
        jsonschema.validate(tomllib.loads((ROOT / "mappings" / f"{name}.toml").read_text(encoding="utf-8")), kept)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"tags": {"onn": []}}, kept)
