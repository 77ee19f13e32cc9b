"""Formats of robots against the packages that they belong to: ``make formats``.

Each package is installed in an environment of its own. It makes a small log (``tools/formats_sources.py``), which is
read here and compared number by number with what the package reads; where a format is written, a run that changes
nothing and one that changes pictures are opened by the package again.

    python tools/formats.py [FORMAT ...] [--folder DIR] [--keep-sources]

Needs package registries. With ``--keep-sources`` the small logs of ``tests/data`` are replaced by the new ones. Exits
with 1 where something differs.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import fusion_aug as fa  # noqa: E402
from fusion_aug.cli import main as command  # noqa: E402

SOURCES = REPOSITORY / "tools" / "formats_sources.py"
WHEELS = Path("/opt/wheels")  # where a CPU build of torch may lie
ENVIRONMENTS = {  # what pip installs, command by command; lerobot asks for a torchvision that it can do without
    "lerobot": (
        ["torch", "datasets<=3.6", "numpy<2.3", "jsonlines", "huggingface_hub", "packaging", "pillow", "av", "einops"],
        ["--no-deps", "lerobot==0.3.3"],
    ),
    "aloha": (["h5py", "numpy", "pillow"],),
    "rlds": (["tensorflow-cpu", "tensorflow-datasets"],),
    "zarr": (["zarr<3", "numcodecs<0.16", "imagecodecs", "numpy"],),
}
LIGHT = "+pipeline.transforms.light={_target_: fusion_aug.Brightness, factor: 0.8}"
Differences = Iterator[str]


def main() -> int:
    """Make, compare, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", default=[], metavar="FORMAT")
    parser.add_argument("--folder", type=Path, help="of the environments, which stay; by default a temporary one")
    parser.add_argument("--keep-sources", action="store_true")
    given = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        for name in given.formats or ENVIRONMENTS:
            python, work = environment(name, folder), Path(temporary) / f"{name}_work"
            run(python, "make", name, work / "source")
            for path in (work / "source" / "images", work / "built"):
                shutil.rmtree(path, ignore_errors=True)
            found = list(COMPARISONS[name](python, work))
            print("\n".join([f"{name}: {'differs' if found else 'the same'}", *(f"  {text}" for text in found)]))
            wrong += len(found)
            if given.keep_sources:
                target = REPOSITORY / "tests" / "data" / {"lerobot": "lerobot_v21"}.get(name, name)
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(work / "source", target)
    return int(wrong > 0)


def environment(name: str, folder: Path) -> Path:
    """Python of the environment of a format, which is made where it is not there."""
    python = folder / name / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", folder / name], check=True)
        for words in ENVIRONMENTS[name]:
            local = ["--find-links", str(WHEELS)] if WHEELS.is_dir() else []
            subprocess.run([python, "-m", "pip", "install", "--quiet", *local, *words], check=True)
    return python


def run(python: Path, do: str, name: str, *paths: Path) -> None:
    """Let a package make or read a log."""
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([python, SOURCES, do, name, *paths], check=True, stdout=subprocess.DEVNULL)


def theirs(python: Path, name: str, root: Path) -> dict[str, np.ndarray]:
    """What the package reads of a log."""
    numbers = root.with_name(f"{root.name}.npz")
    run(python, "read", name, root, numbers)
    with np.load(numbers, allow_pickle=False) as data:
        return dict(data)


def augmented(name: str, root: Path, out: Path, *words: str) -> Path:
    """A run of ours."""
    if command(["run", f"log={name}", f"log.root={root}", f"out={out}", "pipeline=identity", *words]):
        sys.exit(f"{name}: the run failed")
    return out


def pictures(stream: fa.Camera) -> np.ndarray:
    """All pictures of a stream."""
    return np.stack([stream.image(k).numpy() for k in range(len(stream))])


def differ(what: str, ours: np.ndarray, package: np.ndarray, most: float = 0.0) -> Differences:
    """A sentence where numbers, or texts, are further apart than they may be."""
    if np.shape(ours) != np.shape(package):
        yield f"{what}: {np.shape(ours)}, and {np.shape(package)} by the package"
    elif np.asarray(package).dtype.kind in "US":
        yield from [f"{what}: other texts"] * (list(ours) != list(package))
    else:
        off = np.abs(np.asarray(ours, np.float64) - np.asarray(package, np.float64)).max(initial=0.0)
        yield from [f"{what}: {off:g} apart"] * bool(off > most)


def compare_lerobot(python: Path, work: Path) -> Differences:
    """Columns, tasks, stamps and statistics, of the source and of outputs."""
    source = work / "source"
    outputs = {"identity": augmented("lerobot", source, work / "identity"),
               "light": augmented("lerobot", source, work / "light", LIGHT, "copies=2")}  # fmt: skip
    before = theirs(python, "lerobot", source)
    for label, root in {"source": source, **outputs}.items():
        found, log = theirs(python, "lerobot", root), fa.open_log("lerobot", root)
        for name, stream in (("observation.state", "state"), ("action", "action")):
            rows = np.concatenate([s[stream]["value"].numpy() for s in log])
            yield from differ(f"{label}: {name}", rows, found[name])
        times = np.concatenate([s["state"].capture_times.numpy() for s in log]) * 1e-9
        yield from differ(f"{label}: timestamp", times, found["timestamp"], 1e-6)
        lengths = np.array([len(s["state"]) for s in log])
        yield from differ(f"{label}: lengths", lengths, found["lengths"])
        words = np.concatenate([[s["task"]["text"][0]] * len(s["state"]) for s in log])
        yield from differ(f"{label}: tasks", words, found["tasks"])
    same = theirs(python, "lerobot", outputs["identity"])
    for name in before:
        yield from differ(f"identity: {name}", same[name], before[name], 1e-9 if name.startswith("stats/") else 0)


def compare_aloha(python: Path, work: Path) -> Differences:
    """Nothing but h5py reads the format, which tests do; an untouched episode is the same file."""
    for part in sorted((work / "source").iterdir()):
        out = augmented("aloha", part, work / f"{part.name}_out")
        for path in part.glob("*.hdf5"):
            is_other = path.read_bytes() != (out / path.name).read_bytes()
            yield from [f"{part.name}: {path.name}: other bytes"] * is_other


def compare_rlds(python: Path, work: Path) -> Differences:
    """Every step of every episode."""
    found, log = theirs(python, "rlds", work / "source"), fa.open_log("rlds", work / "source")
    for sample in log:
        split, _, number = sample.id.split("_")
        key = f"{split}/{int(number)}"
        for name, column in (("state", "value"), ("action", "value"), ("reward", "event"), ("is_last", "event")):
            yield from differ(f"{key}: {name}", sample[name][column].numpy(), found[f"{key}/{name}"])
        yield from differ(f"{key}: wrist_image", pictures(sample["wrist_image"]), found[f"{key}/wrist_image"])
        # other decoders of JPEG differ in their last bits
        jpeg = np.abs(pictures(sample["image"]).astype(int) - found[f"{key}/image"])
        yield from [f"{key}: image: {jpeg.mean():g} levels apart"] * bool(jpeg.mean() > 1.5)
        texts = [t.decode() for t in found[f"{key}/language_instruction"].tolist()]
        yield from [f"{key}: other sentences"] * (set(texts) != set(sample["language_instruction"]["text"]))


def compare_zarr(python: Path, work: Path) -> Differences:
    """Every array between the ends of the episodes."""
    found = theirs(python, "zarr", work / "source")
    for name in ("pusht", "umi"):
        log, start = fa.open_log("zarr", work / "source" / name), 0
        for sample, end in zip(log, found[f"{name}/episode_ends"], strict=True):
            for stream, values in sample.streams.items():
                theirs_of = found[f"{name}/{stream}"][start : int(end)]
                is_camera, shape = isinstance(values, fa.Camera), theirs_of.shape[1:]
                ours = pictures(values) if is_camera else log.feature_array(sample, stream, stream, [], shape)
                yield from differ(f"{sample.id}: {stream}", ours, theirs_of, 0 if is_camera else 1e-6)
            start = int(end)


COMPARISONS = {"lerobot": compare_lerobot, "aloha": compare_aloha, "rlds": compare_rlds, "zarr": compare_zarr}

if __name__ == "__main__":
    sys.exit(main())
