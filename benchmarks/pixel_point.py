"""Contrast of matched pixels and points: does a small network learn from ``fa.matches`` which point a pixel shows?

``python -m benchmarks.pixel_point [--cache DIR]``. Made streets are drawn as two views each; a point of one view and
the pixel of the other that shows it are a pair. A network of patches and one of neighbourhoods of points are trained
with ``fa.losses.info_nce`` for 300 steps; then, on streets that were never seen, each point chooses among the pixels of
256 pairs. Chance is 1 in 256. With matches that are shuffled it has to stay there. Prints a table and writes
benchmarks/pixel_point.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fusion_aug as fa
from fusion_aug.synth.drive import SIZES, make_log

TRAIN, TEST, FRAMES = range(8), range(100, 106), 4
CLOUD, PATCH, NEAR, PER_CAMERA, DRAWS = "LIDAR_TOP", 17, 16, 60, 1
STEPS, BATCH, WIDTH, TEMPERATURE, SEEDS = 300, 256, 32, 0.1, (0, 1, 2)

PIPELINE = fa.Compose({
    "yaw": fa.RotateScene(yaw_deg=[-180, 180]),
    "mirror": fa.MirrorScene(axis="y", p=0.5),
    "thin": fa.PointDropout(share=[0.0, 0.3]),
    "crop": fa.ResizeCrop(size=(96, 168), scale=[1.0, 1.3], x=[0, 1], y=[0, 1], scope="sensor"),
    "light": fa.Brightness(factor=[0.7, 1.3], scope="sensor"),
})  # fmt: skip


@dataclass(frozen=True)
class Pairs:
    """Matched pixels and points.

    Attributes:
        patches: (n, 3, PATCH, PATCH) uint8 around the pixel. near: (n, NEAR, 4) offsets to neighbours, m, and their
            intensity. own: (n, 3) height and distance of the point, m, and its intensity.
    """

    patches: Tensor
    near: Tensor
    own: Tensor

    def __len__(self) -> int:
        return len(self.own)

    def take(self, rows: Tensor) -> Pairs:
        """Some of them."""
        return Pairs(self.patches[rows], self.near[rows], self.own[rows])


def pairs_of(a: fa.Sample, b: fa.Sample, rng: torch.Generator) -> list[Pairs]:
    """Pairs of points of view a and pixels of view b, camera by camera."""
    pair, cloud, out = fa.matches(a, b), a.points(CLOUD), []
    xyz, intensity = cloud["xyz"].float(), cloud["intensity"].float()[:, None] / 255
    for camera in a.of_type(fa.Camera):
        found = pair.point_pixels(CLOUD, camera)
        if not len(found):
            continue
        chosen = torch.randperm(len(found), generator=rng)[:PER_CAMERA]
        rows, pixels = found.rows[chosen], found.pixels[chosen]
        nearest = torch.cdist(xyz[rows], xyz).topk(NEAR + 1, largest=False).indices[:, 1:]
        near = torch.cat([xyz[nearest] - xyz[rows][:, None], intensity[nearest]], 2)
        own = torch.cat([xyz[rows, 2:], xyz[rows, :2].norm(dim=1, keepdim=True), intensity[rows]], 1)
        picture = b[found.camera].image(found.item).permute(2, 0, 1)  # type: ignore[attr-defined]
        padded = F.pad(picture[None].float(), [PATCH // 2] * 4, mode="replicate")[0].to(torch.uint8)
        u, v = pixels.round().long().unbind(1)
        patches = [padded[:, y : y + PATCH, x : x + PATCH] for x, y in zip(u.tolist(), v.tolist(), strict=True)]
        out.append(Pairs(torch.stack(patches), near, own))
    return out


def streets(cache: Path, seeds: range, draws: int) -> Pairs:
    """Pairs of all keyframes of some streets, each drawn several times."""
    found, rng = [], torch.Generator().manual_seed(seeds.start)
    for seed in seeds:
        folder = cache / f"street_{seed}"
        if not folder.is_dir():
            make_log(folder, frames=FRAMES, every=1.0, seed=seed, size=SIZES["tiny"])
        log = fa.open_log("nuscenes", folder)
        for index in range(FRAMES):
            for epoch in range(draws):
                found += pairs_of(*fa.views(log[index], PIPELINE, seed=seed, epoch=epoch), rng)
    return Pairs(*(torch.cat([getattr(p, f) for p in found]) for f in ("patches", "near", "own")))


class Pixels(nn.Module):
    """Features of patches."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(800, 64), nn.ReLU(), nn.Linear(64, WIDTH),
        )  # fmt: skip

    def forward(self, pairs: Pairs) -> Tensor:
        """(n, WIDTH)."""
        out: Tensor = self.net(pairs.patches.float() / 128 - 1)
        return out


class Points(nn.Module):
    """Features of points from their neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.all = nn.Sequential(nn.Linear(32 + 3, 64), nn.ReLU(), nn.Linear(64, WIDTH))

    def forward(self, pairs: Pairs) -> Tensor:
        """(n, WIDTH)."""
        scale = torch.tensor([0.5, 0.05, 2.0])
        near = self.each(pairs.near * torch.tensor([1.0, 1.0, 2.0, 2.0])).amax(1)
        out: Tensor = self.all(torch.cat([near, pairs.own * scale], 1))
        return out


def train(pairs: Pairs, seed: int, shuffled: bool) -> tuple[Pixels, Points]:
    """Both networks after STEPS steps; with ``shuffled`` each pixel is matched to a point of another pair."""
    torch.manual_seed(seed)
    pixels, points = Pixels(), Points()
    rng = torch.Generator().manual_seed(seed)
    partner = torch.randperm(len(pairs), generator=rng) if shuffled else torch.arange(len(pairs))
    optimizer = torch.optim.Adam([*pixels.parameters(), *points.parameters()], lr=2e-3)
    for _ in range(STEPS):
        rows = torch.randint(len(pairs), (BATCH,), generator=rng)
        loss = fa.losses.info_nce(pixels(pairs.take(rows)), points(pairs.take(partner[rows])), temperature=TEMPERATURE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return pixels, points


@torch.no_grad()
def top_1(networks: tuple[Pixels, Points], pairs: Pairs, candidates: int = 256, rounds: int = 20) -> float:
    """Share of points that choose their own pixel among those of ``candidates`` pairs."""
    rng, hits = torch.Generator().manual_seed(1), 0.0
    for _ in range(rounds):
        some = pairs.take(torch.randperm(len(pairs), generator=rng)[:candidates])
        pixels, points = (F.normalize(net(some), dim=1) for net in networks)
        hits += float(((points @ pixels.T).argmax(1) == torch.arange(candidates)).double().mean())
    return hits / rounds


def measure(cache: Path) -> dict[str, object]:
    """The figures of all seeds."""
    begin = time.process_time()
    known, new = streets(cache, TRAIN, DRAWS), streets(cache, TEST, 1)
    made = time.process_time()
    found = {
        name: [top_1(train(known, seed, shuffled), new) for seed in SEEDS]
        for name, shuffled in (("matched", False), ("shuffled", True))
    }
    return {
        "pairs": [len(known), len(new)], "steps": STEPS, "chance": 1 / 256, **found,
        "times_chance": [round(256 * sum(found[n]) / len(SEEDS), 2) for n in ("matched", "shuffled")],
        "cpu_s": {"pairs": round(made - begin, 1), "training": round(time.process_time() - made, 1)},
    }  # fmt: skip


def main() -> None:
    """Print and write the figures."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        found = measure(words.cache or Path(fresh))
    for name in ("matched", "shuffled"):
        print(f"{name:9} top-1 of 256: {', '.join(f'{100 * v:.2f} %' for v in found[name])}")  # type: ignore[attr-defined]
    print({k: v for k, v in found.items() if k not in ("matched", "shuffled")})
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
