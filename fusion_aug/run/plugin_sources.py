"""Source files of plugins: what they hold decides what a run writes, as the files of its log do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from fusion_aug.logs.core.inputs import content_line

OURS = ("fusion_aug", "calib")  # the manifest holds their version
INSTALLED = ("site-packages", "dist-packages")


def plugin_lines(files: Mapping[str, Path]) -> Iterator[str]:
    """One line for every file of ``plugin_files``, as ``input_lines`` has them."""
    for name, path in sorted(files.items()):
        yield content_line(path, f"plugin {name} ({path.name})")


def plugin_files(plugins: Sequence[str]) -> dict[str, Path]:
    """Name of a module -> its file: the plugins, which are imported, and the modules beside them that they use."""
    found: dict[str, Path] = {}
    waiting = [sys.modules[name] for name in plugins]
    homes = {_home(module) for module in waiting} - {None}
    while waiting:
        module = waiting.pop()
        path = _file(module)
        if path is None or module.__name__ in found or _home(module) not in homes:
            continue
        found[module.__name__] = path
        used = [v if isinstance(v, ModuleType) else sys.modules.get(str(getattr(v, "__module__", "")))
                for v in vars(module).values()]  # fmt: skip
        waiting += [m for m in used if m is not None]
    return found


def _home(module: ModuleType) -> Path | None:
    """The folder that a module was found in; of an installed one its own package, since all others lie beside it."""
    top = module.__name__.partition(".")[0]
    path = _file(sys.modules.get(top, module))
    if path is None or top in OURS:
        return None
    folder = path.parent.parent if path.name == "__init__.py" else path.parent
    return folder / top if folder.name in INSTALLED else folder


def _file(module: ModuleType) -> Path | None:
    name = getattr(module, "__file__", None)
    return Path(name) if isinstance(name, str) and Path(name).is_file() else None
