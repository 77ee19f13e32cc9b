"""What transforms do to streams on a device: an open registry beside that of handlers, and refusal by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fusion_aug.core.registry import Call, handler_for, registered_pair
from fusion_aug.errors import ConfigError
from fusion_aug.names import Registry, full_name
from fusion_aug.sample import Sample
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Stream

Rule = Callable[[Any, Call], Any]
R = TypeVar("R", bound=Rule)

_RULES: Registry[tuple[Rule, Callable[[Any], bool]]] = Registry("device rule", "plan for a class of your own")


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


def rule_for(transform: Any, kind: type[Stream]) -> Any:
    """What is planned for a kind of stream on a device; None where there is no rule beside the handler."""
    pair = registered_pair(transform, kind)
    if pair not in _RULES:
        return None
    rule, where = _RULES[pair]
    return rule if where(transform) else None


def check_on_device(transforms: list[Any], sample: Sample) -> None:
    """Raise before anything runs where some transforms have no rule for what lies on a device.

    Args:
        transforms: classes. sample: the batch.

    Raises:
        ConfigError: naming all of them and what they meet.
    """
    there = {n: s for n, s in sample.streams.items() if lies_on_device(s)}
    missing: dict[str, list[str]] = {}
    for cls in dict.fromkeys(transforms):
        met = [n for n, s in there.items() if handler_for(cls, s, n) is not None and rule_for(cls, type(s)) is None]
        if met or not plans_whole(cls):
            missing[cls.__name__] = met
    if missing:
        told = "; ".join(f"{who} ({', '.join(names[:3])}{', ...' if names[3:] else ''})" if names else who
                         for who, names in missing.items())  # fmt: skip
        raise ConfigError(
            f"on a device there is no rule for {told}; run these before batch.to(...), as AugmentedDataset does in the "
            f"workers of a loader, or leave them out"
        )


def plans_whole(transform: Any) -> bool:
    """Whether all that a transform does beside its handlers is done on the host, such as to the rig."""
    return bool(transform.accumulates or transform.only_rig or not transform.has_own_walk())
