"""Wet ground and patches of the ground."""

from __future__ import annotations

import numpy as np
import pytest
from weathers import KEY

from fusion_aug.physics.ground import AIR, WATER, fresnel, rough_fresnel, roughness, wet_albedo
from fusion_aug.physics.patches import Patches, covered


def test_wet_ground_is_darker_and_of_stronger_colour() -> None:
    dry = np.linspace(0.01, 0.9, 50)
    wet = wet_albedo(dry)
    assert (wet < dry).all() and (np.diff(wet / dry) > 0).all()  # what is dark loses most
    # asphalt: about half of the light is left (Lekner and Dorf 1988)
    assert float(wet_albedo(np.array(0.15)) / 0.15) == pytest.approx(0.53, abs=0.02)
    glint = wet_albedo(np.array([0.95, 1.5, 4.0])) / [0.95, 1.5, 4.0]
    assert np.allclose(glint, glint[0]) and glint[0] > 0.85  # what is brighter than white keeps its light


def test_light_that_wet_ground_sends_back_is_the_sum_over_its_bounces() -> None:
    """Monte Carlo of photons between a Lambertian ground and the water's surface."""
    rng = np.random.default_rng(0)
    albedo, n = 0.4, 400_000
    inside = np.sqrt(rng.random(n))  # sines of Lambertian light in water
    bent = np.minimum(inside * WATER / AIR, 1.0)
    lost = np.where(inside * WATER >= AIR, 1.0, fresnel(np.sqrt(1 - bent**2), AIR, WATER))
    through = 1 - lost.mean()
    back, total = albedo * (1 - 0.066), 0.0
    for _ in range(60):
        total += back * through
        back *= (1 - through) * albedo
    assert float(wet_albedo(np.array(albedo))) == pytest.approx(total, rel=0.03)


def test_rough_water_mirrors_less_where_one_looks_flat_at_it() -> None:
    cosine = np.linspace(0.02, 1.0, 60)
    smooth = fresnel(cosine, AIR, WATER)
    assert np.abs(rough_fresnel(cosine, 0.0) - smooth).max() < 0.06  # Schlick
    rough = [rough_fresnel(cosine, s) for s in (0.0, 0.05, 0.12)]
    flat = cosine < 0.3
    assert (rough[0] > rough[1])[flat].all() and (rough[1] > rough[2])[flat].all()
    assert all((np.diff(r) <= 0).all() for r in rough)
    assert roughness(0.1) > roughness(1.0) > 0


def test_patches_repeat_without_a_seam_and_read_alike_by_points_and_pictures() -> None:
    patches = Patches.of(KEY, 0.25, 12.0, 1.5)
    rng = np.random.default_rng(0)
    place = rng.uniform(-500, 500, (3000, 3))
    score = patches.at(place)
    assert np.allclose(score, patches.at(place + np.array([patches.side, -2 * patches.side, 5.0])), atol=1e-9)
    near = (place[:, :2] % patches.side).astype(np.float32).reshape(50, 60, 2)
    assert np.abs(patches.seen(near[..., 0], near[..., 1]).reshape(-1) - score).max() < 0.05  # 1/32 of a cell
    edge = np.stack([np.linspace(-0.3, 0.3, 61), np.full(61, 7.0)], 1)
    assert np.abs(np.diff(patches.at(edge))).max() < 0.1


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.8, 1.0])
def test_patches_cover_the_share_that_is_asked_for(share: float) -> None:
    patches = Patches.of(KEY, 0.25, 12.0, 1.5)
    found = covered(patches.scores, share, 0.3)
    assert float(found.mean()) == pytest.approx(share, abs=0.01)
    assert share not in (0.0, 1.0) or (found == share).all()
