"""Diffusion models of the user's own, in a folder of the library diffusers: looked at before anything is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import torch

from fusion_aug.errors import ConfigError, DataError, MissingPackage
from fusion_aug.safe.diffusion_folder import INDEX, PARTS, PIPELINE, check_folder, folder_sha256, read_json

Array = np.ndarray

NEED = "Diffuse needs the packages diffusers, transformers and safetensors: pip install '.[diffusion]'"
TINY = "tiny"  # the word for the model that comes with the package: random weights, for trying things out
TINY_FOLDER = Path(__file__).with_name("tiny")
SIDE = 8  # pixels that sides are multiples of
_FOLDERS: dict[str, Path] = {}  # sha256 -> folder, of those that this process has been told of


@dataclass(frozen=True)
class DiffusionModel:
    """A folder that diffusers' ``save_pretrained`` wrote, of a Stable Diffusion with one ControlNet or several.

    Attributes:
        folder: its name. sha256: of all files in it; no other folder is taken for it.
        size: (height, width) at which it works, multiples of 8; None for that of the picture.
        path: where it is; not in records.
    """

    folder: str
    sha256: str
    size: tuple[int, ...] | None = None
    path: Path | None = field(default=None, compare=False)

    @classmethod
    def from_config(cls, value: Any, where: str) -> Self:
        """The model of a folder.

        Args:
            value: the folder, or a mapping with ``folder`` and ``size``. where: transform and field, for messages.

        Raises:
            ConfigError: it is no such folder, or holds what could run code. MissingPackage: diffusers is not there.
        """
        given = {"folder": value} if isinstance(value, str | Path) else value
        if (
            not isinstance(given, Mapping)
            or not isinstance(given.get("folder"), str | Path)
            or set(given) - {"folder", "size"}
        ):
            raise ConfigError(f"{where}: expected a folder, or a mapping with folder and size, got {value!r}")
        folder = TINY_FOLDER if given["folder"] == TINY else Path(given["folder"])
        path, size = folder.expanduser().absolute(), given.get("size")
        try:
            check_folder(path)
            made = cls(path.name, folder_sha256(path), None if size is None else tuple(size), path)  # type: ignore[arg-type]
        except DataError as error:
            raise ConfigError(f"{where}: {error}") from None
        except TypeError:
            raise ConfigError(f"{where}.size: expected [height, width], got {size!r}") from None
        made._check(where)
        _FOLDERS[made.sha256] = path
        return made

    @classmethod
    def from_record(cls, params: Mapping[str, Any]) -> Self:
        """The model of drawn parameters.

        Raises:
            DataError: they are damaged.
        """
        try:
            size = params["size"]
            made = cls(str(params["folder"]), str(params["sha256"]), None if size is None else tuple(size))
            made._check("history")
            if made.folder == TINY_FOLDER.name:
                _FOLDERS.setdefault(made.sha256, TINY_FOLDER)  # which is looked at before it is used
        except (KeyError, TypeError, ConfigError) as error:
            raise DataError(f"history: a diffusion model is damaged ({error})") from None
        return made

    def recorded(self) -> dict[str, Any]:
        """What a record says of it, JSON-able."""
        if self.path is not None:  # a transform may have come from another process
            _FOLDERS.setdefault(self.sha256, self.path)
        return {"folder": self.folder, "sha256": self.sha256, "size": None if self.size is None else list(self.size)}

    def to_config(self) -> str | dict[str, Any]:
        """What ``from_config`` takes."""
        name = TINY if self.path == TINY_FOLDER else str(self.path or self.folder)
        return name if self.size is None else {"folder": name, "size": list(self.size)}

    def diffused(
        self, levels: Array, conditions: Sequence[Array], *, caption: str, strength: float, steps: int, guidance: float,
        seed: int,
    ) -> Array:  # fmt: skip
        """The picture that it makes of one.

        Args:
            levels: (H, W, 3) uint8. conditions: pictures (H, W, 3) uint8, one for each ControlNet.
            caption: what it is to show. strength: share of the noise that the picture is taken to, above 0 to 1.
            steps: of the whole way. guidance: by the caption. seed: of all noise.

        Returns:
            (H, W, 3) float32 from 0 to 1.

        Raises:
            DataError: the folder is not known here or was changed, or takes another number of conditions.
        """
        size = self.size or tuple(max(SIDE, round(n / SIDE) * SIDE) for n in levels.shape[:2])
        pipeline = _loaded(self.sha256, os.getpid(), self.folder)
        nets = getattr(pipeline.controlnet, "nets", [pipeline.controlnet])
        if len(nets) != len(conditions):
            raise DataError(
                f"Diffuse.condition: {self.folder} has {len(nets)} ControlNets, but {len(conditions)} conditions are "
                f"given"
            )

        def fitted(picture: Array) -> torch.Tensor:
            how = cv2.INTER_AREA if size[0] < picture.shape[0] else cv2.INTER_LINEAR
            small = cv2.resize(picture, (size[1], size[0]), interpolation=how)
            return torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255

        shown = [fitted(c) for c in conditions]
        with _one_thread(), torch.no_grad():
            made = pipeline(
                caption, image=fitted(levels), control_image=shown[0] if len(nets) == 1 else shown, strength=strength,
                num_inference_steps=steps, guidance_scale=guidance, output_type="np",
                generator=torch.Generator("cpu").manual_seed(seed),
            ).images[0]  # fmt: skip
        out: Array = cv2.resize(np.asarray(made, np.float32), levels.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return np.clip(out, 0, 1)

    def _check(self, where: str) -> None:
        """Raise ConfigError unless the size is one that can be worked at."""
        size = self.size
        if size is not None and (
            len(size) != 2 or not all(type(s) is int and SIDE <= s <= 8192 and s % SIDE == 0 for s in size)
        ):
            raise ConfigError(f"{where}.size: expected [height, width], multiples of {SIDE} pixels, got {size!r}")


def know_model(folder: str | Path) -> str:
    """Tell this process of a model's folder, so that records that name it can be replayed; its sha256.

    Raises:
        ConfigError: it is none.
    """
    return DiffusionModel.from_config(folder, "know_model").sha256


def known_models() -> dict[str, str]:
    """sha256 -> folder of the models that this process has been told of."""
    return {sha256: str(path) for sha256, path in _FOLDERS.items()}


def believe_model(sha256: str, path: Path) -> None:
    """Note where a model's folder is said to be; it is looked at when it is run."""
    _FOLDERS.setdefault(sha256, path)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order, whatever the process usually has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _libraries() -> tuple[Any, Any]:
    """diffusers and transformers, which say nothing of packages that are not needed here."""
    words = ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY")
    before = {w: os.environ.get(w) for w in words}
    os.environ.update({w: "error" for w in words if before[w] is None})
    try:
        import diffusers
        import transformers
    except ImportError:
        raise MissingPackage(NEED) from None
    finally:
        for word in (w for w in words if before[w] is None):
            os.environ.pop(word, None)
    return diffusers, transformers


@contextmanager
def _without_bars(transformers: Any) -> Iterator[None]:
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        (bars.enable_progress_bar if shown else bars.disable_progress_bar)()


@lru_cache(maxsize=1)
def _loaded(sha256: str, process: int, folder: str) -> Any:
    """The pipeline, made of its parts by their own classes; nothing in the folder says what runs."""
    path = _FOLDERS.get(sha256)
    if path is None:
        raise DataError(
            f"history: where the diffusion model {folder!r} is (sha256 {sha256}) is not known; call "
            f"fusion_aug.know_model(FOLDER) first"
        )
    check_folder(path)
    if folder_sha256(path) != sha256:
        raise DataError(f"{path}: is another model than was used (sha256 {folder_sha256(path)}, not {sha256})")
    diffusers, transformers = _libraries()
    index, parts = read_json(path / INDEX), {}
    for part, (library, _) in PARTS.items():
        cls = getattr({"diffusers": diffusers, "transformers": transformers}[library], index[part][1])
        words = {} if part in ("tokenizer", "scheduler") else {"use_safetensors": True}
        try:
            with _without_bars(transformers):
                parts[part] = cls.from_pretrained(str(path / part), local_files_only=True, **words)
        except Exception as error:  # the libraries' many
            raise DataError(f"{path / part}: cannot be loaded ({' '.join(str(error).split())[:300]})") from None
    made = getattr(diffusers, PIPELINE)(
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    made.set_progress_bar_config(disable=True)
    return made
