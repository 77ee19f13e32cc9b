"""Touch: gels, taxels, and forces that reach them."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from arm import GEL, bump
from samples import make_batch, make_sample

import fusion_aug as fa
from calib.se3 import rotation_angle
from fusion_aug.physics.gel import render_tactile
from fusion_aug.physics.gel_inverse import height_seen


def heights(sample: fa.Sample, name: str, item: int) -> np.ndarray:
    """The press that a picture shows, mm."""
    gel = sample[name]
    found = height_seen(gel.image(item), gel.gels[item], gel.backgrounds[item], float(gel.mm_per_pixel[item]))
    return found.numpy()


def middle(press: np.ndarray) -> np.ndarray:
    """Where a press is deepest, by its centre of gravity, pixels."""
    weight = np.clip(press - 0.3 * press.max(), 0, None)
    v, u = np.mgrid[: press.shape[0], : press.shape[1]]
    return np.array([(u * weight).sum(), (v * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("change", [fa.Brightness(factor=1.2), fa.Hue(angle_deg=10), fa.GaussianNoise(sigma=0.02)])
def test_camera_jitter_is_refused_on_gels(change: fa.Transform) -> None:
    sample = make_sample()
    with pytest.raises(fa.UnhandledStream, match=r"tactile picture.*GelLights"):
        change(sample)
    out = replace(change, cameras=["CAM_*", "WRIST"])(sample)  # type: ignore[call-arg]
    assert out["GEL_LEFT"] is sample["GEL_LEFT"] and out["WRIST"] is not sample["WRIST"]


def test_levels_of_all_but_gels() -> None:
    sample = make_sample()
    out = fa.Brightness(factor=1.2, cameras=None)(sample)
    assert out["GEL_LEFT"] is sample["GEL_LEFT"] and out["CAM_LEFT"] is not sample["CAM_LEFT"]


def test_a_mirrored_press_is_rendered_under_the_lights_of_its_new_sensor() -> None:
    sample = make_sample()
    out = fa.MirrorRobot()(sample)
    for old, new in (("GEL_LEFT", "GEL_RIGHT"), ("GEL_RIGHT", "GEL_LEFT")):
        assert out[new].gels[0] is sample[new].gels[0]
        for item in range(2):
            before, after = middle(heights(sample, old, item)), middle(heights(out, new, item))
            assert np.abs(after - [GEL[1] - 1 - before[0], before[1]]).max() < 0.5
            press = bump(*((0.3, 0.6), (0.5, 0.35))[item] if old == "GEL_LEFT" else ((0.5, 0.6), (0.5, 0.35))[item])
            wanted = render_tactile(
                press.flip(1) * 1000, sample[new].gels[0], sample[new].backgrounds[0], 0.5, relax=False
            )
            off = (out[new].image(item).float() - wanted.float()).abs()
            assert float(off.mean()) < 2.0, float(off.mean())
    back = fa.MirrorRobot()(out)
    for name in ("GEL_LEFT", "GEL_RIGHT"):
        off = (back[name].image(0).int() - sample[name].image(0).int()).abs()
        assert float(off.float().mean()) < 1.5


def test_a_shift_moves_press_and_sensor_and_leaves_the_world() -> None:
    """What touches the gel stays where it is in the hand; the sensor moves under it."""
    sample = make_sample()
    change = fa.TactileShift(x=0.0011, y=-0.0007, angle_deg=8.0)
    out = change(sample)
    for name in ("GEL_LEFT", "GEL_RIGHT"):
        before, after = middle(heights(sample, name, 0)), middle(heights(out, name, 0))
        assert np.abs(before - after).max() > 1
        places = []
        for s, pixel in ((sample, before), (out, after)):
            x, y = (pixel - [(GEL[1] - 1) / 2, (GEL[0] - 1) / 2]) * 0.5e-3
            frame = s.rig.frames[name].pose
            places.append(frame @ torch.tensor([x, y, 0.0, 1.0], dtype=torch.float64))
        assert float((places[0] - places[1]).norm()) < 2e-4, "0.4 pixels"
    turn = torch.linalg.inv(sample.rig.frames["GEL_LEFT"].pose) @ out.rig.frames["GEL_LEFT"].pose
    assert float(torch.rad2deg(rotation_angle(turn[:3, :3]))) == pytest.approx(8.0)
    moved = middle(out["GEL_LEFT/height"].image(0).numpy())
    assert np.abs(moved - middle(heights(out, "GEL_LEFT", 0))).max() < 0.5


def test_lights_keep_the_heights_that_the_gel_shows() -> None:
    """Picture and model change together, so the press that is read back stays."""
    sample = make_sample()
    out = fa.GelLights(gain=[0.9, 1.1])(sample, seed=2)
    assert not torch.equal(out["GEL_LEFT"].image(0), sample["GEL_LEFT"].image(0))
    off = heights(out, "GEL_LEFT", 0) - heights(sample, "GEL_LEFT", 0)
    assert np.abs(off).max() < 0.06 * heights(sample, "GEL_LEFT", 0).max()


def test_another_background_keeps_the_difference() -> None:
    sample = make_sample()
    other = torch.full((*GEL, 3), 120, dtype=torch.uint8)
    plain = fa.GelBackground(level=0.0, tilt=0.0, drift=0.0, swap=True)
    out = plain(sample, resources={"gel_backgrounds": {"spare": other}})
    for name in ("GEL_LEFT", "GEL_RIGHT"):
        old, new = sample[name], out[name]
        a = old.image(0).int() - old.backgrounds[0].int()
        assert torch.equal(new.image(0).int() - 120, a) and torch.equal(new.backgrounds[0], other)
    with pytest.raises(fa.ConfigError, match="gel_backgrounds"):
        plain(sample)
    with pytest.raises(fa.DataError, match="is another one than before"):
        fa.replay(sample, out.history, resources={"gel_backgrounds": {"spare": other + 1}})
    later = replace(sample["GEL_LEFT"], capture_times=sample.ref.time + torch.tensor([0, 120 * 10**9]))
    sample = sample.with_streams({**sample.streams, "GEL_LEFT": later})
    drifting = fa.GelBackground(level=3.0, tilt=0.0, drift=5.0)(sample)["GEL_LEFT"]
    assert [int(drifting.backgrounds[i][0, 0, 0]) - 90 for i in range(2)] == [3, 13], "two minutes of 5 levels"


def test_taxels() -> None:
    sample = make_batch(2)
    crosstalk = fa.TaxelCrosstalk(share=0.3)(sample)["TOUCH_LEFT"]["force"]
    assert torch.allclose(crosstalk.sum(1), sample["TOUCH_LEFT"]["force"].sum(1))
    assert not torch.allclose(crosstalk, sample["TOUCH_LEFT"]["force"])
    gain = fa.TaxelGain(sigma=0.1)(sample)["TOUCH_LEFT"]
    for u in range(2):  # one gain per element, all through the sample
        mine = gain.sample_index == u
        ratio = gain["force"][mine] / sample["TOUCH_LEFT"]["force"][mine]
        assert float(ratio.std(0).max()) < 1e-6 and float(ratio[0].std()) > 1e-3
    dead = fa.TaxelDropout(share=0.5)(sample)["TOUCH_LEFT"]["force"]
    assert set((dead == 0).double().mean(0).tolist()) <= {0.0, 0.5, 1.0}


def test_a_push_reaches_the_pads_along_their_normals() -> None:
    """sum_pad S n changes by the force's part along the normals; no element pulls; others stay zero."""
    sample = make_sample()
    touch = {n: sample[n].with_values(force=sample[n]["force"] * torch.tensor([20.0, 0.0]) + torch.tensor([9.0, 0.0]))
             for n in ("TOUCH_LEFT", "TOUCH_RIGHT")}  # fmt: skip
    # the right pad looks the other way, as a gripper's does
    turned = touch["TOUCH_RIGHT"].poses.clone()
    turned[..., :3, 2] = -turned[..., :3, 2]
    touch["TOUCH_RIGHT"] = fa.Taxels(**{**vars_of(touch["TOUCH_RIGHT"]), "poses": turned})
    sample = sample.with_streams({**sample.streams, **touch})
    out = fa.PushDisturbance(peak=3.0, duration=0.1)(sample, seed=4)
    moved = np.zeros((len(touch["TOUCH_LEFT"]), 3))
    for name, before in touch.items():
        after = out[name]["force"]
        assert torch.equal(after[:, 1], before["force"][:, 1]) and float(after.min()) >= 0
        change = (after - before["force"])[:, 0].numpy()
        frame, times = before.frame, before.capture_times
        R = sample.rig.T_at_times("ft", frame, times)[:, :3, :3].numpy()
        moved += np.einsum("nij,nj->ni", R, before.poses[:, 0, :3, 2].numpy()) * change[:, None]
    wrench = (out["wrench"]["force"] - sample["wrench"]["force"]).numpy()
    every = np.arange(0, len(moved), 2)
    R = sample.rig.T_at_times("ft", "finger_left", touch["TOUCH_LEFT"].capture_times)[:, :3, :3].numpy()
    normal = np.einsum("nij,j->ni", R, touch["TOUCH_LEFT"].poses[0, 0, :3, 2].numpy())[every]
    along = (wrench * normal).sum(1)
    assert np.abs(along).max() > 0.2
    assert np.abs((moved[every] * normal).sum(1) - along).max() < 1e-9
    assert np.abs(moved[every] - along[:, None] * normal).max() < 1e-9


def vars_of(stream: fa.Taxels) -> dict:
    return {f.name: getattr(stream, f.name) for f in fields(stream)}


def test_a_gel_that_would_move_out_of_its_plane_is_refused() -> None:
    sample = make_sample()
    with pytest.raises(fa.UnhandledStream, match="TactileShift"):
        fa.Viewpoint(sensors=["GEL_LEFT"], z_deg=2.0)(sample)
    fa.KinematicNoise(hand_eye_deg=0.5, mode="truth")(sample)  # leaves gels on their links
    belief = fa.KinematicNoise(hand_eye_deg=0.5)(sample)
    assert not torch.equal(belief.rig.frames["GEL_LEFT"].pose, sample.rig.frames["GEL_LEFT"].pose)


def test_a_mirror_needs_to_know_the_gel() -> None:
    sample = make_sample()
    bare = {n: replace(sample[n], gels=()) for n in ("GEL_LEFT", "GEL_RIGHT")}
    with pytest.raises(fa.DataError, match=r"sensors\.GEL_(LEFT|RIGHT)\.gel"):
        fa.MirrorRobot()(sample.with_streams({**sample.streams, **bare}))
