"""What a transform's own code raises, as errors of the sample and the transform."""

from __future__ import annotations

from collections.abc import Collection
from contextvars import ContextVar
from typing import Any

import cv2
from torch import Tensor

from fusion_aug.errors import USER_ERRORS, DataError, FusionAugError
from fusion_aug.sample import Sample
from fusion_aug.streams.held_columns import HeldColumns

# what code of a transform raises by mistake
OWN_ERRORS = (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError, AssertionError, cv2.error)

_AT_WORK: ContextVar[str] = ContextVar("at_work", default="")


def at_work() -> str:
    """How messages name the transform that is being applied, for what of it is worked out later."""
    return _AT_WORK.get()


class named:
    """Context: what a transform's own code raises, as an error of the sample that names both.

    Also where there is no memory for it, and where it ends the program, which without workers would end the run.

    Args:
        who: how messages name the transform. sample: that it works on.

    Raises:
        FusionAugError: in place of what was raised.
    """

    def __init__(self, who: str, sample: Sample):
        self.who, self.sample = who, sample

    def __enter__(self) -> None:
        self.before = _AT_WORK.set(self.who)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        _AT_WORK.reset(self.before)
        if error is None or isinstance(error, USER_ERRORS):
            return
        who = self.who
        if isinstance(error, MemoryError):
            raise FusionAugError(f"{who}: needs more memory than there is") from error
        if isinstance(error, SystemExit):
            raise FusionAugError(
                f"{who}: ends the program (sys.exit({error.code!r})); raise an error instead"
            ) from error
        if not isinstance(error, OWN_ERRORS):
            return
        if devices := _other_devices(self.sample):
            raise DataError(
                f"{who}: cannot work on values that lie on {', '.join(devices)}; bring the sample to the CPU first "
                f"with sample.to('cpu')"
            ) from error
        raise FusionAugError(f"{who}: {type(error).__name__}: {error}") from error


def _other_devices(sample: Sample) -> list[str]:
    """Devices besides the CPU that values of a sample lie on."""
    loaded = [s for s in sample.streams.values() if not isinstance(s.values, HeldColumns)]
    parts = [v for s in loaded for v in (*s.values.values(), *getattr(s, "items", ()))]
    return sorted({str(v.device) for v in parts if isinstance(v, Tensor) and not v.is_cpu})


def who_of(cls: Any, sample: Sample, path: str = "", asked: Collection[int] | None = None) -> str:
    """How messages name a transform and what it works on: the samples ``asked`` for, or all of a batch."""
    ids = [m.id for u, m in enumerate(sample.metas) if asked is None or u in asked]
    return f"sample {', '.join(ids)}: {cls.__name__}{f' ({path})' if path else ''}"
