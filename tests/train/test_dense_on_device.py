"""Dense tensors of a batch on a device: the tables of the CPU, made without a way back to the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from places import DRIVE
from samples import make_sample
from torch import Tensor

import fusion_aug as fa
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.testing import mock_device

CAMERAS = ["CAM_FRONT"]
VEHICLE = ("lidar", "radar", "boxes", "ego", "imu", "CAM_FRONT")
FORMS: list[dict[str, Any]] = [
    {},
    {"sweeps": False, "classes": ["car"]},
    {"channels_first": True, "dtype": torch.float64},
]


def batch() -> fa.Sample:
    samples = [make_sample(f"s{k}", seed=k, points=300 + 90 * k, boxes=3 + k, gels=False) for k in range(3)]
    whole = fa.PointDropout(share=0.3)(fa.collate(samples), seed=1)
    return whole.with_streams({n: s for n, s in whole.streams.items() if n.split("/")[0] in VEHICLE})


def same_rows(here: dict[str, Any], there: dict[str, Any], table: str, mask: str) -> None:
    """The rows of every sample's table, in order; there rows that were dropped take places."""
    for a, b, m, n in zip(here[table], there[table], here[mask], there[mask], strict=True):
        assert torch.allclose(a[m], b[n], atol=1e-5, rtol=0)


@pytest.mark.quick
@pytest.mark.parametrize("form", FORMS)
def test_the_tables_are_those_of_the_cpu(form: dict[str, Any]) -> None:
    sample, pipeline = batch(), fa.Compose([fa.RotateScene(yaw_deg=20.0), fa.PointDropout(share=0.4)])
    here = fa.to_dense(pipeline(sample, seed=2), cameras=CAMERAS, **form)
    with mock_device() as log:
        moved = pipeline(sample.to(log.device), seed=2)
        log.clear()
        dense = fa.to_dense(moved, cameras=CAMERAS, **form)
        assert not log.syncs and len(log.copies_in) == 2
        there = {k: v.cpu() if isinstance(v, Tensor) else v for k, v in dense.items()}
    assert here.keys() == there.keys()
    same_rows(here, there, "points", "point_mask")
    same_rows(here, there, "radar_points", "radar_mask")
    tables = ("point", "radar")
    for name, value in here.items():
        if not name.startswith(tables):
            other = there[name]
            same = (
                torch.allclose(value.double(), other.double(), atol=1e-5)
                if isinstance(value, Tensor)
                else value == other
            )
            assert same and (not isinstance(value, Tensor) or value.dtype == other.dtype), name


@pytest.mark.quick
def test_weights_of_boxes_that_were_blended() -> None:
    sample = batch()
    weights = torch.linspace(0.1, 0.9, sample["boxes"].rows)
    sample = sample.with_streams({**sample.streams, "boxes": sample["boxes"].with_values(weight=weights)})
    here = fa.to_dense(sample, cameras=CAMERAS)["box_weights"]
    with mock_device() as log:
        there = fa.to_dense(sample.to(log.device), cameras=CAMERAS)["box_weights"].cpu()
    assert torch.equal(here, there) and here.shape == (3, 5) and here[0].tolist()[3:] == [0.0, 0.0]


@pytest.mark.quick
def test_what_has_no_table_there_is_refused() -> None:
    with mock_device() as log:
        there = batch().to(log.device)
        with pytest.raises(ConfigError, match="packed"):
            fa.to_dense(there, cameras=CAMERAS, packed=True)
        with pytest.raises(DataError, match=r"'CAM_FRONT' of sample 's2' and .* differ; bring them to one size"):
            small = fa.ResizeCrop(size=(24, 32), p=0.5)
            fa.to_dense(small(there, seed=3), cameras=CAMERAS)


def test_the_loop_of_the_readme() -> None:
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    (block,) = [b.split("```")[0] for b in text.split("```py\n")[1:]]
    steps: list[tuple[Tensor, ...]] = []

    def train(images: Tensor, points: Tensor, matrices: Tensor, boxes: Tensor) -> None:
        assert not any(t.is_cpu for t in (images, points, matrices, boxes))
        steps.append((images.cpu(), points.cpu(), boxes.cpu()))

    with mock_device() as log:
        loop = block.replace('torch.device("cuda")', "chosen")
        scope: dict[str, Any] = {"fa": fa, "torch": torch, "chosen": log.device, "train": train}
        scope |= {"log": fa.open_log("nuscenes", DRIVE)[6:10], "DataLoader": torch.utils.data.DataLoader}
        exec(compile(loop, "README.md", "exec"), scope)
    assert len(steps) == 4 and steps[0][0].shape == (2, 6, 256, 704, 3) and steps[0][0].float().std() > 20
    assert len(block.strip().splitlines()) <= 12
