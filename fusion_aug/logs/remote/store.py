"""One prefix of an object store, through fsspec: what it holds, and parts of it."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from fusion_aug.errors import ConfigError, DataError, MissingPackage
from fusion_aug.logs.remote.address import Address

TRIES = 3  # of a request that fails for a reason that may pass; packages of stores also try some again
FIRST_WAIT = 0.25  # seconds before the second try; the others wait twice as long each
BLOCK = 8 * 2**20  # bytes of one request
CHANGED = "the object was changed since the log was opened"
# what a store says of the state of a file, the most exact first
TAGS = ("ETag", "etag", "e_tag", "md5Hash", "md5", "checksum", "generation", "mtime", "LastModified", "last_modified",
        "modified", "updated", "created")  # fmt: skip
EXTRAS = {"s3": "s3", "s3a": "s3"}  # protocol -> extra of ours
_SECRET = re.compile(r"(?i)\b[\w-]*(?:key|secret|token|credential|signature|password)[\w-]*[\"']?\s*[=:]\s*\S+")
_LASTING = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError, ValueError,
            TypeError, NotImplementedError, ImportError)  # fmt: skip

T = TypeVar("T")


class StoreError(OSError):
    """A request that failed; ``strerror`` is why, without any name."""


class Object(NamedTuple):
    """A file of a store.

    Attributes:
        name: from the prefix, with slashes. size: bytes.
        tag: two states of a file with one tag are the same; it says nothing else.
    """

    name: str
    size: int
    tag: str


class Store:
    """The files below one address.

    Credentials are found by the store's own ways, and told nowhere.

    Args:
        address: of the prefix.

    Raises:
        MissingPackage: no package for its protocol is installed. ConfigError: there is no such protocol.
    """

    def __init__(self, address: Address):
        self.address = address
        self._opened: tuple[int, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    @property
    def _files(self) -> Any:
        """The file system of fsspec; each process needs one of its own, also after a fork."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), self._open()
        return self._opened[1]

    def _open(self) -> Any:
        protocol, url = self.address.protocol, self.address.url
        extra = EXTRAS.get(protocol)
        remedy = f"pip install '.[{extra}]'" if extra else "pip install fsspec"
        try:
            import fsspec
        except ImportError:
            raise MissingPackage(f"{url}: needs the package fsspec: {remedy}") from None
        try:
            return fsspec.filesystem(protocol, skip_instance_cache=True, use_listings_cache=False)
        except ImportError as error:  # whose text is fsspec's own, which names the package
            text = remedy if extra else " ".join(str(error).split())
            raise MissingPackage(f"{url}: no package for {protocol}:// is installed: {text}") from None
        except ValueError:
            raise ConfigError(f"{url}: there is no store {protocol}://") from None
        except Exception as error:  # a package of others
            raise ConfigError(f"{url}: {protocol}:// cannot be used ({told(error)})") from None

    def path(self, name: str) -> str:
        """A name as the file system takes it."""
        return f"{self._root}/{name}" if name else self._root

    @cached_property
    def _root(self) -> str:
        return str(self._files._strip_protocol(self.address.url)).rstrip("/")

    def listing(self, below: str = "") -> Iterator[Object]:
        """Every file below the prefix, or below a part of it, from one recursive listing.

        Raises:
            DataError: there is none, the listing failed, or the store tells nothing that shows a change.
        """
        start = f"{self._root}/"
        try:
            found = self._tried(lambda: self._files.find(self.path(below), detail=True))
        except StoreError as error:
            raise DataError(f"{self.address.url}: cannot be listed ({error.strerror})") from None
        for path, facts in sorted(found.items()):
            if path.startswith(start) and not path.endswith("/"):  # consoles make empty objects for folders
                yield self._object(path[len(start) :], facts)

    def look(self, name: str) -> Object:
        """The present facts of a file.

        Raises:
            StoreError: it is gone, or the store does not answer.
        """
        return self._object(name, self._tried(lambda: self._files.info(self.path(name))))

    def _object(self, name: str, facts: Mapping[str, Any]) -> Object:
        tag = next((str(facts[key]) for key in TAGS if facts.get(key) not in (None, "")), None)
        if tag is None or not isinstance(facts.get("size"), int):
            raise DataError(f"{self.address.url}/{name}: the store tells neither a tag nor a date; copy the log first")
        return Object(name, facts["size"], _tag(tag))

    def part(self, object: Object, start: int, stop: int) -> bytes:
        """Bytes of a file that is still the object; S3 is asked so, of other stores its facts are looked at again.

        Raises:
            StoreError: see ``look``; or it is another one than the object was. Then ``errno`` is ESTALE.
        """
        exact = self.address.protocol in ("s3", "s3a")
        data: bytes = self._tried(partial(self._s3_part if exact else self._any_part, object, start, stop))
        if len(data) != stop - start or (not exact and self.look(object.name) != object):
            raise StoreError(errno.ESTALE, CHANGED)
        return data

    def _any_part(self, object: Object, start: int, stop: int) -> bytes:
        data: bytes = self._files.cat_file(self.path(object.name), start=start, end=stop)
        return data

    def _s3_part(self, object: Object, start: int, stop: int) -> bytes:
        """By one request, which the store answers only if the tag is still the same."""
        from fsspec.asyn import sync

        files = self._files
        bucket, key, _ = files.split_path(self.path(object.name))

        async def got() -> tuple[str, bytes]:
            answer = await files._call_s3(
                "get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{stop - 1}", IfMatch=f'"{object.tag}"'
            )
            async with answer["Body"] as body:
                return _tag(answer["ETag"]), await body.read()

        try:
            tag, data = sync(files.loop, got)
        except OSError as error:
            if error.errno == errno.EINVAL:  # as s3fs says that the condition does not hold
                raise StoreError(errno.ESTALE, CHANGED) from None
            raise
        if tag != object.tag:
            raise StoreError(errno.ESTALE, CHANGED)
        return bytes(data)

    def fetch(self, object: Object, target: Path) -> None:
        """Write a file to a path of this computer, block by block.

        Raises:
            StoreError: see ``part``. OSError: of the disk.
        """
        with target.open("wb") as file:
            for start in range(0, object.size, BLOCK):
                file.write(self.part(object, start, min(start + BLOCK, object.size)))

    def _tried(self, request: Callable[[], T]) -> T:
        """Make a request, again where it fails for a reason that may pass."""
        for attempt in range(TRIES):
            try:
                return request()
            except Exception as error:  # packages of others raise what they like
                lasting = isinstance(error, _LASTING) or getattr(error, "errno", None) in (errno.EINVAL, errno.ESTALE)
                if isinstance(error, StoreError):
                    raise
                if lasting or attempt == TRIES - 1:
                    raise StoreError(getattr(error, "errno", None) or errno.EIO, told(error)) from error
            time.sleep(FIRST_WAIT * 2**attempt)
        raise AssertionError("unreachable")


def _tag(text: str) -> str:
    return "".join(text.strip('"').split())


def told(error: Exception) -> str:
    """What an error says, in one sentence and without anything that may be secret."""
    if isinstance(error, PermissionError):
        return "access is denied; credentials are taken from where the tools of the store look for them"
    if isinstance(error, FileNotFoundError):
        return "there is no such object"
    text = _SECRET.sub("...", " ".join(str(error).split()))[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
