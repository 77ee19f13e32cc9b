"""Names have one owner: what is refused, what stands beside ours, and what is one's own definition run again."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from samples import make_sample

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.core.registry import TRANSFORMS, find_transform
from fusion_aug.logs import find_format, register_format
from fusion_aug.sample.manifest import read_manifest

DRIVE = Path(__file__).resolve().parents[2] / "datasets/drive"
BRIGHTNESS = """
from dataclasses import dataclass
import fusion_aug as fa

@dataclass(frozen=True, kw_only=True)
class Brightness(fa.Transform, fa.PointOp):
    factor: fa.Range = 1.0

@fa.handles(Brightness, fa.Camera)
def leave(stream, call):
    assert 0.6 <= call.params[0]["factor"] <= 0.9
    return stream
"""


def write(folder: Path, name: str, text: str) -> str:
    (folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    return name


def load(folder: Path, name: str, text: str):  # type: ignore[no-untyped-def]
    """Import a module of one's own."""
    sys.path.insert(0, str(folder))
    return importlib.import_module(write(folder, name, text))


def python(folder: Path, text: str, *words: object, script: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program: a file, or lines as a prompt gets them."""
    (folder / "program.py").write_text(text)
    how = [str(folder / "program.py")] if script else ["-c", text]
    command = [sys.executable, *how, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


# --- forgotten -------------------------------------------------------------------------------------------------------
def test_a_forgotten_dataclass_is_named(tmp_path: Path) -> None:
    text = BRIGHTNESS.replace("@dataclass(frozen=True, kw_only=True)\n", "")
    done = python(tmp_path, f"{text}\nBrightness(factor=0.7)")
    assert "__main__.Brightness: its field 'factor' is not taken" in done.stderr and "@dataclass" in done.stderr


# --- beside ours ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("future", "workers"), [("", 1), ("from __future__ import annotations\n", 0)])
def test_a_class_of_a_taken_name_stands_beside_ours(plugins: Path, future: str, workers: int) -> None:
    """It runs from YAML and from Python; its ranges are checked and drawn, with and without the future import."""
    write(plugins, "mine", future + BRIGHTNESS)
    it = "+pipeline.transforms.it={_target_: mine.Brightness, factor: [0.6, 0.9]}"
    words = ["run", "log=nuscenes", f"log.root={DRIVE}", "pipeline=identity", "plugins=[mine]", "limit=1", it]
    assert main([*words, "out=out", f"workers={workers}"]) == 0
    assert [r.name for r in read_manifest(Path("out")).entries[0].history] == ["mine.Brightness"]

    mine = sys.modules["mine"]
    assert find_transform("Brightness") is fa.Brightness and find_transform("mine.Brightness") is mine.Brightness
    out = mine.Brightness(factor=[0.6, 0.9])(make_sample(gels=False), seed=1)
    assert out.history[0].name == "mine.Brightness" and out.history[0].path == "Brightness"
    with pytest.raises(fa.ConfigError, match=r"Brightness\.factor: expected a number"):
        mine.Brightness(factor="bright")


def test_a_history_of_version_0_1_means_ours(plugins: Path) -> None:
    """Bare names: the picture of the built-in one comes back, mean level 54.4, though another Brightness is there."""
    sample = fa.open_log("nuscenes", DRIVE)[0]
    out = fa.Brightness(factor=0.5)(sample, seed=1)
    load(plugins, "mine", BRIGHTNESS)
    records = json.loads(json.dumps(fa.history_to_json(out.history)))
    assert records[0]["name"] == "fusion_aug.Brightness"
    for name in ("fusion_aug.Brightness", "Brightness"):
        records[0]["name"] = name
        again = fa.replay(sample, fa.history_from_json(records))["CAM_FRONT"].image(0)
        assert again.equal(out["CAM_FRONT"].image(0))
        assert float(again.double().mean()) == pytest.approx(54.4, abs=0.05)


# --- refused --------------------------------------------------------------------------------------------------------
SECOND = {
    "transform": (
        "import fusion_aug as fa\nclass Foo(fa.Transform, fa.PointOp): ...\nclass Foo(fa.Transform, fa.PointOp): ...\n",
        "transform 'second.Foo' of second is refused: second has registered",
    ),
    "handler": (
        "import fusion_aug as fa\n@fa.handles(fa.MirrorScene, fa.Text)\ndef own(stream, call): ...\n"
        "@fa.handles(fa.MirrorScene, fa.Text)\ndef other(stream, call): ...\n",
        "handler fusion_aug.MirrorScene on fusion_aug.Text of second is refused: second has registered",
    ),
    "stream": (
        "import fusion_aug as fa\nclass Imu(fa.Stream): ...\n",
        "stream class 'Imu' of second is refused: fusion_aug.streams.motion has registered",
    ),
    "format": (
        "from dataclasses import replace\nfrom fusion_aug import extend\n"
        "extend.register_format(replace(extend.find_format('nuscenes'), name='kitti'))\n",
        "format 'kitti' of second is refused: fusion_aug.logs.kitti has registered",
    ),
    "measurement": (
        "from fusion_aug.extend import measurement\n@measurement('projection')\ndef own(pairs): ...\n",
        "measurement 'projection' of second is refused: fusion_aug.check",
    ),
    "decoder": (
        "from fusion_aug.extend import decoder\n@decoder('image')\ndef own(path, raw, options): ...\n",
        "decoder 'image' of second is refused: fusion_aug.logs.core.files has registered",
    ),
}


@pytest.mark.parametrize("kind", SECOND)
def test_a_second_thing_of_a_name_is_refused(plugins: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In a sentence, and what was there stays."""
    text, part = SECOND[kind]
    write(plugins, "second", text)
    words = ["run", "log=nuscenes", f"log.root={DRIVE}", "pipeline=identity", "out=out", "plugins=[second]"]
    assert main(words) == 2
    message = capsys.readouterr().err
    assert part in message and message.count("\n") == 1 and "Traceback" not in message
    assert fa.Imu.__module__ == "fusion_aug.streams.motion" and find_format("kitti").name == "kitti"


def test_a_program_that_defines_a_class_twice_is_refused(plugins: Path) -> None:
    twice = SECOND["transform"][0]
    done = python(plugins, twice)
    assert done.returncode != 0 and "transform '__main__.Foo' of __main__ is refused" in done.stderr


# --- run again ------------------------------------------------------------------------------------------------------
def test_a_cell_of_a_notebook_runs_again(plugins: Path) -> None:
    """A notebook's ``__main__`` has no file. A stream and a format of one's own too; ours stay refused."""
    cell = (
        "from dataclasses import replace\n"
        "from fusion_aug.extend import PointOp, Stream, Transform, find_format, register_format\n"
        "class Foo(Transform, PointOp): ...\n"
        "class Lanes(Stream): ...\n"
        "register_format(replace(find_format('kitti'), name='toy', about=str(object())))\n"
    )
    done = python(plugins, cell + cell + "from fusion_aug.core.registry import find_transform\n"
                  "assert find_transform('__main__.Foo') is Foo\nclass Imu(Stream): ...\n", script=False)  # fmt: skip
    assert "stream class 'Imu' of __main__ is refused" in done.stderr, done.stderr


def test_a_module_that_is_loaded_again(plugins: Path) -> None:
    text = (
        "from dataclasses import replace\nfrom fusion_aug.extend import *\n"
        "class Foo(Transform, PointOp): ...\nclass Lanes(Stream): ...\n"
        "register_format(replace(find_format('kitti'), name='toy', reader=type('Own', (Log,), {})))\n"
        "@handles(Foo, Points)\ndef own(stream, call): ...\n"
        "@measurement('own figure')\ndef measured(pairs): ...\n@decoder('own file')\ndef decoded(p, raw, o): ...\n"
    )
    module = load(plugins, "reloaded", text)
    first = module.Foo
    assert importlib.reload(module).Foo is not first
    assert find_transform("reloaded.Foo") is module.Foo


def test_a_class_with_slots_is_made_twice_by_its_decorator(plugins: Path) -> None:
    module = load(
        plugins,
        "slotted",
        "from dataclasses import dataclass\nimport fusion_aug as fa\n"
        "@dataclass(frozen=True, kw_only=True, slots=True)\n"
        "class Foo(fa.Transform, fa.PointOp):\n    share: fa.Range\n",
    )
    assert TRANSFORMS["slotted.Foo"] is module.Foo and module.Foo(share=[0, 1]).share == (0, 1)


def test_a_format_may_be_registered_twice_as_it_is(plugins: Path) -> None:
    toy = replace(find_format("kitti"), name="toy")
    assert register_format(toy) is toy and register_format(replace(toy)) == toy
    with pytest.raises(fa.ConfigError, match="format 'toy' of test_registry is refused"):
        register_format(replace(toy, about="another"))


# --- scripts --------------------------------------------------------------------------------------------------------
SCRIPT = """
import sys
from dataclasses import dataclass
from torch.utils.data import DataLoader
import fusion_aug as fa

@dataclass(frozen=True, kw_only=True)
class Fade(fa.Transform, fa.Photometric):
    share: fa.Range = (0.2, 0.8)

@fa.handles(Fade, fa.Camera)
def fade(stream, call):
    return stream

if __name__ == "__main__":
    data = fa.AugmentedDataset(fa.open_log("nuscenes", sys.argv[1]), Fade(), seed=3)
    here = data[0].history
    loader = DataLoader(data, num_workers=1, collate_fn=fa.collate, multiprocessing_context="spawn")
    there = next(iter(loader)).metas[0].history
    assert here == there, (here, there)
    print(here[0].name)
"""


def test_a_class_of_a_script_works_in_spawned_workers(plugins: Path) -> None:
    """There the script is called ``__mp_main__``; elsewhere its history says why it does not replay."""
    done = python(plugins, SCRIPT, DRIVE)
    assert done.returncode == 0 and done.stdout.split() == ["__main__.Fade"], done.stderr
    record = fa.Record("Fade", "__main__.Fade", 1, {"": {"share": 0.5}})
    with pytest.raises(fa.DataError, match=r"__main__\.Fade was defined in a script or notebook"):
        fa.replay(make_sample(), (record,))


def test_advice_for_a_stream_without_a_rule(plugins: Path) -> None:
    """Where typed columns cannot help, they are not asked for; a class's own advice comes first."""
    module = load(
        plugins,
        "streams_of_mine",
        "import fusion_aug as fa\nclass Lanes(fa.Ragged):\n    columns = (fa.position('xyz'),)\n"
        "class Smell(fa.Stream): ...\nclass Topic(fa.Stream):\n    remedy = 'leave it out with log.exclude'\n",
    )
    sample = make_sample()
    at = {"frame": "ref", "capture_times": sample["lidar"].capture_times[:1]}

    def said(stream: fa.Stream, transform: fa.Transform) -> str:
        with pytest.raises(fa.UnhandledStream) as error:
            transform(sample.with_streams({**sample.streams, "own": stream}), seed=1)
        return str(error.value)

    for kind in (module.Lanes, module.Smell):
        told = said(kind(**at), fa.Fog(mor=60))
        assert "name Weather in the class's invariant_to" in told and "columns" not in told
        assert f"handles(Fog, {kind.__name__})" in told
    assert said(module.Topic(**at), fa.Fog(mor=60)).endswith("leave it out with log.exclude")
    assert "typed columns" in said(module.Smell(**at), fa.RotateScene(yaw_deg=9))
