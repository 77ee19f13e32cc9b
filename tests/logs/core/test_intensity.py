"""The scale of intensities: one for a log, declared, written down or found; asked for where nobody knows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_logs
import torch
from bags import T0, open_recording, recording
from intensities import BYTES, SHARES, WORDS, Array, cloud_message, tree

import fusion_aug as fa
from fusion_aug import extend as ext
from fusion_aug.cli import main
from fusion_aug.logs.core.intensity import spread


def scale_of(root: Path, **options: object) -> float | None:
    return fa.open_log("kitti", root, **options)[0].rig.sensors["velodyne"].intensity_scale  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("intensities", "scale"),
    [
        ([SHARES, SHARES], 1.0),
        ([BYTES, BYTES], 255.0),
        ([WORDS, WORDS], 65535.0),
        ([np.append(SHARES, 1.0), np.array([0.0, 1.0])], 1.0),  # a cloud of white and black says nothing
        ([np.ones(5), BYTES], 255.0),
        ([np.ones(5), np.zeros(5)], 255.0),  # whole numbers
        ([BYTES, np.zeros(0)], 255.0),  # an empty cloud says nothing
        ([np.zeros(9), WORDS], 65535.0),
        ([np.zeros(9), np.zeros(9)], None),
        ([SHARES, BYTES], None),
        ([BYTES, WORDS], None),
        ([BYTES + 0.5, BYTES], None),
        ([BYTES, np.append(BYTES, -1.0)], None),
        ([BYTES, np.append(BYTES, np.nan)], None),
        ([np.append(WORDS, 70_000.0)], None),
    ],
)
def test_what_clouds_show(tmp_path: Path, intensities: list[Array], scale: float | None) -> None:
    assert scale_of(tree(tmp_path / "log", *intensities)) == scale


def test_it_does_not_hang_on_what_is_selected(tmp_path: Path) -> None:
    root = tree(tmp_path / "log", np.array([0.0, 1.0, 1.0]), SHARES, SHARES)
    assert scale_of(root, select="000000") == scale_of(root) == 1.0


@pytest.mark.quick
def test_places_are_spread_evenly() -> None:
    assert [part for part, _ in spread(32, 320)] == list(range(5, 320, 10))
    parts = [part for part, _ in spread(32, 3)]
    assert sorted(parts.count(p) for p in range(3)) == [10, 11, 11]
    assert [place for _, place in spread(4, 1)] == [8, 24, 40, 56]


def test_a_damaged_cloud_is_refused_where_it_is_read_and_not_before(tmp_path: Path) -> None:
    root = tree(tmp_path / "log", BYTES, BYTES)
    path = root / "training/velodyne/000001.bin"
    path.write_bytes(path.read_bytes()[:-3])
    log = fa.open_log("kitti", root)
    assert log[0].rig.sensors["velodyne"].intensity_scale == 255.0  # type: ignore[union-attr]
    with pytest.raises(fa.DataError, match="000001"):
        _ = log[1]["velodyne"]["xyz"]


# --- declared --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("given", [200, {"velodyne": 200.0}, {"velo*": 200.0}, {"*": 300, "velodyne": 200}])
def test_a_declared_scale_counts(tmp_path: Path, given: object) -> None:
    assert scale_of(tree(tmp_path / "log", BYTES + 0.25), intensity_scale=given) == 200.0


def test_a_declared_scale_of_a_stream_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(fa.ConfigError, match=r"log\.intensity_scale\.radar: .* only velodyne"):
        scale_of(tree(tmp_path / "log", BYTES), intensity_scale={"velodyne": 255, "radar": 1})


@pytest.mark.parametrize("given", [0, -1, "much", float("nan"), True, {"velodyne": "255"}, [255]])
def test_a_declared_scale_that_is_none(tmp_path: Path, given: object) -> None:
    with pytest.raises(fa.ConfigError, match=r"log\.intensity_scale"):
        fa.open_log("kitti", tree(tmp_path / "log", BYTES), intensity_scale=given)


@pytest.mark.parametrize(("held", "declared"), [(BYTES, 1), (WORDS, 255), (SHARES, 255)])
def test_a_declared_scale_that_the_clouds_cannot_have(tmp_path: Path, held: Array, declared: float) -> None:
    root = tree(tmp_path / "log", held)
    with pytest.raises(fa.ConfigError, match=r"log\.intensity_scale: .*'velodyne'"):
        scale_of(root, intensity_scale=declared)
    rig = tmp_path / "rig.yaml"
    rig.write_text(f"frames: {{}}\nsensors: {{velodyne: {{kind: lidar, frame: lidar, intensity_scale: {declared}}}}}")
    with pytest.raises(fa.ConfigError, match=rf"{rig}: sensors\.velodyne\.intensity_scale"):
        scale_of(root, rig=str(rig))


def test_the_rig_file_may_say_it_and_the_option_counts_before(tmp_path: Path) -> None:
    root, rig = tree(tmp_path / "log", BYTES + 0.25), tmp_path / "rig.yaml"
    rig.write_text("frames: {}\nsensors: {velodyne: {kind: lidar, frame: lidar, intensity_scale: 1000}}")
    assert scale_of(root, rig=str(rig)) == 1000.0
    assert scale_of(root, rig=str(rig), intensity_scale=400) == 400.0
    rig.write_text("frames: {}\nsensors: {velodyne: {kind: lidar, frame: lidar, wavelength: 1550e-9}}")
    sensor = fa.open_log("kitti", tree(tmp_path / "other", BYTES), rig=str(rig))[0].rig.sensors["velodyne"]
    assert (sensor.wavelength, sensor.intensity_scale) == (1550e-9, 255.0)  # type: ignore[union-attr]


# --- asked for -------------------------------------------------------------------------------------------------------
USERS: list[fa.Transform] = [
    fa.Fog(mor=80), fa.Rain(rain_rate=20), fa.IntensityGain(gain=0.5), fa.LidarCrosstalk(share=0.1),
    fa.IncompleteEcho(share=1.0),
]  # fmt: skip


@pytest.mark.parametrize("user", USERS, ids=lambda t: type(t).__name__)
def test_what_needs_an_unknown_scale_asks_for_it(tmp_path: Path, user: fa.Transform) -> None:
    root = tree(tmp_path / "log", BYTES + 0.5)
    sample = fa.open_log("kitti", root)[0]
    with pytest.raises(
        fa.DataError, match=rf"{type(user).__name__}: .*'velodyne', from 0\.5 to .*log\.intensity_scale"
    ):
        user(sample, seed=1)
    user(fa.open_log("kitti", root, intensity_scale=255)[0], seed=1)
    assert fa.PointDropout(share=0.5)(sample, seed=1)["velodyne"].rows < 400  # type: ignore[attr-defined]
    assert fa.Weather()(sample, seed=1)["velodyne"].rows == 400  # type: ignore[attr-defined]


def test_a_sample_made_by_hand_says_the_scale_in_its_rig(tmp_path: Path) -> None:
    sample = fa.open_log("kitti", tree(tmp_path / "log", BYTES))[0]
    rig = replace(sample.rig, sensors={n: s for n, s in sample.rig.sensors.items() if n != "velodyne"})
    bare = sample.with_meta(0, rig=rig, true_rig=rig)
    with pytest.raises(fa.DataError, match="intensity_scale"):
        fa.Fog(mor=80)(bare, seed=1)
    cloud = bare["velodyne"]
    nothing = bare.with_streams({"velodyne": replace(cloud, values={"xyz": cloud["xyz"]}, offsets=cloud.bounds)})  # type: ignore[attr-defined]
    assert not torch.equal(fa.Fog(mor=20)(nothing, seed=1)["velodyne"]["xyz"], cloud["xyz"])


def test_a_run_stops_with_a_sentence_only_where_it_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["run", "log=kitti", f"log.root={tree(tmp_path / 'log', BYTES + 0.5)}"]
    assert main([*words, "pipeline=geometry", f"out={tmp_path / 'a'}"]) == 0
    assert "intensities of velodyne: their scale is not known" in capsys.readouterr().out
    assert main([*words, "pipeline=fog", f"out={tmp_path / 'b'}"]) == 2
    assert "log.intensity_scale=255" in capsys.readouterr().err and not (tmp_path / "b").exists()


# --- written down ----------------------------------------------------------------------------------------------------
def test_an_output_has_the_scale_of_its_source(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Whatever a pipeline left in it, and for every number of workers."""
    root = tree(tmp_path / "log", BYTES, BYTES, BYTES)
    heads = []
    for workers in (0, 2):
        out = tmp_path / f"out{workers}"
        words = ["run", "log=kitti", f"log.root={root}", "pipeline=fog", f"out={out}", f"workers={workers}"]
        words.append("+pipeline.transforms.weather.overcast=0")
        assert main(words) == 0 and "velodyne up to 255" in capsys.readouterr().out
        heads.append(json.loads((out / "manifest.jsonl").read_text().splitlines()[0]))
        for path in sorted((out / "training/velodyne").glob("*.bin")):
            points = np.fromfile(path, "<f4").reshape(-1, 4)
            points[:, 3] = 0.5
            points.tofile(path)
        assert scale_of(out) == 255.0
    assert heads[0] == heads[1] and heads[0]["intensity_scale"] == {"velodyne": 255.0}
    manifest = tmp_path / "out0/manifest.jsonl"
    manifest.write_text(json.dumps({**heads[0], "intensity_scale": {"velodyne": -3}}))
    with pytest.raises(fa.DataError, match=r"manifest\.jsonl: intensity_scale"):
        scale_of(tmp_path / "out0")
    manifest.write_text('{"audio_filepath": "a.wav"}\n')  # another tool's
    assert scale_of(tmp_path / "out0") == 1.0


def test_the_folder_format_holds_it_with_the_rig(tmp_path: Path) -> None:
    """Also without a manifest, and where the clouds alone would say something else."""
    root, out = tree(tmp_path / "log", BYTES), tmp_path / "out"
    words = ["run", "log=kitti", f"log.root={root}", "output=folder", "pipeline=identity", f"out={out}"]
    assert main([*words, "log.intensity_scale=1000"]) == 0
    (out / "manifest.jsonl").unlink()
    log = fa.open_log("folder", out)
    assert log.intensity_scales == {"velodyne": 1000.0}
    assert log[0].rig.sensors["velodyne"].intensity_scale == 1000.0  # type: ignore[union-attr]


# --- formats ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "kind", "scale"), [(BYTES, "u1", 255.0), (WORDS, "<u2", 65535.0), (SHARES, "<f4", 1.0)]
)
def test_clouds_of_recordings(tmp_path: Path, values: Array, kind: str, scale: float) -> None:
    """A dark cloud at one time does not hide what the others show, nor does the window that is read."""
    times = [T0 + k * 100_000_000 for k in range(12)]
    clouds = [cloud_message(t, values * (t > T0), kind) for t in times]
    extra = [("/lidar/points", "sensor_msgs/msg/PointCloud2", c, t) for c, t in zip(clouds, times, strict=True)]
    folder = recording(tmp_path / "bag" / "bag.mcap", extra)
    for options in ({}, {"window": 0.2}):
        log = open_recording(folder, **options)
        assert log.intensity_scales == {"lidar/points": scale}
        sensor = log[0].rig.sensors["lidar/points"]
        assert sensor.kind == "lidar" and sensor.intensity_scale == scale and sensor.frame == "hand"


MAKERS: dict[str, Callable[[Path, Path], Path]] = {
    "nuscenes": lambda root, street: street,
    "argoverse2": lambda root, street: small_logs.argoverse2(root),
    "mmdet3d": small_logs.mmdet3d,
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_format_finds_it(tmp_path: Path, street: Path, name: str) -> None:
    sample = fa.open_log(name, MAKERS[name](tmp_path / "log", street))[0]
    for cloud in sample.of_type(fa.Lidar):
        assert sample.rig.sensors[cloud].intensity_scale == 255.0  # type: ignore[union-attr]


def test_a_format_of_ones_own_finds_it_too(tmp_path: Path, own_names: None) -> None:
    class Bare(ext.Log):
        all_ids = ("a", "b")

        def read(self, sample_id: str) -> fa.Sample:
            sample = fa.open_log("kitti", tmp_path / "log")[0]
            return sample.with_meta(0, id=sample_id, rig=replace(sample.rig, sensors={}))

    tree(tmp_path / "log", BYTES)
    format = ext.register_format(ext.Format("bare", Bare, ext.Writer))
    sensor = format.open(tmp_path / "log")[1].rig.sensors["velodyne"]
    assert sensor.intensity_scale == 255.0
    assert torch.is_tensor(format.open(tmp_path / "log")[1]["velodyne"]["intensity"])
