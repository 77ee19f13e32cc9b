"""Which folder below a nuScenes root holds the tables: ``v1.0-mini``, Lyft's ``v1.01-train``, or one of any name."""

from __future__ import annotations

from pathlib import Path

from calib.regular_files import is_there
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.tree import Tree

OTHERS = ("scene.json", "sample_data.json", "sample_annotation.json")  # one of them lies beside sample.json


def version_folders(tree: Tree, folder: Path | None = None) -> list[Path]:
    """Folders directly below the root, or below another folder, that hold tables, by name."""
    entries = [e for e in tree.entries(folder or tree.root) if e.is_folder and e.refusal is None]
    return [e.path for e in entries if _has_tables(e.path)]


def find_version(tree: Tree, version: str | None) -> Path:
    """Return the folder of the tables.

    Args:
        tree: of the log. version: name of the folder, where the root holds several.

    Raises:
        ConfigError: there is no folder of that name, or there are several and none is named.
        DataError: there is none, or it is a link that is not followed.
    """
    root, found = tree.root, {p.name: p for p in version_folders(tree)}
    names, first = ", ".join(found), next(iter(found), "")
    if version is not None and version not in found:
        tree.path(version, "log.version")  # a link that is not followed says so
        raise ConfigError(f"log.version: {root} holds no tables {version!r}, it has {names or 'none'}")
    if version is not None or len(found) == 1:
        return found[version or first]
    if found:
        raise ConfigError(f"{root}: holds tables of several versions, {names}; choose one, log.version={first}")
    for entry in tree.entries(root):
        if entry.refusal is not None and entry.path.name.startswith("v1."):
            raise DataError(entry.refusal)
    raise DataError(f"{root}: expected a folder with the tables, such as v1.0-mini, found none{_hint(tree)}")


def _has_tables(folder: Path) -> bool:
    return is_there(folder / "sample.json") and any(is_there(folder / name) for name in OTHERS)


def _hint(tree: Tree) -> str:
    """Where they are: in the root itself, or one folder deeper."""
    if _has_tables(tree.root):
        above = tree.root.absolute()
        return f" (give the folder above and the version, log.root={above.parent} log.version={above.name})"
    deeper = [e.path for e in tree.entries(tree.root) if e.is_folder and e.refusal is None]
    found = next((p for p in deeper if version_folders(tree, p)), None)
    return f" (give log.root={found})" if found is not None else ""
