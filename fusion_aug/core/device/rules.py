"""What transforms do to streams on a device: an open registry beside that of handlers, and refusal by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from fusion_aug.core.registry import Call, handler_for, registered_pair
from fusion_aug.errors import ConfigError
from fusion_aug.names import Registry, full_name
from fusion_aug.sample import Sample
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Stream

Rule = Callable[[Any, Call], Any]
R = TypeVar("R", bound=Rule)
Lacks = Callable[[Mapping[str, Any], Sample], str]
L = TypeVar("L", bound=Lacks)

_RULES: Registry[tuple[Rule, Callable[[Any], bool]]] = Registry("device rule", "plan for a class of your own")
_HOST_WALKS: set[type] = set()
_ASK: set[type] = set()
_LACKS: dict[type, Lacks] = {}


class Step(NamedTuple):
    """A transform that will run: its class, and its fields or drawn parameters by name."""

    transform: Any
    settings: Mapping[str, Any]


def on_device(transform: type, stream: type, where: Callable[[Any], bool] = lambda cls: True) -> Callable[[R], R]:
    """Register what a transform (or a family) plans on a device where the handler of this very pair runs on the host.

    A rule has the arguments of a handler, looks at no value, adds stages to ``call.program`` and returns the stream
    as it is after them. A handler that only touches what lies on the host may be registered as it is.

    Args:
        transform, stream: as of ``handles``. where: of which classes of transforms it is the rule.
    """

    def register(rule: R) -> R:
        _RULES.add((transform, stream), (rule, where), f"{full_name(transform)} on {full_name(stream)} on a device")
        return rule

    return register


def walks_on_host(*transforms: type) -> None:
    """Declare that what ``apply`` of transforms does beside their handlers looks at metadata alone.

    It has to leave samples of a batch that have no parameters as they are, since none is taken out on a device.
    """
    _HOST_WALKS.update(transforms)


def asks_for_values(*containers: type) -> None:
    """Declare that containers look at values while they run, so that no batch on a device goes through them."""
    _ASK.update(containers)


def asking(transform: type) -> bool:
    """Whether a container was declared so."""
    return not _ASK.isdisjoint(transform.__mro__)


def lacks_on_device(transform: type) -> Callable[[L], L]:
    """Register what tells why a transform cannot run on a device with certain settings, though it has rules.

    Args:
        transform: the class, and those made from it. The function gets fields (ranges among them) or drawn parameters
            by name, and the batch, looks at no value, and says what is in the way and the remedy ("with ...",
            "without ..."); nothing where it can run.
    """

    def register(lacks: L) -> L:
        _LACKS[transform] = lacks
        return lacks

    return register


def rule_for(transform: Any, kind: type[Stream]) -> Any:
    """What is planned for a kind of stream on a device; None where there is no rule beside the handler."""
    pair = registered_pair(transform, kind)
    if pair not in _RULES:
        return None
    rule, where = _RULES[pair]
    return rule if where(transform) else None


def check_on_device(steps: Iterable[Step], sample: Sample) -> None:
    """Raise before anything runs where some transforms have no rule for what lies on a device.

    Args:
        steps: what will run. sample: the batch.

    Raises:
        ConfigError: naming all of them and what they meet.
    """
    there = {n: s for n, s in sample.streams.items() if lies_on_device(s)}
    missing: dict[str, str] = {}
    for cls, settings in steps:
        if asking(cls):
            missing[cls.__name__] = ""
            continue
        met = [n for n, s in there.items() if handler_for(cls, s, n) is not None and rule_for(cls, type(s)) is None]
        if met or not plans_whole(cls):
            missing[cls.__name__] = f" ({', '.join(met[:3])}{', ...' if met[3:] else ''})" if met else ""
            continue
        if why := lacking(Step(cls, settings), sample):
            missing[cls.__name__] = f" {why}"
    if missing:
        told = "; ".join(who + what for who, what in missing.items())
        raise ConfigError(
            f"on a device there is no rule for {told}; run these before batch.to(...), as AugmentedDataset does in the "
            f"workers of a loader, or leave them out"
        )


def lacking(step: Step, sample: Sample) -> str:
    """Why a transform cannot run on a batch on a device with its settings though it has rules; empty where it can."""
    lacks = next((_LACKS[t] for t in step.transform.__mro__ if t in _LACKS), None)
    return "" if lacks is None else lacks(step.settings, sample)


def plans_whole(transform: Any) -> bool:
    """Whether all that a transform does beside its handlers is done on the host, such as to the rig."""
    known = not transform.has_own_walk() or not _HOST_WALKS.isdisjoint(transform.__mro__)
    return bool(transform.accumulates or transform.only_rig or known)
