"""The mock device mixes with the CPU as CUDA does, and leaves nothing behind."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from places import REPOSITORY
from torch import Tensor

from fusion_aug.testing import DeviceLog, mock_device

pytestmark = [pytest.mark.quick, pytest.mark.own_operators]

MIXING = "expected all tensors to be on the same device"


@pytest.fixture
def log() -> Iterator[DeviceLog]:
    with mock_device() as opened:
        yield opened


def test_tensors_say_where_they_lie_and_hold_their_values(log: DeviceLog) -> None:
    x = torch.arange(6.0).reshape(2, 3).to(log.device)
    assert x.device == log.device and not x.is_cpu and x.shape == (2, 3)
    out = ((x @ x.T).cumsum(0) / 2).cpu()
    assert out.is_cpu and torch.equal(out, torch.tensor([[2.5, 7.0], [9.5, 32.0]]))


def of_default(device: torch.device) -> Tensor:
    with device:
        return torch.zeros(2)


FACTORIES: dict[str, Callable[[torch.device, Tensor], Tensor]] = {
    "zeros": lambda d, x: torch.zeros(2, device=d),
    "zeros_like": lambda d, x: torch.zeros_like(x),
    "like of the host": lambda d, x: torch.zeros_like(torch.ones(2), device=d),
    "new_full": lambda d, x: x.new_full((2,), 0.0),
    "new_tensor": lambda d, x: x.new_tensor([0.0, 0.0]),
    "tensor": lambda d, x: torch.tensor([0.0, 0.0], device=d),
    "as_tensor of an array": lambda d, x: torch.as_tensor(np.zeros(2, np.float32), device=d),
    "arange": lambda d, x: torch.arange(2, device=d) * 0.0,
    "eye": lambda d, x: torch.eye(2, device=d)[0, 1:].expand(2),
    "linspace": lambda d, x: torch.linspace(0, 0, 2, device=d),
    "default device": lambda d, x: of_default(d),
    "name of the device": lambda d, x: torch.zeros(2).to(str(d)),
    "rand": lambda d, x: torch.rand(2, device=d) * 0,
}


@pytest.mark.parametrize("name", FACTORIES)
def test_factories(log: DeviceLog, name: str) -> None:
    made = FACTORIES[name](log.device, torch.ones(2).to(log.device))
    assert made.device == log.device and made.dtype == torch.float32 and made.tolist() == [0.0, 0.0]


REFUSED: dict[str, Callable[[Tensor, Tensor], object]] = {
    "sum": lambda here, there: here + there,
    "in place": lambda here, there: there.add_(here),
    "product": lambda here, there: here @ there,
    "stack": lambda here, there: torch.stack([here, there]),
    "where": lambda here, there: torch.where(there > 0, there, here),
    "gather": lambda here, there: there.gather(0, torch.tensor([1])),
    "index_select": lambda here, there: there.index_select(0, torch.tensor([1])),
    "host by an index of the device": lambda here, there: here[there.long()],
    "host by a mask of the device": lambda here, there: here[there > 0],
    "put into the host": lambda here, there: here.index_put_((torch.tensor([0]),), there[:1]),
    "put values of the host": lambda here, there: there.index_put_((torch.tensor([0]),), here[:1]),
    "result on the host": lambda here, there: torch.add(there, there, out=here),
    "a number of the host changed": lambda here, there: here.sum().add_(there.sum()),
    "a number of the device among rows of the host": lambda here, there: here * there.sum(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mixing_is_refused(log: DeviceLog, name: str) -> None:
    here = torch.tensor([1.0, 2.0])
    with pytest.raises(RuntimeError, match=MIXING):
        REFUSED[name](here, torch.tensor([0.0, 1.0]).to(log.device))
    assert here.tolist() == [1.0, 2.0]


def test_numbers_of_the_host_are_taken_by_value(log: DeviceLog) -> None:
    there, two = torch.ones(3, device=log.device), torch.tensor(2.0)
    log.clear()
    out = [
        there * two,
        two - there,
        torch.where(there > two, two, there),
        there.clone().fill_(two),
        there.clamp(max=two),
    ]
    assert not log.syncs and not log.copies_in
    assert [x.tolist() for x in out] == [[2.0] * 3, [1.0] * 3, [1.0] * 3, [2.0] * 3, [1.0] * 3]


def test_a_generator_of_the_host_is_refused(log: DeviceLog) -> None:
    with pytest.raises(RuntimeError, match="a generator of the CPU cannot draw"):
        torch.empty(3, device=log.device).normal_(generator=torch.Generator())


def test_what_a_gpu_has_not_is_refused(log: DeviceLog) -> None:
    x = torch.ones(2, device=log.device)
    for attempt in (x.numpy, lambda: np.asarray(x), lambda: np.sqrt(x), lambda: pickle.dumps(x)):
        with pytest.raises(TypeError, match="bring it to the host"):
            attempt()
    with pytest.raises(RuntimeError, match="there is no lazy:1"):
        x.to("lazy:1")
    with pytest.raises(RuntimeError, match="changes its shape in place"):
        x.unsqueeze_(0)
    assert x.shape == (2,) and copy.deepcopy(x).tolist() == [1.0, 1.0]


def test_changes_in_place_reach_all_views(log: DeviceLog) -> None:
    x = torch.zeros(2, 3, device=log.device)
    row = x[1]
    assert row.add_(1) is row
    x[0, 1:] = 5
    x[torch.tensor([0]), torch.tensor([0])] = 7.0
    x[x == 1] = 2.0
    assert x.tolist() == [[7.0, 5.0, 5.0], [2.0, 2.0, 2.0]]


def test_gradients_and_training(log: DeviceLog) -> None:
    torch.ones(2, requires_grad=True).sum().backward()  # autograd has run on the CPU before
    w = torch.ones(3, device=log.device, requires_grad=True)
    (w * torch.arange(3.0).to(log.device)).sum().backward()
    assert w.grad is not None and w.grad.device == log.device and w.grad.tolist() == [0.0, 1.0, 2.0]
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)).to(log.device)
    losses = []
    for _ in range(5):
        loss = (model(w.detach()[None]) - 3.0).square().sum()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.05 * p.grad
                p.grad = None
        losses.append(loss.item())
    assert losses[-1] < losses[0] and all(p.device == log.device for p in model.parameters())


def test_inference_mode_takes_operators_apart_too(log: DeviceLog) -> None:
    with torch.inference_mode():
        x = torch.ones(2, 3, device=log.device)
        out = torch.nn.functional.linear(x, x)
    assert out.tolist() == [[3.0, 3.0], [3.0, 3.0]] and "aten::mm" in {e.what for e in log.launches}


# --- what is left ----------------------------------------------------------------------------------------------------
def test_nothing_is_left_behind_also_after_an_error() -> None:
    def state() -> tuple[object, ...]:
        with pytest.raises(RuntimeError) as pinning:
            torch.ones(2).pin_memory()
        names = {n for n in sys.modules if n.startswith("torch.") and "lazy" in n}
        lifted = torch._C._only_lift_cpu_tensors()
        return str(pinning.value), names, lifted, torch.accelerator.is_available(), torch.ones(1).device.type

    before = state()
    with pytest.raises(ZeroDivisionError), mock_device() as log:
        torch.ones(2, device=log.device)
        raise ZeroDivisionError
    assert state() == before
    with pytest.raises(NotImplementedError):
        torch.zeros(2, device=log.device)


def test_used_twice_and_one_within_the_other() -> None:
    with mock_device() as first:
        x = torch.ones(2, device=first.device)
        with mock_device() as inner:
            y = x + 1
        x += 1
    assert [e.what for e in first.launches] == ["aten::ones", "aten::add_"]
    assert [e.what for e in inner.launches] == ["aten::add"]
    with mock_device() as second:
        z = y * 2
    assert [e.what for e in second.launches] == ["aten::mul"] and z.cpu().tolist() == [4.0, 4.0]


def test_afterwards_tensors_can_be_copied_to_the_host_only() -> None:
    with mock_device() as log:
        x = torch.ones(2, device=log.device)
    assert x.tolist() == [1.0, 1.0] and x.cpu().is_cpu and not log.syncs
    with pytest.raises(RuntimeError, match=r"the block of mock_device\(\) has ended"):
        x + 1


def test_other_threads_work_on_its_tensors(log: DeviceLog) -> None:
    x, out = torch.ones(2, device=log.device), []
    thread = threading.Thread(target=lambda: out.append(x + 1))
    thread.start()
    thread.join()
    assert out[0].tolist() == [2.0, 2.0] and log.launches[-1].what == "aten::add"


def test_nothing_of_the_package_imports_it() -> None:
    files = [f for folder in ("fusion_aug", "calib") for f in (REPOSITORY / folder).rglob("*.py")]
    asking = {f.parent.name for f in files if "import" in f.read_text() and "fusion_aug.testing" in f.read_text()}
    assert asking == {"testing"}
