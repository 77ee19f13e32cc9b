"""Changes of levels of all pictures of a batch at once, on a device.

A kernel takes levels (N, 3, H, W) float32 from 0 to ``white`` and the numbers of every picture, (N, ...), and gives
levels that may lie outside and between whole ones: they are rounded as on the CPU, and held in their range. The kernels
are in ``on_device_light``, ``on_device_blur``, ``on_device_noise``, ``on_device_histogram`` and ``faults``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.device.pending import is_whole, opened, settled, white_of
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.core.strength import Strength
from fusion_aug.errors import DataError
from fusion_aug.ops.warp_many import held
from fusion_aug.streams import Camera, ImageStream, TactileImage
from fusion_aug.streams.families import Photometric
from fusion_aug.streams.on_device import Block
from fusion_aug.transforms.camera.photometric import PictureContext, applies_to, refuse_gel

Params = Mapping[str, Any]
Kernel = Callable[..., Tensor]
S = TypeVar("S", bound=ImageStream)
NumbersOf = Callable[[Params, PictureContext], dict[str, Any]]
Reads = Callable[[Call], tuple[Block, ...]]


class Change(NamedTuple):
    """What is registered for a transform; see ``changes_levels``."""

    kernel: Kernel
    numbers: NumbersOf
    put_back: bool
    reads: Reads


CHANGES: dict[Any, Change] = {}


def changes_levels(
    transform: type, numbers: NumbersOf, *, put_back: bool = False, reads: Reads = lambda call: ()
) -> Callable[[Kernel], Kernel]:
    """Register the kernel of a transform.

    Args:
        transform: a photometric one. numbers: of a picture, from its drawn parameters and its circumstances, as numbers
            or small arrays, whose shapes are the same for all pictures of a size. A picture that is left alone gets
            those of parameters at their neutral ends, and of a fault that does not happen.
        put_back: whether such numbers change a picture all the same, so that it is put back.
        reads: blocks of other streams that the kernel gets behind ``white``, the same for all cameras.
    """

    def register(kernel: Kernel) -> Kernel:
        CHANGES[transform] = Change(kernel, numbers, put_back, reads)
        return kernel

    return register


on_device(Photometric, TactileImage)(refuse_gel)  # which looks at parameters alone


@on_device(Photometric, Camera, where=lambda cls: cls in CHANGES)
def plan_pictures(stream: Camera, call: Call) -> Camera:
    """Pending maps, and then the kernel on every picture.

    Raises:
        DataError: the pictures have another white than levels have.
    """
    asked = {i: p for i, p in call.asked if applies_to(stream, call, p)}
    if not asked:
        return stream
    _check(stream, call)
    read = CHANGES[call.transform].reads(call)
    stream = settled(stream, call.program)
    change, present = CHANGES[call.transform], stream.present.tolist()
    ends = {n: s.neutral for n, s in call.transform.strengths.items() if isinstance(s, Strength)}
    idle = {**next(iter(asked.values())), **ends, "fails": False}
    rows = []
    for i in range(len(stream)):
        on = i in asked and present[i] and asked[i].get("fails", True)
        rows.append({**change.numbers(asked[i] if on else idle, PictureContext(call, stream, i)), "on": on})
    return with_levels(stream, call, change.kernel, rows, put_back=change.put_back, read=read)


def with_levels(
    stream: S, call: Call, kernel: Kernel, rows: Sequence[Mapping[str, Any]], *, put_back: bool = False,
    read: tuple[Block, ...] = (),
) -> S:  # fmt: skip
    """The stream with a change of the levels of its pictures in the plan, which have nothing pending.

    Args:
        stream: of pictures. call: of the transform. kernel: see above. rows: numbers of every picture.
        put_back: whether those whose ``on`` is False are put back behind it. read: further blocks for the kernel.
    """
    out, fixed = [], {"change": kernel, "put_back": put_back, "who": call.transform.__name__}
    for picture, row in zip(opened(stream.items, call.program), rows, strict=True):
        kind = {"white": white_of(stream, picture), "whole": is_whole(picture)}
        out += call.program.pictures(_changed, [(picture, row)], {}, read=read, **fixed, **kind)
    return replace_unchecked(stream, items=tuple(out))


def _check(stream: Camera, call: Call) -> None:
    who = call.transform.__name__
    odd = {str(p.block.dtype) for p in stream.items if white_of(stream, p) != (255 if is_whole(p) else 1)}
    if odd:
        raise DataError(
            f"{who}: stream {call.name!r} holds {', '.join(sorted(odd))}, but levels are changed of uint8 pictures or "
            f"of float ones from 0 to 1; convert it, or choose other cameras"
        )


def _changed(
    levels: Tensor, numbers: Mapping[str, Any], *read: Any, change: Kernel, put_back: bool, white: float, whole: bool,
    who: str,
) -> Tensor:  # fmt: skip
    out = change(levels, numbers, white, *read)
    if torch.is_grad_enabled() and levels.requires_grad and not out.requires_grad:
        raise DataError(f"{who}: cannot carry a gradient through pictures; detach them before it")
    out = torch.where(wide(numbers["on"]), out, levels) if put_back else out
    return held(out, white, whole)


def wide(numbers: Tensor) -> Tensor:
    """(N,) or (N, 3) numbers in a shape that multiplies levels (N, 3, H, W); those of 64 bits as float32."""
    numbers = numbers.to(torch.float32) if numbers.dtype == torch.float64 else numbers
    return numbers.reshape(len(numbers), -1, 1, 1)


def as_stored(levels: Tensor, white: float) -> Tensor:
    """Levels as a picture of their kind holds them between two steps: whole ones where white is 255."""
    return levels.round() if white == 255 else levels


def size_of(picture: PictureContext) -> tuple[int, int]:
    """(height, width) of a picture."""
    height, width = picture.stream.items[picture.item].block.shape[:2]
    return height, width


def most(picture: PictureContext, of: Callable[[Params], Any]) -> Any:
    """The highest number that any draw of the batch gives, such as a size that all pictures are to share."""
    return max(of(p) for rows in picture.call.parameters.per_sample for p in rows.values())
