"""Folders of diffusion models, as the library diffusers writes them: looked at before anything of them is loaded."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from calib.regular_files import read_regular
from fusion_aug.errors import DataError

INDEX = "model_index.json"
PIPELINE = "StableDiffusionControlNetImg2ImgPipeline"
PIPELINES = (PIPELINE, "StableDiffusionControlNetPipeline", "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")
# part -> library and classes that it may be; names beside them are not loaded
PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "vae": ("diffusers", ("AutoencoderKL", "AutoencoderTiny")),
    "text_encoder": ("transformers", ("CLIPTextModel",)),
    "tokenizer": ("transformers", ("CLIPTokenizer",)),
    "unet": ("diffusers", ("UNet2DConditionModel",)),
    "controlnet": ("diffusers", ("ControlNetModel", "MultiControlNetModel")),
    "scheduler": (
        "diffusers",
        (
            "DDIMScheduler",
            "DPMSolverMultistepScheduler",
            "EulerDiscreteScheduler",
            "PNDMScheduler",
            "UniPCMultistepScheduler",
        ),
    ),
}  # fmt: skip
WITHOUT = ("safety_checker", "feature_extractor", "image_encoder")  # parts that are left out
ENDINGS = (".json", ".txt", ".safetensors", ".md")  # of files; what else lies there could hold code
MOST_TEXT = 2**26  # bytes of a file that is not safetensors


def check_folder(path: Path) -> None:
    """Raise DataError unless a folder holds a model of known parts, weights in safetensors, and nothing else.

    Nothing is loaded, and no file of a kind that could hold code may lie there.
    """
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder of a diffusion model")
    strange = [p for p in _files(path) if p.suffix.lower() not in ENDINGS]
    if strange:
        raise DataError(
            f"{strange[0]}: may hold code, which is never loaded; weights have to be safetensors (save_pretrained with "
            f"safe_serialization), and only {', '.join(ENDINGS)} may lie beside them"
        )
    index = read_json(path / INDEX)
    if index.get("_class_name") not in PIPELINES:
        raise DataError(f"{path / INDEX}: is of {index.get('_class_name')!r}; {', '.join(PIPELINES)} are understood")
    for part, value in index.items():
        if part.startswith("_") or part in WITHOUT or value in (None, [None, None]) or not isinstance(value, list):
            continue
        library, classes = PARTS.get(part, ("", ()))
        if len(value) != 2 or value[0] != library or value[1] not in classes:
            known = " or ".join(classes) or "no part that is understood"
            raise DataError(f"{path / INDEX}: {part}: is {value!r}, expected {known}")
    missing = [p for p in PARTS if not isinstance(index.get(p), list) or not (path / p).is_dir()]
    if missing:
        raise DataError(
            f"{path}: has no {', '.join(missing)}, which a Stable Diffusion with ControlNet has beside {INDEX}"
        )


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if not p.is_dir())


def read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_regular(path, MOST_TEXT))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected a mapping, got {type(found).__name__}")
    return found


def folder_sha256(path: Path) -> str:
    """sha256 of all files of a folder and their names; each file is read once in a process."""
    found = ((str(p.relative_to(path)), p.stat()) for p in _files(path))
    return _hashed(path, tuple((name, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in found))


@lru_cache(maxsize=8)
def _hashed(path: Path, listing: tuple[tuple[str, int, int, int], ...]) -> str:
    whole = hashlib.sha256()
    for name, size, _, _ in listing:
        whole.update(f"{name}\0{size}\0".encode())
        with (path / name).open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
