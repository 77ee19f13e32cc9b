"""Columns of rotations in the forms that logs of robots have, absolute and as changes per step."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from calib.rotation_forms import WIDTHS, form_from_rotation, moved_form, rotation_from_form
from calib.se3 import slerp
from fusion_aug.ops.resample import bracket
from fusion_aug.ops.similarity import Motion
from fusion_aug.streams.columns import RULES, Column

TURNS = "turns"  # method of resampling
CHANGE = "change of "  # begins the kind of a column that holds changes


def turn(form: str, name: str = "") -> Column:
    """Rotations (n, k) of a body in the stream's frame, radians.

    Args:
        form: of ``calib.rotation_forms.WIDTHS``. name: of the column; that of the form by default.
    """
    return Column(name or form, form, width=WIDTHS[form], scaled=False, resample=TURNS)


def turn_per_step(name: str, form: str, *, in_child_frame: bool = False) -> Column:
    """Rotations (n, k) that a command adds per step: ``R_next = dR R``, about axes of the stream's frame.

    Args:
        name: of the column. form: of ``calib.rotation_forms.WIDTHS``.
        in_child_frame: about the body's own axes instead, ``R_next = R dR``.
    """
    return Column(name, CHANGE + form, width=WIDTHS[form], scaled=False, resample=TURNS, in_child_frame=in_child_frame)


def form_of(column: Column) -> str:
    """The form of a column of rotations or of their changes; empty for any other column."""
    form = column.kind.removeprefix(CHANGE)
    return form if form in WIDTHS else ""


def move_turns(
    form: str, change: bool, v: Tensor, frame: Motion | None, body: Motion | None, scaled: bool = False
) -> Tensor:
    """Rotations after a motion of their frame and of the body; changes per step after one of the frame they are in."""
    body = frame if change else body
    if frame is None and body is None:
        return v
    before, mirrored = _proper(frame, v)
    after, _ = _proper(body, v)
    return moved_form(form, v, before, after, mirrored).to(v)


def _proper(motion: Motion | None, v: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation (rows, 3, 3) of a motion after a mirror of y where it has one, and whether it has (rows,)."""
    rows = len(v)
    if motion is None:
        eye = torch.eye(3, dtype=torch.float64, device=v.device)
        return eye.expand(rows, 3, 3), torch.zeros(rows, dtype=torch.bool, device=v.device)
    mirrored = (motion.sign < 0).expand(rows)
    Q = motion.Q.expand(rows, 3, 3)
    return torch.where(mirrored[:, None, None], torch.stack([Q[..., 0], -Q[..., 1], Q[..., 2]], -1), Q), mirrored


def read_turns(values: Tensor, column: Column, times: Tensor, at: Tensor) -> Tensor:
    """Rotations (k, m) at times (k,) read at other times (n,), both int64 ns, on the shortest way in between."""
    before, after, weight = bracket(times, at)
    form = form_of(column)
    a, b = values[before], values[after]
    near = torch.where((weight < 0.5)[:, None], a, b)
    R = slerp(rotation_from_form(form, a), rotation_from_form(form, b), weight)
    out = form_from_rotation(form, R, near).to(values)
    same = (a == b).all(1) | (weight == 0)
    return torch.where(same[:, None], a, torch.where((weight == 1)[:, None], b, out))


def turns_over_steps(value: Tensor, column: Column, old: Tensor, at: Tensor, ends: Tensor) -> Tensor:
    """Changes per step (k, m) at times ``old`` (k,), joined from ``at`` to ``ends`` (n,), all int64 ns.

    Args:
        old: with the end of its last step, (k + 1,).
    """
    form = form_of(column)
    whole = turned_after(value, column)
    first, last = (turn_at(whole, old, times) for times in (at, ends))
    back = first.transpose(1, 2)
    joined = back @ last if column.in_child_frame else last @ back
    like = value[bracket(old[:-1], at)[0]] if len(old) > 2 else value[:1].expand(len(at), -1)
    return form_from_rotation(form, joined, like).to(value)


def turned_after(value: Tensor, column: Column) -> Tensor:
    """How far (k + 1, 3, 3) a body has turned before every one of its changes per step (k, m) and after the last."""
    whole = [torch.eye(3, dtype=torch.float64)]
    for step in rotation_from_form(form_of(column), value):  # R_next = dR R, or R dR about the body's own axes
        whole.append(whole[-1] @ step if column.in_child_frame else step @ whole[-1])
    return torch.stack(whole)


def turn_at(whole: Tensor, times: Tensor, at: Tensor) -> Tensor:
    """Rotations (k, 3, 3) at times (k,) read at others (n,), both int64 ns, on the shortest way in between."""
    before, after, weight = bracket(times, at)
    return slerp(whole[before], whole[after], weight)


for _form in WIDTHS:
    RULES[_form] = partial(move_turns, _form, False)
    RULES[CHANGE + _form] = partial(move_turns, _form, True)
