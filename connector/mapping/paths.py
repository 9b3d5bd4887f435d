"""Where mappings lie: beside the configuration, in a checkout, inside an installed package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped() -> Path:
    """The folder of the mappings that come with Deskbridge.

    A wheel holds them inside the package; a checkout (and an editable install of one) has them at its top.
    """
    inside = _PACKAGE / "mappings"
    return inside if inside.is_dir() else _PACKAGE.parent / "mappings"


def search(folder: Path) -> tuple[Path, ...]:
    """Where a mapping is sought, in this order, for a configuration that lies in `folder`."""
    return (folder, folder / "mappings", shipped())


def names(folders: Sequence[Path]) -> list[str]:
    """The names of all mappings found by name: files `<name>.toml` in a folder of mappings."""
    found = {path.stem for folder in folders[1:] if folder.is_dir() for path in folder.glob("*.toml")}
    return sorted(found)


def locate(name: str, folders: Sequence[Path], *, pair: str) -> Path | None:
    """The file of the mapping `name`, which is a path or a name; `None` when there is none.

    `default` is the mapping made for the two vendors (`pair`, as `<desk>-<crm>`), and where nobody made one,
    `default.toml`. A path is sought from the first folder. Only the folders of mappings are searched for a name.
    """
    if "/" in name or "\\" in name or name.endswith(".toml"):
        path = folders[0] / Path(name).expanduser()
        if path.is_file():
            return path
        name = name.removesuffix(".toml")
        if "/" in name or "\\" in name:
            return None
    wanted = [pair, "default"] if name == "default" else [name]
    for one in wanted:
        for folder in folders[1:]:
            path = folder / f"{one}.toml"
            if path.is_file():
                return path
    return None
