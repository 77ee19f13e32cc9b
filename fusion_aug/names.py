"""Registries, in which a name has one owner: a second thing under a taken name is refused."""

from __future__ import annotations

import builtins
import sys
from typing import Any, NamedTuple, TypeVar

from fusion_aug.errors import ConfigError

T = TypeVar("T")


class Registry(dict[Any, T]):
    """Things by name. A second thing of a name is refused, unless it is one's own definition of the first run again.

    Args:
        what: kind of the registered things, for messages.
        remedy: what to do where a name is taken.
    """

    def __init__(self, what: str, remedy: str = "give yours another name"):
        super().__init__()
        self.what, self.remedy = what, remedy
        self._owners: dict[Any, _Owner] = {}

    def add(self, name: Any, thing: T, said: str = "", module: str = "") -> T:
        """Register a thing.

        Args:
            name: what it is called by: a word, or anything that can be a key.
            thing: a class, a function or an object.
            said: the name as messages say it; the name itself by default.
            module: of the code that registers an object; classes and functions have one of their own.

        Raises:
            ConfigError: the name is taken.
        """
        own = plain(module) if module else module_of(thing)
        owner = _Owner(own, getattr(thing, "__qualname__", ""), getattr(sys.modules.get(own), "__spec__", None))
        if name in self and thing != self[name] and not owner.runs_again(self._owners[name], thing):
            raise ConfigError(
                f"{self.what} {said or repr(name)} of {owner.module} is refused: {self._owners[name].module} has "
                f"registered one already; {self.remedy}"
            )
        self[name], self._owners[name] = thing, owner
        return thing


class _Owner(NamedTuple):
    """Who registered a thing.

    Attributes:
        module, place: module and qualified name of the code.
        spec: the module's spec when it registered, which a reload replaces.
    """

    module: str
    place: str
    spec: Any

    def runs_again(self, known: _Owner, thing: Any) -> bool:
        """Whether the code is that of a known owner, run again: in a notebook, a reload, or a function."""
        if self[:2] != known[:2] or _is_ours(self.module):
            return False
        if "<locals>" in self.place or "__dataclass_fields__" in getattr(thing, "__dict__", {}):
            return True  # a function that defines it runs again; a decorator has made another class (slots)
        return is_interactive() if self.module == "__main__" else self.spec is not known.spec


def module_of(thing: Any) -> str:
    """The module that defines a class, a function or the class of an object."""
    return plain(getattr(thing, "__module__", None) or type(thing).__module__)


def plain(module: str) -> str:
    """A module's name; in a worker, ``__main__`` keeps its own."""
    return "__main__" if module == "__mp_main__" else module


def full_name(cls: type) -> str:
    """``fusion_aug.Brightness`` for a class of this package, else its module and name: ``mine.Brightness``."""
    module = module_of(cls)
    return f"{'fusion_aug' if _is_ours(module) else module}.{cls.__name__}"


def _is_ours(module: str) -> bool:
    return module == "fusion_aug" or module.startswith("fusion_aug.")


def is_interactive() -> bool:
    """Whether the main program is a notebook or a prompt, whose cells are run again and again."""
    return hasattr(builtins, "__IPYTHON__") or not hasattr(sys.modules.get("__main__"), "__file__")
