"""Command lines of ``fuzz.py``: words damaged, and commands over damaged outputs of runs."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from fuzz_logs import FORMATS, INPUTS, run_words
from mutations import ODD_VALUES

import fusion_aug as fa
from fusion_aug import cli
from fusion_aug.safe.guard import DEBUG
from fusion_aug.sample.manifest import output_id

KITTI = "log=kitti log.root={kitti}"
COMMANDS = [
    f"inspect {KITTI}",
    "inspect log=mcap log.root={mcap} log.rig={mcap}/mcap_rig.yaml",
    f"run {KITTI} pipeline=identity out=new dry_run=true",
    f"run {KITTI} pipeline=[geometry,photometric] out=new dry_run=true pipeline.yaw_deg=[-1,1]",
    f"run {KITTI} pipeline=identity out=new workers=0 limit=1 copies=1 keep_original=true link=hard",
    f"run {KITTI} pipeline=identity out=new workers=0 output=folder log.select=000000",
    f"run {KITTI} pipeline=identity out=new workers=0 shard=1/2 on_error=skip",
    f"run -m {KITTI} pipeline=identity out=new seed=1,2 dry_run=true",
    f"run {KITTI} pipeline=identity out=new --cfg job",
    f"check {KITTI} pipeline=identity n=1",
    f"show {KITTI} pipeline=identity out=picture.png index=0",
    f"show {KITTI} pipeline=identity out=picture.rrd n=1 --rerun",
    "show {run} index=0 out=picture.png",
    "check {run}",
    "replay {run} training/000000 out=again",
    "merge {half}",
    "merge {run} plugins=[evil]",
    "synth drive out=street size=small frames=1 seed=1",
    "synth arm out=arm",
    "demo demo",
    "check --help",
    "--version",
]
ODD_WORDS = ["[1,", "{a:", "${x}", "${oc.env:HOME}", "'", "choice(1,2)", "range(1,9)", "--help", "-m", "--cfg"]
LONG = ("synth", "demo")  # they read nothing, and take seconds where their words are good


def damaged_words(rng: random.Random, folders: dict[str, Path]) -> list[str]:
    """A command line of which one or two words are damaged.

    Args:
        rng: draws. folders: of the logs, by name.
    """
    words = [w.format(**folders) for w in rng.choice(COMMANDS).split()]
    for _ in range(rng.choice([1, 1, 2])):
        at = rng.randrange(len(words))
        key, equals, value = words[at].partition("=")
        odd = str(rng.choice([*ODD_VALUES, *ODD_WORDS]))
        kinds = [f"{key}{equals}{odd}", f"{odd}={value}", words[at][:-1], f"+{words[at]}", f"~{key}", odd]
        words[at] = rng.choice(kinds)
    words = [w.replace("\0", "?") for w in words]
    return ["inspect", *words[1:]] if words[0] in LONG and "--help" not in words else words


def of_output(name: str, out: Path, good: Path, rng: random.Random) -> list[str]:
    """A command that reads the output of a run, finished or not.

    Args:
        name: of the output. out: its folder. good: that of the logs, where its input is. rng: draws.
    """
    format, source = INPUTS[name], good / INPUTS[name]
    sample = output_id(fa.open_log(format, source).ids[0], 0)
    choices = [
        ["check", str(out)],
        ["replay", str(out), sample],
        ["replay", f"{out}/manifest.jsonl", sample, "out=again"],
        ["inspect", f"log={FORMATS[name]}", f"log.root={out}"],
        ["merge", str(out)],
    ]
    if name != "street_run":  # whose pictures take a second
        choices.append(["show", str(out), "index=0", "out=picture.png"])
    if name == "half":
        again = [*run_words(source, format), f"out={out}"]
        choices += [["merge", str(out)], ["merge", str(out)], ["merge", str(out)], again, [*again, "shard=1/1"]]
    return rng.choice(choices)


def command_line(words: Sequence[str]) -> None:
    """Run a command line.

    Raises:
        RuntimeError: it met a fault of its own, or said nothing.
        fusion_aug.errors.ConfigError: it said what is wrong; with all that it said.
    """
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(words)
    said = err.getvalue().strip()
    if code == 2:
        if f"{DEBUG}=1" in said or "Traceback" in said or not said:
            raise RuntimeError(f"{words}: {said}")
        lines = [line for line in said.splitlines() if line.startswith("fusion-aug: ")]
        raise fa.ConfigError(lines[0] if len(lines) == 1 and len(said.splitlines()) == 1 else said)


__all__ = ["FORMATS", "command_line", "damaged_words", "of_output"]
