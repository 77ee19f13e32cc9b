"""Names that have one owner: what registers a second thing under a taken name is told so."""

from __future__ import annotations

import builtins
import sys
from typing import Any, TypeVar

from fusion_aug.errors import ConfigError

T = TypeVar("T")


class Registry(dict[Any, T]):
    """Things by name. A second thing of a name is refused, unless it is one's own definition of the first run again.

    Args:
        what: what the names stand for, for messages.
    """

    def __init__(self, what: str):
        super().__init__()
        self.what = what
        self._specs: dict[Any, Any] = {}  # name -> the module's spec when it was registered, which a reload replaces

    def add(self, name: Any, thing: T, said: str = "") -> T:
        """Register a thing.

        Args:
            name: what it is called by: a word, or anything that can be a key.
            thing: a class, a function or an object.
            said: the name as messages say it; the name itself by default.

        Raises:
            ConfigError: the name is taken.
        """
        module = module_of(thing)
        if name in self and not self._again(name, thing):
            taken = self[name]
            raise ConfigError(
                f"{self.what} {said or name!r} of {module} is refused: {module_of(taken)} has registered one of that "
                f"name already; give yours another name"
            )
        self[name] = thing
        self._specs[name] = getattr(sys.modules.get(module), "__spec__", None)
        return thing

    def _again(self, name: Any, thing: Any) -> bool:
        """Whether a definition is the one that is known, run again: in a notebook, a reload, or a function."""
        known: Any = self[name]
        module, place = module_of(thing), getattr(thing, "__qualname__", "")
        if thing is known:
            return True
        if module != module_of(known) or place != getattr(known, "__qualname__", "") or _is_ours(module):
            return False
        if "<locals>" in place or "__dataclass_fields__" in getattr(thing, "__dict__", {}):
            return True  # a function that defines it runs again; a decorator has made the class anew (slots)
        if module == "__main__":
            return is_interactive()
        return getattr(sys.modules.get(module), "__spec__", None) is not self._specs[name]


def module_of(thing: Any) -> str:
    """The module that defines a class, function or object; in a worker, ``__main__`` keeps its name."""
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return "__main__" if module == "__mp_main__" else str(module)


def full_name(cls: type) -> str:
    """``fusion_aug.Brightness`` for a class of this package, else its module and name: ``mine.Brightness``."""
    module = module_of(cls)
    return f"{'fusion_aug' if _is_ours(module) else module}.{cls.__name__}"


def _is_ours(module: str) -> bool:
    return module == "fusion_aug" or module.startswith("fusion_aug.")


def is_interactive() -> bool:
    """Whether the main program is a notebook or a prompt, whose cells are run again and again."""
    return hasattr(builtins, "__IPYTHON__") or not hasattr(sys.modules.get("__main__"), "__file__")
