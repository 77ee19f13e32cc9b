"""Losses of pairs: what is odd in their inputs is refused in one sentence, or reaches neither number nor gradient."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

import fusion_aug as fa

losses = fa.losses
pytestmark = pytest.mark.quick
NAN = float("nan")
MAP = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
STILL = torch.eye(4)
TABLE = torch.tensor([[8.0, 2.0, 0.5, 4.0, 1.9, 1.6, 0.3], [3.0, 1.0, 0.5, 4.0, 1.9, 1.6, 0.3]])


# --- what does not count reaches no gradient --------------------------------------------------------------------------
@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("dim", [1, -1])
def test_views_that_hold_nan_where_nothing_counts(multi_label: bool, dim: int) -> None:
    a = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    b = a.detach().flip(0).clone()
    b[1] = NAN
    where = torch.tensor([[True] * 3, [False] * 3])
    mask = where[:, None].expand(2, 3, 3) if multi_label else where
    loss = losses.jensen_shannon([a, b], where=mask, dim=dim, multi_label=multi_label)
    loss.backward()
    alone = losses.jensen_shannon([a[:1], b[:1]], dim=dim, multi_label=multi_label)
    assert torch.allclose(loss, alone) and bool(torch.isfinite(a.grad).all()) and float(a.grad[0].abs().sum()) > 0
    assert float(a.grad[1].abs().sum()) == 0


def test_a_head_that_sent_nothing_gets_a_gradient_of_zero() -> None:
    seen, sent = (torch.randn(3, 4, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    heads = {"camera": seen.requires_grad_(), "lidar": sent.index_fill(0, torch.tensor([2]), NAN).requires_grad_()}
    losses.agreement(heads, present={"lidar": torch.tensor([True, True, False])}, detach=False).backward()
    gradients = [h.grad for h in heads.values()]
    assert all(bool(torch.isfinite(g).all()) and float(g[:2].abs().sum()) > 0 for g in gradients)
    assert all(float(g[2].abs().sum()) == 0 for g in gradients)


def test_pixels_without_a_match_spoil_no_gradient() -> None:
    """``matches.pixels`` gives NaN for these; the features of the others are learnt all the same."""
    features = torch.rand(2, 4, 5, requires_grad=True)
    found = losses.at_pixels(features, torch.tensor([[1.0, 2.0], [NAN, NAN], [torch.inf, 1.0]]))
    assert bool(torch.isnan(found[1:]).all())
    found[0].sum().backward()
    wanted = torch.zeros(2, 4, 5)
    wanted[:, 2, 1] = 1
    assert torch.allclose(features.grad, wanted, atol=1e-6)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_places_keep_their_precision_under_features_of_16_bits(kind: torch.dtype) -> None:
    stripes = (torch.arange(2000) % 2).to(kind).expand(1, 2, 2000)
    pixels = torch.tensor([[1001.0, 0.0], [1000.25, 0.0], [1500.75, 1.0]])
    found = losses.at_pixels(stripes, pixels)
    assert found.dtype == kind and torch.allclose(found[:, 0].float(), torch.tensor([1.0, 0.25, 0.75]), atol=2e-3)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("multi_label", [False, True])
def test_large_maps_of_16_bits_are_counted(kind: torch.dtype, multi_label: bool) -> None:
    """70,000 cells are more than float16 can count to, and the loss would be 0."""
    one, other = torch.zeros(1, 2, 700, 100), torch.zeros(1, 2, 700, 100)
    one[:, 0], other[:, 0] = 2.0, -2.0
    found = losses.jensen_shannon([one.to(kind), other.to(kind)], multi_label=multi_label)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(losses.jensen_shannon([one, other], multi_label=multi_label)), rel=1e-3)
    apart = losses.agreement({"a": one.to(kind), "b": other.to(kind)}, multi_label=multi_label)
    assert float(apart) == pytest.approx(
        float(losses.agreement({"a": one, "b": other}, multi_label=multi_label)), rel=1e-3
    )


# --- what is nothing gives 0 ---------------------------------------------------------------------------------------
def test_nothing_to_compare_is_0() -> None:
    none, no_pixels = fa.boxes_from(TABLE[:0]), torch.zeros(0, 2)
    for found in (
        *losses.box_consistency(none, none, (), ()),
        losses.map_consistency(MAP[:, :0], MAP[:, :0], STILL, x=(-4, 4), y=(-3, 3)),
        losses.map_consistency(MAP[:0], MAP[:0], STILL, x=(-4, 4), y=(-3, 3)),
        losses.mask_consistency(MAP, MAP, no_pixels, no_pixels),
        losses.jensen_shannon([MAP[:0], MAP[:0]]),
        losses.agreement({"a": MAP[:0], "b": MAP[:0]}),
        losses.info_nce(no_pixels, no_pixels),
    ):
        assert found.shape == () and float(found) == 0


def test_a_map_moved_by_half_a_cell_is_decided_beside_the_border() -> None:
    """Cells whose centres fall on the rim of the other map count, whatever rounded the move."""
    moved = [STILL.double().clone() for _ in range(3)]
    for T, off in zip(moved, (1.0, 1.0 - 1e-12, 1.0 + 1e-12), strict=True):
        T[0, 3] = off
    found = [float(losses.map_consistency(MAP, MAP.flip(0), T, x=(-4, 4), y=(-3, 3))) for T in moved]
    assert found[0] == pytest.approx(found[1]) == pytest.approx(found[2])


# --- what is wrong is refused -----------------------------------------------------------------------------------------
def boxes(change: dict[int, float]) -> fa.Boxes3D:
    table = TABLE.clone()
    for column, value in change.items():
        table[1, column] = value
    return fa.boxes_from(table)


@pytest.mark.parametrize(
    ("size", "told"), [({5: 0.0}, "4 x 1.9 x 0"), ({3: -1.0}, "-1 x 1.9 x 1.6"), ({4: NAN}, "nan")]
)
def test_a_box_without_a_size_is_refused(size: dict[int, float], told: str) -> None:
    with pytest.raises(fa.DataError, match=re.escape("box 1 of b has the size")) as caught:
        losses.box_consistency(boxes({}), boxes(size), (), ())
    assert told in str(caught.value) and "let the network predict its logarithm" in str(caught.value)
    rows = torch.tensor([1])
    with pytest.raises(fa.DataError, match=re.escape("box 1 of b has the size")):
        losses.box_consistency(boxes({}), boxes(size), (), (), rows_a=rows, rows_b=rows)
    rows = torch.tensor([0])
    assert float(losses.box_consistency(boxes({}), boxes(size), (), (), rows_a=rows, rows_b=rows).size) == 0


@pytest.mark.parametrize(
    "rows", [torch.tensor([-1]), torch.tensor([2]), torch.tensor([True, False]), torch.tensor([0.0])]
)
def test_rows_that_are_none_of_the_boxes_are_refused(rows: torch.Tensor) -> None:
    with pytest.raises(fa.ConfigError, match=r"box_consistency: rows_a: expected int64 \(k,\) from 0 to 1"):
        losses.box_consistency(boxes({}), boxes({}), (), (), rows_a=rows, rows_b=torch.tensor([0]))


@pytest.mark.parametrize("ends", [{"x": (4, -4)}, {"y": (3, 3)}, {"x": (0, NAN)}, {"y": (1,)}, {"x": 4}])
def test_a_rectangle_that_is_none_is_refused(ends: dict[str, Any]) -> None:
    (name,) = ends
    with pytest.raises(
        fa.ConfigError, match=rf"map_consistency: {name}: expected metres \(from, to\), the first below"
    ):
        losses.map_consistency(MAP, MAP, STILL, **({"x": (-4, 4), "y": (-3, 3)} | ends))


def test_masks_of_another_shape_or_kind_are_refused() -> None:
    """A mask (Y, X) has as many cells as one (X, Y), and would have been read as if it were one."""
    turned = torch.ones(6, 4, dtype=torch.bool)
    with pytest.raises(fa.ConfigError, match=r"map_consistency: where: expected bool \(4, 6\)"):
        losses.map_consistency(MAP, MAP, STILL, x=(-4, 4), y=(-3, 3), where=turned)
    with pytest.raises(fa.ConfigError, match=r"jensen_shannon: where: expected the shape \(2, 6\), got \(6, 4\)"):
        losses.jensen_shannon([MAP, MAP], where=turned)
    with pytest.raises(fa.ConfigError, match=r"jensen_shannon: where: expected a tensor of bool, got torch.int64"):
        losses.jensen_shannon([MAP, MAP], where=torch.ones(2, 6, dtype=torch.int64))
    for present in (torch.ones(1, dtype=torch.bool), torch.ones(2), [True, False]):
        with pytest.raises(fa.ConfigError, match=r"agreement: present: b: expected bool \(2,\), got"):
            losses.agreement({"a": MAP, "b": MAP}, present={"b": present})  # type: ignore[dict-item]
    pixels = torch.zeros(3, 2)
    for other, valid in ((pixels[:2], None), (pixels, torch.ones(1, dtype=torch.bool))):
        with pytest.raises(fa.ConfigError, match=r"mask_consistency: expected pixels_a and pixels_b"):
            losses.mask_consistency(MAP, MAP, pixels, other, valid=valid)
    with pytest.raises(fa.ConfigError, match=r"at_pixels: expected pixels \(\.\.\., 2\)"):
        losses.at_pixels(MAP, torch.zeros(2, 3))


def test_whole_numbers_and_weights_of_nan_are_refused() -> None:
    whole = torch.ones(2, 3, dtype=torch.int64)
    for call in (
        lambda: losses.jensen_shannon([whole, whole]),
        lambda: losses.agreement({"a": whole, "b": whole}),
        lambda: losses.at_pixels(whole[None], torch.zeros(1, 2)),
    ):
        with pytest.raises(fa.ConfigError, match=r"expected tensors of floats, got torch\.int64"):
            call()
    with pytest.raises(fa.ConfigError, match=r"weights: expected 2 that add up to 1"):
        losses.jensen_shannon([MAP, MAP], weights=[NAN, 0.5])
