"""Train a small detector on cameras, LiDAR and radars, with and without augmentation, and test it in bad conditions.

    python examples/train_fusion.py                 # the whole table: all arms, three seeds each
    python examples/train_fusion.py arms=[plain,full] seeds=[0] steps=20

Streets come from ``fusion-aug synth drive size=tiny every=1.0``; the settings are in ``train_fusion.yaml``. One file,
one thread: a training of 120 steps takes a minute or less.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

import fusion_aug as fa
from fusion_aug.synth.drive import SIZES, make_log

HERE = Path(__file__).parent
CLASSES = ("vehicle.car", "human.pedestrian.adult")
CELL, CELLS = 1.0, 64  # metres, and cells along x and along y; the vehicle is in the middle
REACH = 30.0  # metres up to which objects are scored
HEIGHTS = (0.1, 0.9, 1.7)  # metres above the road at which a cell looks into the pictures
BATCH = 4
Batch = dict[str, Any]  # what fa.to_dense returns


# --- data -----------------------------------------------------------------------------------------------------------
def street(seed: int, folder: Path, frames: int = 8) -> list[fa.Sample]:
    """The keyframes of a made street, one per second, decoded in memory; made at the first time."""
    if not (folder / f"street-{seed}").is_dir():
        make_log(folder / f"street-{seed}", frames=frames, every=1.0, seed=seed, size=SIZES["tiny"])
    return [sample.realized() for sample in fa.open_log("nuscenes", folder / f"street-{seed}")]


def dense(samples: Sequence[fa.Sample]) -> Batch:
    """Samples as tensors."""
    return fa.to_dense(fa.collate(list(samples)), classes=CLASSES, channels_first=True, sweeps=False)


# --- the network ----------------------------------------------------------------------------------------------------
def conv(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def cells_of(xy: Tensor) -> tuple[Tensor, Tensor]:
    """Number of the cell of places (..., 2) in metres, and whether it is on the grid."""
    at = torch.floor(xy / CELL + CELLS / 2)
    return (at[..., 0] * CELLS + at[..., 1]).long(), ((at >= 0) & (at < CELLS)).all(-1)


class Pillars(nn.Module):
    """Points of each cell: a small network looks at every point, the largest answers count (PointPillars)."""

    def __init__(self, columns: int, width: int):
        super().__init__()
        self.width = width
        self.each = nn.Sequential(
            nn.Linear(columns + 2, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width),
            nn.ReLU(),
        )  # fmt: skip

    def forward(self, xy: Tensor, columns: Tensor, there: Tensor) -> Tensor:
        """(B, N, 2) places, (B, N, columns), (B, N) whether there is a point -> (B, width, CELLS, CELLS)."""
        cell, inside = cells_of(xy)
        rows = (cell + torch.arange(len(xy))[:, None] * CELLS**2)[there & inside]
        local = (xy / CELL) % 1.0 - 0.5
        points = torch.cat([local, columns], -1)[there & inside]
        grid = torch.zeros(len(xy) * CELLS**2, self.width)
        if len(points) > 1:
            grid = grid.scatter_reduce(0, rows[:, None].expand(-1, self.width), self.each(points), "amax")
        return grid.view(len(xy), CELLS, CELLS, self.width).permute(0, 3, 1, 2)


class Lift(nn.Module):
    """Pictures as a map from above: every cell looks where it is seen, at a few heights."""

    def __init__(self, width: int):
        super().__init__()
        self.near = nn.Sequential(conv(3, 16, 2), conv(16, width, 2), conv(width, width))
        self.far = nn.Sequential(conv(width, 2 * width, 2), conv(2 * width, 2 * width), conv(2 * width, width, 1, 1))
        self.join = conv(width * len(HEIGHTS), width, 1, 1)
        middle = (torch.arange(CELLS) + 0.5 - CELLS / 2) * CELL
        x, y, z = torch.meshgrid(middle, middle, torch.tensor(HEIGHTS), indexing="ij")
        places = torch.stack([x, y, z, torch.ones_like(x)], -1).permute(2, 0, 1, 3).reshape(-1, 4)
        self.register_buffer("places", places, persistent=False)

    def forward(self, images: Tensor, there: Tensor, lidar2img: Tensor) -> Tensor:
        """(B, C, 3, H, W) pictures, (B, C) whether there is one, (B, C, 4, 4) -> (B, width, CELLS, CELLS)."""
        batch, cameras, _, height, width = images.shape
        if not there.any():
            images = torch.zeros(batch, cameras, 3, 16, 16)  # seen by no cell
            height = width = 16
        fine = self.near(images.flatten(0, 1).float() / 128 - 1)
        fine = fine + F.interpolate(self.far(fine), size=fine.shape[-2:], mode="bilinear")
        # lidar2img carries what was done to scene, mounting and picture
        pixel = torch.einsum("bcij,nj->bcni", lidar2img[:, :, :3], self.places)
        at = (pixel[..., :2] / pixel[..., 2:].clamp(min=0.1) + 0.5) / torch.tensor([width, height]) * 2 - 1
        seen = ((at.abs() < 1).all(-1) & (pixel[..., 2] > 0.5) & there[..., None]).float()
        look = F.grid_sample(fine, at.flatten(0, 1)[:, None], align_corners=False)[:, :, 0]
        look = look.view(batch, cameras, -1, seen.shape[-1]) * seen[:, :, None]
        mean = look.sum(1) / seen.sum(1).clamp(min=1)[:, None]
        mean = mean.view(batch, -1, len(HEIGHTS), CELLS, CELLS)
        return self.join(mean.flatten(1, 2))


class Detector(nn.Module):
    """Cars and pedestrians from above: a heatmap of each, and where in its cell each one is."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.lift, self.lidar, self.radar = Lift(width), Pillars(2, 2 * width), Pillars(3, 16)
        self.fuse = conv(3 * width + 16, 2 * width)
        self.wide = nn.Sequential(conv(2 * width, 3 * width, 2), conv(3 * width, 3 * width), conv(3 * width, 2 * width, 1, 1))
        self.head = nn.Sequential(conv(4 * width, 2 * width), nn.Conv2d(2 * width, len(CLASSES) + 2, 1))
        nn.init.constant_(self.head[-1].bias[: len(CLASSES)], -3.0)  # most cells are empty

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (B, classes, CELLS, CELLS) of a centre in each cell, and its place in it (B, 2, CELLS, CELLS)."""
        points, echoes = batch["points"], batch["radar_points"]
        maps = [
            self.lift(batch["images"], batch["image_mask"], batch["lidar2img"]),
            self.lidar(points[..., :2], points[..., 2:4] / torch.tensor([1.0, 255.0]), batch["point_mask"]),
            self.radar(echoes[..., :2], echoes[..., 3:6] / torch.tensor([5.0, 5.0, 20.0]), batch["radar_mask"]),
        ]
        fine = self.fuse(torch.cat(maps, 1))
        out = self.head(torch.cat([fine, F.interpolate(self.wide(fine), scale_factor=2.0)], 1))
        return out[:, : len(CLASSES)], out[:, len(CLASSES) :]


def targets(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Heatmaps of centres, (B, classes, CELLS, CELLS); rows (n, 3) of batch, class and cell; place in it (n, 2)."""
    xy, label = batch["boxes"][..., :2], batch["labels"]
    cell, inside = cells_of(xy)
    row, box = (inside & (label >= 0)).nonzero(as_tuple=True)
    found = torch.stack([row, label[row, box], cell[row, box]], 1)
    heat = torch.zeros(len(xy), len(CLASSES), CELLS, CELLS)
    middle = (torch.arange(CELLS) + 0.5 - CELLS / 2) * CELL
    for (b, k, c), (x, y) in zip(found.tolist(), xy[row, box].tolist(), strict=True):
        blob = torch.exp(-((middle[:, None] - x) ** 2 + (middle - y) ** 2) / (2 * 0.7**2))  # 0.7 m wide
        blob[c // CELLS, c % CELLS] = 1.0
        heat[b, k] = torch.maximum(heat[b, k], blob)
    return heat, found, (xy[row, box] / CELL) % 1.0


def loss_of(out: tuple[Tensor, Tensor], batch: Batch) -> Tensor:
    """Focal loss of the heatmaps (CenterNet), and the mean error of places in their cells: one number."""
    logit, place = out
    heat, found, true = targets(batch)
    p, centre, many = torch.sigmoid(logit), heat == 1, max(1, len(found))
    hit = (1 - p) ** 2 * F.logsigmoid(logit)
    miss = (1 - heat) ** 4 * p**2 * F.logsigmoid(-logit)
    told = place.flatten(2)[found[:, 0], :, found[:, 2]]
    return (-torch.where(centre, hit, miss).sum() + (told - true).abs().sum()) / many


def train(
    samples: Sequence[fa.Sample], pipeline: fa.Transform, seed: int, steps: int = 120, rate: float = 4e-3
) -> Detector:
    """A network after so many steps; the seed is that of its weights, of the order and of the augmentation."""
    torch.manual_seed(seed)
    network = Detector().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
    step, epoch = 0, 0
    while step < steps:
        for part in torch.randperm(len(samples)).split(BATCH):
            # samples lie in memory and are augmented as they are, so that what weather asks of them is asked once
            batch = dense([pipeline(samples[int(i)], seed=seed, epoch=epoch) for i in part])
            loss = loss_of(network(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            if step < steps:
                optimizer.step()
                schedule.step()
            step += 1
        epoch += 1
    return network.eval()


# --- how good it is -------------------------------------------------------------------------------------------------
@torch.no_grad()
def detections(network: nn.Module, batch: Batch, most: int = 60) -> Tensor:
    """(B, most, 4): x, y (m), class, score, the best first."""
    logit, place = network(batch)
    heat = torch.sigmoid(logit)
    heat = heat * (F.max_pool2d(heat, 3, 1, 1) == heat)  # one answer for each peak
    score, at = heat.flatten(1).topk(most)
    label, cell = at // CELLS**2, at % CELLS**2
    inner = place.flatten(2).gather(2, cell[:, None].expand(-1, 2, -1)).transpose(1, 2)
    xy = (torch.stack([cell // CELLS, cell % CELLS], -1) + inner - CELLS / 2) * CELL
    return torch.cat([xy, label[..., None].float(), score[..., None]], -1)


def average_precision(found: Sequence[Tensor], truth: Sequence[Tensor], label: int, near: float = 1.0) -> float:
    """AP in percent of one class over keyframes: a detection is right within ``near`` metres of a centre not yet taken.

    Args:
        found: (n, 4) as of ``detections``, each keyframe. truth: (m, 3) x, y, class.
    """
    answers, objects = [], 0
    for ours, theirs in zip(found, truth, strict=True):
        ours, theirs = (t[(t[:, 2] == label) & (t[:, :2].norm(dim=1) < REACH)] for t in (ours, theirs))
        distance, free = torch.cdist(ours[:, :2], theirs[:, :2]), torch.ones(len(theirs), dtype=torch.bool)
        objects += len(theirs)
        for row, score in zip(distance, ours[:, 3].tolist(), strict=True):
            row = row.masked_fill(~free, float("inf"))
            right = bool(len(row)) and float(row.min()) < near
            if right:
                free[row.argmin()] = False
            answers.append((score, right))
    hits = torch.tensor([right for _, right in sorted(answers, key=lambda a: -a[0])], dtype=torch.float64)
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    best_from_here = precision.flip(0).cummax(0).values.flip(0) if len(hits) else precision
    return 100 * float((best_from_here * hits).sum()) / max(1, objects)


def evaluate(network: nn.Module, batches: Sequence[Batch]) -> float:
    """Mean AP of the classes over batches of keyframes, percent."""
    found, truth = [], []
    for batch in batches:
        found += list(detections(network, batch))
        rows = torch.cat([batch["boxes"][..., :2], batch["labels"][..., None]], -1)
        truth += [r[m & (r[:, 2] >= 0)] for r, m in zip(rows, batch["box_mask"], strict=True)]
    return statistics.mean(average_precision(found, truth, k) for k in range(len(CLASSES)))
