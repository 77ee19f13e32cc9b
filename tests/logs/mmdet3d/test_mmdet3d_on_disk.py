"""What the mmdet3d writer puts on disk, read with pickle and NumPy alone; and what a hostile pickle can do: nothing."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from infos import write_infos
from written import drawn_motion, is_mirrored, manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.safe.pickles import load_plain

NAMES = {True: "nuscenes_infos_train", False: "old_infos_val"}


@pytest.fixture(scope="module", params=[True, False], ids=["v2", "old"])
def infos(request: pytest.FixtureRequest, street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the street's files and an info file of one layout."""
    root = tmp_path_factory.mktemp("infos") / "data"
    shutil.copytree(street, root, ignore=shutil.ignore_patterns("fusion_aug"))
    write_infos(root, request.param, NAMES[request.param])
    shutil.rmtree(root / "v1.0-mini")
    return root


def rows_of(root: Path) -> list[dict]:
    path = next(root.glob("*infos*.pkl"))
    data = pickle.loads(path.read_bytes())
    return data.get("data_list", data.get("infos"))


def lidar2img(row: dict, camera: str) -> np.ndarray:
    """As mmdetection3d (v2) and BEVDet (old) form it."""
    full = np.eye(4)
    if "images" in row:
        image = row["images"][camera]
        full[:3, :3] = np.array(image["cam2img"])[:3, :3]
        return full @ np.array(image["lidar2cam"])
    cam = row["cams"][camera]
    full[:3, :3] = cam["cam_intrinsic"]
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = cam["sensor2lidar_rotation"], cam["sensor2lidar_translation"]
    return full @ np.linalg.inv(T)


def cameras_of(row: dict) -> list[str]:
    return list(row.get("images", row.get("cams")))


def boxes_of(row: dict) -> np.ndarray:
    return np.array([i["bbox_3d"] for i in row["instances"]]) if "instances" in row else row["gt_boxes"]


def cloud_of(root: Path, row: dict) -> np.ndarray:
    named = row["lidar_points"]["lidar_path"] if "lidar_points" in row else row["lidar_path"]
    path = next(root.glob(f"**/{Path(named).name}"))
    return np.fromfile(path, np.float32).reshape(-1, 5)


def project(P: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    uvw = np.c_[xyz, np.ones(len(xyz))] @ P.T
    return np.where(uvw[:, 2:3] > 0.5, uvw[:, :2] / np.maximum(uvw[:, 2:3], 1e-9), np.nan)


@pytest.mark.parametrize("seed", [1, 2])
def test_points_boxes_and_projections(infos: Path, tmp_path: Path, seed: int) -> None:
    """Points and boxes move by the drawn motion; where a point is seen does not change but by the mirror."""
    words = ["log=mmdet3d", f"log.root={infos}", "pipeline=geometry", "pipeline.zoom=1.0", f"seed={seed}"]
    out = run(tmp_path / "out", *words)
    before, after = rows_of(infos), rows_of(out)
    assert len(before) == len(after) == 5
    for line, was, now in zip(manifest(out), before, after, strict=True):
        H, mirrored = drawn_motion(line), is_mirrored(line)
        old, new = cloud_of(infos, was), cloud_of(out, now)
        # drawn in the vehicle's axes, which are rotated by 90 degrees from the LiDAR's
        turn = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        in_lidar = np.linalg.inv(turn) @ H @ turn
        expected = old[:, :3].astype(float) @ in_lidar[:3, :3].T + in_lidar[:3, 3]
        assert np.abs(new[:, :3] - expected).max() < 1e-4
        centres = boxes_of(was)[:, :3] @ in_lidar[:3, :3].T + in_lidar[:3, 3]
        assert np.abs(boxes_of(now)[:, :3] - centres).max() < 1e-6
        heading = in_lidar[:2, :2] @ np.stack([np.cos(boxes_of(was)[:, 6]), np.sin(boxes_of(was)[:, 6])])
        written = np.stack([np.cos(boxes_of(now)[:, 6]), np.sin(boxes_of(now)[:, 6])])
        assert np.abs(heading / np.linalg.norm(heading, axis=0) - written).max() < 1e-6
        for camera in cameras_of(was):
            other = camera
            if mirrored and ("LEFT" in camera or "RIGHT" in camera):
                other = camera.replace("LEFT", "@").replace("RIGHT", "LEFT").replace("@", "RIGHT")
            a, b = project(lidar2img(was, camera), old[:, :3]), project(lidar2img(now, other), new[:, :3])
            a[:, 0] = 319 - a[:, 0] if mirrored else a[:, 0]
            seen = np.isfinite(a).all(1) & (a > 0).all(1) & (a[:, 0] < 319) & (a[:, 1] < 179)
            assert seen.sum() > 50 and np.abs(a - b)[seen].max() < 5e-3, "what float32 points allow"


def test_the_written_log_passes_check_and_reads_back_exactly(infos: Path, tmp_path: Path) -> None:
    out = run(tmp_path / "out", "log=mmdet3d", f"log.root={infos}", "pipeline=driving", "seed=3", "copies=2")
    assert main(["check", str(out)]) == 0
    log = fa.open_log("mmdet3d", out)
    assert len(log) == 10 and len({*log.ids}) == 10
    sample = log[0]
    row = rows_of(out)[0]
    for camera in cameras_of(row):
        xyz = sample["lidar"]["xyz"][sample["lidar"].item_slice(sample.key_item("lidar"))]
        pixels, seen = sample.project("lidar", camera)
        by_matrix = project(lidar2img(row, camera), xyz.numpy().astype(float))
        assert bool(seen.any()) and np.abs(by_matrix - pixels.numpy())[seen.numpy()].max() < 1e-6, camera


def test_sweeps_stay_on_the_walls(infos: Path, tmp_path: Path) -> None:
    """Sweep and keyframe, joined by the info's poses, agree on the positions of objects."""
    from scipy.spatial import cKDTree

    out = run(tmp_path / "out", "log=mmdet3d", f"log.root={infos}", "pipeline=geometry", "seed=4")
    gaps = []
    for root in (infos, out):
        row = rows_of(root)[2]
        sweep = (row.get("lidar_sweeps") or row.get("sweeps"))[0]
        if "lidar_points" in sweep:
            T, name = np.linalg.inv(sweep["lidar_points"]["lidar2sensor"]), sweep["lidar_points"]["lidar_path"]
        else:
            T, name = np.eye(4), sweep["data_path"]
            T[:3, :3], T[:3, 3] = sweep["sensor2lidar_rotation"], sweep["sensor2lidar_translation"]
        path = root / name if (root / name).is_file() else next(root.glob(f"**/{Path(name).name}"))
        points = np.fromfile(path, np.float32).reshape(-1, 5)[:, :3].astype(float) @ T[:3, :3].T + T[:3, 3]
        gaps.append(np.median(cKDTree(cloud_of(root, row)[:, :3]).query(points)[0]))
    assert gaps[1] == pytest.approx(gaps[0], rel=0.15)


def test_a_hostile_pickle_is_inert(infos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flag = tmp_path / "it ran"

    class Trap:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (exec, (f"open({str(flag)!r}, 'w').close()",))

    root = tmp_path / "hostile"
    root.mkdir()
    for content in ({"infos": [], "metadata": Trap()}, {"data_list": [{"token": Trap()}]}):
        (root / "x_infos.pkl").write_bytes(pickle.dumps(content))
        assert main(["run", "log=mmdet3d", f"log.root={root}", "pipeline=identity", f"out={tmp_path / 'o'}"]) == 2
        assert "is refused" in capsys.readouterr().err and not flag.exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"cos\nsystem\n(S'touch /tmp/owned'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nndarray\n(I1000000000000\ntR.",
        b"cbuiltins\nbytearray\n(I1000000000000\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I100000000000\ntS'b'\ntR.",
        b"Pname\n.",
        b"",
        b"\x80\x04garbage",
    ],
)
def test_nothing_but_plain_data_is_made(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(raw)
    with pytest.raises(fa.DataError, match=r"x\.pkl"):
        load_plain(path)


def test_plain_data_comes_back(tmp_path: Path) -> None:
    data = {"a": np.arange(6.0).reshape(2, 3), "b": [np.float32(1.5), "x", None, (1, 2)], "c": np.array(["car", "bus"])}
    path = tmp_path / "x.pkl"
    for protocol in range(6):
        path.write_bytes(pickle.dumps(data, protocol=protocol))
        found = load_plain(path)
        assert np.array_equal(found["a"], data["a"]) and found["b"][1:] == data["b"][1:]  # type: ignore[call-overload]
        assert found["b"][0] == np.float32(1.5) and found["c"].tolist() == ["car", "bus"]


def test_kitti_infos_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "kitti_infos.pkl").write_bytes(pickle.dumps({"metainfo": {"dataset": "kitti"}, "data_list": []}))
    with pytest.raises(fa.DataError, match="log=kitti"):
        fa.open_log("mmdet3d", tmp_path).ids  # noqa: B018


def one_info(tmp_path: Path, street: Path, v2: bool, change) -> Path:  # type: ignore[no-untyped-def]
    """A folder with one sample, its info changed by a function."""
    root = tmp_path / "changed"
    shutil.copytree(street, root, ignore=shutil.ignore_patterns("fusion_aug"))
    path = write_infos(root, v2, "x_infos")
    shutil.rmtree(root / "v1.0-mini")
    data = pickle.loads(path.read_bytes())
    key = "data_list" if v2 else "infos"
    data[key] = data[key][1:2]
    change(data[key][0])
    path.write_bytes(pickle.dumps(data, protocol=2))
    return root


def test_boxes_of_before_1_0_are_read_and_written_as_they_were(street: Path, tmp_path: Path) -> None:
    """Width before length, and -yaw - pi/2, as BEVFusion's converter writes them."""

    def older(row: dict) -> None:
        boxes = row["gt_boxes"]
        row["gt_boxes"] = np.c_[boxes[:, :3], boxes[:, [4, 3, 5]], -boxes[:, 6] - np.pi / 2]
        for cam in row["cams"].values():
            cam["camera_intrinsics"] = cam.pop("cam_intrinsic")

    root = one_info(tmp_path, street, False, older)
    plain = one_info(tmp_path / "b", street, False, lambda row: None)
    a, b = (fa.open_log("mmdet3d", r)[0] for r in (root, plain))
    assert np.allclose(a.boxes()["pose"], b.boxes()["pose"], atol=1e-9)
    assert np.allclose(a.boxes()["size"], b.boxes()["size"])
    out = run(tmp_path / "out", "log=mmdet3d", f"log.root={root}", "pipeline=identity")
    assert np.allclose(rows_of(out)[0]["gt_boxes"], rows_of(root)[0]["gt_boxes"], atol=1e-9)
    assert "camera_intrinsics" in rows_of(out)[0]["cams"]["CAM_FRONT"]


@pytest.mark.parametrize("v2", [True, False])
def test_paths_keep_their_spelling_and_derived_fields_are_dropped(street: Path, tmp_path: Path, v2: bool) -> None:
    def more(row: dict) -> None:
        row["ann_infos"] = ([1], [2])
        row["cam_instances"] = {}

    root = one_info(tmp_path, street, v2, more)
    out = run(tmp_path / "out", "log=mmdet3d", f"log.root={root}", "pipeline=geometry", "seed=2")
    before, after = rows_of(root)[0], rows_of(out)[0]
    assert "ann_infos" not in after and "cam_instances" not in after
    if v2:  # bare names, which mmdetection3d joins with its data_prefix
        assert "/" not in after["lidar_points"]["lidar_path"] and "/" not in after["images"]["CAM_FRONT"]["img_path"]
        assert (out / "samples/LIDAR_TOP" / after["lidar_points"]["lidar_path"]).is_file()
    else:
        assert after["lidar_path"] == before["lidar_path"]
        assert after["cams"]["CAM_FRONT"]["data_path"].startswith("./data/nuscenes/samples/CAM_FRONT/")
        assert all(after[k].tolist() == before[k].tolist() for k in ("num_lidar_pts", "valid_flag")), "none left a box"


def test_two_files_with_the_same_sample_are_refused(street: Path, tmp_path: Path) -> None:
    root = tmp_path / "two"
    shutil.copytree(street, root, ignore=shutil.ignore_patterns("fusion_aug"))
    write_infos(root, True, "a_infos_train")
    write_infos(root, False, "b_infos_trainval")
    with pytest.raises(fa.DataError, match=r"log\.select="):
        fa.open_log("mmdet3d", root).ids  # noqa: B018
    assert len(fa.open_log("mmdet3d", root, select="a_infos_train")) == 5


DAMAGE = {
    "timestamp": lambda row: row.update(timestamp=float("inf")),
    "a huge width": lambda row: row["lidar_points"].update(num_pts_feats=10**12),
    "a width of one": lambda row: row["lidar_points"].update(num_pts_feats=1),
    "a small matrix": lambda row: row["images"]["CAM_FRONT"].update(cam2img=[[1.0]]),
    "no focal length": lambda row: row["images"]["CAM_FRONT"].update(cam2img=np.zeros((3, 3)).tolist()),
    "a NaN box": lambda row: row["instances"][0].update(bbox_3d=[float("nan")] * 7),
    "a path out of the log": lambda row: row["lidar_points"].update(lidar_path="../../../etc/passwd"),
    "no path": lambda row: row["lidar_points"].pop("lidar_path"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_infos_give_one_sentence(
    street: Path, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = one_info(tmp_path, street, True, DAMAGE[what])
    assert main(["run", "log=mmdet3d", f"log.root={root}", "pipeline=geometry", f"out={tmp_path / 'o'}"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("fusion-aug: ") and "\n" not in error and "x_infos.pkl" in error, error


def test_a_sweep_with_the_keyframes_own_stamp(street: Path, tmp_path: Path) -> None:
    def same(row: dict) -> None:
        row["lidar_sweeps"][0]["timestamp"] = row["timestamp"]

    root = one_info(tmp_path, street, True, same)
    out = run(tmp_path / "out", "log=mmdet3d", f"log.root={root}", "pipeline=geometry")
    assert main(["check", str(out)]) == 0


def test_an_empty_array_in_protocol_2(tmp_path: Path) -> None:
    """How OpenMMLab's tools write a sample without boxes."""
    path = tmp_path / "x.pkl"
    for protocol in range(6):
        path.write_bytes(pickle.dumps({"gt_boxes": np.zeros((0, 7)), "seen": {1, 2}}, protocol=protocol))
        assert load_plain(path)["gt_boxes"].shape == (0, 7)


def test_a_pickle_cannot_change_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x04c_codecs\nencode\nN}\x8c\x0c__defaults__\x8c\x04utf8\x85s\x86b.")
    with pytest.raises(fa.DataError):
        load_plain(path)
