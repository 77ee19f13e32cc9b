"""Sensor-fusion augmentation that moves every sensor together and keeps the calibration true.

The names of ``fusion_aug.public`` are names of this package. They are loaded when the first of them is used, so that
``import fusion_aug`` and ``fusion-aug --help`` cost nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fusion_aug.version import __version__ as __version__

if TYPE_CHECKING:
    from fusion_aug.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    public = import_module("fusion_aug.public")
    globals().update({n: getattr(public, n) for n in public.__all__}, __all__=["__version__", *public.__all__])
    try:
        return globals()[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
