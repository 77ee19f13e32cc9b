"""Train a small detector on cameras, LiDAR and radars, with and without augmentation, and test it in bad conditions.

    python examples/train_fusion.py                                         # the whole table
    python examples/train_fusion.py arms=[plain,full] seeds=[0] steps=20    # Hydra: anything of train_fusion.yaml

The streets are those of ``fusion-aug synth drive size=tiny every=1.0``, made at the first time.
"""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

import fusion_aug as fa
from fusion_aug.policy.search import Checkpoint
from fusion_aug.synth.drive import SIZES, make_log

HERE = Path(__file__).parent
CLASSES = ("vehicle.car", "human.pedestrian.adult")
CELL, CELLS = 1.0, 64  # metres, and cells along x and along y; the vehicle is in the middle
REACH = 30.0  # metres up to which objects are scored
HEIGHTS = (0.1, 0.9, 1.7)  # metres above the road at which a cell looks into the pictures
LAYER, LAYERS = 0.5, 8  # metres, and layers of points above the road
BATCH, RATE = 6, 6e-3  # keyframes a step, and the highest rate of learning
MIDDLES = (torch.arange(CELLS) + 0.5 - CELLS / 2) * CELL  # of the cells, m
SETTINGS = OmegaConf.load(HERE / "train_fusion.yaml")
built = partial(hydra.utils.instantiate, _convert_="all")  # the pipeline of a part of the settings
Batch = dict[str, Any]  # what fa.to_dense returns


def dense(samples: Sequence[fa.Sample]) -> Batch:
    """Samples as tensors."""
    return fa.to_dense(fa.collate(list(samples)), classes=CLASSES, channels_first=True, sweeps=False)


# --- the network ----------------------------------------------------------------------------------------------------
def conv(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def cells_of(xy: Tensor, fine: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Number of the cell of places (..., 2) in metres, place in it (0 to 1), and whether it is on the grid."""
    cells, at = CELLS * fine, (xy / CELL + CELLS / 2) * fine
    whole = torch.floor(at)
    return (whole @ torch.tensor([cells, 1.0])).long(), at - whole, ((whole >= 0) & (whole < cells)).all(-1)


class Pillars(nn.Module):
    """Points as a map from above: a small network looks at every point, and in each cell the largest answers count."""

    def __init__(self, columns: int, width: int, fine: int):
        super().__init__()
        self.width, self.fine = width, fine  # fine: parts of a cell along each axis
        first = [nn.Linear(columns + 2, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
        self.points = nn.Sequential(*first, nn.Linear(width, width), nn.ReLU())

    def forward(self, xy: Tensor, columns: Tensor, there: Tensor) -> Tensor:
        """(B, N, 2) m, (B, N, columns), (B, N) whether there is a point -> (B, width, CELLS * fine, CELLS * fine)."""
        cells = CELLS * self.fine
        cell, inner, inside = cells_of(xy, self.fine)
        row = (cell + torch.arange(len(xy))[:, None] * cells**2)[there & inside]
        grid = torch.zeros(len(xy) * cells**2, self.width)
        if len(row) > 1:
            points = self.points(torch.cat([inner - 0.5, columns], -1)[there & inside])
            grid = grid.scatter_reduce(0, row[:, None].expand(-1, self.width), points, "amax")
        return grid.view(len(xy), cells, cells, self.width).permute(0, 3, 1, 2)


class Lift(nn.Module):
    """Pictures as a map from above: every cell looks where it is seen, at a few heights."""

    def __init__(self, width: int):
        super().__init__()
        self.near = nn.Sequential(conv(3, 16, 2), conv(16, width, 2), conv(width, width))
        self.far = nn.Sequential(conv(width, 2 * width, 2), conv(2 * width, 2 * width), conv(2 * width, width, 1, 1))
        self.join = conv(width * len(HEIGHTS), width, 1, 1)
        z, x, y = torch.meshgrid(torch.tensor(HEIGHTS), MIDDLES, MIDDLES, indexing="ij")
        self.register_buffer("places", torch.stack([x, y, z, torch.ones_like(x)], -1).view(-1, 4), persistent=False)

    def forward(self, images: Tensor, there: Tensor, lidar2img: Tensor) -> Tensor:
        """(B, C, 3, H, W) uint8, (B, C) whether there is a picture, (B, C, 4, 4) -> (B, width, CELLS, CELLS)."""
        if not there.any():
            images = torch.zeros(*there.shape, 3, 16, 16)  # no cell looks at them
        batch, _, _, height, width = images.shape
        fine = self.near(images.flatten(0, 1).float() / 128 - 1)
        fine = fine + F.interpolate(self.far(fine), size=fine.shape[-2:], mode="bilinear")
        pixel = torch.einsum("bcij,nj->bcni", lidar2img[:, :, :3], self.places)  # after all that augmentation moved
        at = (pixel[..., :2] / pixel[..., 2:].clamp(min=0.1) + 0.5) / torch.tensor([width, height]) * 2 - 1
        seen = (at.abs() < 1).all(-1) & (pixel[..., 2] > 0.5) & there[..., None]
        at = at.masked_fill(~seen[..., None], 2.0)  # outside of the picture, where nothing is found
        look = F.grid_sample(fine, at.flatten(0, 1)[:, None], align_corners=False)
        look = look.view(*there.shape, -1, len(self.places)).sum(1) / seen.sum(1)[:, None].clamp(min=1)
        return self.join(look.view(batch, -1, CELLS, CELLS))


class Detector(nn.Module):
    """Cars and pedestrians from above: a heatmap of each, and where in its cell each one is."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.cameras, self.radars, self.lidar = Lift(width), Pillars(3, 16, 1), Pillars(LAYERS + 1, width, 2)
        self.coarse = nn.Sequential(conv(width, 2 * width, 2), conv(2 * width, width))
        self.fuse = conv(2 * width + 16, 2 * width)
        down = conv(2 * width, 3 * width, 2)
        self.wide = nn.Sequential(down, conv(3 * width, 3 * width), conv(3 * width, 2 * width, 1, 1))
        self.head = nn.Sequential(conv(4 * width, 2 * width), nn.Conv2d(2 * width, len(CLASSES) + 2, 1))
        nn.init.constant_(self.head[-1].bias[: len(CLASSES)], -3.0)  # most cells are empty

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (B, classes, CELLS, CELLS) of a centre in each cell, and its place in it (B, 2, CELLS, CELLS)."""
        points, echoes = batch["points"], batch["radar_points"]
        layers = (1 - (points[..., 2:3] / LAYER - torch.arange(LAYERS)).abs()).clamp(min=0)
        columns = torch.cat([layers, points[..., 3:4] / 255.0], -1)
        maps = [
            self.cameras(batch["images"], batch["image_mask"], batch["lidar2img"]),
            self.coarse(self.lidar(points[..., :2], columns, batch["point_mask"])),
            self.radars(echoes[..., :2], echoes[..., 3:6] / torch.tensor([5.0, 5.0, 20.0]), batch["radar_mask"]),
        ]
        fine = self.fuse(torch.cat(maps, 1))
        out = self.head(torch.cat([fine, F.interpolate(self.wide(fine), scale_factor=2.0)], 1))
        return out[:, : len(CLASSES)], out[:, len(CLASSES) :]


# --- training -------------------------------------------------------------------------------------------------------
def targets(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Heatmaps of centres, (B, classes, CELLS, CELLS); rows (n, 3) of batch, class and cell; place in it (n, 2)."""
    xy, label = batch["boxes"][..., :2], batch["labels"]
    cell, inner, inside = cells_of(xy)
    row, box = (inside & (label >= 0)).nonzero(as_tuple=True)
    found = torch.stack([row, label[row, box], cell[row, box]], 1)
    along = torch.exp(-(MIDDLES - xy[row, box][..., None]).square() / (2 * 0.7**2))  # 0.7 m wide; (n, 2, CELLS)
    blobs = (along[:, 0, :, None] * along[:, 1, None]).flatten(1)
    blobs[torch.arange(len(found)), found[:, 2]] = 1.0
    where = (found[:, 0] * len(CLASSES) + found[:, 1])[:, None].expand_as(blobs)
    heat = torch.zeros(len(xy) * len(CLASSES), CELLS**2).scatter_reduce(0, where, blobs, "amax")
    return heat.view(len(xy), len(CLASSES), CELLS, CELLS), found, inner[row, box]


def loss_of(out: tuple[Tensor, Tensor], batch: Batch) -> Tensor:
    """Focal loss of the heatmaps (CenterNet), and the mean error of places in their cells: one number."""
    logit, place = out
    heat, found, true = targets(batch)
    p = torch.sigmoid(logit)
    hit, miss = (1 - p) ** 2 * F.logsigmoid(logit), (1 - heat) ** 4 * p**2 * F.logsigmoid(-logit)
    told = place.flatten(2)[found[:, 0], :, found[:, 2]]
    return (-torch.where(heat == 1, hit, miss).sum() + (told - true).abs().sum()) / max(1, len(found))


def train(
    samples: list[fa.Sample], pipeline: fa.Transform, seed: int, last: int = 0, files: Checkpoint | None = None
) -> Detector:
    """Train for the steps of the settings, or up to the ``last`` of now and from file to file, as searches do.

    The seed is that of the weights, the order and the augmentation. The rate rises and falls along all steps.
    """
    torch.manual_seed(seed)
    network = Detector().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    steps = SETTINGS.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=max(steps, 9) + 1, pct_start=0.2)
    parts = {"network": network, "optimizer": optimizer, "schedule": schedule}
    if files and files.before:
        for name, state in torch.load(files.before, weights_only=True).items():
            parts[name].load_state_dict(state)
    per_epoch = -(-len(samples) // BATCH)
    for step in range(schedule.last_epoch, last or steps):
        epoch, place = divmod(step, per_epoch)
        order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(1000 * seed + epoch)).tolist()
        chosen = order[place * BATCH : (place + 1) * BATCH]
        # no DataLoader: samples lie in memory, and weather asks each for the distances in its pictures only once
        batch = dense([pipeline(samples[i], seed=seed, epoch=epoch) for i in chosen])
        loss = loss_of(network(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        schedule.step()
    if files:
        torch.save({name: part.state_dict() for name, part in parts.items()}, files.after)
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


def average_precision(found: Tensor, truth: Tensor, near: float = 1.0) -> float:
    """AP in percent of answers (n, 3), x, y, score; right are those within ``near`` m of a place (m, 2) still free."""
    found = found[found[:, 2].argsort(descending=True, stable=True)]
    free, right = torch.cdist(found[:, :2], truth), torch.zeros(len(found) + 1, dtype=torch.float64)
    for i in range(len(found)):
        if (free[i] < near).any():
            right[i] = 1
            free[:, free[i].argmin()] = torch.inf
    precision = right.cumsum(0) / torch.arange(1, len(right) + 1)
    best_from_here = precision.flip(0).cummax(0).values.flip(0)
    return 100 * float(best_from_here @ right) / max(1, len(truth))


def one_scene(keyframes: Iterable[Tensor]) -> Tensor:
    """Rows x, y, ... within reach, with a kilometre from each keyframe to the next."""
    near = [rows[rows[:, :2].norm(dim=1) < REACH].double() for rows in keyframes]
    return torch.cat([rows + 1000.0 * i * torch.eye(1, rows.shape[1]) for i, rows in enumerate(near)])


def evaluate(network: nn.Module, batches: Sequence[Batch]) -> float:
    """Mean AP of the classes over batches of keyframes, percent."""
    boxes = [torch.cat([b["boxes"][..., :2], b["labels"][..., None]], -1) for b in batches]
    truth = one_scene(rows for batch in boxes for rows in batch)
    found = one_scene(rows for batch in batches for rows in detections(network, batch))
    ours, theirs = ([rows[rows[:, 2] == k] for k in range(len(CLASSES))] for rows in (found, truth))
    return statistics.mean(average_precision(f[:, [0, 1, 3]], t[:, :2]) for f, t in zip(ours, theirs, strict=True))


# --- arms and tests -------------------------------------------------------------------------------------------------
def street(seed: int, folder: Path) -> list[fa.Sample]:
    """The keyframes of a street, decoded in memory; made at the first time."""
    root = folder / f"street-{seed}"
    if not root.is_dir():
        make_log(root, frames=8, every=1.0, seed=seed, size=SIZES["tiny"])
    return [sample.realized() for sample in fa.open_log("nuscenes", root)]


@lru_cache
def keyframes(part: str) -> list[fa.Sample]:
    """All keyframes of the training, validation or test streets."""
    return [s for seed in SETTINGS.streets[part] for s in street(seed, HERE.parent / SETTINGS.folder)]


@lru_cache
def tests(part: str) -> dict[str, list[Batch]]:
    """Batches of these keyframes under every condition; one draw, the same for all networks."""
    groups = [keyframes(part)[i : i + 8] for i in range(0, len(keyframes(part)), 8)]
    pipelines = built(SETTINGS.tests)
    return {name: [dense([test(s, seed=0) for s in group]) for group in groups] for name, test in pipelines.items()}


def objective(pipeline: fa.Transform, seed: int, epochs: int, checkpoint: Checkpoint) -> dict[str, float]:
    """For ``fa.search_policy``: scores on the validation streets after more epochs, of which a training has 60."""
    samples = keyframes("training")[::2]
    last = (checkpoint.epoch + epochs) * (len(samples) // BATCH)
    network = train(samples, pipeline, seed, last, checkpoint)
    return {name: evaluate(network, batches) for name, batches in tests("validation").items()}


def table(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Markdown: of each arm and test the mean over the seeds, and the least and the greatest."""
    lines = ["| | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    for name in next(iter(next(iter(results.values())).values())):
        each = [[scores[name] for scores in seeds.values()] for seeds in results.values()]
        cells = [f"{statistics.mean(v):.1f} ({min(v):.1f} to {max(v):.1f})" for v in each]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines).replace("_", " ")


@hydra.main(version_base=None, config_path=".", config_name="train_fusion")
def main(config: DictConfig) -> None:
    """Train all arms with all seeds, print the table and write every figure as JSON."""
    SETTINGS.merge_with(config)
    torch.set_num_threads(1)
    conditions, results = tests("test"), {arm: {} for arm in config.arms}
    facts = {"steps": config.steps, "seconds_of_the_tests": round(time.process_time(), 1), "results": results}
    for seed, arm in itertools.product(config.seeds, config.arms):
        began, how = time.process_time(), config.trainings[arm]
        samples = keyframes("training")[:: how.step]
        network = train(samples, built(how.pipeline), seed)
        scores = {name: evaluate(network, batches) for name, batches in conditions.items()}
        scores |= {"own_keyframes": evaluate(network, [dense(samples)]), "seconds": time.process_time() - began}
        results[arm][seed] = {name: round(value, 2) for name, value in scores.items()}
        print(arm, seed, results[arm][seed], flush=True)
    print(table(results))
    (HERE.parent / config.out).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
