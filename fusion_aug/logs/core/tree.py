"""The tree of a log: paths below its root, and which links in it are followed.

A link is followed where it leads below the root, or below a folder that ``log.follow_links`` names; all others are
refused by name, and so are links that lead nowhere or in a circle. What a run writes has no links to follow.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from fusion_aug.errors import ConfigError, DataError


class Entry(NamedTuple):
    """What lies in a folder of the tree.

    Paths are text, of which a log may have millions; ``path`` makes an object of one.

    Attributes:
        found: where it was found, links and all. real: the same without links.
        is_folder: whether it is a folder, or a link to one.
        refusal: why it is a link that is not followed, one sentence; None for all else.
        is_odd: whether it is neither a folder nor a regular file, nor a link to one: a pipe, a socket, a device.
    """

    found: str
    real: str
    is_folder: bool
    refusal: str | None
    is_odd: bool = False

    @property
    def path(self) -> Path:
        """Where it was found."""
        return Path(self.found)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.found.rpartition("/")[2]


class Tree:
    """The folder of a log.

    Args:
        root: the folder, which may be a link itself.
        follow_links: folders outside the root to which links may lead.

    Raises:
        ConfigError: ``follow_links`` is no list of folders.
    """

    def __init__(self, root: str | Path, follow_links: str | Sequence[str] | None = None):
        self.root = Path(root)
        folders = [follow_links] if isinstance(follow_links, str | Path) else follow_links or []
        if not isinstance(folders, Sequence) or not all(isinstance(f, str | Path) for f in folders):
            raise ConfigError(f"log.follow_links: expected a list of folders, got {follow_links!r}")
        for folder in folders:
            if not Path(folder).is_dir():
                raise ConfigError(f"log.follow_links: {folder} is not a folder")
        self.real = os.path.realpath(self.root)
        self._start = _with_slash(self.root)
        self.allowed = (self.real, *map(os.path.realpath, folders))
        self._followed: dict[str, tuple[int, int]] = {}  # path of a folder that is followed -> device and inode

    def path(self, relative: str, where: str, folder: Path | None = None) -> Path:
        """Return the path of a name that a file or a rule of the format gives; it need not exist.

        Args:
            relative: from the root, with slashes. where: file and field that name it, for messages.
            folder: below the root, that the name starts at; the root itself by default.

        Raises:
            DataError: the name is absolute or leads out of the root, or one of its links is not followed.
        """
        if relative.startswith("/") or ".." in relative.split("/") or "\0" in relative or "\\" in relative:
            raise DataError(f"{where}: the file name {relative!r} leaves the log's folder")
        text = (self._start if folder is None else _with_slash(folder)) + relative
        full = Path(text)
        refusal = None if self._is_no_link(text) else self._refusal(full)
        if refusal is not None:
            raise DataError(f"{where}: {refusal}")
        return full

    def refusal(self, path: Path) -> str | None:
        """Why a path is not followed, one sentence; None where it is, or where nothing is there."""
        return None if self._is_no_link(str(path)) else self._refusal(path)

    def _is_no_link(self, path: str) -> bool:
        """Whether a path is seen to be followed at once: no link itself, or nothing, in a folder that is followed.

        A folder is looked into once; that it still is the same one is asked each time, so none can be exchanged.
        """
        try:
            if stat.S_ISLNK(os.lstat(path).st_mode):
                return False
        except OSError as error:
            if error.errno != errno.ENOENT:
                return False
        folder = path.rpartition("/")[0] or "."
        try:
            found = os.stat(folder)  # noqa: PTH116  (of every file of a sample: no object for each)
        except OSError:
            return len(folder) > len(self._start) and self._is_no_link(folder)
        same = (found.st_dev, found.st_ino)
        if self._followed.get(folder) != same:
            if not self._allows(os.path.realpath(folder)):
                return False
            self._followed[folder] = same
        return True

    def _refusal(self, path: Path) -> str | None:
        try:
            real = os.path.realpath(path, strict=True)
        except (FileNotFoundError, NotADirectoryError):
            real = os.path.realpath(path)
            broken = next((p for p in (*reversed(path.parents), path) if p.is_symlink() and not p.exists()), None)
            if broken is not None:
                return f"{broken} is a link to {broken.readlink()}, which does not exist"
        except OSError as error:
            if error.errno == errno.ELOOP:
                return f"{path} is a link that goes round in a circle"
            return f"{path} cannot be read ({error.strerror})"
        if self._allows(real):
            return None
        parts = path.relative_to(self.root).parts
        steps = [self.root.joinpath(*parts[: i + 1]) for i in range(len(parts))]
        link = next((p for p in steps if not self._allows(os.path.realpath(p))), path)
        target = Path(os.path.realpath(link))
        folder = target if target.is_dir() else target.parent
        return f"{link} is a link to {target}, outside the log; to follow it give {_option(str(folder))}"

    def _allows(self, real: str) -> bool:
        return any(_is_below(real, folder) for folder in self.allowed)

    def glob(self, pattern: str, folder: Path | None = None) -> list[Path]:
        """Return what matches a shell pattern, sorted; links are followed by the rule of the tree.

        Args:
            pattern: with slashes; ``*`` ends at a slash, ``**`` stands for any folders, also none.
            folder: below the root, that the pattern starts at; the root itself by default.

        Raises:
            DataError: a link that matches, or that leads to a folder where it could be, is not followed.
        """
        start = folder or self.root
        return sorted(self._matches(start, pattern.split("/"), (os.path.realpath(start),)))

    def _matches(self, folder: str | Path, parts: Sequence[str], above: tuple[str, ...]) -> Iterator[Path]:
        head, *rest = parts
        if head == "**":
            yield from self._matches(folder, rest, above)
        for entry in self.entries(folder, above):
            if not (entry.is_folder if head == "**" else fnmatchcase(entry.name, head)):
                continue
            if entry.refusal is not None:
                raise DataError(entry.refusal)
            if head == "**" or (rest and entry.is_folder):
                yield from self._matches(entry.found, parts if head == "**" else rest, (*above, entry.real))
            elif not rest:
                yield entry.path

    def entries(self, folder: str | Path, above: Sequence[str] = ()) -> list[Entry]:
        """What lies in a folder, by name; nothing where there is no such folder.

        Args:
            above: real paths of the folders that were entered on the way, itself the last; a link to one of them would
                never end.
        """
        if not Path(folder).is_dir():
            return []
        at, real = _with_slash(folder), _with_slash(above[-1] if above else os.path.realpath(folder))
        with os.scandir(folder) as listing:
            items = sorted(listing, key=attrgetter("name"))
        # the kinds are those of the listing, so that what is no link is not looked up
        return [
            self._link(at + item.name, above) if item.is_symlink()
            else Entry(at + item.name, real + item.name, item.is_dir(), None, not (item.is_dir() or item.is_file()))
            for item in items
        ]  # fmt: skip

    def _link(self, found: str, above: Sequence[str]) -> Entry:
        """Entry of a link."""
        path, target = Path(found), os.path.realpath(found)
        refusal = self.refusal(path)
        if refusal is None and target in above:
            refusal = f"{path} is a link to {target}, a folder that it lies in"
        is_odd = refusal is None and not (path.is_dir() or path.is_file())
        return Entry(found, target, path.is_dir(), refusal, is_odd)

    def files(self, folder: str | Path | None = None, above: tuple[str, ...] = ()) -> Iterator[Entry]:
        """Every file below a folder, the root by default, by name; of links that are not followed the link itself."""
        for entry in self.entries(folder or self.root, above or (os.path.realpath(folder or self.root),)):
            if entry.is_folder and entry.refusal is None:
                yield from self.files(entry.found, (*above, entry.real))
            else:
                yield entry

    def name_of(self, entry: Entry) -> str:
        """Path of an entry from the root, with slashes."""
        return entry.found[len(self._start) :]


def tree_of(root: str | Path | Tree) -> Tree:
    """Return a tree as it is, and of a path the tree that follows no link out of it."""
    return root if isinstance(root, Tree) else Tree(root)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(_with_slash(folder))


def _with_slash(folder: str | Path) -> str:
    """What paths below a folder begin with."""
    return "" if str(folder) == "." else f"{str(folder).rstrip('/')}/"


def _option(folder: str) -> str:
    """The option that names a folder, as a shell takes it."""
    if re.fullmatch(r"[\w./+@-]+", folder):
        return f"log.follow_links=[{folder}]"
    # in a quoted name a backslash is one, but for those before a quote
    name = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), folder)
    return '"' + re.sub(r'([\\"$`])', r"\\\1", f"log.follow_links=['{name}']") + '"'
