"""Folders of diffusion models that a pipeline names, and where a replay finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import user_path
from fusion_aug.transforms.generative.diffusion_model import TINY, believe_model, know_model

KEY = "models"  # of run.json: sha256 -> folder
TARGET = "fusion_aug.Diffuse"


def with_absolute_models(pipeline: Any) -> Any:
    """The configuration of a pipeline with whole paths of models."""
    return _changed(pipeline, lambda name: str(user_path(name).absolute()))


def without_model_paths(pipeline: Any) -> Any:
    """The configuration with name and sha256 in the place of paths, as manifests hold it."""
    return _changed(pipeline, lambda name: f"{Path(name).name} sha256:{know_model(name)}")


def model_places(pipeline: Any) -> dict[str, str]:
    """sha256 -> folder of every model of a pipeline's configuration."""
    return {know_model(name): name for name in _named(pipeline)}


def model_lines(pipeline: Any) -> Iterator[str]:
    """One line for every folder, as ``input_lines`` has them."""
    for name in _named(pipeline):
        yield f"- sha256:{know_model(name)} - {KEY}/{Path(name).name}"


def learn_models(facts: Mapping[str, Any], where: str) -> None:
    """Tell this process where the models of a finished run are; each is looked at when it is run.

    Raises:
        DataError: the facts are damaged.
    """
    places = facts.get(KEY, {})
    if not isinstance(places, dict) or not all(isinstance(p, str) for p in places.values()):
        raise DataError(f"{where}: {KEY}: expected a mapping of sha256 to folders, as a run writes it")
    for sha256, path in places.items():
        believe_model(sha256, Path(path))


def _named(pipeline: Any) -> list[str]:
    found: list[str] = []
    _changed(pipeline, found.append)
    return list(dict.fromkeys(found))


def _changed(value: Any, change: Callable[[str], Any]) -> Any:
    if isinstance(value, list):
        return [_changed(v, change) for v in value]
    if not isinstance(value, dict):
        return value
    out = {k: _changed(v, change) for k, v in value.items()}
    model = value.get("model") if value.get("_target_") == TARGET else None
    if isinstance(model, str) and model != TINY:
        out["model"] = change(model)
    elif isinstance(model, dict) and isinstance(folder := model.get("folder"), str) and folder != TINY:
        out["model"] = {**model, "folder": change(folder)}
    return out
