"""Facts beside the data of an output that are no longer those of the source are found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import policy_logs
import pytest
from places import DATA
from written import run

from fusion_aug.cli import main

h5py = pytest.importorskip("h5py")
pytest.importorskip("pyarrow")


def failed(out: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The facts that ``check`` finds to be others; no other figure of it fails."""
    capsys.readouterr()
    code = main(["check", str(out)])
    lines = capsys.readouterr().out.splitlines()
    told = [line.removeprefix("facts changed since").strip() for line in lines if line.startswith("facts changed")]
    wrong = [line.split("  ")[0] for line in told if "FAIL" in line]
    assert told and code == bool(wrong) and sum("FAIL" in line for line in lines) == len(wrong)
    return wrong


@pytest.fixture
def lerobot(tmp_path: Path) -> Path:
    root = policy_logs.lerobot(tmp_path / "log", {"observation.state": (["a", "b"], [np.zeros((4, 2))])})
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps({**info, "robot_type": "arm"}))
    return run(tmp_path / "out", "log=lerobot", f"log.root={root}", "pipeline=identity")


def change(out: Path, key: str) -> None:
    path = out / "meta/info.json"
    info = json.loads(path.read_text())
    if key == "names":
        info["features"]["observation.state"]["names"] = ["b", "a"]
    else:
        info[key] = "legs"
    path.write_text(json.dumps(info))


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("robot_type", ["meta/info.json: robot_type"]),
        ("names", ["meta/info.json: names of observation.state"]),
        ("", []),
    ],
)
def test_facts_of_a_lerobot_set(lerobot: Path, key: str, told: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if key:
        change(lerobot, key)
    assert failed(lerobot, capsys) == told


@pytest.mark.parametrize("place", ["/", "data", "data/demo_0", "data/demo_1/obs/robot0_eef_pos", ""])
def test_attributes_of_robomimic(tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = policy_logs.robomimic(tmp_path / "log")
    with h5py.File(root / "demos.hdf5", "a") as file:
        for name in ("/", "data", "data/demo_0", "data/demo_0/obs/robot0_eef_pos"):
            file[name].attrs["env_args"] = '{"env": "lift"}'
            file[name].attrs["numbers"] = np.arange(3, dtype=np.int16)
    out = run(tmp_path / "out", "log=robomimic", f"log.root={root}", "pipeline=identity", "copies=2")
    if place:
        with h5py.File(out / "demos.hdf5", "a") as file:
            file[place].attrs["numbers"] = np.arange(3, dtype=np.int32)
    assert failed(out, capsys) == ([f"demos.hdf5: /{place.lstrip('/')}@numbers"] if place else [])


@pytest.mark.parametrize("wrong", [True, False])
def test_attributes_of_aloha(tmp_path: Path, wrong: bool, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(shutil.copytree(DATA / "aloha" / "sim", tmp_path / "log"))
    out = run(tmp_path / "out", "log=aloha", f"log.root={root}", "pipeline=identity", "copies=2")
    if wrong:
        with h5py.File(out / "episode_1.hdf5", "a") as file:
            file.attrs["sim"] = not file.attrs["sim"]
    assert failed(out, capsys) == (["episode_1.hdf5: /@sim"] if wrong else [])
