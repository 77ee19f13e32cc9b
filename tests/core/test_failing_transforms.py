"""A transform that fails, in whatever part of it and way, gives one error that names the sample and it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.engine import run
from fusion_aug.errors import FusionAugError

pytestmark = pytest.mark.quick


def no_memory() -> None:
    raise MemoryError


def no_memory_in_numpy() -> None:
    np.ones(2**60, np.uint8)


def end() -> None:
    sys.exit(0)


def wrong() -> None:
    raise ValueError("it is wrong")


FAILURES = {
    "memory": (no_memory, "needs more memory"), "numpy": (no_memory_in_numpy, "needs more memory"),
    "exit": (end, r"sys\.exit\(0\)"), "value": (wrong, "ValueError: it is wrong"),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("place", ["sample_params", "apply", "before"])
def test_what_fails_is_named(own_names: None, place: str, failure: str) -> None:
    fail, says = FAILURES[failure]

    @dataclass(frozen=True, kw_only=True)
    class Failing(fa.Transform, fa.Photometric):
        def sample_params(self, rng: Any, sample: Any, context: Any) -> dict[str, Any]:
            return fail() if place == "sample_params" else {}  # type: ignore[return-value]

        @classmethod
        def before(cls, *args: Any) -> Any:
            return fail() if place == "before" else super().before(*args)

        @classmethod
        def apply(cls, sample: Any, parameters: Any, context: Any) -> Any:
            return fail() if place == "apply" else sample

    sample = make_sample()
    with pytest.raises(FusionAugError, match=rf"sample {sample.id}: Failing.*{says}"):
        run(Failing(), sample)
