"""One guard for everything that reads: whatever a damaged or hostile file makes a library raise becomes one sentence.

It names the file, and what was wrong in it, as far as the code that failed knew: the innermost ``where`` or ``path`` of
its local variables. The traceback is printed where the environment holds ``FUSION_AUG_DEBUG=1``.
"""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Callable, Collection
from functools import cached_property, wraps
from pathlib import Path
from types import FunctionType, TracebackType
from typing import Any

from fusion_aug.errors import USER_ERRORS, DataError, MissingPackage

DEBUG = "FUSION_AUG_DEBUG"
PLACES = ("where", "path")
OURS = ("fusion_aug", "calib")
# of the computer, not of a file: who writes says which file that was
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)


def print_traceback() -> None:
    """Print where the present exception is from, if the environment asks for it."""
    if os.environ.get(DEBUG, "") not in ("", "0"):
        traceback.print_exc()


def sentence(error: BaseException, writes: bool = False) -> str:
    """What an exception says, in one line.

    Args:
        error: of a library. writes: whether it was met in writing, else in reading.
    """
    text = " ".join(str(error).split())[:300]
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, ImportError):
        package = (error.name or "").partition(".")[0]
        remedy = f": pip install {package}" if isinstance(error, ModuleNotFoundError) and package else ""
        return f"needs a module that cannot be imported ({text}){remedy}"
    if writes:
        return f"cannot be written ({type(error).__name__}{': ' if text else ''}{text})"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    if isinstance(error, KeyError):
        return f"{text} is missing"
    return f"is damaged ({type(error).__name__}{': ' if text else ''}{text})"


def place_of(error: BaseException) -> str | None:
    """File, or file and field, that our code was at when an exception was raised; None where it did not say."""
    if isinstance(error, OSError) and isinstance(error.filename, str | Path):
        return str(error.filename)
    found, step = None, error.__traceback__
    while isinstance(step, TracebackType):
        frame = step.tb_frame
        if frame.f_globals.get("__name__", "").partition(".")[0] in OURS:
            here = [frame.f_locals.get(name) for name in PLACES]
            found = next((str(p) for p in here if isinstance(p, Path) or (isinstance(p, str) and p)), found)
        step = step.tb_next
    return found


def guarded(function: Callable[..., Any], where: Callable[..., str], *, writes: bool = False) -> Callable[..., Any]:
    """A function that raises errors of ours only.

    Args:
        function: reads or writes something. where: makes of its arguments what that was, for messages.
        writes: whether it writes; then errors of the system are left to who knows the output.

    Raises:
        MissingPackage: in place of an ImportError. DataError: in place of any other Exception.
        OSError: the disk is full, or the process has too many open files.
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except USER_ERRORS:
            raise
        except Exception as error:  # a library may raise anything
            if isinstance(error, OSError) and (writes or error.errno in OF_THE_DISK):
                raise
            print_traceback()
            about, place = where(*args), place_of(error)
            root = about.partition(": ")[0]
            inside = place is not None and place.startswith((root + os.sep, f"{root}: "))
            at = place if inside else about if place in (None, root) else f"{about}: {place}"
            kind = MissingPackage if isinstance(error, ImportError) else DataError
            raise kind(f"{at}: {sentence(error, writes)}") from None

    return call


def guard_members(cls: type, names: Collection[str], where: Callable[..., str], *, writes: bool = False) -> None:
    """Guard what a class itself defines of some methods and properties.

    Args:
        cls: the class. names: of its members. where, writes: see ``guarded``; the first argument is the object.
    """
    for name in names:
        member: Any = cls.__dict__.get(name)
        if isinstance(member, FunctionType):
            setattr(cls, name, guarded(member, where, writes=writes))
        elif isinstance(member, property):
            setattr(cls, name, property(guarded(member.fget, where), doc=member.__doc__))  # type: ignore[arg-type]
        elif isinstance(member, cached_property):
            kept: Any = cached_property(guarded(member.func, where))
            kept.__set_name__(cls, name)
            setattr(cls, name, kept)


def reads_file(function: Callable[..., Any]) -> Any:
    """Decorator of a function that reads the file which its first argument names, see ``guarded``."""
    return guarded(function, lambda path, *args: str(path))
