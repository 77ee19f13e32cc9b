"""Touch and robots: rendering of gels, and what it is worth; kinematics; a warp of a recording.

``python -m benchmarks.touch DATA [OUT.png]`` measures normal errors of mirrored and rotated presses on the real ball
presses of DATA (``gelsight.npz``) and draws them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scipy.interpolate import CubicSpline

import fusion_aug as fa
from benchmarks.timing import Figure, measured
from fusion_aug.physics.gel import GelModel, Press, fit_gel, normals, r_squared, relaxed, render_tactile
from fusion_aug.physics.gel_inverse import height_seen, rerendered, slopes_seen

SIZE = (240, 320)
BALL, MM = 67.8, 0.0295  # pixels, mm per pixel, of the real presses
ARM = Path(__file__).resolve().parents[1] / "datasets" / "arm"
Move = Callable[[np.ndarray], np.ndarray]


def measure() -> list[Figure]:
    """All of them."""
    return [*gel_figures(), *arm_figures()]


def made_press() -> tuple[torch.Tensor, GelModel, torch.Tensor]:
    """A ball pressed into a gel, mm; its lights; a grey background."""
    v, u = np.mgrid[: SIZE[0], : SIZE[1]]
    deep = np.sqrt(np.maximum(60.0**2 - (u - 180) ** 2 - (v - 110) ** 2, 0)) - 35
    lights = np.zeros((10, 3))
    lights[:3] = [[60, -30, -30], [0, 50, -50], [40, 40, 40]]
    lights[9] = -40
    ground = torch.full((*SIZE, 3), 110, dtype=torch.uint8)
    return torch.from_numpy(deep * 0.03), GelModel(torch.from_numpy(lights)), ground


def gel_figures() -> list[Figure]:
    """Rendering with relaxation and noise, against a bare blur of the same picture; and the way back."""
    press, model, ground = made_press()
    seen = render_tactile(press, model, ground, 0.03)
    surface = torch.from_numpy(relaxed(press.numpy() / 0.03, model.relaxation / 0.03) * np.float32(0.03))
    rng = np.random.default_rng(0)
    blur = ("cv2 blur of the picture", lambda: cv2.GaussianBlur(seen.numpy(), (0, 0), 3.0))
    gel = (model, ground, 0.03)

    def flip(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array[:, ::-1])

    return [
        measured("gel: render 240x320", lambda: render_tactile(press, model, ground, 0.03, noise=rng), blur, 11.0,
                 note="relaxation, lights, noise"),
        measured("gel: height of a picture", lambda: height_seen(seen, model, ground, 0.03), blur, 22.0),
        measured("gel: mirror a press", lambda: rerendered(seen, surface, flip, gel, gel), blur, 8.0),
    ]  # fmt: skip


def arm_figures() -> list[Figure]:
    """Kinematics of the recorded arm, and its whole recording mirrored and warped."""
    from calib import load_urdf

    robot = load_urdf(ARM / "arm.urdf")
    q = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1000, len(robot.joints))))
    poses = torch.eye(4).double().expand(1000, 4, 4)
    products = (f"{len(robot.edges)} products of 1000", lambda: [poses @ poses[0] for _ in robot.edges])
    sample = fa.open_log("mcap", ARM / "mcap", rig=str(ARM / "mcap_rig.yaml"))[0].realized()
    pictures = [item for s in sample.streams.values() for item in getattr(s, "items", ())]
    flips = (f"{len(pictures)} pictures flipped", lambda: [p.flip(1) for p in pictures])
    signals = sample.with_streams({n: s for n, s in sample.streams.items() if not hasattr(s, "items")})
    warp, through = fa.TimeWarp(period=1.5), ("splines through them", splines(signals))
    return [
        measured("kinematics: 1000 poses, 9 links", lambda: robot.forward(q), products, 5.0),
        measured("arm: mirror 4.5 s", lambda: fa.MirrorRobot()(sample).realized(), flips, 15.0, 5),
        measured("arm: warp its signals, 4.5 s", lambda: warp(signals, seed=1), through, 250.0, 3,
                 note="2276 readings of 8 joints with efforts, wrench, IMU, taxels"),
    ]  # fmt: skip


def splines(sample: fa.Sample) -> Callable[[], object]:
    """A cubic spline of scipy through every column of numbers, read where it was read before."""
    tables = [
        (stream.capture_times.numpy() * 1e-9, value.double().numpy())
        for stream in sample.streams.values()
        for value in stream.values.values()
        if isinstance(value, torch.Tensor) and value.is_floating_point() and len(value) == len(stream) > 3
    ]
    return lambda: [CubicSpline(t - t[0], v)(t - t[0]) for t, v in tables]


# --- real presses ----------------------------------------------------------------------------------------------------
def presses(path: Path) -> tuple[list[Press], torch.Tensor]:
    """Ball presses and the background."""
    data = np.load(path, allow_pickle=False)
    radii = np.broadcast_to(data["touch_radius_px"], (len(data["frames"]),))
    rows = zip(data["frames"], data["touch_center_xy"], radii, strict=True)
    found = [Press(torch.from_numpy(f), (float(c[0]), float(c[1])), float(r), BALL) for f, c, r in rows]
    return found, torch.from_numpy(data["background"])


def normal_error(picture: torch.Tensor, model: GelModel, ground: torch.Tensor, centre: Any, radius: float) -> float:
    """Mean angle, degrees, of the normals that a picture shows to those of the ball, within the contact."""
    p, q = slopes_seen(picture, model, ground)
    v, u = np.mgrid[: p.shape[0], : p.shape[1]]
    dx, dy = u - centre[0], v - centre[1]
    inside = dx * dx + dy * dy < min(radius, 0.95 * BALL) ** 2
    nx, ny = dx[inside] / BALL, dy[inside] / BALL
    expected = np.stack([nx, ny, np.sqrt(1 - nx * nx - ny * ny)], -1)
    seen = np.stack([-p[inside], -q[inside], np.ones(inside.sum())], -1)
    seen /= np.linalg.norm(seen, axis=-1, keepdims=True)
    return float(np.degrees(np.arccos(np.clip((seen * expected).sum(-1), -1, 1))).mean())


def moves(size: tuple[int, int]) -> dict[str, tuple[Move, np.ndarray]]:
    """Name -> what moves an array over the gel, and its affine map (2, 3) of pixels."""
    height, width = size
    out: dict[str, tuple[Move, np.ndarray]] = {}
    flip = np.array([[-1.0, 0, width - 1], [0, 1, 0]])
    out["mirror"] = (lambda a: np.ascontiguousarray(a[:, ::-1]), flip)
    for angle in (10, 30, 90):
        M = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)

        def rotate(array: np.ndarray, M: np.ndarray = M) -> np.ndarray:
            return cv2.warpAffine(array, M, (width, height), borderMode=cv2.BORDER_REPLICATE)

        out[f"rotation by {angle} deg"] = (rotate, M)
    return out


def compare(path: Path) -> tuple[dict[str, tuple[float, float]], np.ndarray]:
    """Move -> mean normal error (degrees) by pixels and by rendering, on held-out presses; and a figure."""
    found, ground = presses(path)
    model = fit_gel(found[::2], ground)
    print("R^2 on held-out presses (R, G, B):", np.round(r_squared(model, found[1::2], ground), 3))
    print("of what is rendered:", np.round(r_squared(model, found[1::2], ground, as_rendered=True), 3))
    errors: dict[str, list[tuple[float, float]]] = {"as it is": []}
    strips = []
    gel = (model, ground, MM)
    for number, press in enumerate(found[1::2]):
        surface = height_seen(press.picture, model, ground, MM)
        plain = normal_error(press.picture, model, ground, press.center, press.radius)
        errors["as it is"].append((plain, plain))
        for name, (move, M) in moves((ground.shape[0], ground.shape[1])).items():
            centre = M @ np.array([*press.center, 1.0])
            pixels = torch.from_numpy(move(press.picture.numpy()))
            rendered = rerendered(press.picture, surface, move, gel, gel)
            first, second = (normal_error(x, model, ground, centre, press.radius) for x in (pixels, rendered))
            pair = (first, second)
            errors.setdefault(name, []).append(pair)
            if number == 3:
                wanted = normals(move(surface.numpy()) / MM)
                strips.append(_strip(name, press.picture, pixels, rendered, model, ground, wanted, pair))
    means = {n: (float(np.mean([p for p, _ in v])), float(np.mean([a for _, a in v]))) for n, v in errors.items()}
    return means, np.concatenate(strips)


def _strip(
    name: str, picture: torch.Tensor, pixels: torch.Tensor, rendered: torch.Tensor, model: GelModel,
    ground: torch.Tensor, wanted: np.ndarray, errors: Any,
) -> np.ndarray:  # fmt: skip
    """A press, moved by pixels and by rendering, and the normals that both show beside the right ones."""

    def shown(image: torch.Tensor) -> np.ndarray:
        p, q = slopes_seen(image, model, ground)
        n = np.stack([-p, -q, np.ones_like(p)], -1)
        return n / np.linalg.norm(n, axis=-1, keepdims=True)

    tiles = [picture.numpy(), pixels.numpy(), rendered.numpy()]
    tiles += [((n + 1) * 127.5).astype(np.uint8) for n in (shown(pixels), shown(rendered), wanted)]
    words = ["press", f"{name}: pixels", f"{name}: rendered", f"normals {errors[0]:.1f} deg off",
             f"normals {errors[1]:.1f} deg off", "right normals"]  # fmt: skip
    out = []
    for tile, word in zip(tiles, words, strict=True):
        small = np.ascontiguousarray(cv2.resize(tile, (300, 225), interpolation=cv2.INTER_AREA))
        cv2.putText(small, word, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
        out.append(small)
    return np.concatenate(out, 1)


def main() -> None:
    """Print the table, write the figure."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m benchmarks.touch GELSIGHT.npz [OUT.png]")
    errors, figure = compare(Path(sys.argv[1]))
    for name, (pixels, rendered) in errors.items():
        print(f"{name:14} normal error: pixels {pixels:5.1f} deg, rendered {rendered:5.1f} deg")
    target = Path(sys.argv[2] if len(sys.argv) > 2 else "touch.png")
    target.write_bytes(cv2.imencode(".png", cv2.cvtColor(figure, cv2.COLOR_RGB2BGR))[1].tobytes())
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
