"""What was decoded or worked out last: of recordings longer than the memory no more than that is held."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import ref

MOST_BYTES = 2**24  # of a process
MOST_VALUES = 256
# keys in an object's own dictionary: of what it holds, and of a weak reference to what it gave away
VALUE, PASSED = "value", "passed"
_held: deque[tuple[ref[Any], int]] = deque()


def recent_value(owner: Any, work: Callable[[], Any]) -> Any:
    """What ``work`` gives, held by its owner until more recent values need the room; the last one always is.

    Args:
        owner: what it is worked out of. It has a ``__dict__``, which holds it under ``VALUE``, and can be referred to
            weakly.
        work: gives the same each time.
    """
    own = owner.__dict__
    if VALUE in own:
        return own[VALUE]
    passed = passed_value(owner)
    own[VALUE] = value = work() if passed is None else passed
    _held.append((ref(owner), _size(value)))
    _forget()
    return value


def passing_value(owner: Any, work: Callable[[], Any]) -> Any:
    """What ``work`` gives, for one who makes another of it and then needs it no longer.

    It is not held, so that the next one is worked out in the same memory. An owner that is asked again belongs to a
    sample that is kept: then it is held as ``owner.value`` is.

    Args:
        owner: what it is worked out of, with a ``__dict__`` and a ``value``. work: gives the same each time.
    """
    own = owner.__dict__
    if VALUE in own or PASSED in own:
        return owner.value
    value = work()
    own[PASSED] = ref(value)
    return value


def passed_value(owner: Any) -> Any:
    """What ``passing_value`` gave, where somebody still has it; else None."""
    passed = owner.__dict__.get(PASSED)
    return None if passed is None else passed()


def _size(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else (value,)
    return sum(int(getattr(p, "nbytes", 0)) for p in parts)


def _forget() -> None:
    total = sum(size for _, size in tuple(_held))
    while len(_held) > 1 and (total > MOST_BYTES or len(_held) > MOST_VALUES):
        try:
            owner, size = _held.popleft()
        except IndexError:  # another thread was faster
            return
        total -= size
        if (old := owner()) is not None:
            old.__dict__.pop(VALUE, None)
