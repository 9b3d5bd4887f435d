"""The wheel installs `connector` alone, with the mappings inside it, and the program runs from it."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from connector.mapping import paths

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the checkout, so that nothing is left behind in it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("connector", "mappings", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("setup.cfg", "pyproject.toml", "LICENSE", "README.md", "cli.py"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--disable-pip-version-check"]
    built = subprocess.run(
        [*command, "-w", str(folder / "dist"), str(source)], capture_output=True, text=True, check=False
    )
    if built.returncode and "setuptools" in built.stderr and "Could not find" in built.stderr:
        pytest.skip("setuptools cannot be had here (no package index)")
    assert built.returncode == 0, built.stderr
    return next((folder / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def packages() -> set[str]:
    text = configparser.ConfigParser()
    text.read(ROOT / "setup.cfg", encoding="utf-8")
    return set(text["options"]["packages"].split())


def test_every_package_is_listed() -> None:
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "connector").rglob("__init__.py")}
    assert packages() == there | {"connector.mappings"}


def test_only_connector_is_installed(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"connector"}


def test_every_module_and_every_mapping_is_in_the_wheel(names: set[str]) -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "connector").rglob("*.py")}
    assert modules - names == set()
    mappings = {f"connector/mappings/{path.name}" for path in (ROOT / "mappings").glob("*.toml")}
    assert mappings - names == set()
    assert mappings, "there are mappings to ship"
    data = {str(path.relative_to(ROOT)) for path in (ROOT / "connector" / "data").rglob("*") if path.is_file()}
    assert data - names == set()
    assert "connector/py.typed" in names


def test_the_licence_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = next(name for name in archive.namelist() if name.endswith("METADATA"))
        assert "Apache-2.0" in archive.read(info).decode()
        assert [name for name in archive.namelist() if name.endswith("LICENSE")]


def test_the_program_runs_from_the_wheel_and_finds_the_mappings_in_it(wheel: Path, tmp_path: Path) -> None:
    """Unpacked where no checkout is near; the libraries are those of this environment."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    ask = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from connector.mapping import paths; from connector.commands import run;"
        "print(paths.shipped()); sys.exit(run(['--version']))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", ask, str(tmp_path / "site")],
        cwd=tmp_path / "empty",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shipped, version = done.stdout.splitlines()
    assert shipped == str(tmp_path / "site" / "connector" / "mappings")
    assert version.startswith("deskbridge ")


def test_a_checkout_finds_the_mappings_at_its_top() -> None:
    assert paths.shipped() == ROOT / "mappings"


def test_cli_py_is_the_same_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("deskbridge ")
