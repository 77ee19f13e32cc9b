"""The stages of a plan as one function that ``torch.compile`` fuses, for pipelines that ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fusion_aug.core.device.program import ROWS, Program, Stage
from fusion_aug.errors import ConfigError
from fusion_aug.ops.taken import taken
from fusion_aug.sample import Sample
from fusion_aug.streams.on_device import Block

KEPT = 64  # compiled plans that are held
USUAL = ("inductor", "eager")  # backends that every torch has; the others are known when its compiler is imported

_BACKEND: ContextVar[str] = ContextVar("backend", default="")


class Step(NamedTuple):
    """What is the same for every batch of a stage: ``slots`` number the blocks that it reads, the first its source."""

    kernel: Callable[..., Any]
    slots: tuple[int, ...]
    fixed: tuple[tuple[str, Any], ...]
    host: tuple[tuple[str, Any], ...]
    of_rows: bool
    is_empty: bool


@dataclass(frozen=True)
class Compiled:
    """A pipeline whose stages on a device are compiled; ``compiled`` makes it.

    It is no transform: how kernels are made changes nothing that is drawn or recorded, so configurations, data sets and
    other pipelines hold ``transform``.

    Attributes:
        transform: the pipeline. backend: of ``torch.compile``.
    """

    transform: Any
    backend: str

    def __post_init__(self) -> None:
        given = self.transform
        if isinstance(given, Compiled):
            raise ConfigError("compiled: the pipeline is compiled already; give it once, or its .transform")
        if isinstance(given, type) or not callable(given) or not hasattr(given, "walk"):
            what = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
            raise ConfigError(f"compiled: takes a transform or a pipeline of them, not {what}")
        if self.backend not in USUAL and self.backend not in torch.compiler.list_backends(exclude_tags=()):
            usual = " or ".join(map(repr, USUAL))
            raise ConfigError(f"compiled.backend: {self.backend!r} is none of torch's; {usual}, for instance")

    def __call__(self, sample: Sample, **settings: Any) -> Sample:
        """Draw and apply; arguments, draws, records and refusals are those of the pipeline."""
        with compiling(self.backend):
            out: Sample = self.transform(sample, **settings)
        return out


def compiled(transform: Any, *, backend: str = "inductor") -> Compiled:
    """A pipeline that has its work on a batch on a device done by fused kernels.

    A plan of a new form is compiled when it is met first, which takes seconds; batches of other sizes need no new one.
    What lies on the host goes the way that it always goes. Levels may differ by one from those of kernels that are not
    fused, where a sum lies between two.

    Args:
        transform: a pipeline or any other transform. backend: of ``torch.compile``.

    Raises:
        ConfigError: it is no transform, or torch has no such backend; when it is called, torch cannot compile it.
    """
    return Compiled(transform, backend)


@contextmanager
def compiling(backend: str) -> Iterator[None]:
    """Context: plans run compiled by a backend of ``torch.compile``."""
    token = _BACKEND.set(backend)
    try:
        yield
    finally:
        _BACKEND.reset(token)


def run_program(program: Program, kept: set[Block]) -> None:
    """Run a plan, compiled where that is asked for.

    Args:
        program: the plan. kept: blocks whose values are asked for afterwards.
    """
    program.run(partial(_run_compiled, _BACKEND.get(), kept) if _BACKEND.get() else None)


def _run_compiled(
    backend: str, kept: set[Block], stages: Sequence[Stage], numbers: Sequence[Mapping[str, Any]]
) -> None:
    made = {stage.result for stage in stages}
    read = (b for stage in stages for b in (stage.source, *stage.read) if b not in made)
    sources = list(dict.fromkeys(read))
    slots = {block: k for k, block in enumerate((*sources, *(stage.result for stage in stages)))}
    steps = tuple(_step(stage, own, slots) for stage, own in zip(stages, numbers, strict=True))
    asked = tuple(slots[stage.result] for stage in stages if stage.result in kept)
    tensors = [{n: v for n, v in own.items() if isinstance(v, Tensor)} for own in numbers]
    given = [b.values for b in sources]
    try:
        values = _compiled(steps, asked, backend, _form([*given, *tensors]))(given, tensors)
    except RuntimeError as error:
        ours = type(error).__module__.startswith(("torch._dynamo", "torch._inductor")) or "fullgraph" in str(error)
        if not ours:
            raise
        why = str(error).strip().partition("\n")[0].partition(". ")[0]
        raise ConfigError(
            f"compiled: the backend {backend!r} cannot compile this pipeline ({why}); call the pipeline itself"
        ) from error
    for stage in stages:
        if stage.result in kept:
            stage.result.data = values[asked.index(slots[stage.result])]


def _step(stage: Stage, numbers: Mapping[str, Any], slots: Mapping[Block, int]) -> Step:
    host = tuple((n, v) for n, v in numbers.items() if not isinstance(v, Tensor))
    blocks, of_rows = (stage.source, *stage.read), stage.source.offsets is not None
    return Step(
        stage.kernel, tuple(slots[b] for b in blocks), tuple(stage.fixed.items()), host, of_rows, not stage.rows()
    )


def _form(values: Any) -> Any:
    """What torch compiles anew for, of tensors in lists and mappings: names, types, and sizes of none, one and more."""
    if isinstance(values, Tensor):
        return values.dtype, values.requires_grad, *(min(n, 2) for n in values.shape)
    if isinstance(values, Mapping):
        return tuple((name, _form(value)) for name, value in values.items())
    return tuple(_form(value) for value in values)


@lru_cache(KEPT)
def _compiled(steps: tuple[Step, ...], asked: tuple[int, ...], backend: str, form: Any) -> Callable[..., Any]:
    def own(sources: Sequence[Any], numbers: Sequence[dict[str, Tensor]]) -> list[Any]:
        return flow(steps, asked, sources, numbers)

    own.__code__ = own.__code__.replace()  # torch limits how often one code is compiled anew
    return torch.compile(own, dynamic=True, backend=backend, fullgraph=True)


def flow(
    steps: Sequence[Step], asked: Sequence[int], sources: Sequence[Any], numbers: Sequence[dict[str, Tensor]]
) -> list[Any]:
    """The values of some blocks after all steps.

    Args:
        steps: in order. asked: slots of the blocks. sources: values of the first slots. numbers: of each step.
    """
    values = list(sources)
    for step, own in zip(steps, numbers, strict=True):
        source = values[step.slots[0]]
        if ROWS in own:
            source = taken(source, own[ROWS])
        if step.is_empty:
            values.append(source)
            continue
        given = {**{n: v for n, v in own.items() if n != ROWS}, **dict(step.host)}
        out = step.kernel(source, given, *(values[k] for k in step.slots[1:]), **dict(step.fixed))
        values.append({**source, **out} if step.of_rows else out)
    return [values[k] for k in asked]
