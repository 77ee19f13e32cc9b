"""One message among others of its topic: its decoder says what is wrong, and here is said where and what to do."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from fusion_aug.errors import DataError

T = TypeVar("T")
SKIP = "leave the topic out with log.exclude, or its sample with on_error=skip"


def naming_its_message(function: Callable[[Path, bytes, Any], T]) -> Callable[[Path, bytes, Any], T]:
    """A decoder of messages whose errors tell the log time of the message, and a remedy.

    Args:
        function: raises ``DataError``s that may begin with file and topic.
    """

    @wraps(function)
    def decoded(path: Path, raw: bytes, options: Any) -> T:
        try:
            return function(path, raw, options)
        except DataError as error:
            where = f"{path}: topic {options['topic']}"
            which = f"the message at log time {options['log_time']} ns" if "log_time" in options else "a message"
            reason = str(error).removeprefix(f"{where}: ")
            raise DataError(f"{where}: {which}: {reason}; {SKIP}") from error

    return decoded
