"""``fusion-aug list`` and ``explain``, help of one format, and hints for words that are nearly right."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import small_logs

from fusion_aug.cli import COMMANDS, main
from fusion_aug.core.registry import own_transforms
from fusion_aug.logs import FORMATS
from fusion_aug.logs.core.options import EVERY_LOG
from fusion_aug.run.config import option_names
from fusion_aug.run.docstrings import about, meanings, summary
from fusion_aug.run.named_things import groups, sensors

pytestmark = pytest.mark.quick


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(list(words)) == code
    told = capsys.readouterr()
    return told.err if code else told.out


def test_everything_with_a_name_is_listed_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "list")
    named = {line[2:].partition("  ")[0] for line in text.splitlines() if line.startswith("  ")}
    assert {*own_transforms(), *FORMATS, *option_names("pipeline", None), *sensors(), "VLP-16"} <= named
    assert named == {name for group in groups().values() for name in group}
    assert all(len(line.split()) >= 2 for group in groups().values() for line in group.values())
    only = said(capsys, "list", "formats")
    assert "kitti" in only and "RotateScene" not in only


@pytest.mark.parametrize("name", [*own_transforms(), *FORMATS, *sensors(), "suite/fog", "driving", "VLP-16"])
def test_everything_with_a_name_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "explain", name)
    kind: Any = (own_transforms() | sensors()).get(name)
    assert text.startswith(f"{name}: ")
    for field in fields(kind) if kind is not None else ():
        assert f"\n  {field.name}" in text or field.name in ("name", "per_scene"), field.name
    for option in FORMATS[name].all_options if name in FORMATS else ():
        assert f"\n  {option} " in text


def test_a_transform_is_explained_with_units_limits_and_data(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "explain", "Fog").splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("  mor = [50.0, 500.0]"))
    assert "metres" in lines[at] and "from 5 to 1e+06" in lines[at + 1] and "1: 50 m" in lines[at + 1]
    assert "  changes: Camera, Lidar, Radar, Boxes3D, Odometry" in lines
    assert "  {_target_: fusion_aug.Fog, mor: [50, 300]}" in lines


def test_what_docstrings_say_of_fields() -> None:
    @dataclass
    class Base:
        """A thing. It has ``parts``.

        More of it.

        Attributes:
            near, far: metres. spin: +1: left,
                -1: right.
            long: first sentence. And a second: with a colon.
        """

        near: float
        far: float
        spin: int
        long: str

    @dataclass
    class Own(Base):
        far: float
        bare: int

    assert about(Base) == "A thing. It has parts.\nMore of it." and summary(Base) == "A thing"
    assert meanings(Own) == {
        "near": "metres", "far": "metres", "spin": "+1: left, -1: right",
        "long": "first sentence. And a second: with a colon",
    }  # fmt: skip
    assert about(Own) == ""


def test_the_help_of_one_format_has_all_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "run", "log=lerobot", "--help")
    for option in {**FORMATS["lerobot"].options, **EVERY_LOG}:
        assert f"\n#   {option} " in text, option
    for option in FORMATS["lerobot"].output_options:
        assert f"\n#   {option} " in text, option
    assert "split_on_jump" not in text and "workers: 0" in text
    assert "did you mean kitti?" in said(capsys, "run", "log=kity", "--help", code=2)


HINTS = {
    "chek": "did you mean check?",
    "explain fgo": "did you mean fog?",
    "explain FOG": "did you mean Fog?",
    "list format": "did you mean formats?",
    "list formats seed=1": "seed: there is no such option",
    "run log=kity log.root=x out=o": "log: there is no format 'kity'; did you mean kitti?",
    "run log=kitti log.root=x out=o engine=rayy": "engine: there is no engine 'rayy'; did you mean ray?",
    "run log=kitti log.root=x out=o pipeline=geometry,fog": "a list, or a range, is pipeline=[geometry,fog]",
    "run log=kitti log.root=x out=o log.select=a,b": "is log.select=[a,b]",
    "run log=kitti log.root=x out=o pipeline.yaw_deg=-3,3": "is pipeline.yaw_deg=[-3,3]",
    "check log=kitti log.root=x plugins=a,b": "is plugins=[a,b]",
    "run log=kitti log.root=x out=o pipeline=[geometry": "the list is not closed",
    "run --workers 2": "as workers=VALUE",
}


@pytest.mark.parametrize("words", HINTS)
def test_words_that_are_nearly_right(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert HINTS[words] in said(capsys, *words.split(), code=2)


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert f"fusion-aug {command}" in said(capsys, command, "--help")


@pytest.mark.parametrize(
    ("pipeline", "note"),
    [
        ("touch", "nothing in the pipeline acts on this log"),
        ("[geometry,touch]", "holds nothing for these to act on: "),
        ("geometry", None),
        ("identity", None),
    ],
)
def test_a_pipeline_that_a_log_holds_nothing_for(
    pipeline: str, note: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "log=kitti", f"log.root={small_logs.kitti(tmp_path / 'log')}", f"out={tmp_path / 'out'}"]
    text = said(capsys, *words, f"pipeline={pipeline}", "limit=1", "lossy=true", "dry_run=true")
    assert (note in text) if note else ("acts on" not in text and "to act on" not in text)
    assert said(capsys, *words, f"pipeline={pipeline}", "limit=1", "lossy=true").count(note or "to act on") == bool(
        note
    )


def test_what_a_plugin_adds_is_named_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own_names: None
) -> None:
    (tmp_path / "odd_air.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    assert "  odd_air.OddAir " in said(capsys, "list", "transforms", "plugins=[odd_air]")
    text = said(capsys, "explain", "odd_air.OddAir", "plugins=[odd_air]")
    assert "  amount = 1.0    of the air" in text and "refuses, as it has no rule for them: Camera" in text


PLUGIN = '''
from dataclasses import dataclass

import fusion_aug as fa
from fusion_aug.core.ranges import Range
from fusion_aug.streams.families import Weather


@dataclass(frozen=True, kw_only=True)
class OddAir(Weather, fa.Transform):
    """Odd air, without any rule.

    Attributes:
        amount: of the air.
    """

    amount: Range = 1.0
'''
