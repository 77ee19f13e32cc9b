"""One episode's draws by the ordinary machinery, noted instead of applied to data that are not there yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from calib.replacing import replace_unchecked
from fusion_aug.core.engine import Run
from fusion_aug.core.named_errors import named, who_of
from fusion_aug.core.parameters import DrawnParameters, ParameterRows
from fusion_aug.names import full_name
from fusion_aug.sample import Sample
from fusion_aug.sample.history import Record
from fusion_aug.sim.step_rules import reports


class Drawn(NamedTuple):
    """A transform that was drawn.

    Attributes:
        transform: class. path: of it. params: instance -> parameters. sample: as the transforms before leave it.
    """

    transform: Any
    path: str
    params: Mapping[str, Mapping[str, Any]]
    sample: Sample


@dataclass
class DrawingRun(Run):
    """A pass that draws and records as any does, and changes of the sample what one reading does not hold.

    Attributes:
        drawn: what is to be done to every reading, in order.
    """

    drawn: list[Drawn] = field(default_factory=list)

    def apply_drawn(self, cls: Any, sample: Sample, drawn: DrawnParameters, path: str, who: str = "") -> Sample:
        """Note what was drawn for the one sample, and change its rigs, stamps, poses and gels."""
        params = drawn[0] or {}
        self.drawn.append(Drawn(cls, path, params, sample))
        with named(who or who_of(cls, sample, path, [0]), sample):
            before = cls.before(sample, 0, params)
            if reports(cls):
                sample = cls.apply(sample, ParameterRows(drawn), self.context)
        meta = sample.metas[0]
        record = Record(path, full_name(cls), cls.version, params, True, before)
        return replace_unchecked(sample, metas=(replace_unchecked(meta, history=(*meta.history, record)),))
