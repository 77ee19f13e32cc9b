"""Addresses of logs outside the file system: which are taken, and how they are told."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from fusion_aug.errors import ConfigError

# protocols of fsspec that are no store of files, and why
REFUSED = {
    **dict.fromkeys(("http", "https"), "a web server does not list its files; mount it, or copy them first"),
    **dict.fromkeys(("file", "local"), "that is a folder of this computer; give its path alone"),
    **dict.fromkeys(
        ("memory", "data", "generic", "dask", "dbfs", "jupyter", "jlab", "reference", "dir", "zip", "tar", "libarchive",
         "cached", "filecache", "blockcache", "simplecache", "asyncwrapper"),
        "that is no store of files which every process sees",
    ),
}  # fmt: skip
# what a finished run may name as its input without the user naming it, too
OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)


@dataclass(frozen=True)
class Address:
    """A place in a store.

    Attributes:
        url: as it was given, without a slash at its end. protocol: of it, in small letters.
    """

    url: str
    protocol: str

    @property
    def folder_name(self) -> str:
        """A name for a folder of this computer, one for each address."""
        readable = re.sub(r"[^\w.-]", "_", self.url.rpartition("/")[2]).lstrip(".")[:40]
        return f"{readable}-{hashlib.blake2b(self.url.encode(), digest_size=8).hexdigest()}"


def is_url(place: str | Path) -> bool:
    """Whether a place is a URL, and no path of this computer."""
    return "://" in str(place)


def refuse_url(option: str, place: object) -> None:
    """Raise where a URL is given for what is written into a folder of this computer.

    Raises:
        ConfigError: it is one.
    """
    if is_url(str(place)):
        raise ConfigError(f"{option}: expected a path of this computer; only a run writes into a store")


def address_of(url: str, option: str) -> Address:
    """Return the address of a URL.

    Args:
        url: PROTOCOL://PLACE. option: that it was given for, for messages.

    Raises:
        ConfigError: it holds a password, which messages and manifests would repeat, or its protocol is none of a store.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise ConfigError(f"{option}: {url!r} is neither a folder nor PROTOCOL://PLACE")
    protocol, place = found[1].lower(), found[2].rstrip("/")
    if re.match(r"[^/]*:[^/]*@", place):
        raise ConfigError(f"{option}: the {protocol}:// URL holds a password; give it to the store's own configuration")
    if "::" in url:
        raise ConfigError(f"{option}: {url}: chained URLs are not taken; give that of the store alone")
    if protocol in REFUSED:
        raise ConfigError(f"{option}: {url}: {REFUSED[protocol]}")
    if not place.strip("/") or any(part in ("", ".", "..") for part in place.split("/")):
        raise ConfigError(f"{option}: {url}: expected PROTOCOL://BUCKET/PREFIX without empty parts, . and ..")
    return Address(f"{found[1]}://{place}", protocol)
