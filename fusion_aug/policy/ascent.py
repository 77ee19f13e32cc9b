"""The way uphill of the numbers that were drawn for one sample."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from fusion_aug.core.engine import Run
from fusion_aug.core.random import Owner
from fusion_aug.core.registry import transform_class
from fusion_aug.errors import USER_ERRORS, DataError, FusionAugError
from fusion_aug.policy.moving import Number, values_of, with_values
from fusion_aug.policy.scoring import Loss, as_number, highest, loss_of, number_of_loss
from fusion_aug.sample import Sample
from fusion_aug.sample.history import History

Values = dict[Number, float]
FORWARD, BACKWARD = 1, 2  # passes that a loss and its gradient count as


@dataclass
class Place:
    """Values of all numbers, with the loss there.

    Attributes:
        values: of the numbers. loss: there.
        result: the loss with its graph, and of every number with an exact gradient the tensor; None without gradients.
    """

    values: Values
    loss: float
    result: Tensor | None = None
    tensors: dict[Number, Tensor] = field(default_factory=dict)


class Ascent:
    """The numbers drawn for one sample, and the loss of the sample with others in their place.

    Args:
        sample: as it was before. run: a pass of its own. records: of the draw. loss: a function of a sample.
        path: of what climbs. who: how messages name it. modes: how the gradient of each number is to be found: exact,
            spsa or auto.

    Attributes:
        values: where the numbers are now. passes: of the loss so far.
    """

    def __init__(
        self, sample: Sample, run: Run, records: History, loss: Loss, path: str, who: str, modes: dict[Number, str]
    ):
        self.sample, self.run, self.records, self.path = sample, run, records, path
        self.loss, self.who, self.modes = loss, who, dict(modes)
        self.values: Values = values_of(records, list(modes))
        self.passes = 0
        self._felt: set[Number] = set()  # the numbers with which the loss was seen to change

    def climb(self, steps: int, step: float, owner: Owner) -> dict[str, Any]:
        """Go uphill, and tell how it went, as a record holds it.

        Args:
            steps: how many. step: share of every range. owner: what the random signs belong to.
        """
        start = {n.name: v for n, v in self.values.items()}
        losses: list[float] = []
        if self.modes:
            here, slopes = self._begin()
            losses = [here.loss]
            for i in range(steps):
                last = i == steps - 1
                there = [self._look(v, last) for v in self._ahead(here.values, slopes, step, i, owner)]
                self._feel([p.loss for p in there])
                best = highest([here.loss, *(p.loss for p in there)])
                if best:
                    here = there[best - 1]
                    slopes = slopes if last else self._slopes(here)
                else:
                    step /= 2
                losses.append(here.loss)
            self.values = here.values
        return {
            "gradient": {n.name: mode for n, mode in self.modes.items()},
            "zero": [n.name for n in self.modes if n not in self._felt],
            "start": start, "losses": losses, "passes": self.passes,
        }  # fmt: skip

    def outcome(self) -> Sample:
        """The sample with the numbers where they are now."""
        return self._applied(dict(self.values), self.run.count)

    # --- where to -----------------------------------------------------------------------------------------------------
    def _of(self, mode: str) -> list[Number]:
        return [n for n, m in self.modes.items() if m == mode]

    def _ahead(self, here: Values, slopes: dict[Number, int], step: float, number: int, owner: Owner) -> list[Values]:
        """Values a step on: of exact gradients along their sign, of the others along random ones, both ways."""
        ahead = {n: n.moved(v, step * slopes.get(n, 0)) for n, v in here.items()}
        guessed = self._of("spsa")
        if not guessed:
            return [ahead]
        rng = self.run.keys.generator(owner, self.path, "choice", f"signs {number}")
        signs = dict(zip(guessed, (2 * rng.integers(0, 2, len(guessed)) - 1).tolist(), strict=True))
        return [ahead | {n: n.moved(here[n], way * step * s) for n, s in signs.items()} for way in (1, -1)]

    def _slopes(self, place: Place) -> dict[Number, int]:
        """Signs of the exact gradient at a place; of the numbers that the loss depends on."""
        if place.result is None or not place.tensors:
            return {}
        self.passes += BACKWARD
        gradients = torch.autograd.grad(place.result, list(place.tensors.values()), allow_unused=True)
        found = {n: float(g) for n, g in zip(place.tensors, gradients, strict=True) if g is not None}
        if wrong := [n for n, g in found.items() if not math.isfinite(g) and n not in self._guessable]:
            raise DataError(f"{self.who}: the gradient of {wrong[0].name} is {found[wrong[0]]}; set gradient to spsa")
        signs = {n: (g > 0) - (g < 0) for n, g in found.items() if math.isfinite(g)}
        place.result, place.tensors = None, {}
        self._felt |= {n for n, s in signs.items() if s}
        return signs

    def _feel(self, losses: Sequence[float]) -> None:
        """Take the other numbers for felt where their two ways differ."""
        if len(losses) > 1 and losses[0] != losses[1]:
            self._felt |= set(self._of("spsa"))

    # --- what carries a gradient --------------------------------------------------------------------------------------
    def _begin(self) -> tuple[Place, dict[Number, int]]:
        """The place of the draw and the slopes there; ``modes`` are exact or spsa from here on."""
        self._choose()
        asked = [n for n, m in self.modes.items() if m == "exact"]
        try:
            place = self._look(self.values)
        except FusionAugError:
            if not self._may_guess(asked):
                raise
            place = self._look(self.values, last=True)  # raises the same where no gradient is to blame
        if asked and place.result is None:
            if not self._may_guess(asked):
                raise DataError(
                    f"{self.who}: the loss carries no gradient of {asked[0].name}; give back a 0-dim tensor that does, "
                    f"or set gradient to spsa"
                )
            self.modes |= dict.fromkeys(asked, "spsa")
        slopes = self._slopes(place)
        self.modes |= {n: "spsa" for n in self._guessable if self.modes[n] == "exact" and n not in slopes}
        return place, slopes

    def _choose(self) -> None:
        """Decide by the transforms alone which numbers can have an exact gradient."""
        self._guessable = set(self._of("auto"))
        wanted = [n for n, m in self.modes.items() if m != "spsa"]
        able, reason = self._carried([n for n in wanted if not self._is_rounded(n)])
        refused = [n for n in wanted if n not in able]
        if forced := [n for n in refused if n not in self._guessable]:
            why = "it is rounded" if self._is_rounded(forced[0]) else reason
            raise DataError(f"{self.who}: {forced[0].name} carries no gradient ({why}); set gradient to auto or spsa")
        self.modes |= dict.fromkeys(able, "exact") | dict.fromkeys(refused, "spsa")

    def _may_guess(self, numbers: Sequence[Number]) -> bool:
        return all(n in self._guessable for n in numbers)

    def _is_rounded(self, number: Number) -> bool:
        return number.whole or number.field in transform_class(self.records[number.record]).rounded

    def _carried(self, numbers: list[Number]) -> tuple[list[Number], str]:
        """Those of some numbers whose gradient all transforms carry, and why others do not."""
        if not numbers:
            return [], ""
        try:
            with _gradients(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True")  # where it is refused
                self._applied({**self.values, **_tensors(self.values, numbers)}).realized()
        except USER_ERRORS as error:
            if len(numbers) == 1:
                return [], str(error)
            half = len(numbers) // 2
            (first, why), (second, other) = self._carried(numbers[:half]), self._carried(numbers[half:])
            return first + second, why or other
        return numbers, ""

    # --- looking ------------------------------------------------------------------------------------------------------
    def _applied(self, values: dict[Number, Any], count: bool = False) -> Sample:
        """The sample with values in place of those drawn."""
        run, sample = replace(self.run, count=count), self.sample
        for record, params in zip(self.records, with_values(self.records, values), strict=True):
            if record.applied:
                sample = run.apply_drawn(transform_class(record), sample, [params], record.path)
            else:
                sample = sample.with_meta(0, history=(*sample.meta.history, record))
        return run.flush(sample)

    def _look(self, values: Values, last: bool = False) -> Place:
        """The loss at a place; with its graph, unless it is the ``last`` or no number has an exact gradient."""
        self.passes += FORWARD
        exact = [] if last else self._of("exact")
        if not exact:
            return Place(values, number_of_loss(self._applied(dict(values)).realized(), self.loss, self.who))
        with _gradients():
            tensors = _tensors(values, exact)
            result = loss_of(self._applied({**values, **tensors}).realized(), self.loss, self.who)
        carries = isinstance(result, Tensor) and result.requires_grad
        return Place(values, as_number(result), result if carries else None, tensors if carries else {})


def _tensors(values: Values, numbers: Sequence[Number]) -> dict[Number, Tensor]:
    return {n: torch.tensor(values[n], dtype=torch.float64, requires_grad=True) for n in numbers}


def _gradients() -> ExitStack:
    """Context in which torch keeps track of gradients, whatever mode the caller is in."""
    stack = ExitStack()
    stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.enable_grad())
    return stack
