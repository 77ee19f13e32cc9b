"""Open registries: transforms by name, and what each does to each kind of stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from calib.se3 import as_f64
from fusion_aug.errors import ConfigError, DataError, Obstacle, UnhandledStream
from fusion_aug.names import Registry, full_name
from fusion_aug.sample import Sample
from fusion_aug.sample.history import Record
from fusion_aug.sample.sensors import is_selected
from fusion_aug.streams import Opaque, Stream
from fusion_aug.streams.families import Family


@dataclass(frozen=True)
class Context:
    """What a transform may read besides the sample.

    Attributes:
        resources: by name: other samples, object banks, backgrounds. Partners are drawn from the keyed random stream
            and recorded by id and hash.
        program: of a batch on a device the plan (``core/device/program``) that rules add to; else None.
    """

    resources: Mapping[str, Any]
    program: Any = None

    def resource(self, name: str, who: str) -> Any:
        """A resource by name.

        Raises:
            ConfigError: it was not passed.
        """
        if name not in self.resources:
            raise ConfigError(f"{who}: needs the resource {name!r}; pass resources={{{name!r}: ...}}")
        return self.resources[name]


@dataclass(eq=False)
class Call:
    """The application of a transform to one stream.

    Attributes:
        transform: the transform's class.
        sample: the sample before the transform.
        name: the stream's name.
        parameters: ``ParameterRows``, the parameters of all samples of the batch.
        context: resources.
        family_state: what the family computed once for all streams, such as the maps of all frames.
    """

    transform: Any
    sample: Sample
    name: str
    parameters: Any
    context: Context
    family_state: Any = None

    @property
    def program(self) -> Any:
        """The plan of a batch on a device."""
        return self.context.program

    @cached_property
    def params(self) -> list[Mapping[str, Any]]:
        """The parameters of every item; items that share a draw share the dictionary.

        A handler that works ``by_item`` finds None at the items that it is to leave as they are.
        """
        return self.parameters.per_item(self.name, self.sample.streams[self.name])

    @cached_property
    def asked(self) -> list[tuple[int, Mapping[str, Any]]]:
        """Index and parameters of the items that are to be changed: all but for handlers that work ``by_item``."""
        return [(i, p) for i, p in enumerate(self.params) if p is not None]

    def per_row(self, name: str, like: Tensor) -> Tensor:
        """One drawn number for every row of a column, in a shape that multiplies it.

        Args:
            name: of the parameter.
            like: the column (rows, ...).

        Returns:
            (rows, 1, ...) in the column's dtype and on its device; it carries the parameter's gradient, if it has one.
        """
        numbers = torch.stack([as_f64(p[name]) for p in self.params])
        rows = self.sample.streams[self.name].row_item
        return numbers[rows].reshape(-1, *[1] * (like.ndim - 1)).to(like)


Handler = Callable[[Any, Call], Stream]
H = TypeVar("H", bound=Callable[[Any, Call], Stream])

TRANSFORMS: Registry[Any] = Registry("transform")
_HANDLERS: Registry[Handler] = Registry("handler", "handle a transform or a stream class of your own")
_BY_ITEM: set[tuple[type, type]] = set()
_RESOLUTION_CACHE: dict[tuple[type, type], tuple[type, type] | None] = {}
_HANDLER_CACHE: dict[tuple[type, type], tuple[Handler | None, bool]] = {}


def find_transform(name: str) -> Any:
    """The class of a full name (``mine.Brightness``), None if there is none. A bare name means one of ours."""
    return TRANSFORMS.get(name if "." in name else f"fusion_aug.{name}")


def transform_class(record: Record) -> Any:
    """The class behind a record. A bare name, as version 0.1 wrote it, is one of ours.

    Raises:
        DataError: it is not registered, or its meaning has changed since.
    """
    cls = find_transform(record.name)
    if cls is None and record.name.startswith("__main__."):
        raise DataError(
            f"history: {record.name} was defined in a script or notebook: it replays only where that has run"
        )
    if cls is None:
        raise DataError(f"history: transform {record.name!r} is not registered; import the plugin that defines it")
    if cls.version != record.version:
        raise DataError(f"history: {record.name} is of version {record.version}, this is version {cls.version}")
    return cls


def own_transforms() -> dict[str, Any]:
    """The transforms of this package that are no containers, by their bare names."""
    own = {n.removeprefix("fusion_aug."): c for n, c in sorted(TRANSFORMS.items()) if n.startswith("fusion_aug.")}
    return {n: c for n, c in own.items() if issubclass(c, Family)}


def handles(transform: type, stream: type, by_item: bool = False) -> Callable[[H], H]:
    """Register what a transform (or a family of them) does to a kind of stream (and its subclasses).

    Args:
        transform: the class. stream: the class.
        by_item: whether the handler leaves the items that are not in ``Call.asked`` as they are. Else a batch is taken
            apart where a gate lets the transform run on some of its samples only.

    Raises:
        ConfigError: another function does that already.
    """

    def register(handler: H) -> H:
        _HANDLERS.add((transform, stream), handler, f"{full_name(transform)} on {full_name(stream)}")
        if by_item:
            _BY_ITEM.add((transform, stream))
        _RESOLUTION_CACHE.clear()
        _HANDLER_CACHE.clear()
        return handler

    return register


def resolve(transform: type, stream: type) -> Handler | None:
    """The handler for a pair, most special transform first, then most special stream; None if there is none."""
    pair = registered_pair(transform, stream)
    return None if pair is None else _HANDLERS[pair]


def has_rules(transform: type) -> bool:
    """Whether a transform works by rules for kinds of streams at all, and not on a rig or by partners alone."""
    return any(t in transform.__mro__ and s is not Opaque for t, s in _HANDLERS)


def works_by_item(transform: type, stream: type) -> bool:
    """Whether the handler for a pair leaves the items that are not in ``Call.asked`` as they are."""
    return registered_pair(transform, stream) in _BY_ITEM


def registered_pair(transform: type, stream: type) -> tuple[type, type] | None:
    """The pair whose handler is that of a pair."""
    if (transform, stream) not in _RESOLUTION_CACHE:
        pairs = ((t, s) for t in transform.__mro__ for s in stream.__mro__ if (t, s) in _HANDLERS)
        _RESOLUTION_CACHE[transform, stream] = next(pairs, None)
    return _RESOLUTION_CACHE[transform, stream]


def is_invariant(transform: type, stream: type[Stream]) -> bool:
    """Whether a stream class declares that a transform cannot change it, or a transform that it ignores the class."""
    if stream.invariant_to and issubclass(transform, stream.invariant_to):
        return True
    return issubclass(transform, Family) and issubclass(stream, transform.ignores)


def family_of(transform: type) -> type[Family]:
    """The family that a transform belongs to."""
    return next(base for base in transform.__mro__ if Family in base.__bases__)


def unhandled(transform: type, kind: type[Stream], name: str) -> UnhandledStream:
    """The error for a stream that a transform has no rule for.

    Its advice is that of the stream's class where it has one of its own. Typed columns are no advice: a transform that
    goes by columns has a rule for every class.
    """
    advice = (
        f"name {family_of(transform).__name__} in the class's invariant_to if it cannot change the values, or register "
        f"a handler (handles({transform.__name__}, {kind.__name__}))"
    )
    own = kind.remedy != Stream.remedy
    return UnhandledStream(
        f"{transform.__name__} has no rule for stream {name!r} ({kind.__name__}): {kind.remedy if own else advice}"
    )


def handler_for(transform: type, stream: Stream, name: str) -> Handler | None:
    """The handler for a stream, or None where the transform passes it by.

    Raises:
        UnhandledStream: the transform is strict and the stream has neither a rule nor an exemption.
    """
    kind = type(stream)
    if isinstance(stream, Opaque):
        return _handler_for_opaque(transform, stream)
    if (transform, kind) not in _HANDLER_CACHE:
        exempt = is_invariant(transform, kind)
        found = None if exempt else resolve(transform, kind)
        strict = issubclass(transform, Family) and transform.strict
        _HANDLER_CACHE[transform, kind] = (found, strict and found is None and not exempt)
    handler, refused = _HANDLER_CACHE[transform, kind]
    if refused:
        raise unhandled(transform, kind, name)
    return handler


def _handler_for_opaque(transform: type, stream: Opaque) -> Handler | None:
    """What a transform does to a stream whose values are not understood.

    A rule for opaque streams decides first; else the rules for what the stream would be tell whether the transform had
    to change it, which is refused.
    """
    for t in transform.__mro__:
        if (t, Opaque) in _HANDLERS:
            return _HANDLERS[t, Opaque]
    kind, strict = stream.kind_if_understood, issubclass(transform, Family) and transform.strict
    if is_invariant(transform, kind):
        return None
    found = resolve(transform, kind)
    if found is not None and getattr(transform, "keeps_values", False):
        return found
    return None if stream.is_untouched_by(transform) or not (found or strict) else refuse_opaque


def refuse_opaque(stream: Stream, call: Call) -> Stream:
    """Stop at an opaque stream, unless the transform is asked for other sensors.

    Raises:
        Obstacle: naming the stream, the transform, the reason and a remedy.
    """
    assert isinstance(stream, Opaque)
    drawn = [p for rows in getattr(call.parameters, "per_sample", ()) for p in rows.values()]
    patterns = [p[field] for p in drawn for field in ("sensors", "cameras") if p.get(field) is not None]
    if patterns and not any(is_selected(stream, call.name, some) for some in patterns):
        return stream
    transform = call.transform
    raise Obstacle(
        stream.place or f"stream {call.name!r}", transform.__name__, stream.reason, stream.remedy_for(transform)
    )
