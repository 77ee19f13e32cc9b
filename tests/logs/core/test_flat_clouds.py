"""Flat clouds: declared columns go round, and a file of another layout is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import fusion_aug as fa
from fusion_aug.logs.core.flat_clouds import decode_flat, flat_layout
from fusion_aug.logs.core.flat_evidence import other_layout
from fusion_aug.streams import Lidar, Radar

Array = np.ndarray
LIDAR = ("x", "y", "z", "intensity")
RADAR = ("x", "y", "z", "rcs", "v_r", "v_r_comp", "time")
SEEDS = range(30)


def intensities(rng: np.random.Generator, n: int) -> Array:
    """Of one kind or another: fractions, 8 or 16 bit, constant, unknown."""
    kinds: list[Callable[[], Array]] = [
        lambda: rng.uniform(0, 1, n), lambda: rng.integers(0, 256, n), lambda: rng.integers(0, 65536, n),
        lambda: np.full(n, 0.5), lambda: np.zeros(n), lambda: rng.gamma(1, 0.2, n).clip(0, 1),
    ]  # fmt: skip
    return kinds[rng.integers(len(kinds))]()


def street(rng: np.random.Generator, n: int) -> Array:
    """Points (n, 3) on the ground, on walls and far away, in the order of no scanner."""
    angle, distance = rng.uniform(-np.pi, np.pi, n), rng.gamma(2, rng.uniform(5, 60), n) + 2
    height = np.where(rng.random(n) < 0.6, -1.7 + rng.normal(0, 0.05, n), rng.uniform(-1.7, 8, n))
    return np.column_stack([distance * np.cos(angle), distance * np.sin(angle), height])


def rings(rng: np.random.Generator, n: int) -> Array:
    """Points (n, 3) in the order of firing, beams alternately low and high as in scanners of 16 to 64 beams."""
    beams = int(rng.choice([16, 32, 40, 64]))
    elevation = np.radians(np.linspace(-24, 3, beams)).reshape(2, -1).T.ravel()[np.arange(n) % beams]
    angle = np.arange(n) // beams / max(1, n // beams) * 2 * np.pi
    wall = 15 + 60 * np.abs(np.sin(2 * angle))
    distance = np.where(elevation < -0.02, np.minimum(1.8 / np.sin(np.maximum(-elevation, 1e-3)), wall), wall)
    flat = distance * np.cos(elevation)
    return np.column_stack([flat * np.cos(angle), flat * np.sin(angle), distance * np.sin(elevation)])


def cube(rng: np.random.Generator, n: int) -> Array:
    """Points (n, 3) in a box whose sides are all of one length: columns alike."""
    return rng.uniform(-1, 1, (n, 3)) * rng.uniform(1, 800)


@pytest.mark.quick
@pytest.mark.parametrize("made", [street, rings, cube])
def test_clouds_of_the_declared_layout_are_taken(made: Callable[[np.random.Generator, int], Array]) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        n = int(10 ** rng.uniform(0, 4.5))
        xyz = made(rng, n)
        for extra in ([], [rng.integers(0, 64, n)], [rng.integers(0, 64, n), np.sort(rng.uniform(0, 0.1, n))]):
            cloud = np.column_stack([xyz, intensities(rng, n), *extra]).astype("<f4")
            found = other_layout(cloud.tobytes(), cloud.shape[1], (0, 1, 2))
            assert not found, (seed, cloud.shape, found)


def radar(rng: np.random.Generator, n: int) -> Array:
    """Detections (n, 7): x y z, cross-section, raw and compensated Doppler, time."""
    xyz = np.column_stack([rng.uniform(2, 60, n), rng.uniform(-20, 20, n), rng.uniform(-2, 3, n)])
    own = np.where(rng.random(n) < 0.8, rng.normal(0, 0.1, n), rng.normal(0, 5, n))
    raw = own - 8 * xyz[:, 0] / np.linalg.norm(xyz, axis=1)
    return np.column_stack([xyz, rng.normal(-8, 10, n), raw, own, np.zeros(n)])


def test_radar_frames_of_the_declared_layout_are_taken() -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        frame = radar(rng, int(10 ** rng.uniform(0, 3.5))).astype("<f4")
        assert not other_layout(frame.tobytes(), 7, (0, 1, 2)), seed


OTHERS: dict[str, tuple[Callable[[np.random.Generator, Array], bytes], str]] = {
    "float64": (lambda rng, c: c.astype("<f8").tobytes(), "float64"),
    "float64 of float32": (lambda rng, c: c.astype("<f4").astype("<f8").tobytes(), "float64"),
    "float64 of whole numbers": (lambda rng, c: np.round(c).astype("<f8").tobytes(), "float64"),
    "big-endian": (lambda rng, c: c.astype(">f4").tobytes(), "big-endian float32"),
    "big-endian millimetres": (lambda rng, c: np.round(c, 3).astype(">f4").tobytes(), "big-endian float32"),
    "big-endian float64": (lambda rng, c: c.astype(">f8").tobytes(), "big-endian float64"),
    "float16": (lambda rng, c: c.astype("<f2").tobytes(), "not of a size"),
    "int32 millimetres": (lambda rng, c: (c * 1000).astype("<i4").tobytes(), "not of a size"),
    "int16 centimetres": (lambda rng, c: (c * 100).clip(-32000, 32000).astype("<i2").tobytes(), "not of a size"),
    "x y z": (lambda rng, c: c[:, :3].astype("<f4").tobytes(), "3 numbers"),
    "with ring": (
        lambda rng, c: np.column_stack([c, rng.integers(0, 64, len(c))]).astype("<f4").tobytes(), "5 numbers",
    ),
    "with time": (lambda rng, c: np.column_stack([c, np.zeros(len(c))]).astype("<f4").tobytes(), "5 numbers"),
    "with colours": (
        lambda rng, c: np.column_stack([c[:, :3], rng.integers(0, 256, (len(c), 3))]).astype("<f4").tobytes(),
        "6 numbers",
    ),
    "radar": (lambda rng, c: radar(rng, len(c)).astype("<f4").tobytes(), "7 numbers"),
    "8 numbers": (
        lambda rng, c: np.column_stack([c, rng.uniform(0, 1, (len(c), 4))]).astype("<f4").tobytes(), "8 numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("made", [street, rings])
def test_other_layouts_are_refused(name: str, made: Callable[[np.random.Generator, int], Array]) -> None:
    write, told = OTHERS[name]
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        n = 16 * int(10 ** rng.uniform(1.2, 3))
        raw = write(rng, np.column_stack([made(rng, n), rng.integers(1, 256, n)]))
        assert len(raw) % 16 == 0
        found = other_layout(raw, 4, (0, 1, 2))
        assert told in found, (seed, n, found)


def test_real_clouds_and_their_other_layouts(real_data: Path) -> None:
    kitti = np.fromfile(real_data / "kitti/training/velodyne/000008.bin", "<f4").reshape(-1, 4)
    (path,) = (real_data / "nuscenes/samples/LIDAR_TOP").glob("*.bin")
    for cloud in (kitti, np.fromfile(path, "<f4").reshape(-1, 5)):
        width = cloud.shape[1]
        for rows in (len(cloud), 5000, 640, 64, 1):
            part = cloud[: rows - rows % 20 or rows]
            assert not other_layout(part.tobytes(), width, (0, 1, 2))
            if rows >= 64:
                for wrong, told in ((part.astype("<f8"), "float64"), (part.astype(">f4"), "big-endian float32")):
                    assert told in other_layout(wrong.tobytes(), width, (0, 1, 2))
                assert f"{width} numbers" in other_layout(part.tobytes(), 9 - width, (0, 1, 2))


def test_a_radar_frame_of_few_returns_is_refused() -> None:
    for seed in SEEDS:
        frame = radar(np.random.default_rng(seed), 48).astype("<f4")
        assert "7 numbers" in other_layout(frame.tobytes(), 4, (0, 1, 2)), seed


def test_the_refusal_names_file_finding_and_option() -> None:
    raw = radar(np.random.default_rng(0), 400).astype("<f4").tobytes()
    with pytest.raises(fa.DataError) as error:
        decode_flat(Path("some/000012.bin"), raw, {"columns": list(LIDAR)})
    for word in ("some/000012.bin", "x y z intensity", "7 numbers per point", "log.columns"):
        assert word in str(error.value)
    with pytest.raises(fa.DataError, match=r"13 bytes are not a multiple of 16.*log\.columns"):
        decode_flat(Path("000012.bin"), b"0" * 13, {"columns": list(LIDAR)})


@pytest.mark.parametrize("rows", [0, 1, 500])
@pytest.mark.parametrize("names", [LIDAR, RADAR, ("intensity", "z", "y", "x", "ring", "time", "feature_elongation")])
def test_what_is_written_is_read(names: tuple[str, ...], rows: int) -> None:
    rng = np.random.default_rng(1)
    layout = flat_layout(names)
    table = np.column_stack([rng.integers(0, 64, rows) if n == "ring" else rng.normal(0, 9, rows) for n in names])
    raw = table.astype("<f4").tobytes()
    values = decode_flat(Path("a.bin"), raw, {"columns": list(names)})
    assert tuple(values) == layout.columns and len(values["xyz"]) == rows
    assert layout.stream is (Radar if "rcs" in names else Lidar)
    back = np.frombuffer(layout.encode(values), "<f4").reshape(-1, len(names))
    assert np.allclose(back, table, rtol=1e-6, atol=1e-6)
    for axis in "xyz":
        assert np.array_equal(values["xyz"][:, "xyz".index(axis)], table[:, names.index(axis)].astype("<f4"))


def test_doppler_is_a_velocity_along_the_ray() -> None:
    frame = radar(np.random.default_rng(2), 50)
    frame[0, :3] = 0  # at the sensor itself
    values = decode_flat(Path("a.bin"), frame.astype("<f4").tobytes(), {"columns": list(RADAR)})
    rays = frame[1:, :3] / np.linalg.norm(frame[1:, :3], axis=1, keepdims=True)
    assert np.allclose(values["velocity"][1:], rays * frame[1:, 4:5], atol=1e-5)
    back = np.frombuffer(flat_layout(RADAR).encode(values), "<f4").reshape(-1, 7)
    assert np.allclose(back, frame, atol=1e-5)
    assert values["time_offset"].dtype == torch.float32


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["x", "y", "intensity"], "z is missing"),
        (["x", "y", "z", "doppler"], "there is no column 'doppler', only x, y, z"),
        (["x", "y", "z", "z"], "given twice"),
        ("xyz", "expected a list of names"),
        ([1, 2], "expected a list of names"),
        (["x", "y", "z", "feature_"], "there is no column 'feature_'"),
    ],
)
def test_wrong_declarations_are_refused(names: list[str], told: str) -> None:
    with pytest.raises(fa.ConfigError, match=r"log\.columns") as error:
        flat_layout(names)
    assert told in str(error.value)
