"""Facts that no stream holds and a run keeps: fields of JSON files, names of numbers, attributes of HDF5 files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.check.counts.files import LogFiles
from fusion_aug.check.kept_files import FIELD, KEPT
from fusion_aug.check.measurement import Row
from fusion_aug.errors import DataError
from fusion_aug.safe.hdf5 import open_hdf5
from fusion_aug.sample.manifest import mirrors_input

INFO = "meta/info.json"  # of a LeRobotDataset
COUNTED = ("num_samples", "total")  # attributes of robomimic that are counted again
DATA = "data"  # group of robomimic's demonstrations
ONE_FILE, FILE_EACH = "robomimic", "aloha"  # formats in HDF5: all samples in one file, and a file for every sample
TITLE = "facts changed since"
Pair = tuple[str, str]  # a sample of the source, and what its copy is called in the files of the output
Files = tuple[Path, Path, list[tuple[str, str, bool]]]  # there, here, groups (there, here, all below counts too)
Facts = Mapping[str, Any]


def compare_kept_facts(source: Path, out: Path, header: Facts, pairs: Sequence[Pair]) -> Iterator[Row]:
    """A row for every kind of fact, or for each of them that is not as in the source; none where there are none.

    Args:
        source, out: roots of the logs. header: of the manifest. pairs: of the samples.
    """
    if not mirrors_input(header):
        return
    kinds: tuple[tuple[str, Callable[[], Iterator[tuple[str, bool]]]], ...] = (
        ("fields", lambda: _fields(source, out, header)),
        ("names of numbers", lambda: _names_of_numbers(source, out)),
        ("attributes", lambda: _attributes(list(_files(source, out, pairs, str(header.get("format")))))),
    )
    for kind, found in kinds:
        try:
            facts = list(found())
        except (DataError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            yield Row("unreadable", kind, "samples", 0, np.ones(1), str(error))
            continue
        wrong = [name for name, same in facts if not same]
        yield from (Row(TITLE, name, kind, 0, np.ones(1)) for name in wrong)
        if facts and not wrong:
            yield Row(TITLE, "all", kind, 0, np.zeros(len(facts)))


def _fields(source: Path, out: Path, header: Facts) -> Iterator[tuple[str, bool]]:
    """Fields that the account calls kept, of files that hold one object, and whether they say the same."""
    for group in header.get("account", {}).get("fields", ()):
        path, _, name = str(group["name"]).partition(FIELD)
        if group.get("fate") != KEPT or "*" in path or not path.endswith(".json"):
            continue
        before, after = (_object(root, path) for root in (source, out))
        for field in group.get("fields", [name]):
            if before is not None and after is not None and field in before:
                yield f"{path}: {field}", field in after and after[field] == before[field]


def _object(root: Path, path: str) -> Facts | None:
    files = LogFiles(root)
    content = files.json(root / path) if files.is_file(root / path) else None
    return content if isinstance(content, Mapping) else None


def _names_of_numbers(source: Path, out: Path) -> Iterator[tuple[str, bool]]:
    """Features of a LeRobotDataset that both have, and whether their numbers are called alike."""
    infos = [_object(root, INFO) for root in (source, out)]
    before, after = (dict(info["features"]) if info is not None else {} for info in infos)
    for feature, facts in before.items():
        if feature in after:
            yield f"{INFO}: names of {feature}", facts.get("names") == after[feature].get("names")


def _attributes(files: Sequence[Files]) -> Iterator[tuple[str, bool]]:
    """Attributes of HDF5 files: of all that an output has of a sample, and of what lies above the samples."""
    for before, after, groups in files:
        with open_hdf5(before) as old, open_hdf5(after) as new:
            for old_name, new_name, is_deep in groups:
                if old_name not in old or new_name not in new:
                    continue
                members = {"": new[new_name]}
                if is_deep:
                    new[new_name].visititems(members.__setitem__)
                for below, item in members.items():
                    if not below or below in old[old_name]:
                        was = old[f"{old_name}/{below}"] if below else old[old_name]
                        yield from _same_attributes(was, item, f"{after.name}: {item.name}")


def _files(source: Path, out: Path, pairs: Sequence[Pair], kind: str) -> Iterator[Files]:
    own, copies = ({p.stem: p for p in LogFiles(root).matching("*.h*5")} for root in (source, out))
    if kind == ONE_FILE and own and copies:
        demos = [(f"{DATA}/{old}", f"{DATA}/{new}", True) for old, new in pairs]
        yield next(iter(own.values())), next(iter(copies.values())), [("/", "/", False), (DATA, DATA, False), *demos]
    for old, new in pairs if kind == FILE_EACH else ():
        if old in own and new in copies:
            yield own[old], copies[new], [("/", "/", True)]


def _same_attributes(before: Any, after: Any, where: str) -> Iterator[tuple[str, bool]]:
    for name in sorted({*before.attrs, *after.attrs} - set(COUNTED)):
        both = name in before.attrs and name in after.attrs
        yield f"{where}@{name}", both and _is_same(before.attrs[name], after.attrs[name])


def _is_same(before: Any, after: Any) -> bool:
    """Whether two values of an attribute are alike, bit by bit; references to places in a file are not looked at."""
    one, other = np.asarray(before), np.asarray(after)
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    texts = [[v for v in a.reshape(-1).tolist() if isinstance(v, str | bytes)] for a in (one, other)]
    return texts[0] == texts[1] if one.dtype.kind == "O" else one.tobytes() == other.tobytes()
