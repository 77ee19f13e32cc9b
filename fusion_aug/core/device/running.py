"""A pipeline on a batch that lies on a device: looked at before, planned, and run at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from fusion_aug.core.device.compiled import run_program
from fusion_aug.core.device.pending import finished
from fusion_aug.core.device.program import Program
from fusion_aug.core.device.rules import Step, asking, check_on_device
from fusion_aug.core.gradients import asks_gradient, numbers_alone
from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.some_of_batch import with_changed_streams
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import ImageStream
from fusion_aug.streams.on_device import Block, ColumnsOnDevice


def plan_for(steps: Iterable[Step], sample: Sample) -> Program | None:
    """An empty plan for a batch on a device; None of one on the host.

    Args:
        steps: transforms that will run. sample: the batch.

    Raises:
        ConfigError: some of them have no rule for what they meet there.
        DataError: its values lie on several devices, or a gradient is asked of a parameter.
    """
    devices = {b.device for s in sample.streams.values() for b in _blocks(s)}
    if not devices:
        return None
    if len(devices) > 1:
        raise DataError(f"the values of a batch lie on several devices: {', '.join(sorted(map(str, devices)))}")
    steps = list(steps)
    _refuse_gradients(steps)
    check_on_device([step._replace(settings=numbers_alone(step.settings)) for step in steps], sample)
    return Program(devices.pop())


def _refuse_gradients(steps: Sequence[Step]) -> None:
    """Raise where a gradient is asked of a parameter, which travels as a number."""
    for step in steps:
        asked = [name for name, value in step.settings.items() if asks_gradient(value)]
        if asked and not step.transform.only_rig:
            raise DataError(
                f"{step.transform.__name__}: a gradient is asked of {asked[0]}, which nothing on a device carries; "
                f"detach it, or run this before batch.to(...)"
            )


def _blocks(stream: Any) -> list[Block]:
    if isinstance(stream.values, ColumnsOnDevice):
        return [stream.values.block]
    return [p.block for p in stream.items] if isinstance(stream, ImageStream) and lies_on_device(stream) else []


def steps_in(transform: Any) -> Iterator[Step]:
    """All transforms inside with their fields; of containers those that ask for values."""
    children = list(transform.children())
    if asking(type(transform)):
        yield Step(type(transform), {})
    if not children and not hasattr(transform, "transforms"):
        yield Step(type(transform), {f.name: getattr(transform, f.name) for f in fields(transform)})
    for _, child in children:
        yield from steps_in(child)


def steps_of(transform: Any, drawn: Iterable[Any]) -> list[Step]:
    """A transform with the parameters that were drawn for some samples: instance -> parameters of each."""
    return [Step(transform, params) for rows in drawn if rows is not None for params in (rows or {"": {}}).values()]


def run_plan(sample: Sample, program: Program) -> Sample:
    """Run all stages; the sample's streams have their values afterwards."""
    program.begin()
    there = {n: s for n, s in sample.streams.items() if lies_on_device(s)}
    done = {n: finished(s, program) for n, s in there.items()}
    run_program(program, {b for s in done.values() for b in _blocks(s)})
    return with_changed_streams(sample, {n: s for n, s in done.items() if s is not there[n]})
