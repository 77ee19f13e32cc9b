"""CameraInfo messages and camera sensors, both ways.

Raw pictures obey K and D, those of a topic ``image_rect*`` obey P, whose frame is that of the picture as
``image_geometry`` has it. What does not hold for the picture's own pixels is kept beside them (``Rectification``), so
that K, D, R and P move, mirror and change with the pixels together.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import BrownConrady, CameraModel, CameraSensor, KannalaBrandt, Pinhole, UnknownLens
from calib.cameras import is_intrinsics
from calib.rectification import Rectification
from calib.replacing import replace_unchecked
from calib.sensors import pinhole_sensor
from fusion_aug.errors import DataError

LENSES: dict[str, type[CameraModel]] = {
    "plumb_bob": BrownConrady, "rational_polynomial": BrownConrady, "equidistant": KannalaBrandt,
    "fisheye": KannalaBrandt, "kannala_brandt": KannalaBrandt,
}  # fmt: skip
TILT = 12  # coefficients before the two of a tilted sensor
RECTIFIED = re.compile(r"(image_)?rect(ified)?(_.*)?")
FIELDS = ("height", "width", "distortion_model", "d", "k", "r", "p", "binning_x", "binning_y")
REMEDY = "leave the topic out with log.exclude and give the camera in log.rig"


def is_rectified(topic: str) -> bool:
    """Whether the pictures of a topic are rectified, as ``/cam/image_rect_color`` and ``/zed/rgb/rect/image`` are."""
    return any(RECTIFIED.fullmatch(word) for word in topic.split("/"))


def info_topic(topic: str, infos: Container[str]) -> str | None:
    """The CameraInfo topic of a topic of pictures: ``camera_info`` beside it or in the nearest namespace above."""
    words = topic.split("/")
    found = ("/".join([*words[:-k], "camera_info"]) for k in range(1, len(words)))
    return next((t for t in found if t in infos), None)


def same_camera(a: Any, b: Any) -> bool:
    """Whether two CameraInfo messages describe the same calibration."""
    roi = ("x_offset", "y_offset", "height", "width")
    pairs = [(getattr(a, f), getattr(b, f)) for f in FIELDS] + [(getattr(a.roi, f), getattr(b.roi, f)) for f in roi]
    return all(x == y if isinstance(x, str) else np.array_equal(x, y, equal_nan=True) for x, y in pairs)


def camera_sensor(
    info: Any, frame: str, where: str, rectified: bool = False, picture: tuple[int, int] | None = None
) -> CameraSensor:
    """A camera from a CameraInfo message. A negative focal length of an undistorted camera is a flipped picture.

    Binning and a region of interest are applied: they become its pixel map.

    Args:
        info: the message. frame: of the pictures. where: file and topic, for messages.
        rectified: whether the pictures obey P instead of K and D.
        picture: (height, width) of the pictures, for drivers that leave the size out.

    Raises:
        DataError: K or P is no calibration, or the region of interest does not lie in the picture.
    """
    size = (int(info.height), int(info.width))
    size = picture if size == (0, 0) and picture is not None else size
    if min(size) < 1:
        raise DataError(f"{where}: width and height are {size[1]}x{size[0]}, expected those of the pictures")
    A, canvas = _read_out(info, size, where)
    K, P, R = (_matrix(getattr(info, f)) for f in ("k", "p", "r"))
    raw = _lens(info, K, size) if K.any() else UnknownLens.of(size)
    obeys_P = rectified and bool(P.any())
    field, own = ("p", P[:, :3]) if obeys_P else ("k", K)
    model = Pinhole(K=own, size=size) if obeys_P else raw
    if not own.any() or isinstance(model, UnknownLens) or (rectified and not obeys_P and type(raw) is not Pinhole):
        unknown = model if isinstance(model, UnknownLens) else UnknownLens.of(size)
        return CameraSensor(frame=frame, model=unknown, A=A, size=canvas)  # all zeros: its driver has no calibration
    is_bent = type(model) is not Pinhole
    if not _is_usable(own) or (is_bent and not is_intrinsics(own)):
        raise DataError(f"{where}: {field}: expected positive focal lengths, got {own.reshape(-1).tolist()}")
    sensor = CameraSensor(frame=frame, model=model) if is_bent else pinhole_sensor(frame, own, size)
    # what was done to the pixels of an undistorted camera is in its matrix, and not in the physical P
    physical = torch.linalg.inv(sensor.A) @ P
    rotation = R if R.any() else torch.eye(3, dtype=torch.float64)
    behind = raw if obeys_P and K.any() else None
    known = Rectification(R=rotation, P=physical, raw=behind) if _is_usable(P[:, :3]) else None
    return replace_unchecked(sensor, A=A @ sensor.A, size=canvas, rectification=known)


def lens_problem(sensor: CameraSensor) -> str:
    """Why the lens of a CameraInfo is not understood; empty where it is."""
    known = sensor.rectification
    raw = known.raw if known is not None and known.raw is not None else sensor.model
    return raw.why if isinstance(raw, UnknownLens) else ""


def _matrix(numbers: Any) -> Tensor:
    return torch.from_numpy(np.asarray(numbers, dtype=np.float64).reshape(3, -1).copy())


def _is_usable(matrix: Tensor) -> bool:
    return bool(torch.isfinite(matrix).all()) and float(torch.linalg.det(matrix)) != 0


def _read_out(info: Any, size: tuple[int, int], where: str) -> tuple[Tensor, tuple[int, int]]:
    """The pixel map (3, 3) of region of interest and binning, and the (height, width) of the picture behind them.

    The region is in pixels of the whole sensor; pixel u of the picture covers ``binning_x`` of them.

    Raises:
        DataError: the region does not lie in the picture.
    """
    roi, bins = info.roi, (max(1, int(info.binning_x)), max(1, int(info.binning_y)))
    whole = (int(roi.height), int(roi.width)) == (0, 0)
    height, width = size if whole else (int(roi.height), int(roi.width))
    left, top = int(roi.x_offset), int(roi.y_offset)
    height, width = (height - top, width - left) if whole else (height, width)
    canvas = (height // bins[1], width // bins[0])
    if min(canvas) < 1 or left + width > size[1] or top + height > size[0]:
        raise DataError(
            f"{where}: roi: {width}x{height} at {left}, {top}, binned by {bins[0]}x{bins[1]}, does not lie in a "
            f"picture of {size[1]}x{size[0]}"
        )
    A = torch.eye(3, dtype=torch.float64)
    for axis, (start, step) in enumerate(zip((left, top), bins, strict=True)):
        A[axis, axis], A[axis, 2] = 1 / step, (0.5 - start) / step - 0.5
    return A, canvas


def _lens(info: Any, K: Tensor, size: tuple[int, int]) -> CameraModel:
    """The lens that K and D describe; one that is not understood is unknown, and says why."""
    name, given = str(info.distortion_model), np.asarray(info.d, dtype=np.float64)
    kind = LENSES.get(name)
    if kind is not KannalaBrandt and not given.any():
        return Pinhole(K=K, size=size)
    wanted = () if kind is None else kind.coefficients
    kept = given[:TILT] if kind is BrownConrady and not given[TILT:].any() else given
    if kind is KannalaBrandt and not given[wanted[0] :].any():
        kept = np.pad(given, (0, max(0, wanted[0] - len(given))))[: wanted[0]]
    if kind is None or len(kept) not in wanted or not np.isfinite(kept).all():
        tilted = " of a tilted sensor" if kind is BrownConrady and len(given) > TILT else ""
        why = f"its camera_info has the lens {name!r} with {len(given)} coefficients{tilted}, which is not understood"
        return UnknownLens.of(size, why)
    return kind(K=K, size=size, distortion=torch.from_numpy(kept.copy()))


# --- and back ---------------------------------------------------------------------------------------------------------
def is_same(a: CameraSensor, b: CameraSensor) -> bool:
    """Whether two cameras have one CameraInfo."""

    def numbers(camera: CameraSensor) -> list[Tensor]:
        models = [camera.model, *([r.raw] if (r := camera.rectification) and r.raw else [])]
        rectified = [] if camera.rectification is None else [camera.rectification.R, camera.rectification.P]
        return [camera.A, *rectified, *(t for m in models for t in (m.K, m.distortion))]

    if a is b:
        return True
    unknown = [m.is_mirrored if isinstance(m := c.model, UnknownLens) else None for c in (a, b)]
    found, other = numbers(a), numbers(b)
    same = type(a.model) is type(b.model) and a.size == b.size and unknown[0] == unknown[1]
    return same and len(found) == len(other) and all(map(torch.equal, found, other))


def check_one_camera(pairs: Sequence[tuple[CameraSensor, CameraSensor]], where: str) -> None:
    """Stop where the cameras of one CameraInfo topic, such as a raw and a rectified one, were changed differently.

    Args:
        pairs: every camera before and after. where: file and topic, for messages.

    Raises:
        DataError: no message can hold them.
    """
    changes = [new.A @ torch.linalg.inv(old.A) for old, new in pairs]
    sizes = {new.size for _, new in pairs}
    if len(sizes) > 1 or any(not torch.allclose(c, changes[0], rtol=1e-9, atol=1e-6) for c in changes):
        raise DataError(
            f"{where}: is the calibration of {len(pairs)} topics of pictures, whose pixels were mapped differently; "
            f"give the transform scope: sample, or leave one of them out with log.exclude"
        )


def camera_info(camera: CameraSensor, template: Any, where: str = "camera_info") -> Any:
    """Write the CameraInfo of a camera whose pixel map is affine without skew, so that K and P hold it.

    It is that of the pictures as they are, without binning and region of interest. Model and number of coefficients
    stay those of the template where the lens does.

    Args:
        camera: the camera. template: the message that it was read from. where: file and topic, for messages.

    Raises:
        DataError: the lens is not understood, and would have to be changed.
    """
    known = camera.rectification
    raw = known.raw if known is not None and known.raw is not None else camera.model
    size = {"height": camera.size[0], "width": camera.size[1], "binning_x": 0, "binning_y": 0}
    whole = replace(template.roi, x_offset=0, y_offset=0, height=0, width=0)
    if isinstance(raw, UnknownLens) and raw.why:
        raise DataError(f"{where}: cannot be changed: {raw.why}; {REMEDY}")
    if isinstance(raw, UnknownLens):
        return replace(template, **size, roi=whole)
    K = camera.A @ raw.K
    K = K / K[2, 2]
    P = torch.cat([K, torch.zeros(3, 1, dtype=torch.float64)], 1) if known is None else camera.A @ known.P
    R = np.asarray(template.r) if known is None or not np.any(template.r) else known.R.numpy().reshape(-1)
    name, distortion = _distortion(raw, template)
    matrices = {f: M.numpy().reshape(-1).copy() for f, M in (("k", K), ("p", P)) if np.any(getattr(template, f))}
    return replace(template, **size, roi=whole, distortion_model=name, d=distortion, r=R.copy(), **matrices)


def _distortion(model: CameraModel, template: Any) -> tuple[str, np.ndarray]:
    """Name and coefficients of a lens, as the template has them where it is of that lens."""
    name, count, values = str(template.distortion_model), len(template.d), model.distortion.numpy()
    kind = LENSES.get(name)
    if type(model) is Pinhole and kind is not KannalaBrandt:
        return name, np.zeros(count)
    if kind is not type(model) or (name == "plumb_bob" and len(values) > max(5, count)):
        names = {KannalaBrandt: "equidistant", BrownConrady: "rational_polynomial" if len(values) > 5 else "plumb_bob"}
        name, count = names.get(type(model), "plumb_bob"), len(values) or 5
    return name, np.pad(values, (0, max(0, count - len(values))))
