"""Networks of the user's own that look at pictures: where they are, what records say of them, and running them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.safe.guard import sentence
from fusion_aug.safe.onnx import CPU, MOST_SIDE, contract_of, open_network, signature_of

Array = np.ndarray

ENDING = ".onnx"  # of every network's name, by which words and configurations are known to name one
MOST_THREADS = 64
_PATHS: dict[str, Path] = {}  # sha256 -> file, of those that this process has been told of


@dataclass(frozen=True)
class Network:
    """A network in an ONNX file, as it is run.

    It takes one RGB picture (1, 3, height, width) of floats, levels from 0 to 1 less ``mean`` over ``std``, and gives
    one map (1, height, width) or (1, 1, height, width) of any size.

    Attributes:
        file: name of the file. sha256: of its bytes; no other file is taken for it.
        provider: of ONNX Runtime. threads: that a run takes.
        mean, std: of levels of red, green and blue.
        size: (height, width) of the picture that it is given; None for the size in the file.
        path: where the file is; not in records, which hold anywhere.
    """

    file: str
    sha256: str
    provider: str = CPU
    threads: int = 1
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    size: tuple[int, ...] | None = None
    path: Path | None = field(default=None, compare=False)

    @classmethod
    def contract(cls, path: Path) -> Any:
        """What the network in a file takes and gives, with its ``sha256`` and the ``size`` of its picture.

        Raises:
            DataError: it does not take and give what networks of this class do.
        """
        return contract_of(path)

    @classmethod
    def from_config(cls, value: Any, where: str) -> Self:
        """The network that a setting names.

        Args:
            value: a file, or a mapping with ``file`` and any of ``provider``, ``threads``, ``mean``, ``std``, ``size``.
            where: transform and field, for messages.

        Raises:
            ConfigError: a setting is wrong, or the file is none. MissingPackage: onnxruntime is not installed.
        """
        given = {"file": value} if isinstance(value, str | Path) else value
        known = {f.name for f in fields(cls)} - {"sha256", "path"}
        if not isinstance(given, Mapping) or not isinstance(given.get("file"), str | Path):
            raise ConfigError(f"{where}: expected a file, as in model{ENDING}, or a mapping with file, got {value!r}")
        if unknown := sorted(set(map(str, given)) - known):
            raise ConfigError(f"{where}: there is no setting {unknown[0]!r} (there are {', '.join(sorted(known))})")
        path = Path(given["file"]).expanduser().absolute()
        if path.suffix.lower() != ENDING:
            raise ConfigError(f"{where}: {path}: the name of a network ends in {ENDING}")
        try:
            contract = cls.contract(path)
        except DataError as error:
            raise ConfigError(f"{where}: {error}") from None
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if k != "file"}
        made = cls(path.name, contract.sha256, path=path, **settings)
        made._check(where)
        made._check_size(contract.size, where)
        if contract.size is not None and made.size not in (None, contract.size):
            raise ConfigError(f"{where}.size: {path}: takes pictures of {contract.size} only, got {made.size}")
        _PATHS[made.sha256] = path
        return made

    @classmethod
    def from_record(cls, params: Mapping[str, Any] | None) -> Self | None:
        """The network of drawn parameters.

        Raises:
            DataError: they are damaged.
        """
        if params is None:
            return None
        try:
            settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in params.items()}
            made = cls(**settings, path=None)  # of somebody else's record no path is taken
            made._check("history")
        except (TypeError, AttributeError, ConfigError) as error:
            raise DataError(f"history: a network is damaged ({sentence(error)})") from None
        return made

    def recorded(self) -> dict[str, Any]:
        """What a record says of it, JSON-able."""
        if self.path is not None:  # a transform may have come from another process
            _PATHS.setdefault(self.sha256, self.path)
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "path"}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}

    def to_config(self) -> str | dict[str, Any]:
        """What ``from_config`` takes."""
        name = str(self.path or self.file)
        settings = {k: v for k, v in self.recorded().items() if k not in ("file", "sha256")}
        usual = type(self)(self.file, self.sha256).recorded()
        changed = {k: v for k, v in settings.items() if v != usual[k]}
        return {"file": name, **changed} if changed else name

    def predicted(self, picture: Array) -> Array:
        """What it says of a picture.

        Args:
            picture: (H, W, 3) uint8, or float32 from 0 to 1.

        Returns:
            (H, W) float32.

        Raises:
            DataError: the file is not known here, was changed, or gives no map of numbers.
        """
        session, contract = self.opened()
        height, width = self.size or contract.size
        how = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_LINEAR
        white = 255.0 if picture.dtype == np.uint8 else 1.0
        small = cv2.resize(picture, (width, height), interpolation=how) / white
        given = (small - np.array(self.mean)) / np.array(self.std)
        planes = np.ascontiguousarray(given.transpose(2, 0, 1)[None], np.float16 if contract.half else np.float32)
        found = self.run(session, contract.output, {contract.input: planes})
        fits = found.dtype.kind == "f" and found.ndim in (3, 4) and set(found.shape[:-2]) == {1} and found.size
        if not fits or not np.isfinite(found).all():
            what = f"{found.dtype} of shape {found.shape}" if not fits else "values that are no numbers"
            raise DataError(f"{self.file}: expected a map (1, 1, height, width) of floats, got {what}")
        out = found.reshape(found.shape[-2:]).astype(np.float32)
        return cv2.resize(out, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)

    def opened(self) -> tuple[Any, Any]:
        """The session that runs it, and its contract.

        Raises:
            DataError: the file is not known here, or was changed.
        """
        return _opened(self, os.getpid())

    def run(self, session: Any, output: str, inputs: Mapping[str, Array]) -> Array:
        """What it gives.

        Raises:
            DataError: the runtime refuses.
        """
        try:
            (found,) = session.run([output], dict(inputs))
        except Exception as error:  # the runtime's many
            raise DataError(f"{self.file}: cannot be run on a picture ({' '.join(str(error).split())[:300]})") from None
        return np.asarray(found)

    def _check_size(self, own: tuple[int, int] | None, where: str) -> None:
        """Raise ConfigError where neither the file nor a setting says the size of the picture."""
        if own is None and self.size is None:
            raise ConfigError(f"{where}: {self.path}: says no size of its picture; give one, as in size: [384, 640]")

    def _check(self, where: str) -> None:
        """Raise ConfigError unless the settings are such as can be used."""
        if not all(isinstance(w, str) and w for w in (self.file, self.sha256, self.provider)):
            raise ConfigError(f"{where}.provider: expected a word, got {self.provider!r}")
        if type(self.threads) is not int or not 1 <= self.threads <= MOST_THREADS:
            raise ConfigError(
                f"{where}.threads: expected a whole number from 1 to {MOST_THREADS}, got {self.threads!r}"
            )
        for name, three in (("mean", self.mean), ("std", self.std)):
            numbers = isinstance(three, tuple) and all(type(x) in (int, float) and np.isfinite(x) for x in three)
            if not numbers or len(three) != 3 or (name == "std" and min(three) <= 0):
                raise ConfigError(
                    f"{where}.{name}: expected three numbers{' above 0' * (name == 'std')}, got {three!r}"
                )
        size = self.size
        sides = isinstance(size, tuple) and len(size) == 2 and all(type(s) is int and 1 <= s <= MOST_SIDE for s in size)
        if size is not None and not sides:
            raise ConfigError(f"{where}.size: expected [height, width] up to {MOST_SIDE} pixels, got {size!r}")


def know_network(path: str | Path) -> str:
    """Tell this process of a network's file, so that records that name it can be replayed; its sha256.

    Raises:
        DataError: it is none. MissingPackage: onnxruntime is not installed.
    """
    place = Path(path).expanduser().absolute()
    sha256 = signature_of(place).sha256
    _PATHS[sha256] = place
    return sha256


def known_networks() -> dict[str, str]:
    """sha256 -> file of the networks that this process has been told of."""
    return {sha256: str(path) for sha256, path in _PATHS.items()}


def believe_network(sha256: str, path: Path) -> None:
    """Note where a network's file is said to be; it is looked at when it is run."""
    _PATHS.setdefault(sha256, path)


@lru_cache(maxsize=4)
def _opened(network: Network, process: int) -> tuple[Any, Any]:
    """Session and contract of a network; a session does not live on in forked processes."""
    path = network.path or _PATHS.get(network.sha256)
    if path is None:
        raise DataError(
            f"history: {network.file}: where this network is (sha256 {network.sha256}) is not known; name its file, as "
            f"networks=[{network.file}] on the command line or fusion_aug.know_network({network.file!r}) in Python"
        )
    return open_network(path, network.sha256, network.provider, network.threads), network.contract(path)
