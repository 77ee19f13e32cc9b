"""What the mock device writes down: ways back to the host by their lines, copies in, launches and bytes, exactly."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import fusion_aug as fa
from calib.se3 import transform_points
from fusion_aug.core.named_errors import named
from fusion_aug.errors import FusionAugError
from fusion_aug.testing import DeviceLog, SynchronizationError, mock_device

pytestmark = [pytest.mark.quick, pytest.mark.own_operators]

A_SIZE = ": a size that depends on data"
ROWS = torch.arange(4.0)


@pytest.fixture
def log() -> Iterator[DeviceLog]:
    with mock_device() as opened:
        yield opened


def refused(ask: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        ask()


# what is done to x = [0, 1, 2, 3] -> what is written down, bytes that come back
SYNCS: dict[str, tuple[Callable[[Tensor], object], str, int]] = {
    "item": (lambda x: x[1].item(), "item", 4),
    "bool": (lambda x: bool(x[1] > 0), "bool", 1),
    "if": (lambda x: 1 if x[1] else 2, "bool", 4),
    "int": (lambda x: int(x[1]), "int", 4),
    "float": (lambda x: float(x[1]), "float", 4),
    "index of a list": (lambda x: [1, 2][x.long()[1]], "index", 8),
    "number as an index": (lambda x: x[x.long()[1]], "item", 8),
    "bound of a slice": (lambda x: x[: x.long()[1]], "index", 8),
    "in": (lambda x: 2.0 in x, "item", 1),
    "format": (lambda x: f"{x[1]:.2f}", "item", 4),
    "repr": (lambda x: repr(x), "repr", 16),
    "tolist": (lambda x: x.tolist(), "tolist", 16),
    "numpy": (lambda x: refused(lambda: x.numpy()), "numpy", 16),
    "asarray": (lambda x: refused(lambda: np.asarray(x)), "numpy", 16),
    "cpu": (lambda x: x.cpu(), "copy to the host", 16),
    "to": (lambda x: x.to("cpu", torch.float64), "copy to the host", 16),
    "copy_": (lambda x: torch.zeros(4).copy_(x), "copy to the host", 16),
    "into rows of the host": (lambda x: torch.zeros(2, 4)[0].copy_(x), "copy to the host", 16),
    "mask": (lambda x: x[x > 1], f"index by a mask{A_SIZE}", 8),
    "put by a mask": (lambda x: x.__setitem__(x > 1, torch.ones_like(x)[2:]), f"index_put_ by a mask{A_SIZE}", 8),
    "masked_select": (lambda x: x.masked_select(x > 1), f"masked_select{A_SIZE}", 8),
    "nonzero": (lambda x: x.nonzero(), f"nonzero{A_SIZE}", 8),
    "where": (lambda x: torch.where(x > 1), f"nonzero{A_SIZE}", 8),
    "unique": (lambda x: x.unique(), f"_unique2{A_SIZE}", 8),
    "unique_consecutive": (lambda x: x.unique_consecutive(), f"unique_consecutive{A_SIZE}", 8),
    "bincount": (lambda x: x.long().bincount(), f"bincount{A_SIZE}", 8),
    "repeat_interleave": (lambda x: x.repeat_interleave(x.long()), f"repeat_interleave{A_SIZE}", 8),
    "equal": (lambda x: torch.equal(x, x.clone()), "equal", 1),
    "allclose": (lambda x: torch.allclose(x, x), "allclose", 1),
    "inv": (lambda x: torch.linalg.inv(torch.diag(x + 1)), "_linalg_check_errors looks whether it has succeeded", 4),
    "eigh": (lambda x: torch.linalg.eigh(torch.diag(x)), "_linalg_eigh looks whether it has succeeded", 4),
    "one_hot": (lambda x: torch.nn.functional.one_hot(x.long()), "item", 8),
}


@pytest.mark.parametrize("name", SYNCS)
def test_each_way_back_to_the_host(log: DeviceLog, name: str) -> None:
    do, what, size = SYNCS[name]
    x = ROWS.to(log.device)
    log.clear()
    do(x)
    last = log.syncs[-1]
    assert (last.what, last.bytes) == (what, size)
    assert (Path(last.file).name, last.line) == (Path(__file__).name, inspect.getsourcelines(do)[1])
    assert len(log.syncs) == 1


# what is done to x, without a wait
FREE: dict[str, Callable[[Tensor], object]] = {
    "a mask filled with a number": lambda x: x.__setitem__(x > 1, 5.0),
    "masked_fill": lambda x: x.masked_fill(x > 1, 5.0),
    "where with three": lambda x: torch.where(x > 1, x, 0.0),
    "an index of the device": lambda x: x[(x > 1).long()],
    "rows": lambda x: x[1:3][None, ..., 0],
    "sorted": lambda x: (x.sort(descending=True), x.topk(2), x.argmax(), x.cumsum(0)),
    "scattered": lambda x: torch.zeros_like(x).scatter_reduce_(0, x.long(), x, "amin"),
    "repeated to a known size": lambda x: x.repeat_interleave(x.long(), output_size=6),
    "inverted unchecked": lambda x: torch.linalg.inv_ex(torch.diag(x + 1)),
    "in another dtype": lambda x: x.to(torch.float64).contiguous().reshape(2, 2),
    "a slice filled with a number": lambda x: x[1:].__setitem__(slice(None), 2.0),
    "a generator of the device": lambda x: torch.rand_like(x),
    "where it lies, and its shape": lambda x: (x.device, x.shape, x.stride(), len(x), x.is_pinned(), x.numel()),
}


@pytest.mark.parametrize("name", FREE)
def test_what_needs_no_wait(log: DeviceLog, name: str) -> None:
    x = ROWS.to(log.device)
    log.clear()
    with log.forbid_syncs():
        FREE[name](x)
    assert not log.syncs and not log.copies_in


# --- copies in -------------------------------------------------------------------------------------------------------
COPIES_IN: dict[str, tuple[Callable[[Tensor], object], str, int]] = {
    "to": (lambda x: ROWS.to(x.device), "copy to the device", 16),
    "tensor": (lambda x: torch.tensor([1, 2], device=x.device), "copy to the device", 16),
    "copy_": (lambda x: x.copy_(ROWS), "copy to the device", 16),
    "an expanded one": (lambda x: x.copy_(torch.ones(1).expand(4)), "copy to the device", 4),
    "an index": (lambda x: x[torch.tensor([1, 2, 3])], "an index of the host", 24),
    "a list as an index": (lambda x: x[[1, 2, 3]], "copy to the device", 24),
    "a mask of the host": (lambda x: x[ROWS > 1], "an index of the host", 16),
    "a number to put": (lambda x: x.__setitem__(x.long(), 5.0), "a number to put", 4),
    "one number of many": (lambda x: x.__setitem__(2, 5.0), "copy to the device", 4),
}


@pytest.mark.parametrize("name", COPIES_IN)
def test_each_way_in(log: DeviceLog, name: str) -> None:
    do, what, size = COPIES_IN[name]
    x = ROWS.to(log.device)
    log.clear()
    do(x)
    (copy,) = log.copies_in
    assert (copy.what, copy.bytes, copy.pinned, copy.waits) == (what, size, False, True) and not log.syncs
    assert (Path(copy.file).name, copy.line) == (Path(__file__).name, inspect.getsourcelines(do)[1])


def test_a_number_put_by_a_mask_of_the_host(log: DeviceLog) -> None:
    x = ROWS.to(log.device)
    log.clear()
    x[ROWS > 1] = 5.0
    assert [(c.what, c.bytes) for c in log.copies_in] == [("an index of the host", 16), ("a number to put", 4)]
    assert x.tolist() == [0.0, 1.0, 5.0, 5.0]


def test_pinned_memory(log: DeviceLog) -> None:
    pinned, made = ROWS.pin_memory(), torch.empty(4, pin_memory=True)
    assert pinned.is_pinned() and pinned[1:].is_pinned() and made.is_pinned() and not ROWS.is_pinned()
    for source, non_blocking in ((pinned[1:], True), (pinned, False), (made, True), (ROWS, True)):
        source.to(log.device, non_blocking=non_blocking)
    assert [(c.pinned, c.non_blocking, c.waits) for c in log.copies_in] == [
        (True, True, False), (True, False, True), (True, True, False), (False, True, True),
    ]  # fmt: skip
    with log.forbid_syncs():
        there = pinned.to(log.device, non_blocking=True)
        with pytest.raises(SynchronizationError):
            ROWS.to(log.device)
    assert there.tolist() == ROWS.tolist()


# --- launches and bytes ----------------------------------------------------------------------------------------------
def test_counts_and_bytes_of_a_small_program(log: DeviceLog) -> None:
    x = torch.arange(12, dtype=torch.float32).reshape(3, 4).to(log.device)
    row = torch.ones(4, dtype=torch.float64).to(log.device)
    log.clear()
    y = x * 2  # 48 read, 48 written
    z = y.T[1:].reshape(9)  # a view, copied: 36, 36
    z.add_(1)  # 36, 36
    w = torch.cat([z, z])  # 72, 72
    w.sum()  # 72, 4
    w.zero_()  # nothing is read: 0, 72
    torch.empty(5, device=log.device)  # an allocation
    torch.zeros(5, device=log.device)  # 0, 20
    x + row.expand(3, 4)  # a row is read once: 48 + 32, 96
    x[torch.zeros(6, dtype=torch.int64, device=log.device)]  # 0, 48; 48 + 96 that are gathered, 96
    x.scatter_(0, torch.zeros(1, 4, dtype=torch.int64, device=log.device), y)  # 0, 32; 32 + 48, 16
    torch.add(x, 1, out=y)  # 48, 48
    assert [(e.what.removeprefix("aten::"), e.read, e.written) for e in log.launches] == [
        ("mul", 48, 48), ("clone", 36, 36), ("add_", 36, 36), ("cat", 72, 72), ("sum", 72, 4), ("zero_", 0, 72),
        ("zeros", 0, 20), ("add", 80, 96), ("zeros", 0, 48), ("index", 144, 96), ("zeros", 0, 32), ("scatter_", 80, 16),
        ("add", 48, 48),
    ]  # fmt: skip
    assert log.bytes == sum(e.read + e.written for e in log.launches) == 1240
    assert not log.syncs and not log.copies_in
    lines, first = inspect.getsourcelines(test_counts_and_bytes_of_a_small_program)
    assert {lines[e.line - first].split("#")[0].strip() for e in log.launches if e.what == "aten::sum"} == {"w.sum()"}


def test_puts_count_what_they_put(log: DeviceLog) -> None:
    x = torch.zeros(1000, 3, device=log.device)
    index, rows = torch.tensor([1, 5]).to(log.device), torch.ones(2, 3).to(log.device)
    log.clear()
    x[index] = rows  # 16 + 24 read, 24 written
    x.index_put_((index,), rows, accumulate=True)  # and what was there: 16 + 24 + 24, 24
    x.index_add_(0, index, rows)  # 16 + 24 + 24, 24
    assert [(e.read, e.written) for e in log.launches] == [(40, 24), (64, 24), (64, 24)]
    assert x[[1, 5, 6]].tolist() == [[3.0] * 3, [3.0] * 3, [0.0] * 3]


def test_what_is_empty_costs_nothing(log: DeviceLog) -> None:
    x = torch.zeros(0, 3).to(log.device)
    (x + 1).cpu()
    assert (x.tolist(), log.launches, log.syncs, log.copies_in) == ([], [], [], [])


# --- asking the log --------------------------------------------------------------------------------------------------
def test_forbidden_waits_raise_and_say_where(log: DeviceLog) -> None:
    x = ROWS.to(log.device)
    said = rf"{Path(__file__).name}:\d+ \S+: bool makes the host wait"
    with pytest.raises(SynchronizationError, match=said), log.forbid_syncs():
        bool(x[0])
    assert issubclass(SynchronizationError, FusionAugError) and float(x[1]) == 1.0  # allowed again


def test_an_error_of_a_transform_keeps_the_line_of_its_wait(log: DeviceLog) -> None:
    """``SynchronizationError`` is no error of the data: it goes through the engine as it is."""
    nothing = fa.Sample(metas=(), streams={})
    with pytest.raises(SynchronizationError), log.forbid_syncs(), named("Own", nothing):
        ROWS.to(log.device)


def test_the_printed_log(log: DeviceLog) -> None:
    x = torch.ones(500, 500).to(log.device)
    for _ in range(3):
        (x * 2).sum().item()
    text = str(log)
    assert text.splitlines()[0] == (
        "lazy:0: 6 launches (6.0 MB read, 3.0 MB written), 3 synchronisations, 1 copies in (1.0 MB)"
    )
    (line,) = [row for row in text.splitlines() if row.endswith("[item]")]
    assert line.split()[:3] == ["3", "12", "B"] and Path(__file__).name in line
    assert "[aten::mul, aten::sum]" in text
    log.clear()
    assert str(log) == "lazy:0: 0 launches (0 B read, 0 B written), 0 synchronisations, 0 copies in (0 B)"


def test_lines_of_the_package_come_before_those_of_its_caller(log: DeviceLog) -> None:
    transform_points(torch.eye(4).to(log.device), torch.ones(2, 3).to(log.device))
    assert {Path(e.file).name for e in log.launches} == {"se3.py"}
    assert {p.function for e in log.launches for p in e.places} >= {
        "transform_points", "test_lines_of_the_package_come_before_those_of_its_caller",
    }  # fmt: skip
