"""docs/extending.md: its modules, run as they are written there, from a folder outside the package."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.core.registry import own_transforms
from fusion_aug.run.config import import_plugins
from fusion_aug.run.inputs import source_log, written_log
from fusion_aug.sample.manifest import read_manifest

DOCUMENT = Path(__file__).resolve().parents[1] / "docs/extending.md"
RECIPES = dict(re.findall(r"`(\w+)\.py`\n\n```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S))
MOST_LINES = {"magnetometer": 10, "heat": 20, "npz_log": 60, "field_strength": 10}
HEAT = "+pipeline.transforms.heat={_target_: heat.Heat, kelvin: [5, 30]}"
FIELD = np.array([[2e-5, 1e-6, -4e-5]])  # tesla


def make_frames(root: Path, count: int = 3) -> Path:
    """What the recipe's reader reads: points ahead of the vehicle, a picture of blocks, and a compass."""
    root.mkdir()
    mounts = {name: np.eye(4) for name in ("lidar", "camera", "compass")}
    mounts["camera"][:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    for name, place in (("lidar", (1.0, 0.0, 1.8)), ("camera", (1.5, 0.0, 1.5)), ("compass", (0.0, 0.3, 1.0))):
        mounts[name][:3, 3] = place
    for i in range(count):
        rng = np.random.default_rng(i)
        np.savez(
            root / f"{i:03d}.npz",
            stamp=np.array([10**9 + i * 10**8]),
            K=np.array([[300.0, 0, 159.5], [0, 300, 119.5], [0, 0, 1]]),
            xyz=rng.uniform([6, -6, -1.5], [30, 6, 2], (800, 3)).astype(np.float32),
            intensity=rng.random(800, np.float32),
            field=FIELD,
            **{f"T_vehicle_{name}": pose for name, pose in mounts.items()},
        )
        blocks = rng.integers(0, 256, (24, 32, 3), np.uint8)
        cv2.imwrite(str(root / f"{i:03d}.png"), cv2.resize(blocks, (320, 240), interpolation=cv2.INTER_NEAREST))
    return root


@pytest.fixture
def recipes(plugins: Path) -> Path:
    """The current folder, with the modules of the document and a log of the recipe's format."""
    for name, code in RECIPES.items():
        (plugins / f"{name}.py").write_text(code, encoding="utf-8")
    make_frames(plugins / "frames")
    return plugins


def test_recipes_are_short() -> None:
    """Lines of code with imports, comments and docstrings; empty lines do not count."""
    lines = {name: sum(bool(line.strip()) for line in code.splitlines()) for name, code in RECIPES.items()}
    assert set(lines) == set(MOST_LINES)
    assert {name: count for name, count in lines.items() if count > MOST_LINES[name]} == {}


@pytest.mark.parametrize("workers", [0, 1])
def test_run_check_show_and_replay(recipes: Path, workers: int, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "log=npz", "log.root=frames", "out=out", "pipeline=geometry", "plugins=[npz_log,heat]", HEAT]
    assert main([*words, f"workers={workers}", "seed=4", "pipeline.mirror=1.0"]) == 0
    entry = read_manifest(Path("out")).entries[1]
    assert [r.name for r in entry.history][-1] == "heat.Heat" and len(entry.history) == 6
    kelvin = entry.history[-1].params[""]["kelvin"]
    assert 5 <= kelvin <= 30

    with np.load(f"frames/{entry.source}.npz") as before, np.load(f"out/{entry.id}.npz") as after:
        # a mirror turns an axial vector about: the component across its plane stays, the others change sign
        expected = FIELD * [-1, 1, -1] * (1 + 0.001 * kelvin)
        assert np.allclose(after["field"], expected, rtol=1e-12, atol=0)
        assert np.allclose(after["intensity"], before["intensity"] * (1 - 0.002 * kelvin), rtol=1e-6)
        assert np.array_equal(after["T_vehicle_lidar"], before["T_vehicle_lidar"])
        assert not np.allclose(after["xyz"], before["xyz"], atol=0.1), "the motion is baked into the points"
    assert cv2.imread(f"out/{entry.id}.png").shape == (240, 320, 3)

    capsys.readouterr()
    assert main(["check", "out"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"calibration +camera .*PASS", told) and re.search(r"field +compass +3 .*PASS", told)
    assert main(["show", "out", "out=picture.png"]) == 0 and cv2.imread("picture.png").mean() > 10
    assert main(["replay", "out", entry.id]) == 0 and "digest agrees" in capsys.readouterr().out


def test_check_measures_ones_own_figure(recipes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["check", "log=npz", "log.root=frames", "pipeline=geometry", "plugins=[npz_log,field_strength]"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert re.search(r"field strength +compass +3 .*PASS", told) and re.search(r"content dots +camera .*PASS", told)
    # and the figure can fail: a column of another kind is scaled with the scene
    stream = (recipes / "magnetometer.py").read_text().replace("axial", "polar")
    code = f"{stream}\n{RECIPES['npz_log']}".replace("from magnetometer import Magnetometer\n", "")
    (recipes / "wrong_log.py").write_text(code.replace('"npz", NpzLog', '"wrong", NpzLog').replace("Magneto", "Wrongo"))
    figure = RECIPES["field_strength"].replace("magnetometer import Magneto", "wrong_log import Wrongo")
    (recipes / "wrong_figure.py").write_text(figure.replace("Magneto", "Wrongo").replace("field strength", "wrong"))
    words = [w.replace("npz_log,field_strength", "wrong_log,wrong_figure").replace("npz", "wrong") for w in words]
    assert main([*words, "pipeline.scene_scale=1.5"]) == 1
    assert re.search(r"wrong +compass .*FAIL", capsys.readouterr().out)


def test_every_preset_meets_the_recipes(recipes: Path) -> None:
    """A strict transform has a rule for the stream, or the stream says why it needs none."""
    import_plugins(["npz_log"])
    sample = fa.open_log("npz", "frames")[0]
    presets = {name: fa.preset(name) for name in ("driving", "fog", "rain", "snow", "night", "timewarp", "weather")}
    for name, pipeline in {**presets, "moved": fa.Viewpoint(sensors=["lidar", "camera"], y_deg=3.0)}.items():
        assert pipeline(sample, seed=2).realized()["compass"]["field"].shape == (1, 3), name


def test_what_the_format_cannot_hold_is_refused(recipes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "log=npz", "log.root=frames", "out=out", "pipeline=identity", "plugins=[npz_log]"]
    bent = "+pipeline.transforms.p={_target_: fusion_aug.PerspectiveImage, strength: 0.05}"
    assert main([*words, bent]) == 2
    assert "npz cannot hold" in (told := capsys.readouterr().err) and "K holds no perspective" in told
    assert not Path("out").exists()
    assert main([*words, bent, "output=folder"]) == 0
    assert main(["check", "out"]) == 0


def test_a_changed_file_makes_it_another_log(recipes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A reader that says nothing of its inputs is asked for all of its files."""
    words = ["run", "log=npz", "log.root=frames", "out=out", "pipeline=identity", "plugins=[npz_log]"]
    words += ["log.select='00[01]'"]
    assert main(words) == 0 and [e.id for e in read_manifest(Path("out")).entries] == ["000", "001"]
    assert main(words) == 0 and "nothing to do" in capsys.readouterr().out
    picture = cv2.imread("frames/001.png")
    cv2.imwrite("frames/001.png", picture[::-1])
    assert main(words) == 2 and "another job" in capsys.readouterr().err


OPTIONS = """options={
    "unit": ext.Option("of the field, tesla", 1.0), "mask": ext.Option("of the lens", is_file=True)
}, about="""


def test_options_of_ones_own_are_those_of_the_run(recipes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that says what numbers mean is kept in the manifest; the path of a file only in run.json."""
    reader, writer = RECIPES["npz_log"].replace("about=", OPTIONS).split("class NpzWriter")
    reader = reader.replace('{"field": data["field"]}', '{"field": data["field"] * self.options.unit}')
    writer = writer.replace('sample["compass"]["field"]', 'sample["compass"]["field"] / self.log.options.unit')
    (recipes / "npz_log.py").write_text(f"{reader}class NpzWriter{writer}")
    (recipes / "mask.png").write_bytes(b"first")
    words = ["run", "log=npz", "log.root=frames", "pipeline=identity", "plugins=[npz_log]", "log.unit=2.0"]
    assert main([*words, "log.mask=mask.png", "out=out"]) == 0
    header = read_manifest(Path("out")).header
    assert header["log"]["unit"] == 2.0 and "mask" not in header["log"] and header["plugins"] == ["npz_log"]
    mask = str((recipes / "mask.png").resolve())  # found from any folder
    assert json.loads(Path("out/run.json").read_text())["mask"] == mask
    source = source_log(read_manifest(Path("out")), Path("out"), [], None)
    assert source.options.unit == 2.0 and source.options.mask == mask
    assert np.allclose(source[0]["compass"]["field"], 2 * FIELD)
    assert written_log(read_manifest(Path("out")), Path("out"), source).options.unit == 2.0
    other = source_log(read_manifest(Path("out")), Path("out"), ["log.unit=3.0"], None)
    assert other.options.unit == 3.0, "the words come first"

    (recipes / "mask.png").write_bytes(b"another")
    assert main([*words, "log.mask=mask.png", "out=out"]) == 2 and "another job" in capsys.readouterr().err
    assert main([*words, "log.maks=mask.png", "out=other"]) == 2 and "log.maks" in capsys.readouterr().err


def test_the_command_finds_plugins_in_the_current_folder(recipes: Path) -> None:
    """Without PYTHONPATH, and in workers that are told nothing else. -P: as the installed command starts."""
    words = ["run", "log=npz", "log.root=frames", "out=out", "pipeline=identity", "plugins=[npz_log,heat]", HEAT]
    command = [sys.executable, "-P", "-m", "fusion_aug", *words, "workers=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=recipes)
    assert done.returncode == 0, done.stderr
    elsewhere = recipes / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-P", "-m", "fusion_aug", "check", str(recipes / "out")]
    for more, where, message in (
        ([], recipes, "plugins=[npz_log,heat]"),  # a manifest alone runs no code
        (["plugins=[npz_log,heat]"], elsewhere, "plugins: 'npz_log' cannot be imported"),
    ):
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=False, cwd=where)
        assert done.returncode == 2 and message in done.stderr


def test_all_names_are_there_and_effects_are_named() -> None:
    from fusion_aug import extend

    assert len(set(extend.__all__)) == len(extend.__all__)
    for name in extend.__all__:
        assert hasattr(extend, name), name
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, kind in own_transforms().items():
        for effect in replace(kind(**kind.example), p=1.0).effects():
            assert f"`{effect}`" in text, (name, effect)
