"""Kernels of all pictures of a batch at once: the CPU's values, whatever the batch, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from generic import assert_same_streams
from samples import make_sample

import fusion_aug as fa
from calib import CameraSensor, Pinhole, Rig
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.testing import mock_device

NAMES = ("CAM_FRONT", "CAM_LEFT", "CAM_RIGHT", "CAM_FRONT/depth", "CAM_LEFT/mask", "CAM_RIGHT/flat", "lidar", "imu")
CHANGES = {  # by name, with draws of their own for every camera
    "GaussianBlur": {"sigma": [0.3, 2.5]}, "DefocusBlur": {"radius": [0.0, 3.5]}, "MotionBlur": {"length": [0.0, 9.0]},
    "Sharpness": {"amount": [0.2, 1.0], "sigma": [0.5, 2.0]},
    "ChromaticAberration": {"red": [-0.02, 0.02], "blue": [0.0, 0.01]},
    "GaussianNoise": {"sigma": [0.0, 0.1]}, "Exposure": {"stops": [-1.0, 1.0]}, "Vignetting": {"loss": [0.0, 0.9]},
    "Shadow": {"darkness": [0.4, 0.9], "distance": [2.0, 12.0]},
    "AutoContrast": {"cut": [0.0, 0.05]}, "Equalize": {"strength": [0.2, 1.0]},
    "Clahe": {"limit": [1.0, 4.0], "tiles": 5},
    "Banding": {"depth": [0.2, 0.6], "each": 0.8}, "BlackCamera": {"each": 0.8}, "Overexposure": {"each": 0.8},
    "DeadPixels": {"dead": [0, 50000], "stuck": [0, 20000], "each": 0.8},
    "LensDirt": {"spots": [3, 8], "size_deg": [4.0, 9.0], "mark_hidden": True, "each": 0.8},
    "LensScratches": {"each": 0.8},
}  # fmt: skip
CARRY = (  # a gradient, on the CPU
    "GaussianBlur", "Sharpness", "ChromaticAberration", "Exposure", "Vignetting", "Shadow", "AutoContrast",
    "DeadPixels", "LensDirt",
)  # fmt: skip
ALONE = {"Vignetting": {"loss": 0.0}, "AutoContrast": {}, "Exposure": {"stops": 1.0}}


def street(count: int, *, names: tuple[str, ...] = NAMES, whole: bool = True) -> fa.Sample:
    """A batch of a vehicle whose cameras have no distortion, of uint8 or of float pictures."""
    samples = []
    for k in range(count):
        sample = make_sample(f"s{k}", seed=k, gels=False)
        rig = sample.metas[0].rig
        sensors = {n: _undistorted(s) if isinstance(s, CameraSensor) else s for n, s in rig.sensors.items()}
        rig = Rig(rig.frames, sensors)
        streams = {n: sample.streams[n] for n in names}
        if not whole:
            cameras = {n: s for n, s in streams.items() if isinstance(s, fa.Camera)}
            streams = {n: replace(s, items=(0.1 + s.image(0).float() / 320,)) for n, s in cameras.items()}
        samples.append(sample.with_streams(streams).with_meta(0, rig=rig, true_rig=rig))
    return fa.collate(samples)


def _undistorted(sensor: CameraSensor) -> CameraSensor:
    K, size = sensor.model.K, sensor.model.size
    return replace(sensor, model=Pinhole(K=K, size=size, distortion=torch.zeros(0, dtype=torch.float64)))


@pytest.fixture(scope="module")
def three() -> fa.Sample:
    return street(3).realized()


def cost(sample: fa.Sample, pipeline: fa.Transform, seed: int = 3) -> tuple[int, int, list[bool]]:
    """Launches, ways back to the host, and of every copy in whether it came from pinned memory."""
    with mock_device() as log:
        there = sample.to(log.device)
        log.clear()
        pipeline(there, seed=seed)
        return len(log.launches), len(log.syncs), [c.pinned for c in log.copies_in]


def compare(sample: fa.Sample, pipeline: fa.Transform, seed: int = 3) -> fa.Sample:
    """What a pipeline makes of a batch on the CPU, and that it makes the same of it on a device."""
    with mock_device() as log:
        there = sample.to(log.device)
        log.clear()
        out = pipeline(there, seed=seed)
        assert not log.syncs and all(c.pinned for c in log.copies_in)
        home = out.to("cpu")
    here = pipeline(sample, seed=seed).realized()
    assert_same_streams(here, home, exact=False)
    assert all(torch.equal(here[n].present, home[n].present) for n in here.streams)
    return here


@pytest.mark.parametrize("name", CHANGES)
def test_draws_of_every_camera_give_the_values_of_the_cpu(name: str, three: fa.Sample) -> None:
    gate = 1.0 if "each" in CHANGES[name] else 0.8  # faults are drawn once for a scene, which all samples share
    change = getattr(fa, name)(scope="sensor", p=gate, **CHANGES[name])
    here = compare(three, change, seed=5)
    assert any(not torch.equal(p, q) for n in NAMES[:3] for p, q in zip(here[n].items, three[n].items, strict=True))


def test_operators_do_not_grow_with_the_batch() -> None:
    steps = [getattr(fa, n)(scope="sensor", **(given | {"each": 1.0} if "each" in given else given))
             for n, given in CHANGES.items()]  # fmt: skip
    costs = [cost(street(count), fa.Compose(steps)) for count in (1, 3)]
    assert costs[0] == costs[1] and costs[0][1:] == (0, [True])


@pytest.mark.quick
@pytest.mark.parametrize("name", ALONE)
def test_pictures_that_are_left_alone_keep_their_values(name: str) -> None:
    sample = street(2, whole=False)
    change = getattr(fa, name)(p=0.5, cameras=["CAM_FRONT", "CAM_LEFT"], **ALONE[name])
    ran_on = {s: [m.history[-1].applied for m in change(sample, seed=s).metas] for s in range(9)}
    seed, ran = next((s, ran) for s, ran in ran_on.items() if ran[0] != ran[1])
    with mock_device() as log:
        out = change(sample.to(log.device), seed=seed).to("cpu")
    for item, on in enumerate(ran):
        assert on or torch.equal(out["CAM_FRONT"].image(item), sample["CAM_FRONT"].image(item))
        assert torch.equal(out["CAM_RIGHT"].image(item), sample["CAM_RIGHT"].image(item))


@pytest.mark.quick
@pytest.mark.parametrize("mode", ["mask", "remove"])
def test_dropped_sensors_stay_absent(mode: str, three: fa.Sample) -> None:
    drop = fa.ModalityDropout(share=0.5, mode=mode, p=0.7)
    pipeline = fa.Compose([drop, fa.Exposure(stops=1.0), fa.SensorBias(gyro_noise=0.01), fa.RotateScene(yaw_deg=20.0)])
    here = compare(three, pipeline, seed=2)
    lost = [n for n in NAMES[:3] if n not in here.streams or not bool(here[n].present.all())]
    assert lost or mode == "remove"


@pytest.mark.parametrize("name", CARRY)
def test_float_pictures_carry_the_gradient_of_the_cpu(name: str) -> None:
    sample, change = street(2, whole=False), getattr(fa, name)(**{**CHANGES[name], "each": 1.0} if "each" in
                                                               CHANGES[name] else CHANGES[name])  # fmt: skip
    found = []
    with mock_device() as log:
        for device in ("cpu", log.device):
            own = sample["CAM_FRONT"]
            levels = [p.clone().requires_grad_() for p in own.items]
            given = sample.with_streams({"CAM_FRONT": replace(own, items=tuple(levels))})
            out = change(given if device == "cpu" else given.to(device), seed=1)["CAM_FRONT"]
            sum(out.image(i).square().sum() for i in range(2)).backward()
            found.append([p.grad for p in levels])
    assert all(float(a.abs().max()) > 0 for a in found[0])
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(*found, strict=True))


@pytest.mark.quick
def test_a_frozen_camera_shows_older_pictures_of_its_clip() -> None:
    samples = []
    for sample in (street(1).take([0]), street(2).take([1])):
        own = sample["CAM_FRONT"]
        times = own.capture_times + torch.tensor([0, 300_000_000, 600_000_000])
        items = tuple(own.image(0) // k for k in (1, 2, 3))
        clip = fa.Camera(frame=own.frame, capture_times=times, items=items)
        samples.append(sample.with_streams({"CAM_FRONT": clip, "CAM_LEFT": sample["CAM_LEFT"]}))
    batch, fault = fa.collate(samples), fa.FrozenCamera(age=[0.2, 0.5], cameras=["CAM_FRONT"])
    here = compare(batch, fault)
    assert torch.equal(here["CAM_FRONT"].image(1), batch["CAM_FRONT"].image(0))
    with (
        mock_device() as log,
        pytest.raises(ConfigError, match=r"no rule for FrozenCamera of 'CAM_LEFT' \(of one pict"),
    ):
        fa.FrozenCamera()(batch.to(log.device), seed=1)


def test_gels_get_the_lights_background_and_noise_of_the_cpu() -> None:
    samples = [make_sample(f"s{k}", seed=k) for k in range(2)]
    names = ("GEL_LEFT", "GEL_RIGHT")
    batch = fa.collate([s.with_streams({n: s.streams[n] for n in names}) for s in samples])
    steps = [fa.GelLights(gain=[0.8, 1.2], p=0.6), fa.GelBackground(p=0.6), fa.TactileNoise(sigma=[1.0, 3.0], p=0.6)]
    here = compare(batch, fa.Compose(steps))
    assert any(m.history for m in here.metas)
    costs = [cost(one, fa.Compose([replace(s, p=1.0) for s in steps])) for one in (batch.take([0]), batch)]
    assert costs[0] == costs[1] and costs[0][1:] == (0, [True])


@pytest.mark.quick
def test_what_carries_no_gradient_says_so() -> None:
    sample = street(1, whole=False)
    own = sample["CAM_FRONT"]
    given = sample.with_streams({"CAM_FRONT": replace(own, items=(own.items[0].clone().requires_grad_(),))})
    with mock_device() as log:
        with pytest.raises(DataError, match="Equalize: cannot carry a gradient through pictures"):
            fa.Equalize()(given.to(log.device), seed=1)
        asked = {"factor": torch.tensor(0.5, requires_grad=True)}
        with pytest.raises(DataError, match="Brightness: a gradient is asked of factor, which nothing on a device"):
            fa.Brightness.apply_params(sample.to(log.device), asked)


def test_the_camera_s_own_motion_blurs_by_depth_and_twist() -> None:
    blur, given = fa.EgoMotionBlur(exposure=[0.05, 0.2]), ("CAM_FRONT", "CAM_FRONT/depth", "ego")
    one, two = (street(n, names=given) for n in (1, 2))
    moves = [fa.RotateScene(yaw_deg=30.0), fa.MirrorScene(axis="y"), fa.ResizeCrop(size=(40, 50), scale=0.8)]
    here = compare(two, fa.Compose([*moves, blur]))
    assert not torch.equal(here["CAM_FRONT"].image(0), fa.Compose(moves)(two, seed=3)["CAM_FRONT"].image(0))
    costs = [cost(batch, blur) for batch in (one, two)]
    assert costs[0] == costs[1] and costs[0][1:] == (0, [True])
    with mock_device() as log, pytest.raises(ConfigError, match="EgoMotionBlur without depth of 'CAM_FRONT'"):
        blur(street(1, names=("CAM_FRONT", "ego")).to(log.device), seed=1)


@pytest.mark.quick
def test_turned_cameras_see_what_the_cpu_renders(three: fa.Sample) -> None:
    turn = fa.Viewpoint(sensors=("CAM_*", "lidar"), x_deg=[-2, 2], y_deg=[-4, 4], z_deg=[-20, 20], p=0.7)
    pipeline = fa.Compose(
        [fa.MirrorScene(axis="y"), fa.ResizeCrop(size=(40, 50), scale=0.8), turn, fa.Brightness(factor=0.8)]
    )
    out = compare(three, pipeline, seed=4)
    assert {"CAM_FRONT/valid", "CAM_RIGHT/valid"} <= set(out.streams)
    again = fa.Compose([turn, fa.Viewpoint(y_deg=3.0, name="again")])
    assert cost(street(1), again, seed=4)[1:] == (0, [True])


def test_errors_of_mountings_turn_cameras_and_scanners(three: fa.Sample) -> None:
    turn = fa.ViewpointNoise(joint_deg=0.0, hand_eye_deg=[-2, 2], sensors=("CAM_FRONT", "lidar"), p=0.7)
    out = compare(three, turn, seed=4)
    assert "CAM_FRONT/valid" in out.streams


@pytest.mark.quick
def test_moves_that_need_the_host_are_refused_by_name() -> None:
    moves = [
        (fa.Viewpoint(x=[0.0, 0.1]), r"no rule for Viewpoint with a shift .*set x to 0"),
        (fa.Viewpoint(sensors=("imu",), x_deg=1), r"no rule for Viewpoint of 'imu' .*name other sensors in sensors"),
        (fa.ViewpointNoise(), r"no rule for ViewpointNoise with joint_deg .*set joint_deg to 0"),
    ]
    bent = make_sample("s0", gels=False)
    bent = fa.collate([bent.with_streams({"CAM_LEFT": bent.streams["CAM_LEFT"]})])
    with mock_device() as log:
        for move, message in moves:
            with pytest.raises(ConfigError, match=message):
                move(street(1).to(log.device), seed=0)
        with pytest.raises(ConfigError, match=r"no rule for Viewpoint of 'CAM_LEFT' \(its lens bends rays"):
            fa.Viewpoint(y_deg=2.0)(bent.to(log.device), seed=0)
