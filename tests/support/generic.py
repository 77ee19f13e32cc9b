"""What the generic tests of transforms share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import fusion_aug as fa
from fusion_aug.core.registry import own_transforms
from fusion_aug.streams import ImageStream

Case = tuple[str, dict]


def build(case: Case, **more) -> fa.Transform:
    name, kwargs = case
    return own_transforms()[name](**{**kwargs, **more})


def promises(case: Case, *wanted: str) -> bool:
    return not own_transforms()[case[0]].exemptions.keys() & set(wanted)


def only(where: Callable[[Case], bool]) -> pytest.MarkDecorator:
    """Collect a test for those cases alone that a function says yes to, so that no item passes by doing nothing."""
    return pytest.mark.cases(where=where)


def making(*wanted: str) -> pytest.MarkDecorator:
    """Collect a test for the cases alone that make some promises."""
    return only(lambda case: promises(case, *wanted))


def of_family(*families: type) -> pytest.MarkDecorator:
    """Collect a test for the cases alone whose transform belongs to one of some families."""
    return only(lambda case: issubclass(own_transforms()[case[0]], families))


def fingerprint(sample: fa.Sample) -> list:
    """Every number of a sample, to compare it with itself later."""
    out: list = [u.rig for u in sample.metas]
    for name, stream in sample.streams.items():
        out += [name, stream.capture_times.clone(), stream.present.clone()]
        out += [v.clone() if isinstance(v, torch.Tensor) else v.copy() for v in stream.values.values()]
        out += [p.clone() for p in getattr(stream, "items", ())]
    return out


def same_values(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a.nan_to_num(7e7), b.nan_to_num(7e7))
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    return a is b or a == b


def assert_same_streams(a: fa.Sample, b: fa.Sample, exact: bool = True) -> None:
    names = list if exact else sorted  # in a batch that a mirror meets in part the order may differ
    assert names(a.streams) == names(b.streams)
    for name in a.streams:
        x, y = a[name].realized(), b[name].realized()
        assert torch.equal(x.capture_times, y.capture_times) and torch.equal(x.sample_index, y.sample_index), name
        for column in x.values:
            if exact or not isinstance(x.values[column], torch.Tensor):
                assert same_values(x.values[column], y.values[column]), (name, column)
            else:
                assert torch.allclose(x.values[column], y.values[column], atol=1e-5, rtol=0, equal_nan=True), (
                    name,
                    column,
                )
        if isinstance(x, ImageStream):
            for p, q in zip(x.items, y.items, strict=True):
                if exact:
                    assert torch.equal(p, q), name
                else:
                    close = (p.double() - q.double()).abs() <= (1 if p.dtype == torch.uint8 else 1e-5)
                    assert close.double().mean() >= 0.999, name
