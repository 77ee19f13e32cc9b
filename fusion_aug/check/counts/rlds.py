"""RLDS sets: steps of every feature of every episode, and the places at which a sentence begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fusion_aug.check.counts.core import Counted, Counts, counter, is_excluded, samples_per_frame, streams_of
from fusion_aug.check.counts.files import LogFiles, is_whole
from fusion_aug.safe.tfrecord import parse_example, read_record, record_places


@counter("rlds")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Frames of every vector, pictures of every camera, and sentences."""
    files = LogFiles(root, options)
    leaves = {n: v for n, v in steps_of(files.json(root / "features.json")) if not is_excluded(n, options)}
    out: dict[str, Any] = {}
    for path in files.matching("*.tfrecord-*-of-*"):
        head, _, tail = path.name.partition(".tfrecord-")
        name = f"{head.rpartition('-')[2]}_{tail.partition('-')[0]}"
        places = record_places(files.checked(path))
        for k, place in enumerate(places[:-1]):
            out[f"{name}_{k:06d}"] = partial(count_episode, path, place, leaves, options)
    return out


def steps_of(features: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and description of every feature of a step."""
    waiting = [("", features["featuresDict"]["features"]["steps"]["sequence"]["feature"])]
    while waiting:
        name, found = waiting.pop()
        if "featuresDict" not in found:
            yield name.removesuffix("/"), found
            continue
        waiting += [(f"{name}{n}/", v) for n, v in found["featuresDict"]["features"].items()]


def count_episode(path: Path, place: int, leaves: Mapping[str, dict[str, Any]], options: Mapping[str, Any]) -> Counts:
    """One episode."""
    values = parse_example(read_record(path, place), str(path))
    out: dict[str, dict[str, int]] = {}
    short = [n.rpartition("/")[2] for n in leaves if word_of(leaves[n])]
    for name, leaf in leaves.items():
        word, held = word_of(leaf), values.get(f"steps/{name}", ())
        if word is None:
            continue
        last = name.rpartition("/")[2]
        sizes = sizes_of(leaf)
        each = 1
        for size in sizes:
            each *= size
        stream = last if short.count(last) == 1 else name
        if word == "sentences":
            out[stream] = {word: sum(k == 0 or held[k] != held[k - 1] for k in range(len(held)))}
        elif "image" in leaf:
            out[stream] = {word: sum(is_whole(raw[:8], raw[-64:]) for raw in held)}
        else:
            number = {word: len(held) // each * samples_per_frame(name, sizes, options)}
            out |= dict.fromkeys(streams_of(stream, name, options), number)
    return out


def word_of(leaf: Mapping[str, Any]) -> str | None:
    """What the values of a feature are; None where no stream holds them."""
    held, sizes = leaf.get("image") or leaf.get("tensor") or {}, sizes_of(leaf)
    kind = str(held.get("dtype"))
    is_picture = len(sizes) == 3 and sizes[2] in (1, 3) and kind == "uint8"
    if "text" in leaf or (kind == "string" and not sizes):
        return "sentences"
    if "image" in leaf:
        return "pictures" if is_picture else None
    if str(held.get("encoding", "none")) != "none" or min(sizes, default=1) < 1 or kind in ("string", "None"):
        return None
    return "pictures" if is_picture else "frames"


def sizes_of(leaf: Mapping[str, Any]) -> list[int]:
    """Sizes of a feature in one step; -1 of those that differ."""
    held = leaf.get("image") or leaf.get("tensor") or {}
    return [int(n) for n in (held.get("shape") or {}).get("dimensions", [])]
