"""Touch in MCAP and LeRobot: written, re-read with other tools, with the same bytes for any workers and order."""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import small_logs
import torch
from arm_log import open_arm
from places import ARM

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.sidecar import ids_in_manifest
from fusion_aug.sample.manifest import read_manifest

KINDS = ("mcap", "lerobot")
TOUCH = ["pipeline=[robot,touch]", "pipeline.mirror=1", "seed=3"]
pytest.importorskip("mcap")
pq = pytest.importorskip("pyarrow.parquet")


def words(kind: str, out: Path, *more: str, root: Path | None = None) -> list[str]:
    rig = ARM / f"{kind}_rig.yaml"
    return ["run", f"log={kind}", f"log.root={root or ARM / kind}", f"log.rig={rig}", f"out={out}", *more]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind -> what a run with touch wrote."""
    out = {k: tmp_path_factory.mktemp("runs") / k for k in KINDS}
    for kind, folder in out.items():
        few = ["log.exclude=[/front/*,/wrist/*]"] if kind == "mcap" else []
        assert main(words(kind, folder, *TOUCH, *few)) == 0
    return out


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_robot_and_touch_are_written_and_check(kind: str, runs: dict[str, Path]) -> None:
    assert main(["check", str(runs[kind])]) == 0
    before = open_arm(kind)
    after = fa.open_log(kind, runs[kind], rig=str(ARM / f"{kind}_rig.yaml"))[0]
    left = {n for n in before.streams if kind == "mcap" and n.startswith(("front", "wrist"))}
    assert set(after.streams) >= set(before.streams) - left
    for name, stream in before.streams.items():
        if name not in left:
            assert torch.equal(after[name].capture_times, stream.capture_times), name
    assert isinstance(after["tactile_left"], fa.TactileImage) and isinstance(after["taxel_left"], fa.Taxels)
    moved = after.rig.frames["tactile_left"].pose
    assert not torch.allclose(moved, before.rig.frames["tactile_left"].pose, atol=1e-4), (
        "TactileShift, and the reported mounting"
    )


@pytest.mark.quick
def test_an_untouched_table_stays(tmp_path: Path) -> None:
    assert main(words("lerobot", tmp_path / "o", "pipeline=identity")) == 0
    name = "data/chunk-000/file-000.parquet"
    a, b = (pq.read_table(root / name) for root in (ARM / "lerobot", tmp_path / "o"))
    assert a.column_names == b.column_names and a.equals(b)


def test_untouched_messages_stay(tmp_path: Path) -> None:
    from mcap.reader import make_reader

    root = small_logs.short_mcap(tmp_path / "log")
    assert main(words("mcap", tmp_path / "o", "pipeline=identity", root=root)) == 0

    def messages(path: Path) -> list[tuple[str, int, bytes]]:
        with path.open("rb") as file:
            return [(c.topic, m.log_time, m.data) for _, c, m in make_reader(file).iter_messages()]

    before = messages(root / "arm.mcap")
    assert len(before) > 1000 and before == messages(tmp_path / "o" / "arm.mcap")


def test_pictures_in_the_table_are_what_other_tools_read(runs: dict[str, Path]) -> None:
    """A mirrored episode: gels, 16-bit depth and heights read with pyarrow and OpenCV alone."""
    table = pq.read_table(runs["lerobot"] / "data" / "chunk-000" / "file-000.parquet")
    after = fa.open_log("lerobot", runs["lerobot"], rig=str(ARM / "lerobot_rig.yaml"))[0]
    source = pq.read_table(ARM / "lerobot" / "data" / "chunk-000" / "file-000.parquet")
    row = 30
    gel = cv2.imdecode(np.frombuffer(table["observation.tactile_left"][row].as_py()["bytes"], np.uint8), -1)
    assert np.array_equal(gel[..., ::-1], after["tactile_left"].image(row).numpy())  # type: ignore[attr-defined]
    name = "observation.images.front.depth"
    old, new = (cv2.imdecode(np.frombuffer(t[name][row].as_py()["bytes"], np.uint8), -1) for t in (source, table))
    assert new.dtype == np.uint16 and np.array_equal(new, old[:, ::-1]), "the front camera's depth, mirrored"
    height = np.array(table["observation.tactile_right.height"][row].as_py())
    assert np.allclose(height, after["tactile_right/height"].image(row).numpy())  # type: ignore[attr-defined]
    assert height.max() > 5e-4


def test_taxels_are_numbers_of_the_message(tmp_path: Path) -> None:
    """Re-read with mcap-ros2-support: what the right pad measured is now in the stream of the left one."""
    decoder = pytest.importorskip("mcap_ros2.decoder")
    from mcap.reader import make_reader

    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "plain.yaml").write_text(
        "_target_: fusion_aug.pipeline\ntransforms: {mirror: {_target_: fusion_aug.MirrorRobot}}\n"
    )
    few = ["log.exclude=[/front/*,/wrist/*,/tactile*]", "--config-dir", str(tmp_path)]
    assert main(words("mcap", tmp_path / "o", "pipeline=plain", *few)) == 0
    with (tmp_path / "o" / "arm.mcap").open("rb") as file:
        reader = make_reader(file, decoder_factories=[decoder.DecoderFactory()])
        forces = [list(m.data) for _, _, _, m in reader.iter_decoded_messages(["/taxel_left"])]
    assert np.allclose(forces, open_arm("mcap")["taxel_right"]["force"].numpy())


@pytest.mark.slow
def test_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    """Another hash seed, workers or none."""
    what = [
        "pipeline=[robot,timewarp]",
        "pipeline.mirror=1",
        "log.exclude=[/front/*,/tactile*]",
        "log.window=0.5",
        "log.select=arm/00002",
    ]
    for number, workers in (("1", "0"), ("2", "1")):
        command = [sys.executable, "-m", "fusion_aug", *words("mcap", tmp_path / number, *what, f"workers={workers}")]
        subprocess.run(
            command,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": number, "OMP_NUM_THREADS": "1"},
            capture_output=True,
        )
    assert filecmp.cmp(tmp_path / "1/arm/00002.mcap", tmp_path / "2/arm/00002.mcap", shallow=False)


def rig_with(tmp_path: Path, **changes: object) -> Path:
    """The arm's rig file with fields of its left gel or pad changed."""
    import yaml

    rig = yaml.safe_load((ARM / "mcap_rig.yaml").read_text())
    rig["urdf"] = str(ARM / "arm.urdf")
    for sensor in ("tactile_left", "tactile_right"):
        rig["sensors"][sensor]["background"] = f"{sensor}.png"
        (tmp_path / f"{sensor}.png").write_bytes((ARM / f"{sensor}.png").read_bytes())
    for key, value in changes.items():
        name, _, field = key.partition("__")
        rig["sensors"][name][field] = value
    path = tmp_path / "rig.yaml"
    path.write_text(yaml.safe_dump(rig))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tactile_left__background": "../secret.png"}, r"tactile_left\.background: '\.\./secret.png' lies outside"),
        ({"tactile_left__background": "none.png"}, r"background: .*none.png is missing"),
        ({"tactile_left__size": [32, 64]}, r"background: shape \(64, 64, 3\)"),
        ({"tactile_left__gel": {"lights": [[1.0, 2.0]]}}, r"gel\.lights"),
        ({"tactile_left__gel": {"lights": [[0.0] * 3] * 10, "colour": 1}}, r"gel\.colour: unknown field"),
        ({"tactile_left__mm_per_pixel": 0}, "mm_per_pixel"),
        ({"taxel_left__poses": [[0, 0, 0, 1, 0, 0, 0]] * 3}, "the poses of 3"),
        ({"taxel_left__poses": [[0, 0, 0]]}, "poses"),
        ({"taxel_left__poses": [[float("nan"), 0, 0, 1, 0, 0, 0]] * 16}, "poses: .*NaN"),
        ({"tactile_left__mm_per_pixel": float("inf")}, "mm_per_pixel"),
        ({"tactile_left__size": 64}, "size: expected"),
    ],
)
def test_a_wrong_description_of_touch_is_named(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises((ConfigError, DataError, ValueError), match=message):
        fa.open_log("mcap", ARM / "mcap", rig=str(rig_with(tmp_path, **changes)))[0]


def test_a_damaged_picture_in_the_table_is_named(tmp_path: Path) -> None:
    import shutil

    shutil.copytree(ARM / "lerobot", tmp_path / "log")
    path = tmp_path / "log" / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(path)
    name = "observation.tactile_left"
    cells = table[name].to_pylist()
    cells[0]["bytes"] = cells[0]["bytes"][:40]
    import pyarrow as pa

    at = table.column_names.index(name)
    pq.write_table(table.set_column(at, table.schema.field(at), pa.array(cells, table.schema.field(at).type)), path)
    with pytest.raises(DataError, match=r"file-000.parquet: observation.tactile_left: row 0 is not a picture"):
        fa.open_log("lerobot", tmp_path / "log", rig=str(ARM / "lerobot_rig.yaml"))[0]


def test_touch_survives_our_own_format(tmp_path: Path) -> None:
    assert (
        main(
            words(
                "mcap",
                tmp_path / "o",
                *TOUCH,
                "output=folder",
                "log.exclude=[/front/*,/wrist/*]",
            )
        )
        == 0
    )
    assert main(["check", str(tmp_path / "o")]) == 0
    again = fa.open_log("folder", tmp_path / "o")[0]
    gel = again["tactile_left"]
    assert isinstance(gel, fa.TactileImage) and len(gel.gels) == len(gel) == len(gel.backgrounds)
    assert len({id(g) for g in gel.gels}) == 1, "one model for all pictures, written once"


MOVED = """_target_: fusion_aug.pipeline
transforms:
  mirror: {_target_: fusion_aug.MirrorRobot}
  press: {_target_: fusion_aug.TactileShift}
  lights: {_target_: fusion_aug.GelLights}
  ground: {_target_: fusion_aug.GelBackground, drift: 0.0}
  turn: {_target_: fusion_aug.RotateScene, yaw_deg: 20}
"""


@pytest.mark.parametrize(
    ("kind", "more"),
    [("lerobot", []), ("mcap", ["log.window=1.0", "log.select=arm/00003"])],
    ids=["lerobot", "windows of mcap"],
)
def test_copies_come_back_with_their_own_rig(kind: str, more: list[str], tmp_path: Path) -> None:
    """Gels, taxels and frames that no file of the format holds; of every copy, under any id."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "moved.yaml").write_text(MOVED)
    few = ["log.exclude=[/front/*,/wrist/*]"] if kind == "mcap" else []
    config = ["--config-dir", str(tmp_path)]
    assert main(words(kind, tmp_path / "o", "pipeline=moved", "copies=2", *few, *more, *config)) == 0
    assert main(["check", str(tmp_path / "o")]) == 0
    rig = str(ARM / f"{kind}_rig.yaml")
    window = {"window": 1.0, "select": "arm/00003"} if more else {}
    source = fa.open_log(kind, ARM / kind, rig=rig, **window)
    written, manifest = fa.open_log(kind, tmp_path / "o", rig=rig), read_manifest(tmp_path / "o")
    ids = {v: k for k, v in ids_in_manifest(tmp_path / "o").items()}
    assert len(manifest.entries) == 2 * len(source.ids) == len(written.ids) and ids
    for entry in manifest.entries:
        wanted, got = fa.replay(source.read(entry.source), entry.history), written.read(ids.get(entry.id, entry.id))
        time = int(wanted["taxel_left"].capture_times[3])
        for frame in ("hand", "tactile_left", "tactile_right", "base"):
            assert torch.allclose(wanted.rig.T("reference", frame, time), got.rig.T("reference", frame, time)), frame
        assert torch.allclose(wanted["taxel_left"].poses, got["taxel_left"].poses)
        for name in ("tactile_left", "tactile_right"):
            assert torch.equal(wanted[name].backgrounds[0], got[name].backgrounds[0])
            assert torch.allclose(wanted[name].gels[0].lights, got[name].gels[0].lights)
            assert got.rig.sensors[name].gel is got[name].gels[0]


def test_a_change_of_levels_that_is_meant_for_gels_is_refused_before_the_first_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(words("lerobot", tmp_path / "o", "pipeline=robot", "pipeline.photometric_cameras=[front,tactile*]")) == 2
    )
    assert "'tactile_left' is a tactile picture" in capsys.readouterr().err and not (tmp_path / "o").exists()
