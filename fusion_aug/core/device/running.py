"""A pipeline on a batch that lies on a device: looked at before, planned, and run at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fusion_aug.core.device.pending import finished
from fusion_aug.core.device.program import Program
from fusion_aug.core.device.rules import check_on_device
from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.some_of_batch import with_changed_streams
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import ImageStream
from fusion_aug.streams.on_device import Block, ColumnsOnDevice


def plan_for(classes: Iterable[Any], sample: Sample) -> Program | None:
    """An empty plan for a batch on a device; None of one on the host.

    Args:
        classes: of the transforms that will run. sample: the batch.

    Raises:
        ConfigError: some of them have no rule for what they meet there.
        DataError: its values lie on several devices.
    """
    devices = {b.device for s in sample.streams.values() for b in _blocks(s)}
    if not devices:
        return None
    if len(devices) > 1:
        raise DataError(f"the values of a batch lie on several devices: {', '.join(sorted(map(str, devices)))}")
    check_on_device(list(classes), sample)
    return Program(devices.pop())


def _blocks(stream: Any) -> list[Block]:
    if isinstance(stream.values, ColumnsOnDevice):
        return [stream.values.block]
    return [p.block for p in stream.items] if isinstance(stream, ImageStream) and lies_on_device(stream) else []


def classes_in(transform: Any) -> Iterator[Any]:
    """Classes of all transforms inside, containers left out."""
    children = list(transform.children())
    if not children and not hasattr(transform, "transforms"):
        yield type(transform)
    for _, child in children:
        yield from classes_in(child)


def run_plan(sample: Sample, program: Program) -> Sample:
    """Run all stages; the sample's streams have their values afterwards."""
    program.begin()
    there = {n: s for n, s in sample.streams.items() if lies_on_device(s)}
    done = {n: finished(s, program) for n, s in there.items()}
    program.run()
    return with_changed_streams(sample, {n: s for n, s in done.items() if s is not there[n]})
