"""The gel model on real ball presses, and its rendering."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fusion_aug.physics.gel import (
    GelModel,
    Press,
    fit_gel,
    height_from_slopes,
    normals,
    r_squared,
    relaxed,
    render_tactile,
    slopes,
)  # fmt: skip

pytestmark = pytest.mark.quick
BALL, MM = 67.8, 0.0295


@pytest.fixture(scope="module")
def presses(real_data: Path) -> tuple[list[Press], torch.Tensor]:
    data = np.load(real_data / "gelsight" / "gelsight.npz", allow_pickle=False)
    frames, centres, radii = data["frames"], data["touch_center_xy"], data["touch_radius_px"]
    radii = np.broadcast_to(radii, (len(frames),))
    made = [Press(torch.from_numpy(f), (float(c[0]), float(c[1])), float(r), BALL)
            for f, c, r in zip(frames, centres, radii, strict=True)]  # fmt: skip
    return made, torch.from_numpy(data["background"])


def test_held_out_presses_are_explained(presses: tuple[list[Press], torch.Tensor]) -> None:
    """PHYSICS section 9: fitted on even frames, scored on odd ones, within the touch radius."""
    balls, background = presses
    plain = r_squared(fit_gel(balls[::2], background, anchor=0.0), balls[1::2], background)
    assert (plain >= [0.94, 0.95, 0.92]).all(), plain
    anchored = r_squared(fit_gel(balls[::2], background), balls[1::2], background)
    assert (anchored >= [0.94, 0.95, 0.92]).all(), anchored


def synthetic(size: tuple[int, int] = (120, 160)) -> tuple[np.ndarray, GelModel, torch.Tensor]:
    """A ball pressed beside the middle, mm; lights of three sides; a background with a gradient."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    radius = 30.0
    r2 = (x - width * 0.6) ** 2 + (y - height * 0.45) ** 2
    press = np.where(r2 < radius**2, np.sqrt(np.maximum(radius**2 - r2, 0)) - 0.6 * radius, -20.0)
    lights = np.zeros((10, 3))
    lights[:3] = [[60, -30, -30], [0, 50, -50], [40, 40, 40]]
    lights[3:9] = np.random.default_rng(0).normal(size=(6, 3)) * 5
    lights[9] = -40
    grey = 90 + 20 * x[..., None] / width + np.zeros(3)
    return press * 0.06, GelModel(torch.from_numpy(lights)), torch.from_numpy(grey.astype(np.uint8))


def test_no_contact_is_the_background() -> None:
    press, model, background = synthetic()
    assert torch.equal(render_tactile(torch.from_numpy(np.full_like(press, -1.0)), model, background, 0.06), background)


def test_the_gel_lies_on_the_indenter_and_comes_to_rest() -> None:
    press = synthetic()[0] / 0.06
    surface = relaxed(press, 10.0)
    assert (surface >= press - 1e-5).all() and surface.min() >= 0
    # beside the contact it solves lap(u) = u / length^2
    lap = sum(np.roll(surface, s, a) for s in (-1, 1) for a in (0, 1)) - 4 * surface
    free = (surface > press + 0.5) & (surface > 0.05)
    free[:3] = free[-3:] = False
    assert np.abs(lap - surface / 100)[free].max() < 0.08 and np.abs(lap - surface / 100)[free].mean() < 0.01
    assert surface[5, 5] < 0.3 * surface.max()


def test_a_mirror_by_rendering_beats_a_flip_of_pixels() -> None:
    """The picture of a mirrored press is not the mirrored picture: the lights stay where they are."""
    press, model, background = synthetic()
    flipped = torch.from_numpy(np.ascontiguousarray(press[:, ::-1]))
    truth = normals(relaxed(flipped.numpy() / 0.06, model.relaxation / 0.06))
    rendered = render_tactile(flipped, model, background, 0.06)
    pixels = render_tactile(torch.from_numpy(press), model, background, 0.06).flip(1)
    touch = flipped.numpy() > 0

    def error(picture: torch.Tensor) -> float:
        found = seen_normals(picture, model, background)
        angle = np.degrees(np.arccos(np.clip((found * truth).sum(-1), -1, 1)))
        return float(angle[touch].mean())

    assert error(rendered) < 3.0
    assert error(pixels) > 20.0


def seen_normals(picture: torch.Tensor, model: GelModel, background: torch.Tensor) -> np.ndarray:
    """Normals (H, W, 3) by photometric stereo: the linear model solved for n, pixel by pixel."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    x, y = (x - (width - 1) / 2) / (width / 2), (y - (height - 1) / 2) / (height / 2)
    w = model.lights.numpy()
    L = w[None, None, :3] + x[..., None, None] * w[3:6] + y[..., None, None] * w[6:9]  # component, channel
    difference = picture.numpy().astype(float) - background.numpy() + L[:, :, 2]
    n = np.linalg.solve(L.transpose(0, 1, 3, 2), difference[..., None])[..., 0]
    return n / np.linalg.norm(n, axis=-1, keepdims=True)


def test_heights_come_back_from_slopes() -> None:
    press = synthetic()[0] / 0.06
    surface = relaxed(press, 10.0).astype(np.float64)
    smooth = surface - np.median(np.concatenate([surface[0], surface[-1], surface[:, 0], surface[:, -1]]))
    p, q = slopes(surface.astype(np.float32))
    assert np.abs(height_from_slopes(p.astype(np.float64), q.astype(np.float64)) - smooth).max() < 0.5


def test_gain_acts_on_the_difference_and_noise_is_seeded() -> None:
    press, model, background = synthetic()
    height = torch.from_numpy(press)
    plain = render_tactile(height, model, background, 0.06).int() - background.int()
    bright = render_tactile(height, model, background, 0.06, gain=(1.1, 1.0, 1.0)).int() - background.int()
    assert (bright[..., 1:] == plain[..., 1:]).all()
    assert ((bright[..., 0] - 1.1 * plain[..., 0]).abs() <= 1.05).all()
    twice = [render_tactile(height, model, background, 0.06, noise=np.random.default_rng(3)) for _ in range(2)]
    assert torch.equal(*twice)
