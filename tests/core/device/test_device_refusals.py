"""What a batch on a device refuses where it is asked for, and masks of 16 bits, which it moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.device.pending import settled
from fusion_aug.core.device.program import Program
from fusion_aug.errors import DataError
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.similarity import Motion
from fusion_aug.ops.warp import warp
from fusion_aug.ops.warp_many import numbers_of_pick, pick_pixels
from fusion_aug.streams.moved_rows import motion_numbers
from fusion_aug.testing import mock_device

pytestmark = pytest.mark.quick


def vehicle() -> fa.Sample:
    return fa.collate([make_sample(f"s{k}", seed=k, gels=False) for k in range(2)])


def test_a_gradient_of_a_motion_is_refused() -> None:
    matrix = torch.eye(4, dtype=torch.float64, requires_grad=True)
    with pytest.raises(DataError, match="carries no gradient; detach its parameters"):
        motion_numbers("own", Motion.of(matrix[None]), 2)


def test_levels_of_16_bits_are_refused_by_name() -> None:
    sample = vehicle()
    front = sample["CAM_FRONT"]
    deep = replace(front, items=tuple(p.to(torch.uint16) for p in front.pictures))
    with mock_device() as log:
        there = sample.with_streams({"CAM_FRONT": deep}).to(log.device)
        with pytest.raises(DataError, match=r"Brightness: stream 'CAM_FRONT' holds torch\.uint16, but levels are"):
            fa.Brightness(factor=0.5)(there, seed=0)


@pytest.mark.parametrize("turn", [0.0, 0.3], ids=["upright", "turned"])
def test_masks_of_16_bits_are_picked_as_on_the_cpu(turn: float) -> None:
    mask = (torch.arange(30 * 40).reshape(30, 40) * 53 % 65521).to(torch.uint16)
    P = torch.tensor([[0.8, -turn, 3.0], [turn, 0.7, -2.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    to_canvas = ImageMap.homography(P, (26, 37))
    numbers = numbers_of_pick(to_canvas, mask.shape)
    stacked = {n: frozenset([v]) if n.startswith("_") else torch.from_numpy(v)[None] for n, v in numbers.items()}
    out = pick_pixels(mask[None], stacked, (26, 37), 60000.0)[0]
    assert out.dtype == torch.uint16 and int((out.int() == 60000).sum()) > 20
    assert torch.equal(out.int(), warp(mask, to_canvas, "nearest", 60000.0).int())


def test_tables_of_a_batch_that_lies_in_part_elsewhere_are_refused() -> None:
    sample = vehicle()
    with mock_device() as log:
        there = sample.to(log.device)
        mixed = there.with_streams({**there.streams, "lidar": sample["lidar"]})
        with pytest.raises(DataError, match=r"to_dense: lidar: on the host, others on a device; call batch\.to"):
            fa.to_dense(mixed)
        whole = mixed.to(log.device)  # what is there stays
        assert whole["boxes"].values.block is there["boxes"].values.block
        assert not fa.to_dense(whole)["points"].is_cpu


def test_pending_maps_that_cannot_be_followed_name_their_frame() -> None:
    sample = vehicle()
    front = sample.with_streams({"CAM_FRONT": sample["CAM_FRONT"]})
    with mock_device() as log:
        stream = front.to(log.device)["CAM_FRONT"]
        P = torch.eye(3, dtype=torch.float64, requires_grad=True)
        size = stream.items[0].block.shape[:2]
        mapped = stream.mapped([ImageMap.homography(P, size)] * len(stream), [size] * len(stream))
        with pytest.raises(DataError, match=f"pictures of '{stream.frame}' have a pending map"):
            settled(mapped, Program(log.device))
