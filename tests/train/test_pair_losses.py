"""Losses of pairs, against other implementations and closed forms, and their gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from samples import make_sample
from scipy.spatial.distance import jensenshannon
from torch.nn import functional as F

import fusion_aug as fa

losses = fa.losses


def features(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- contrast --------------------------------------------------------------------------------------------------------
@pytest.mark.quick
def test_info_nce_is_a_cross_entropy_of_cosines() -> None:
    a, b = features(7, 5), features(7, 5, 1)
    cosine = F.cosine_similarity(a[:, None], b[None], dim=2) / 0.1
    one_way = F.cross_entropy(cosine, torch.arange(7))
    both = (one_way + F.cross_entropy(cosine.T, torch.arange(7))) / 2
    assert torch.allclose(losses.info_nce(a, b, temperature=0.1, symmetric=False), one_way)
    assert torch.allclose(losses.info_nce(a, b, temperature=0.1), both)
    plain = F.cross_entropy(a @ b.T / 0.5, torch.arange(7))
    assert torch.allclose(losses.info_nce(a, b, temperature=0.5, symmetric=False, normalize=False), plain)


@pytest.mark.quick
def test_info_nce_in_closed_form() -> None:
    one = torch.eye(4, dtype=torch.float64)
    wanted = math.log(1 + 3 * math.exp(-10))  # cosines 1 and 0 at a temperature of 0.1
    assert float(losses.info_nce(one, one, temperature=0.1)) == pytest.approx(wanted, rel=1e-9)
    same = torch.ones(8, 3)
    assert float(losses.info_nce(same, same)) == pytest.approx(math.log(8), rel=1e-6)
    for n in (0, 1):
        nothing = losses.info_nce(features(n, 3).requires_grad_(), features(n, 3))
        assert float(nothing.detach()) == 0.0
        nothing.backward()


def test_false_negatives_do_not_count() -> None:
    """Two pixels of one car: as if the other had not been asked."""
    a, b = features(6, 4), features(6, 4, 1)
    ids = torch.tensor([0, 0, 1, 2, -1, -1])
    ignored = losses.same_things(ids)
    assert ignored.sum() == 4 + 1 + 1 and not bool(ignored[4, 5])
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / 0.07
    terms = []
    for i in range(6):
        others = [j for j in range(6) if j == i or not ignored[i, j]]
        terms.append(torch.logsumexp(logits[i, others], 0) - logits[i, i])
    found = losses.info_nce(a, b, symmetric=False, ignored=ignored)
    assert torch.allclose(found, torch.stack(terms).mean())


def test_gradients_of_contrast() -> None:
    a, b = features(4, 3).requires_grad_(), features(4, 3, 1).requires_grad_()
    t = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, y, z: losses.info_nce(x, y, temperature=z), (a, b, t))
    pulled = torch.stack([features(1, 3)[0], features(1, 3, 1)[0]]).requires_grad_()
    for _ in range(50):
        (grad,) = torch.autograd.grad(losses.info_nce(pulled, torch.eye(2, 3, dtype=torch.float64)), pulled)
        pulled = (pulled - 0.5 * grad).detach().requires_grad_()
    assert float(losses.info_nce(pulled.detach(), torch.eye(2, 3, dtype=torch.float64))) < 1e-3


@pytest.mark.quick
def test_wrong_shapes_are_named() -> None:
    with pytest.raises(fa.ConfigError, match=r"info_nce: expected two tables \(n, d\) of one shape, got \(3, 2\)"):
        losses.info_nce(features(3, 2), features(4, 2))
    with pytest.raises(fa.ConfigError, match=r"ignored: expected bool \(3, 3\)"):
        losses.info_nce(features(3, 2), features(3, 2), ignored=torch.zeros(3, 3))
    with pytest.raises(fa.ConfigError, match="temperature"):
        losses.info_nce(features(3, 2), features(3, 2), temperature=0.0)
    with pytest.raises(fa.ConfigError, match="views of one shape"):
        losses.jensen_shannon([features(3, 2)])
    with pytest.raises(fa.ConfigError, match="weights"):
        losses.jensen_shannon([features(3, 2)] * 2, weights=[0.5, 0.6])
    with pytest.raises(fa.ConfigError, match="no head 'radar'"):
        losses.agreement({"a": features(3, 2), "b": features(3, 2)}, present={"radar": torch.ones(3)})


# --- divergence and agreement ----------------------------------------------------------------------------------------
@pytest.mark.quick
def test_jensen_shannon_of_two_is_that_of_scipy() -> None:
    a, b = features(9, 6), 3 * features(9, 6, 1)
    wanted = np.mean(
        [jensenshannon(p, q) ** 2 for p, q in zip(a.softmax(1).numpy(), b.softmax(1).numpy(), strict=True)]
    )
    assert float(losses.jensen_shannon([a, b])) == pytest.approx(wanted, rel=1e-9)
    one_sided = torch.tensor([[800.0, 0.0]]), torch.tensor([[0.0, 800.0]])
    assert float(losses.jensen_shannon(one_sided)) == pytest.approx(math.log(2), rel=1e-6)
    assert float(losses.jensen_shannon([*one_sided, one_sided[0]], weights=[0.25, 0.5, 0.25])) == pytest.approx(
        math.log(2), rel=1e-6
    )
    assert abs(float(losses.jensen_shannon([a, a, a]))) < 1e-12


def test_jensen_shannon_of_pictures_and_labels() -> None:
    a, b = (features(2 * 3 * 4 * 5, 1, s).reshape(2, 3, 4, 5) for s in (0, 1))
    flat = [x.movedim(1, -1).reshape(-1, 3) for x in (a, b)]
    assert torch.allclose(losses.jensen_shannon([a, b]), losses.jensen_shannon(flat))
    where = torch.zeros(2, 4, 5, dtype=torch.bool)
    where[0, 1, 2] = True
    one = losses.jensen_shannon([a[:1, :, 1, 2], b[:1, :, 1, 2]])
    assert torch.allclose(losses.jensen_shannon([a, b], where=where), one)
    yes_no = [torch.stack([x.reshape(-1), torch.zeros(120).double()], 1) for x in (a, b)]  # sigmoid(x): softmax of x, 0
    assert torch.allclose(losses.jensen_shannon([a, b], multi_label=True), losses.jensen_shannon(yes_no))
    assert float(losses.jensen_shannon([a, b], where=torch.zeros_like(where))) == 0.0


def test_agreement_asks_what_is_there() -> None:
    heads = {"camera": features(5, 3), "lidar": features(5, 3, 1), "radar": features(5, 3, 2)}
    p = torch.stack([h.softmax(1) for h in heads.values()])
    wanted = F.kl_div(p.log(), p.mean(0).expand_as(p), reduction="none").sum(-1).mean()
    assert torch.allclose(losses.agreement(heads), wanted)
    present = {"lidar": torch.tensor([True, True, False, False, False]), "radar": torch.zeros(5, dtype=torch.bool)}
    two = {n: heads[n][:2] for n in ("camera", "lidar")}
    assert torch.allclose(losses.agreement(heads, present=present), losses.agreement(two))
    alone = {"lidar": torch.zeros(5, dtype=torch.bool), "radar": torch.zeros(5, dtype=torch.bool)}
    assert float(losses.agreement(heads, present=alone)) == 0.0
    assert abs(float(losses.agreement({"a": heads["camera"], "b": heads["camera"]}))) < 1e-12


def test_gradients_of_divergences() -> None:
    a, b = features(3, 4).requires_grad_(), features(3, 4, 1).requires_grad_()
    for many in (False, True):
        assert torch.autograd.gradcheck(lambda x, y, m=many: losses.jensen_shannon([x, y], multi_label=m), (a, b))
        assert torch.autograd.gradcheck(
            lambda x, y, m=many: losses.agreement({"a": x, "b": y}, multi_label=m, detach=False), (a, b)
        )
    sure = torch.tensor([[200.0, -200.0]], dtype=torch.float64, requires_grad=True)
    losses.jensen_shannon([sure, -sure]).backward()
    assert bool(torch.isfinite(sure.grad).all())


# --- predictions of views --------------------------------------------------------------------------------------------
TABLE = torch.tensor([[8.0, 2.0, 0.5, 4.2, 1.9, 1.6, 0.3], [-5.0, 9.0, 0.2, 0.8, 0.7, 1.8, -2.0]], dtype=torch.float64)
STEPS = fa.Compose([fa.RotateScene(yaw_deg=[-90, 90]), fa.MirrorScene(axis="y", p=0.5), fa.ScaleScene(scale=[0.8, 1.2]),
                    fa.TranslateScene(x=[-2, 2])])  # fmt: skip


def seen_boxes(view: fa.Sample) -> torch.Tensor:
    """What a perfect network finds of the table's boxes in a view."""
    boxes = view["boxes"]
    pose, size = boxes["pose"], boxes["size"]
    return torch.cat([pose[:, :3, 3], size, torch.atan2(pose[:, 1, 0], pose[:, 0, 0])[:, None]], 1)


def two_views(seed: int) -> tuple[fa.Sample, fa.Sample]:
    sample = make_sample(gels=False)
    only_boxes = sample.with_streams({"boxes": fa.boxes_from(TABLE, time=sample.ref.time)})
    return fa.views(only_boxes.with_meta(0, clock="boxes"), STEPS, seed=seed)  # type: ignore[return-value]


def test_boxes_agree_in_the_original_scene() -> None:
    for seed in range(4):
        a, b = two_views(seed)
        right = losses.box_consistency(fa.boxes_from(seen_boxes(a)), fa.boxes_from(seen_boxes(b)), a.history, b.history)
        assert all(float(v) < 1e-7 for v in right), right
    off = seen_boxes(b)
    scale = b.history[2].params[""]["scale"]
    off[:, 2] += 0.3 * scale
    off[:, 3:6] *= 1.1
    off[:, 6] += 0.2
    found = losses.box_consistency(fa.boxes_from(seen_boxes(a)), fa.boxes_from(off), a.history, b.history)
    wanted = (0.3, math.log(1.1), 1 - math.cos(0.2))
    assert [float(v) for v in found] == pytest.approx(wanted, rel=1e-6)
    order = torch.tensor([1, 0])
    swapped = fa.boxes_from(off[order])
    by_row = losses.box_consistency(fa.boxes_from(seen_boxes(a)), swapped, a.history, b.history, rows_b=order)
    assert [float(v) for v in by_row] == pytest.approx(wanted, rel=1e-6)
    with pytest.raises(fa.ConfigError, match="2 rows of a and 1 of b"):
        losses.box_consistency(fa.boxes_from(off), swapped, a.history, b.history, rows_b=order[:1])


def test_gradients_of_boxes_go_through_the_inverse() -> None:
    a, b = two_views(1)
    near = (seen_boxes(b) + 0.05).requires_grad_()
    fixed = fa.boxes_from(seen_boxes(a))
    assert torch.autograd.gradcheck(
        lambda t: sum(losses.box_consistency(fixed, fa.boxes_from(t), a.history, b.history)), (near,)
    )
    same = TABLE.clone().requires_grad_()
    losses.box_consistency(fa.boxes_from(same), fa.boxes_from(TABLE), (), ()).centre.backward()
    assert bool(torch.isfinite(same.grad).all())


def blobs(T: torch.Tensor, x: tuple[float, float], y: tuple[float, float], shape: tuple[int, int]) -> torch.Tensor:
    """(2, X, Y) smooth logits of a scene that was moved by T (4, 4), in closed form."""
    i, j = (torch.arange(n, dtype=torch.float64) for n in shape)
    at = torch.cartesian_prod(x[0] + (i + 0.5) * (x[1] - x[0]) / shape[0], y[0] + (j + 0.5) * (y[1] - y[0]) / shape[1])
    source = (at - T[:2, 3]) @ torch.linalg.inv(T[:2, :2]).T
    waves = torch.stack([torch.sin(source[:, 0] / 5) + torch.cos(source[:, 1] / 7), torch.cos(source[:, 0] / 6)])
    return 2 * waves.reshape(2, *shape)


def test_maps_agree_where_the_scene_was_moved() -> None:
    a, b = two_views(3)
    x, y, shape = (-40.0, 40.0), (-20.0, 20.0), (160, 80)
    T_b_a = fa.matches(a, b).T_b_a
    first = blobs(torch.eye(4, dtype=torch.float64), x, y, shape)
    second = blobs(T_b_a, x, y, shape)
    right = float(losses.map_consistency(first, second, T_b_a, x=x, y=y))
    wrong = float(losses.map_consistency(first, second, torch.eye(4), x=x, y=y))
    assert right < 2e-5 < 1e-2 < wrong
    far = torch.eye(4, dtype=torch.float64)
    far[0, 3] = 1000.0
    assert float(losses.map_consistency(first, second, far, x=x, y=y)) == 0.0
    where = torch.zeros(shape, dtype=torch.bool)
    where[80, 40] = True
    one = losses.map_consistency(first, second, torch.eye(4), x=x, y=y, where=where)
    pair = [m[:, 80, 40][None] for m in (first, second)]
    assert torch.allclose(one, losses.jensen_shannon(pair, multi_label=True))
    small = [m[:, ::40, ::40].clone().requires_grad_() for m in (first, second)]
    assert torch.autograd.gradcheck(lambda p, q: losses.map_consistency(p, q, T_b_a, x=x, y=y), small)


def test_masks_agree_where_both_show_the_same() -> None:
    sample = make_sample(size=(48, 64), gels=False)
    a, b = fa.views(sample, fa.ResizeCrop(size=(40, 56), scale=[0.7, 1.2], x=[0, 1], y=[0, 1]), seed=6)

    def classes(view: fa.Sample) -> torch.Tensor:
        """(2, 40, 56) logits that are smooth on the source's canvas."""
        v, u = torch.meshgrid(torch.arange(40.0), torch.arange(56.0), indexing="ij")
        source = fa.matches(view, sample).pixels("CAM_FRONT", torch.stack([u, v], -1).reshape(-1, 2)).pixels
        return 4 * torch.stack([torch.sin(source[:, 0] / 9), torch.cos(source[:, 1] / 8)]).reshape(2, 40, 56)

    pixels = torch.cartesian_prod(torch.arange(0.0, 56, 3), torch.arange(0.0, 40, 3))
    found = fa.matches(a, b).pixels("CAM_FRONT", pixels)
    inside = found.valid & (found.pixels > 1).all(1) & (found.pixels < torch.tensor([54.0, 38])).all(1)
    assert int(inside.sum()) > 30
    right = float(losses.mask_consistency(classes(a), classes(b), pixels, found.pixels, valid=inside))
    wrong = float(losses.mask_consistency(classes(a), classes(b), pixels, pixels, valid=inside))
    assert right < 1e-4 < 1e-2 < wrong
    none = losses.mask_consistency(classes(a), classes(b), pixels, found.pixels, valid=torch.zeros_like(inside))
    assert float(none) == 0.0


@pytest.mark.quick
def test_features_between_pixels() -> None:
    """Of a map that is linear in the pixel, at any resolution of it."""
    v, u = torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij")
    pixels = torch.tensor([[1.25, 2.5], [6.0, 0.5]])
    assert torch.allclose(losses.at_pixels(torch.stack([u, v]), pixels), pixels)
    coarse = torch.stack([2 * u[:3, :4] + 0.5, 2 * v[:3, :4] + 0.5])  # half the resolution: centres of 2x2 pixels
    assert torch.allclose(losses.at_pixels(coarse, pixels, size=(6, 8)), pixels)
    assert tuple(losses.at_pixels(coarse, torch.zeros(0, 2)).shape) == (0, 2)
    features_at = torch.rand(2, 4, 5, dtype=torch.float64, requires_grad=True)
    at = torch.tensor([[1.3, 2.2], [2.6, 0.7]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(losses.at_pixels, (features_at, at))


def test_an_absent_head_that_holds_nan_reaches_no_gradient() -> None:
    seen, absent = torch.randn(4, 3, requires_grad=True), torch.full((4, 3), torch.nan, requires_grad=True)
    there = {"camera": torch.ones(4, dtype=torch.bool), "lidar": torch.zeros(4, dtype=torch.bool)}
    loss = fa.losses.agreement({"camera": seen, "lidar": absent}, present=there, detach=False)
    loss.backward()
    assert float(loss.detach()) == 0 and torch.equal(seen.grad, torch.zeros(4, 3))


def test_pixels_without_a_match_give_no_feature() -> None:
    found = fa.losses.at_pixels(torch.rand(2, 4, 5), torch.tensor([[1.0, 2.0], [torch.nan, torch.nan]]))
    assert torch.isfinite(found[0]).all() and torch.isnan(found[1]).all()


def test_features_of_two_precisions_and_of_whole_numbers() -> None:
    a, b = torch.randn(6, 4), torch.randn(6, 4)
    assert torch.allclose(fa.losses.info_nce(a, b.double()), fa.losses.info_nce(a.double(), b.double()))
    with pytest.raises(fa.ConfigError, match="expected features of floats"):
        fa.losses.info_nce(a.long(), b)
    with pytest.raises(fa.ConfigError, match="give each name a number"):
        fa.losses.same_things(["car", "car"])
