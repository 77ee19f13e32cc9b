"""Folders of pictures that a pipeline names (``pictures:``, ``like:``), and where a replay finds them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import user_path
from fusion_aug.transforms.mix.pictures import PictureFolder, know_pictures

FIELD = "pictures"  # key of run.json: the folders
FIELDS = (FIELD, "like")  # of transforms


def with_absolute_folders(pipeline: Any) -> Any:
    """The configuration of a pipeline with whole paths of folders."""
    return _changed(pipeline, lambda name: str(user_path(name).absolute()))


def without_folder_paths(pipeline: Any) -> Any:
    """The configuration with a folder's name, and a hash of the names and sizes in it, in the place of its path."""
    return _changed(pipeline, lambda name: f"{Path(name).name} {_listing(name)}")


def folder_lines(pipeline: Any) -> Iterator[str]:
    """One line for every folder, as ``input_lines`` has them."""
    for name in folders_of(pipeline):
        yield f"- {_listing(name)} - {FIELD}/{Path(name).name}"


def folders_of(pipeline: Any) -> list[str]:
    """The folders of a pipeline's configuration."""
    found: list[str] = []
    _changed(pipeline, found.append)
    return list(dict.fromkeys(found))


def folder_facts(folders: Sequence[str]) -> dict[str, list[str]]:
    """What ``run.json`` says of folders: of those of a run, or that a replay was told of."""
    return {FIELD: list(folders)} if folders else {}


def learn_folders(facts: Mapping[str, Any], where: str) -> None:
    """Tell this process where the pictures of a finished run are; folders that are gone are left out.

    Args:
        facts: what ``run.json`` holds. where: for messages.

    Raises:
        DataError: the facts are damaged.
    """
    folders = facts.get(FIELD, [])
    if not isinstance(folders, list) or not all(isinstance(f, str) for f in folders):
        raise DataError(f"{where}: {FIELD}: expected a list of folders, as a run writes it")
    for folder in folders:
        if Path(folder).is_dir():
            know_pictures(folder)


def _listing(name: str) -> str:
    folder = PictureFolder.from_config(name, FIELD)
    sizes = [f"{n}\0{(Path(folder.folder) / n).stat().st_size}" for n in folder.names]
    return f"blake2b:{hashlib.blake2b(chr(10).join(sizes).encode(), digest_size=16).hexdigest()}"


def _changed(value: Any, change: Callable[[str], Any]) -> Any:
    if isinstance(value, dict):
        return {
            k: change(v) if k in FIELDS and isinstance(v, str) and "_target_" in value else _changed(v, change)
            for k, v in value.items()
        }
    return [_changed(v, change) for v in value] if isinstance(value, list) else value
