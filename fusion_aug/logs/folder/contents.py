"""What a log of the folder format holds, and what a run makes of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from calib.regular_files import is_there
from fusion_aug.logs.core.contents import CHANGED, KEPT, LEFT_OUT, Fields, Part
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.npz import npz_names
from fusion_aug.logs.core.tree import Tree
from fusion_aug.streams import STREAMS
from fusion_aug.streams.meanings import read_meaning

SAMPLE, STREAM, ARRAYS = "samples/**/sample.json", "samples/**/streams/*/stream.json", "samples/**/streams/*/arrays.npz"
CONTENTS = (
    Part("log.json", CHANGED, "ids of the samples"),
    Part(SAMPLE, CHANGED, "reference, scene, both rigs"),
    Part(STREAM, CHANGED, "class of a stream, and what lies where"),
    Part(ARRAYS, CHANGED, "values, stamps, and pictures that are no files"),
    Part("samples/**/streams/*/[0-9]*.png", CHANGED, "pictures"),
    Part("samples/**/streams/*/[0-9]*.jp*g", CHANGED, "pictures"),
    *(Part(f"log.json:{n}", CHANGED, "of the log") for n in ("version", "samples")),
    *(Part(f"{SAMPLE}:{n}", CHANGED, "of the sample") for n in (
        "id", "scene", "ref", "anchor", "clock", "start", "order", "rig", "true_rig", "history",
    )),
    *(Part(f"{STREAM}:{n}", CHANGED, "of the stream") for n in ("class", "fields", "pictures", "gels")),
    Part(f"{ARRAYS}:column **", CHANGED, "columns that the class of the stream or a meaning declares"),
    Part(f"{ARRAYS}:values/**", KEPT, "columns that no class declares: they stay with their rows"),
    *(Part(f"{ARRAYS}:{n}/**", CHANGED, "of the stream") for n in ("fields", "items", "index", "shared")),
    Part("**/*.part", LEFT_OUT, "of a writer that was interrupted"),
)  # fmt: skip
MOST_ARRAYS = 64  # samples whose arrays are listed; of all others reading refuses what it does not know


def fields_of(tree: Tree, folders: Iterable[Path]) -> dict[str, Fields]:
    """Fields of the descriptions of samples and streams, and names of arrays.

    Args:
        tree: of the log. folders: of the samples, the first ``MOST_ARRAYS`` of which are looked at closely.
    """
    out: dict[str, Fields] = {"log.json": partial(_keys, tree.path("log.json", str(tree.root)))}
    for number, folder in enumerate(folders):
        inner = folder.relative_to(tree.root).as_posix()
        out[f"{inner}/sample.json"] = partial(_keys, tree.path("sample.json", inner, folder))
        for entry in tree.entries(folder / "streams"):
            where = f"{inner}/streams/{entry.path.name}"
            description, arrays = (tree.path(n, where, entry.path) for n in ("stream.json", "arrays.npz"))
            if not is_there(description):
                continue
            out[f"{where}/stream.json"] = partial(_keys, description)
            if number < MOST_ARRAYS and is_there(arrays):
                out[f"{where}/arrays.npz"] = partial(_names_of_arrays, description, arrays)
    return out


def _keys(path: Path) -> list[str]:
    return list(read_json(path))


def _names_of_arrays(description: Path, arrays: Path) -> list[str]:
    """Names of the arrays of a stream, its columns as ``column NAME``: those of its class, and those with a meaning."""
    data = read_json(description)
    kind, meanings = STREAMS.get(str(data.get("class"))), data.get("fields", {}).get("meanings", ())
    known = [*(kind.column_table() if kind else ()), *(read_meaning(str(m)).name for m in meanings)]
    typed = {f"values/{name}": f"column {name}" for name in known}
    return [typed.get(n, n) for n in npz_names(arrays)]
