"""``fusion-aug demo``: the sample logs augmented, checked and drawn, with the commands that do it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rich.markup import escape

from fusion_aug.errors import installing
from fusion_aug.run import report
from fusion_aug.run.check_command import check_command
from fusion_aug.run.checking import EXIT_OK
from fusion_aug.run.commands import must_be_empty, run_command, synth_command
from fusion_aug.run.showing import show_command
from fusion_aug.run.words import quoted

WEATHER = {
    "fog": ["pipeline=fog", "pipeline.mor=80"],
    "rain": ["pipeline=rain", "pipeline.rain_rate=40"],
    "snow": ["pipeline=snow", "pipeline.snow_rate=3", "pipeline.snow_cover=0.9"],
    "night": ["pipeline=night", "pipeline.illuminance=1"],
}  # pictures of the street
ARM_NEEDS = {"mcap": "ros", "rosbags": "ros"}  # package -> extra


def sample_log(name: str) -> Path | None:
    """A sample log of a checkout; None in an installation without it."""
    folder = Path(__file__).resolve().parents[2] / "datasets" / name
    return folder if folder.is_dir() else None


class Steps:
    """Commands that are announced, numbered, and run."""

    def __init__(self) -> None:
        self.number, self.worst = 0, EXIT_OK

    def announce(self, command: str, words: Sequence[str]) -> None:
        """Print the next command."""
        self.number += 1
        report.OUT.print(f"[bold]{self.number}.[/] fusion-aug {command} {escape(' '.join(words))}", soft_wrap=True)

    def run(self, *words: str) -> None:
        """Augment."""
        self.announce("run", words)
        run_command(words, False, None)

    def check(self, positionals: Sequence[str], *words: str) -> None:
        """Measure."""
        self.announce("check", [*positionals, *words])
        self.worst = max(self.worst, check_command(positionals, words, None))

    def show(self, positionals: Sequence[str], *words: str) -> None:
        """Draw."""
        self.announce("show", [*positionals, *words])
        show_command(positionals, words, None, set())

    def synth(self, *words: str) -> None:
        """Make a log."""
        self.announce("synth", words)
        synth_command(words[:1], words[1:])


def demo_command(positionals: Sequence[str]) -> int:
    """Augment the sample logs, check them, draw them."""
    folder = Path(positionals[0])
    must_be_empty(folder)
    steps = Steps()
    street(steps, folder)
    arm(steps, folder)
    return steps.worst


def street(steps: Steps, folder: Path) -> None:
    """The drive: a run, its check, pictures of weather."""
    made = sample_log("drive")
    if made is None:
        made = folder / "drive"
        steps.synth("drive", "frames=4", f"out={quoted(str(made))}")
    log = ["log=nuscenes", f"log.root={quoted(str(made))}"]
    out = folder / "augmented"
    # mirrored for certain, so that the picture shows it
    steps.run(*log, "pipeline=driving", "pipeline.mirror=1.0", "seed=3", f"out={quoted(str(out))}")
    steps.check([str(out)])
    steps.show([str(out)], "index=1", f"out={folder / 'demo.png'}")
    for name, words in WEATHER.items():
        steps.show([], *log, *words, "index=2", f"out={quoted(str(folder / f'{name}.png'))}")
    steps.check([], *log, "pipeline=[fog,rain]", "n=2")


def arm(steps: Steps, folder: Path) -> None:
    """The arm: mirrored, with kinematic errors, on a warped time axis."""
    missing = sorted({extra for package, extra in ARM_NEEDS.items() if find_spec(package) is None})
    made = sample_log("arm")
    if made is None and find_spec("mujoco") is None:
        missing.append("arm")
    if missing:
        report.OUT.print(f"the arm is left out; it needs {installing(','.join(missing))}", markup=False, soft_wrap=True)
        return
    if made is None:
        made = folder / "arm"
        steps.synth("arm", f"out={quoted(str(made))}")
    log = ["log=mcap", f"log.root={quoted(str(made / 'mcap'))}", f"log.rig={quoted(str(made / 'mcap_rig.yaml'))}"]
    what = ["pipeline=[robot,timewarp]", "pipeline.mirror=1.0", "seed=3"]
    out = folder / "arm-augmented"
    steps.run(*log, *what, f"out={quoted(str(out))}")
    steps.check([str(out)])
    steps.show([str(out)], f"out={folder / 'arm.png'}")
    steps.check([], *log, *what)
