"""The generated tables: what each transform does to each stream, and what it promises."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fusion_aug.core.promises import PROMISES
from fusion_aug.core.registry import is_invariant, own_transforms, resolve
from fusion_aug.core.transform import Transform
from fusion_aug.errors import UnhandledStream
from fusion_aug.streams import (
    Action,
    BodyPose,
    Boxes2D,
    Boxes3D,
    Camera,
    Depth,
    EgoPose,
    HeightMap,
    Imu,
    JointState,
    Keypoints2D,
    Keypoints3D,
    Odometry,
    Points,
    Radar,
    SegmentationMask,
    Stream,
    TactileImage,
    Taxels,
    Text,
    Wrench,
)  # fmt: skip
from fusion_aug.streams.families import Family

BUILT_IN: tuple[type[Stream], ...] = (
    Camera, Depth, SegmentationMask, Points, Radar, Boxes3D, Boxes2D, EgoPose, Odometry, Imu, Text, JointState, Wrench,
    Taxels, TactileImage, HeightMap, BodyPose, Action, Keypoints3D, Keypoints2D,
)  # fmt: skip
CALIBRATION = {"Scene": "extrinsics, A", "ImagePlane": "A", "Mount": "extrinsics (told)", "Kinematic": "extrinsics"}
BEGIN, END = "<!-- generated: {} -->", "<!-- /generated -->"


def cell(transform: type[Transform], stream: type[Stream]) -> str:
    """What a transform does to a kind of stream."""
    if is_invariant(transform, stream):
        return "·"
    if resolve(transform, stream):
        return "●"
    if getattr(transform, "strict", False):
        raise UnhandledStream(f"{transform.__name__} has no rule for {stream.__name__}")
    return ""


def effects_table() -> str:
    """Transforms x streams, in Markdown."""
    head = ["transform", *[s.__name__ for s in BUILT_IN], "calibration"]
    rows = []
    for name, t in own_transforms().items():
        family = next(b.__name__ for b in t.__mro__ if Family in b.__bases__)
        rig = t.changes_calibration or CALIBRATION.get(family, "")
        rows.append([f"`{name}`", *[cell(t, s) for s in BUILT_IN], rig])
    legend = "● has a rule for it (a sensor that turns with the scene keeps its data)  · declared not to change"
    return f"{markdown(head, rows)}\n\n{legend}  (empty: not its business)"


def promise_table() -> str:
    """Transforms x promises, in Markdown."""
    head = ["transform", *[p.replace("_", " ") for p in PROMISES], "inverse"]
    rows, notes = [], []
    for name, t in own_transforms().items():
        rows.append([f"`{name}`", *["-" if p in t.exemptions else "✓" for p in PROMISES], t.inverse])
        notes += [f"* `{name}`, {p.replace('_', ' ')}: {why}" for p, why in t.exemptions.items()]
    meaning = "\n".join(f"* **{p.replace('_', ' ')}**: {text}" for p, text in PROMISES.items())
    return f"{meaning}\n\n{markdown(head, rows)}\n\nWaived, and why:\n\n" + "\n".join(notes)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows])


def insert_table(text: str, name: str, table: str) -> str:
    """A document with the table between its marks."""
    begin = BEGIN.format(name)
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"the document has no marks {begin} ... {END}")
    return f"{before}{begin}\n\n{table}\n\n{END}{after}"


def generated_documents(root: Path) -> dict[Path, str]:
    """Every document with generated tables, as it should be."""
    readme, promises = root / "README.md", root / "docs" / "promises.md"
    return {
        readme: insert_table(readme.read_text(encoding="utf-8"), "transforms", effects_table()),
        promises: insert_table(promises.read_text(encoding="utf-8"), "promises", promise_table()),
    }


def main() -> int:
    """Write the tables, or with ``--check`` say whether they are up to date."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 if a table is out of date")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="folder of the repository")
    options = parser.parse_args()
    stale = [p for p, text in generated_documents(options.root).items() if p.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path} is out of date; run: make docs" if options.check else f"wrote {path}")
        if not options.check:
            path.write_text(generated_documents(options.root)[path], encoding="utf-8")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
