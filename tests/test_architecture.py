"""The house keeps its shape: imports run one way, pure rooms stay pure, and what must not exist does not.

Each checker is a function over source text, and each is shown a planted violation, so that none of them passes by
being blind.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "connector"

ROOMS: dict[str, str] = {
    "connector": "name",
    "connector.model": "model",
    "connector.errors": "errors",
    "connector.state": "state",
    "connector.addresses": "text",
    "connector.richtext": "text",
    "connector.mapping": "mapping",
    "connector.mapping.examples": "mapping check",
    "connector.mapping.validate": "mapping check",
    "connector.mapping.explain": "mapping check",
    "connector.match": "decide",
    "connector.merge": "decide",
    "connector.plan": "decide",
    "connector.snapshot": "decide",
    "connector.operations": "decide",
    "connector.compose": "decide",
    "connector.content": "decide",
    "connector.redaction": "redaction",
    "connector.settings": "settings",
    "connector.problems": "problems",
    "connector.config": "config",
    "connector.transport": "transport",
    "connector.answers": "transport",
    "connector.record_check": "transport",
    "connector.limits": "transport",
    "connector.tokens": "transport",
    "connector.auth": "auth",
    "connector.oauth": "auth",
    "connector.login": "auth",
    "connector.adapter": "adapter",
    "connector.desks": "vendors",
    "connector.crms": "vendors",
    "connector.journal": "journal",
    "connector.apply": "apply",
    "connector.report": "report",
    "connector.batch": "gather",
    "connector.gather": "gather",
    "connector.linking": "gather",
    "connector.note_routes": "gather",
    "connector.reading": "gather",
    "connector.polling": "gather",
    "connector.connect": "run",
    "connector.pair": "run",
    "connector.lock": "journal",
    "connector.history": "run",
    "connector.live_fields": "run",
    "connector.reviews": "run",
    "connector.undo": "run",
    "connector.forget": "run",
    "connector.audit": "run",
    "connector.audit_crm": "run",
    "connector.checkup": "run",
    "connector.run": "run",
    "connector.planning": "run",
    "connector.results": "run",
    "connector.sandbox": "sandbox",
    "connector.plugin": "plugin",
    "connector.commands": "commands",
}
"""Which room a module is in; a name also covers `<name>_*` beside it and everything below it."""

TERMS = {"name", "model", "errors", "state"}
MAY_IMPORT: dict[str, set[str]] = {
    "name": set(),
    "model": set(),
    "errors": {"model"},
    "state": TERMS | {"mapping"},
    "text": TERMS,
    "problems": set(),
    "mapping": {"model", "errors", "text", "problems"},
    "mapping check": {"model", "errors", "text", "problems", "mapping", "adapter", "decide"},
    "adapter": {"model", "errors"},
    "decide": TERMS | {"mapping", "adapter", "text"},
    "redaction": set(),
    "settings": {"errors", "redaction"},
    "config": {"model", "errors", "mapping", "adapter", "settings", "problems"},
    "transport": {"name", "model", "errors", "redaction"},
    "auth": {"errors", "redaction", "settings", "transport"},
    "vendors": {"model", "errors", "adapter", "settings", "transport", "auth", "text"},
    "journal": TERMS,
    "gather": TERMS | {"adapter", "journal", "decide", "mapping", "mapping check", "text"},
    "apply": TERMS | {"adapter", "journal", "decide", "mapping", "text", "transport"},
    "report": TERMS | {"journal", "transport", "redaction", "settings", "config"},
    "sandbox": {"model", "errors", "adapter", "text", "settings", "auth", "transport"},
}
MAY_IMPORT["run"] = set(MAY_IMPORT) | {"name"}
MAY_IMPORT["run"] -= {"sandbox", "vendors"}
MAY_IMPORT["plugin"] = MAY_IMPORT["run"] | {"run"}
MAY_IMPORT["commands"] = MAY_IMPORT["plugin"] | {"plugin", "sandbox"}

PURE = {"model", "errors", "state", "text", "mapping", "mapping check", "decide"}
IMPURE_MODULES = {
    "time", "random", "secrets", "uuid", "os", "io", "sys", "socket",
    "ssl", "select", "subprocess", "shutil", "tempfile", "glob", "sqlite3", "psycopg",
    "requests", "httpx", "urllib3", "http", "ftplib", "smtplib",
    "asyncio", "threading", "multiprocessing", "concurrent", "logging", "signal",
    "locale", "platform", "pathlib", "getpass",
    "fcntl", "mmap", "click", "rich", "flask",
}  # fmt: skip
READS_FILES = {"connector.mapping.load", "connector.mapping.paths", "connector.addresses"}
"""They read mapping files and the shipped list of free-mail domains; nothing else pure touches a file."""
IMPURE_CALLS = {"open", "print", "input", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}

LAZY = {
    "nh3", "markdownify", "markdown_it", "phonenumbers", "authlib", "cryptography",
    "rich", "flask", "werkzeug", "jinja2", "keyring", "psycopg",
}  # fmt: skip
"""Heavy; imported where used, since cron starts the program often."""
MAY_IMPORT_HEAVY = {"sandbox", "plugin"}

ONLY_IN = {"requests": {"transport"}, "tenacity": {"transport"}, "sqlite3": {"journal"}, "psycopg": {"journal"}}

VENDOR_WORDS = {
    "zendesk", "nutshell", "tryton", "freshdesk", "intercom", "zammad",
    "gorgias", "helpscout", "hubspot", "pipedrive", "zoho", "salesforce",
    "espocrm", "roundup",
    "redmine", "requesttracker",
}  # fmt: skip
VENDOR_ROOMS = {"vendors", "sandbox"}
FORBIDDEN_FILES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "engine", "handler"}
FORBIDDEN_CLASSES = ("Manager", "Engine", "Handler")
ISOLATION_POINTS = {"connector.planning": 3, "connector.commands": 1}
"""One record in run (a batch, and its halves), and main of the command line: the only places that may catch what nobody
foresaw, and how often each may."""


# ------------------------------------------------------------------------------------------------------------ checkers


def room_of(module: str) -> str | None:
    """The room of a module; `None` when nobody has said."""
    best = None
    for name in ROOMS:
        same = module == name or (name != "connector" and module.startswith((f"{name}.", f"{name}_")))
        if same and (best is None or len(name) > len(best)):
            best = name
    return ROOMS[best] if best else None


def imports(module: str, source: str) -> Iterator[tuple[str, bool]]:
    """What a module imports, as full names, and whether it does so when it is itself imported.

    Imports for the type checker alone count as ties between rooms, yet cost nothing at the start.
    """

    def walk(node: ast.AST, eager: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, eager) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    above = module.split(".")[: -child.level]
                    base = ".".join([*above, base] if base else above)
                if base == "connector" or base.startswith("connector."):
                    yield from (
                        (f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base, eager)
                        for alias in child.names
                    )
                else:
                    yield base, eager
            elif isinstance(child, ast.If) and "__main__" in ast.unparse(child.test):
                continue  # a developer's tool at the end of a file is no part of the room
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
                isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            ):
                yield from walk(child, False)
            else:
                yield from walk(child, eager)

    yield from walk(ast.parse(source), True)


def is_module(name: str) -> bool:
    """True when the name is a module of ours, or would be if it were there (a top-level room)."""
    path = ROOT / Path(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file() or name in ROOMS


def wrong_imports(module: str, source: str) -> list[str]:
    """Imports against the direction, in a room that may not have them, or too early."""
    room = room_of(module)
    if room is None:
        return [f"{module} is in no room; say in ROOMS where it belongs, and in MAY_IMPORT what it may import"]
    found = []
    for name, eager in imports(module, source):
        top = name.split(".")[0]
        if top == "connector":
            other = room_of(name)
            if other != room and other not in MAY_IMPORT[room]:
                found.append(f"{module} ({room}) imports {name} ({other})")
        if top in ONLY_IN and room not in ONLY_IN[top]:
            found.append(f"{module} ({room}) imports {top}, which is for {', '.join(ONLY_IN[top])} alone")
        if top in LAZY and eager and room not in MAY_IMPORT_HEAVY:
            found.append(f"{module} imports {top} at its start; import it where it is used")
    return found


def impurities(module: str, source: str) -> list[str]:
    """Clock, random, I/O and network in a pure room."""
    if room_of(module) not in PURE:
        return []
    allowed = {"pathlib"} if module in READS_FILES else set()
    found = [
        f"{module} imports {name}"
        for name, _ in imports(module, source)
        if name.split(".")[0] in IMPURE_MODULES - allowed or name.startswith("urllib.request")
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            reads = called in IMPURE_CALLS or called.endswith((".read_text", ".write_text", ".read_bytes"))
            if reads and module not in READS_FILES:
                found.append(f"{module}:{node.lineno} calls {called}")
    return found


def vendor_names(module: str, source: str) -> list[str]:
    """Vendors' names in the core's identifiers, strings and comments."""
    if room_of(module) in VENDOR_ROOMS:
        return []
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NAME, tokenize.STRING, tokenize.COMMENT):
            folded = re.sub(r"(?<=[a-z])[ _-]?(?=tracker)", "", token.string.casefold())
            words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", token.string).casefold()))
            words |= set(re.findall(r"[a-z]+", folded))
            found += [f"{module}:{token.start[0]} names {word}" for word in sorted(words & VENDOR_WORDS)]
    return found


def broad_excepts(source: str) -> list[int]:
    """The lines that catch everything and keep it. Cleaning up and raising the same error again is no catching."""
    broad = {"Exception", "BaseException"}
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or broad & {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)})
        and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)
    ]


def bare_ignores(source: str) -> list[int]:
    """The lines that silence the type checker without saying which complaint."""
    return [
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and re.search(r"#\s*type:\s*ignore(?!\[)", token.string)
    ]


def forbidden_names(module: str, source: str) -> list[str]:
    """Files and classes whose names say nothing."""
    found = [f"{module}: {part}" for part in re.split(r"[._]", module) if part in FORBIDDEN_FILES]
    return found + [
        f"{module}: class {node.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and node.name.endswith(FORBIDDEN_CLASSES)
    ]


def import_time_work(source: str) -> list[int]:
    """The lines at a module's top that do something rather than define it."""

    def work(body: list[ast.stmt]) -> Iterator[int]:
        for node in body:
            if (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)) or isinstance(
                node, ast.For | ast.While | ast.With
            ):
                yield node.lineno
            elif (isinstance(node, ast.If) and "__main__" not in ast.unparse(node.test)) or isinstance(node, ast.Try):
                yield from work(node.body)

    return list(work(ast.parse(source).body))


# ----------------------------------------------------------------------------------------------------------- the house


def modules() -> dict[str, str]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


HOUSE = modules()


def test_imports_run_one_way() -> None:
    assert [line for module, source in HOUSE.items() for line in wrong_imports(module, source)] == []


def test_pure_rooms_read_no_clock_no_chance_and_do_no_io() -> None:
    assert [line for module, source in HOUSE.items() for line in impurities(module, source)] == []


def test_no_vendor_is_named_in_the_core() -> None:
    assert [line for module, source in HOUSE.items() for line in vendor_names(module, source)] == []


def test_everything_is_caught_only_at_the_two_isolation_points() -> None:
    caught = {module: len(lines) for module, source in HOUSE.items() if (lines := broad_excepts(source))}
    assert [module for module in caught if not module.startswith(tuple(ISOLATION_POINTS))] == []
    for point, most in ISOLATION_POINTS.items():
        assert sum(count for module, count in caught.items() if module.startswith(point)) <= most


def test_no_silenced_type_error_without_its_code() -> None:
    assert [(module, line) for module, source in HOUSE.items() for line in bare_ignores(source)] == []


def test_names_say_something() -> None:
    assert [line for module, source in HOUSE.items() for line in forbidden_names(module, source)] == []


def test_nothing_happens_at_import() -> None:
    assert [(module, line) for module, source in HOUSE.items() for line in import_time_work(source)] == []


def test_every_vendor_of_ours_is_known_to_the_word_scan() -> None:
    ours = {path.stem.replace("_", "") for side in ("desks", "crms") for path in (PACKAGE / side).glob("[!_]*.py")}
    assert ours - VENDOR_WORDS == set()


# -------------------------------------------------------------------------------------------------- planted violations


@pytest.mark.parametrize(
    ("module", "source", "words"),
    [
        ("connector.plan", "from connector.journal import Journal", "imports connector.journal"),
        ("connector.plan", "def f():\n    from connector import journal", "imports connector.journal"),
        ("connector.mapping.compile", "from ..run import sync", "imports connector.run"),
        ("connector.errors", "import connector.config", "imports connector.config"),
        ("connector.desks.acme", "import requests", "is for transport alone"),
        ("connector.apply", "import sqlite3", "is for journal alone"),
        ("connector.run", "from connector.sandbox import server", "imports connector.sandbox"),
        ("connector.transport", "from connector.commands import main", "imports connector.commands"),
        ("connector.richtext", "import nh3", "import it where it is used"),
        ("connector.elsewhere", "", "is in no room"),
    ],
)
def test_a_wrong_import_is_seen(module: str, source: str, words: str) -> None:
    assert [line for line in wrong_imports(module, source) if words in line]


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "def f():\n    from random import choice",
        "import urllib.request",
        "def f(path):\n    return open(path)",
        "from datetime import datetime\ndef f():\n    return datetime.now()",
        "def f(path):\n    return path.read_text()",
    ],
)
def test_an_impurity_is_seen(source: str) -> None:
    assert impurities("connector.match", source)
    assert not impurities("connector.run", source), "which may"


@pytest.mark.parametrize(
    "source",
    [
        "zendesk_id = 1",
        "kind = 'Nutshell lead'",
        "class RequestTracker: ...",
        "# Request Tracker does so",
        "x = 'hubspot'",
    ],
)
def test_a_vendors_name_is_seen(source: str) -> None:
    assert vendor_names("connector.plan", source)
    assert not vendor_names("connector.desks.acme", source), "where it may stand"


def test_ordinary_words_are_no_vendors() -> None:
    assert vendor_names("connector.plan", "tracker = 'the request that was tracked'  # in a nutshel") == []


@pytest.mark.parametrize(
    "clause", ["except Exception:", "except (ValueError, Exception) as e:", "except BaseException:", "except:"]
)
def test_a_broad_except_is_seen(clause: str) -> None:
    assert broad_excepts(f"try:\n    f()\n{clause}\n    pass") == [3]
    assert broad_excepts("try:\n    f()\nexcept ValueError:\n    pass") == []
    assert broad_excepts("try:\n    f()\nexcept BaseException:\n    undo()\n    raise") == []


def test_a_bare_ignore_is_seen() -> None:
    assert bare_ignores("a = 1  # type: ignore\nb = 2  # type: ignore[misc]\nc = '# type: ignore'") == [1]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("connector.utils", ""),
        ("connector.desks.common", ""),
        ("connector.http_helpers", ""),
        ("connector.run", "class SyncManager: ..."),
    ],
)
def test_a_name_that_says_nothing_is_seen(module: str, source: str) -> None:
    assert forbidden_names(module, source)


@pytest.mark.parametrize(
    "source",
    ["print(1)", "for x in y:\n    x()", "with a:\n    pass", "if a:\n    b()", "try:\n    f()\nfinally:\n    pass"],
)
def test_work_at_import_is_seen(source: str) -> None:
    assert import_time_work(source)


def test_definitions_are_no_work() -> None:
    assert import_time_work('"""Text."""\nX = frozenset({1})\nif __name__ == "__main__":\n    main()\n') == []
