"""The generated tables: an example of each transform, what it does to each stream, and what it promises."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import fusion_aug.policy
import fusion_aug.transforms  # noqa: F401  (registers them)
from calib.lidar_models import LIDAR_MODELS, Origin
from fusion_aug.core.compose import Container
from fusion_aug.core.device.rules import Step, lacking, plans_whole, rule_for
from fusion_aug.core.promises import PROMISES
from fusion_aug.core.registry import TRANSFORMS, family_of, is_invariant, own_transforms, resolve
from fusion_aug.core.transform import Transform
from fusion_aug.logs import FORMATS, open_log
from fusion_aug.logs.core.contents import COMMON_PARTS, FIELD, Part
from fusion_aug.logs.mcap.cloud_fields import meaning_rows
from fusion_aug.logs.mcap.rules import NO_MOTION
from fusion_aug.logs.mcap.table import table_rows
from fusion_aug.run.effects import BUILT_IN, CHANGES, INVARIANT, LEAVES_OUT, NOTHING, effect
from fusion_aug.sample import Sample
from fusion_aug.streams import Stream, Text

CALIBRATION = {"Scene": "extrinsics, A", "ImagePlane": "A", "Mount": "extrinsics (reported)", "Kinematic": "extrinsics"}
DRIVE, WITH_DEPTH = Path(__file__).parents[1] / "datasets" / "drive", 7  # a keyframe whose cameras have depth streams
SIGNS = {CHANGES: "●", INVARIANT: "·", LEAVES_OUT: "○", NOTHING: ""}
BEGIN, END = "<!-- generated: {} -->", "<!-- /generated -->"


def cell(transform: type[Transform], stream: type[Stream]) -> str:
    """What a transform does to a kind of stream."""
    return SIGNS[effect(transform, stream)]


def on_a_device(transform: type[Transform], sample: Sample) -> str:
    """Whether the example of a transform runs on a batch on a device, and for which kinds of streams it refuses."""
    made = transform(**transform.example)
    step = Step(transform, {f.name: getattr(made, f.name) for f in fields(made)})
    kinds = [s for s in BUILT_IN if s is not Text and not is_invariant(transform, s) and resolve(transform, s)]
    missing = [s.__name__ for s in kinds if rule_for(transform, s) is None]
    if not plans_whole(transform) or (kinds and len(missing) == len(kinds)) or lacking(step, sample):
        return "no"
    return f"not {', '.join(missing)}" if missing else "yes"


def effects_table() -> str:
    """Transforms x streams, in Markdown."""
    head = ["transform", *[s.__name__ for s in BUILT_IN], "calibration", "on a device"]
    rows, sample = [], open_log("nuscenes", DRIVE)[WITH_DEPTH]
    for name, t in own_transforms().items():
        family = family_of(t).__name__
        rig = t.changes_calibration or CALIBRATION.get(family, "")
        rows.append([f"`{name}`", *[cell(t, s) for s in BUILT_IN], rig, on_a_device(t, sample)])
    legend = "● has a handler (a sensor that moves with the scene keeps its data)  · declared invariant  ○ left out"
    refused = "A grid of `Occupancy` cannot hold a scale, roll or pitch, so these are refused."
    device = (
        "On a device: the example, on streams that lie there ([devices](docs/device.md)). What has no rule is refused "
        "by name before anything runs, and so are some settings."
    )
    return f"{markdown(head, rows)}\n\n{legend}  (empty: does not apply)\n\n{refused}\n\n{device}"


def promise_table() -> str:
    """Transforms x promises, in Markdown."""
    head = ["transform", *[p.replace("_", " ") for p in PROMISES], "inverse"]
    rows, notes = [], []
    for name, t in own_transforms().items():
        rows.append([f"`{name}`", *["-" if p in t.exemptions else "✓" for p in PROMISES], t.inverse])
        notes += [f"* `{name}`, {p.replace('_', ' ')}: {why}" for p, why in t.exemptions.items()]
    meaning = "\n".join(f"* **{p.replace('_', ' ')}**: {text}" for p, text in PROMISES.items())
    return f"{meaning}\n\n{markdown(head, rows)}\n\nExemptions, and why:\n\n" + "\n".join(notes)


def example_tables() -> str:
    """Example and summary of every transform, a table for each family, in Markdown."""
    folders: dict[str, list[type[Transform]]] = {}
    for name, kind in sorted(TRANSFORMS.items()):
        if name.startswith("fusion_aug."):
            folder = "containers" if issubclass(kind, Container) else kind.__module__.split(".")[2]
            folders.setdefault(folder, []).append(kind)
    parts = []
    for folder, members in sorted(folders.items()):
        rows = [[f"`{call(t, t.example)}`", t.__doc__.splitlines()[0].replace("``", "`")] for t in members]
        parts.append(f"## {folder.capitalize()}\n\n{markdown(['example', 'what it does'], rows)}")
    return "\n\n".join(parts)


def strength_table() -> str:
    """What a magnitude means for every number of every transform, and why the others have none, in Markdown."""
    rows, reasons = [], list[str]()
    for name, kind in own_transforms().items():
        for field, strength in vars(kind).get("strengths", {}).items():
            if isinstance(strength, str):
                reasons.append(f"`{name}.{field}`: {strength}")
                continue
            neutral = "none" if strength.neutral is None else figure(strength.neutral)
            neutral += "" if strength.exact else " *"
            neutral += "" if strength.near is None else f", from {figure(strength.near)}"
            full = " or ".join(map(figure, strength.sides))
            rows.append([f"`{name}.{field}`", neutral, full, strength.unit, strength.scale, strength.basis])
    table = markdown(["number", "at magnitude 0", "at magnitude 1", "unit", "scale", "basis"], rows)
    return f"{table}\n\nThese have no strength: {'; '.join(reasons)}."


def figure(value: float) -> str:
    """A number with three digits, or all before the point."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def format_tables() -> str:
    """What every format holds and what a run makes of it, files before fields, in Markdown."""
    own = [f for _, f in sorted(FORMATS.items()) if f.reader.__module__.startswith("fusion_aug.")]
    parts = [f"## {f.name}\n\n{f.about}.\n\n{parts_table(f.contents)}" for f in own]
    return "\n\n".join([*parts, f"## Every log\n\n{parts_table(COMMON_PARTS)}"])


def message_tables() -> str:
    """What becomes of every field of ROS messages, and the types that only get new stamps, in Markdown."""
    table = markdown(["type", "field", "changed by", "refused by", "what it is"], table_rows())
    return f"{table}\n\nThese hold no motion; a change of time moves their stamps: {', '.join(sorted(NO_MOTION))}."


def meaning_table() -> str:
    """Meanings of fields of clouds, and the names by which they are known, in Markdown."""
    return markdown(["meaning", "what it is", "known by these names"], meaning_rows())


LIDAR_COLUMNS = {
    "wavelength": ("wavelength, nm", 1e9), "divergence": ("divergence, mrad", 1e3), "pulse": ("pulse, ns", 1e9),
    "noise_floor": ("noise floor", 1), "near_floor": ("near floor", 1), "near_range": ("near range, m", 1),
    "min_range": ("from, m", 1), "max_range": ("to, m", 1), "echo": ("echo", None),
    "intensity_levels": ("steps of intensity", None), "white": ("white, share of the scale", 1),
    "least_reflectivity": ("least reflectivity", 1),
}  # fmt: skip


def lidar_table() -> str:
    """LiDARs that are known by name: their figures, and below which of these are from where, in Markdown."""
    rows, sources = [], []
    for name, figures in LIDAR_MODELS.items():
        cells, found = [f"`{name}`"], dict[tuple[Origin, str], list[str]]()
        for field, (title, factor) in LIDAR_COLUMNS.items():
            value, origin, source = figures[field]
            cells.append(str(value) if factor is None else f"{value * factor:.3g}")
            found.setdefault((origin, source), []).append(title.split(",")[0])
        rows.append(cells)
        order = sorted(found, key=lambda key: list(Origin).index(key[0]))
        sources += [[f"`{name}`", ", ".join(found[key]), key[0].value, key[1]] for key in order]
    head = ["model", *[title for title, _ in LIDAR_COLUMNS.values()]]
    return f"{markdown(head, rows)}\n\n{markdown(['model', 'figures', 'origin', 'source'], sources)}"


def parts_table(parts: Sequence[Part]) -> str:
    """Files, and below them the fields of their tables; those of one table, fate and meaning in one row."""
    rows = [[f"`{p.pattern}`", p.fate, p.about] for p in parts if FIELD not in p.pattern]
    sets: dict[tuple[str, str, str], list[str]] = {}
    for p in parts:
        path, is_field, name = p.pattern.partition(FIELD)
        if is_field:
            sets.setdefault((path, p.fate, p.about), []).append(f"`{name}`")
    rows += [[f"`{path}`: {', '.join(names)}", fate, about] for (path, fate, about), names in sets.items()]
    return markdown(["files and fields", "a run has them", "what they are"], rows)


def call(kind: type[Transform], arguments: Mapping[str, Any]) -> str:
    """A call as it is written in Python, also of the transforms that a container holds."""

    def word(value: Any) -> str:
        if isinstance(value, Transform):
            return call(type(value), type(value).example)
        return f"[{', '.join(map(word, value))}]" if isinstance(value, list) else repr(value).replace("'", '"')

    return f"fa.{kind.__name__}({', '.join(f'{k}={word(v)}' for k, v in arguments.items())})"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows])


def insert_table(text: str, name: str, table: str) -> str:
    """Return a document with the table between its markers."""
    begin = BEGIN.format(name)
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"the document has no markers {begin} ... {END}")
    return f"{before}{begin}\n\n{table}\n\n{END}{after}"


def generated_documents(root: Path) -> dict[Path, str]:
    """Return every document with its generated tables up to date."""
    tables = {
        "README.md": ("transforms", effects_table),
        "docs/promises.md": ("promises", promise_table),
        "docs/transforms.md": ("examples", example_tables),
        "docs/policies.md": ("strengths", strength_table),
        "docs/formats.md": ("formats", format_tables),
        "docs/messages.md": ("messages", message_tables),
        "docs/clouds.md": ("meanings", meaning_table),
        "docs/lidars.md": ("lidars", lidar_table),
    }
    return {
        root / path: insert_table((root / path).read_text(encoding="utf-8"), name, table())
        for path, (name, table) in tables.items()
    }


def main() -> int:
    """Write the tables, or with ``--check`` report whether they are up to date."""
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
