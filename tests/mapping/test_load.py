"""Every mistake in a mapping is told at once, with its file, its place and the nearest valid name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connector.errors import MappingError
from connector.mapping.load import Loaded, load, read
from connector.mapping.rules import Direction, NoteTarget, Pick, Policy, WhenNone
from connector.model import Kind, Visibility

SHIPPED = Path(__file__).resolve().parents[2] / "mappings"
MATCH = '[match.contact]\nkeys = ["email"]\n'

Mapping = Callable[..., Loaded]
Mistakes = Callable[..., tuple[str, ...]]


def test_all_mistakes_of_all_files_come_together_each_with_its_place(mistakes: Mistakes) -> None:
    found = mistakes(
        """
        extend = "default"
        [[field]]
        desk = "ticket.priority"
        crm = "deal.custom.P"
        direction = "to_crn"
        polcy = "desk"
        [[field]]
        desk = "ticket.status"
        direction = "both"
        [tags]
        onn = ["contact"]
        [match.contact]
        keys = ["email"]
        none = "ask"
        [notes.to_desk]
        public_reply = "yes"
        """
    )
    assert set(found) == {
        "mine.toml: extend: unknown key; did you mean 'extends'?",
        "mine.toml: field[1].direction: must be one of to_crm, to_desk, both; did you mean 'to_crm'?",
        "mine.toml: field[1].polcy: unknown key; did you mean 'policy'?",
        "mine.toml: tags.onn: unknown key; did you mean 'on'?",
        "mine.toml: notes.to_desk.public_reply: must be one of yes, e-mail the customer",
        "mine.toml: match.contact.none: must be one of create, skip, review",
        "mine.toml: field[2].crm: is needed, and is not there",
    }


def test_mistakes_in_what_is_said_are_told_with_the_nearest_name(mistakes: Mistakes) -> None:
    found = mistakes(
        """
        [[field]]
        desk = "tickett.priority"
        crm = "deal.stge"
        direction = "to_crm"
        [[field]]
        desk = "ticket.subject"
        crm = "deal.name"
        direction = "to_crm"
        transform = ["uper", "truncate"]
        [notes.to_crm]
        onto = ["contact"]
        template = "$autor wrote $$ $body"
        [entry]
        on = ["contact"]
        title = "100$"
        body = "x"
        [match.contact]
        keys = ["emai", "phone", "phone"]
        """
    )
    assert found == (
        "mine.toml: field[1].desk: 'tickett' is no kind of record at the help desk; did you mean 'ticket'?",
        "mine.toml: field[1].crm: deal has no standard field 'stge'; did you mean 'stage'? "
        "(a field of your own is deal.custom.stge)",
        "mine.toml: field[2].transform: there is no transform 'uper'; did you mean 'upper'?",
        "mine.toml: field[2].transform: the transform 'truncate' needs a number of characters, as in `truncate:255`",
        "mine.toml: notes.to_crm.template: there is no placeholder $autor; did you mean 'author'?",
        "mine.toml: entry.title: a $ must begin a placeholder such as $link; a dollar sign itself is written $$",
        "mine.toml: match.contact.keys[1]: contact has no standard field 'emai'; did you mean 'email'? "
        "(a field of your own is contact.custom.emai)",
        "mine.toml: match.contact.keys[3]: is there already",
    )


def test_a_mapping_without_a_match_cannot_be_used(mistakes: Mistakes) -> None:
    assert mistakes("description = 'x'", whole=True) == ("mine.toml: match: is needed, and is not there",)


def test_a_note_template_without_the_note_is_refused(mistakes: Mistakes) -> None:
    found = mistakes('[notes.to_desk]\nof = ["contact"]\ntemplate = "$author wrote"')
    assert found == ("mine.toml: notes.to_desk.template: without $body nothing of the note would travel",)


def test_a_heir_changes_what_it_names_and_keeps_the_rest(mapping: Mapping) -> None:
    loaded = mapping(
        """
        extends = "default"
        [match.contact]
        none = "create"
        [entry.states]
        paused = "open"
        [notes]
        to_crm = false
        [[field]]
        desk = "contact.name"
        crm = "contact.name"
        direction = "to_crm"
        policy = "desk"
        [[field]]
        desk = "contact.phone"
        crm = "contact.phone"
        remove = true
        [[field]]
        desk = "ticket.custom.Tier"
        crm = "contact.custom.Tier"
        direction = "to_desk"
        """
    )
    rules = loaded.rules
    assert [path.name for path in loaded.files] == ["mine.toml", "default.toml"]
    assert rules.name == "mine"
    assert rules.contact.none is WhenNone.CREATE
    assert [str(key.crm) for key in rules.contact.keys] == ["contact.external_id", "contact.email", "contact.phone"]
    assert rules.entry is not None
    assert rules.entry.states["paused"] == rules.entry.states["open"] == "open"
    assert rules.notes_to_crm is None
    assert rules.notes_to_desk is not None
    assert [(rule.name, rule.direction, rule.policy) for rule in rules.fields] == [
        ("contact.name ~ contact.name", Direction.TO_CRM, Policy.DESK),
        ("ticket.custom.Tier ~ contact.custom.Tier", Direction.TO_DESK, Policy.REVIEW),
    ]
    assert loaded.file.example == []


def test_a_mistake_is_told_of_the_file_that_it_stands_in(tmp_path: Path, mistakes: Mistakes) -> None:
    (tmp_path / "base.toml").write_text(
        MATCH
        + '[[field]]\ndesk = "ticket.x"\ncrm = "deal.name"\ndirection = "to_crm"\n[entry]\non = ["deal"]\ntitle = "$x"\n'
    )
    found = mistakes(
        'extends = "base"\n[entry]\nbody = "$y"\n[[field]]\ndesk = "a.b"\ncrm = "deal.name"\ndirection = "to_crm"'
    )
    assert [problem.partition(" ")[0] + problem.split(" ")[1] for problem in found] == [
        "base.toml:field[1].desk:",
        "mine.toml:field[1].desk:",
        "base.toml:entry.title:",
        "mine.toml:entry.body:",
    ]


def test_to_remove_what_is_not_inherited_is_a_mistake(mistakes: Mistakes) -> None:
    found = mistakes('extends = "default"\n[[field]]\ndesk = "contact.nam"\ncrm = "contact.name"\nremove = true')
    assert found == (
        "mine.toml: field[1].remove: there is no inherited rule of these two fields; "
        "did you mean 'contact.name ~ contact.name'?",
    )


def test_the_same_rule_twice_in_a_file_is_a_mistake(mistakes: Mistakes) -> None:
    rule = '[[field]]\ndesk = "contact.name"\ncrm = "contact.name"\ndirection = "both"\n'
    assert mistakes(rule + rule) == (
        "mine.toml: field[2]: there is another rule for contact.name and contact.name in this file",
    )


def test_mappings_that_extend_each_other_in_a_circle_are_refused(tmp_path: Path, mistakes: Mistakes) -> None:
    (tmp_path / "b.toml").write_text('extends = "mine"')
    assert mistakes('extends = "b"') == (
        "b.toml: extends: the mappings extend each other in a circle: mine -> b -> mine",
    )


def test_a_mapping_extends_the_shipped_one_of_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "default.toml").write_text('extends = "default"\n[match.contact]\nnone = "create"')
    loaded = read("default", [tmp_path, SHIPPED])
    assert loaded.rules.contact.none is WhenNone.CREATE
    assert [path.parent for path in loaded.files] == [tmp_path, SHIPPED]


def test_an_unknown_name_a_missing_file_and_broken_toml_are_told_plainly(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="no mapping 'defalt'; did you mean 'default'"):
        load("defalt", [tmp_path, SHIPPED])
    with pytest.raises(MappingError, match=r"no file mine\.toml"):
        load("mine.toml", [tmp_path])
    (tmp_path / "mine.toml").write_text("a = [")
    with pytest.raises(MappingError, match="is not TOML"):
        load(tmp_path / "mine.toml", [])
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MappingError, match="is not UTF-8"):
        load("mine", [tmp_path])
    (tmp_path / "mine.toml").write_text('extends = "nothing"')
    with pytest.raises(MappingError, match="extends: there is no mapping 'nothing'"):
        load("mine", [tmp_path])


@pytest.mark.parametrize(
    "text",
    ["field = 1", "field = [1]", "tags = 1", "tags = true", "notes = []", "match = 3", "match.contact = []", "entry = 'x'",
     "extends = 5", "extends = ''", "[[field]]\ndesk = 5\ncrm = []\ndirection = 1", "match.contact.keys = [[1]]",
     "example = [{}]", "field = [{desk = {}, crm = [1], remove = true}]"],
)  # fmt: skip
def test_odd_toml_is_a_mistake_and_never_a_crash(text: str, mistakes: Mistakes) -> None:
    assert mistakes(text, whole=True)


def test_a_mapping_says_everything_or_its_cautious_defaults_hold(mapping: Mapping) -> None:
    rules = mapping("").rules
    assert rules.fields == ()
    assert (rules.tags, rules.notes_to_crm, rules.notes_to_desk, rules.entry, rules.company) == (None,) * 5
    assert rules.contact.none is WhenNone.SKIP
    assert (rules.deal.pick, rules.deal.open_only, rules.deal.of) == (Pick.NEWEST, True, (Kind.CONTACT, Kind.COMPANY))
    assert "gmail.com" in rules.free_mail


def test_notes_from_the_crm_are_internal_unless_the_very_words_are_written(mapping: Mapping) -> None:
    table = '[notes.to_desk]\nof = ["contact"]\ntemplate = "$body"\ntarget = "all_open"\n'
    quiet, loud = mapping(table), mapping(table + 'public_reply = "yes, e-mail the customer"\n')
    assert quiet.rules.notes_to_desk is not None
    assert loud.rules.notes_to_desk is not None
    assert quiet.rules.notes_to_desk.visibility is Visibility.INTERNAL
    assert loud.rules.notes_to_desk.visibility is Visibility.PUBLIC
    assert quiet.rules.notes_to_desk.target is NoteTarget.ALL_OPEN


def test_free_mail_domains_can_be_added(mapping: Mapping) -> None:
    rules = mapping(MATCH + '[match.company]\nkeys = ["domain"]\nfree_mail_also = ["Isp.example"]').rules
    assert {"isp.example", "gmail.com"} <= rules.free_mail


def test_a_deal_is_named_by_a_field_of_the_ticket_alone(mapping: Mapping, mistakes: Mistakes) -> None:
    key = '[match.deal]\nkey = {desk = "%s", crm = "%s"}\n'
    rules = mapping(MATCH + key % ("ticket.custom.Deal", "deal.number")).rules
    assert rules.deal.key is not None
    assert (str(rules.deal.key.desk), str(rules.deal.key.crm)) == ("ticket.custom.Deal", "deal.number")
    assert mistakes(MATCH + key % ("contact.title", "contact.title")) == (
        "mine.toml: match.deal.key.crm: must be a field of a deal, for that is what is sought",
    )
    assert mistakes(MATCH + key % ("contact.title", "deal.name")) == (
        "mine.toml: match.deal.key.desk: must be a field of the ticket",
    )
