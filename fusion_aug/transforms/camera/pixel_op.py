"""Pixel-only transforms of other libraries, seeded from our random stream."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.color import levels_of
from fusion_aug.transforms.camera.photometric import PhotometricTransform, PictureContext


def negative(picture: np.ndarray) -> np.ndarray:
    """The levels (H, W, 3) uint8 counted from white, the operation that is there without a plugin."""
    return 255 - picture


OPS: dict[str, Callable[..., Any]] = {"negative": negative}


@dataclass(frozen=True, kw_only=True)
class PixelOp(PhotometricTransform):
    """Run a pixel-only operation of another library on the pictures. Made by ``pixel_op``.

    Attributes:
        op: name under which ``pixel_op`` registered it.
    """

    op: str

    dense_noise = True
    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "content_identity": "what it does is not ours"
    }
    example: ClassVar[dict[str, Any]] = {"op": "negative"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.op not in OPS:
            raise ConfigError(f"PixelOp.op: {self.op!r} is not registered; call pixel_op(callable, name) in a plugin")

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """The picture after the registered operation.

        Its global random states are seeded from this picture's noise stream, and restored.

        Raises:
            DataError: the operation is not registered in this process, or it changed shape or dtype.
        """
        if params["op"] not in OPS:
            raise DataError(f"PixelOp: {params['op']!r} is not registered here; import the plugin that names it")
        op, seed = OPS[params["op"]], int(context.noise().integers(2**31))
        with seeded(seed):
            out = _adapted(op, picture, seed)
        if out.dtype != picture.dtype:
            raise DataError(
                f"PixelOp {params['op']!r}: gave {out.dtype} for levels of {picture.dtype}; give uint8 back"
            )
        if out.shape != picture.shape:
            raise DataError(
                f"PixelOp {params['op']!r}: gave a picture of shape {tuple(out.shape)} for one of "
                f"{tuple(picture.shape)}: only operations on pixels are allowed here, since labels would not follow"
            )
        return out


def pixel_op(operation: Callable[..., Any], name: str | None = None, **options: Any) -> PixelOp:
    """A transform that runs a pixel-only operation of albumentations, torchvision or kornia, or a function.

    Args:
        operation: an albumentations transform (called with ``image=``), a ``torch.nn.Module`` or a torchvision
            transform (called with (1, 3, H, W) float32 in [0, 1]), or any function from (H, W, 3) uint8 arrays to the
            same. Its randomness is seeded with a number drawn from our stream for every picture.
        name: under which it is known in configurations and records; its class or function name by default. In workers
            and replays the same name must be registered: do it in a module named in ``plugins``.
        options: fields of ``PixelOp``: cameras, p, scope, name.

    Raises:
        ConfigError: another operation has the name, or it moves pixels (an albumentations ``DualTransform``).
    """
    if any(c.__name__ == "DualTransform" for c in type(operation).__mro__):
        raise ConfigError(f"pixel_op: {type(operation).__name__} moves pixels, and labels would not follow")
    known = name or str(getattr(operation, "__name__", type(operation).__name__))
    if OPS.setdefault(known, operation) is not operation:
        raise ConfigError(f"pixel_op: the name {known!r} is taken by another operation; give a name")
    return PixelOp(op=known, **options)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Global random states set from a seed, and put back afterwards: other libraries draw from them."""
    states = (random.getstate(), np.random.get_state(), torch.random.get_rng_state())  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.random.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.random.set_rng_state(states[2])


def _adapted(op: Callable[..., Any], picture: Tensor, seed: int) -> Tensor:
    module = type(op).__module__.partition(".")[0]
    if module == "albumentations":
        if hasattr(op, "set_random_seed"):
            op.set_random_seed(seed)
        out = torch.from_numpy(np.ascontiguousarray(op(image=levels_of(picture).numpy().copy())["image"]))
    elif isinstance(op, torch.nn.Module) or module == "torchvision":
        x = picture.permute(2, 0, 1)[None].to(torch.float32) / (255 if picture.dtype == torch.uint8 else 1)
        with torch.no_grad():
            y = op(x)
        y = y[0] if y.ndim == 4 else y
        out = (y.permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).contiguous()
        if picture.dtype != torch.uint8:
            return y.permute(1, 2, 0).clamp(0, 1).to(picture.dtype).contiguous()
    else:
        out = torch.from_numpy(np.ascontiguousarray(op(levels_of(picture).numpy().copy())))
    if picture.dtype == torch.uint8 or out.dtype != torch.uint8:
        return out.to(picture.device)
    return out.to(picture.device, picture.dtype) / 255
