"""Files of networks that a pipeline names: their words in configurations, and where a replay finds them.

A name in a pipeline that ends in ``.onnx`` is one. It lies where the command was given, whatever folder a worker works
in. The manifest holds what a network is, by name and sha256, and ``run.json`` where it lay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import user_path
from fusion_aug.logs.core.inputs import content_line
from fusion_aug.run.gate_files import with_gates_read
from fusion_aug.run.model_folders import learn_models, model_lines, with_absolute_models, without_model_paths
from fusion_aug.run.picture_folders import folder_lines, learn_folders, with_absolute_folders, without_folder_paths
from fusion_aug.sample.networks import ENDING, believe_network, know_network

KEY = "networks"  # of run.json: sha256 -> path; of a command: files


def with_absolute_names(pipeline: Any) -> Any:
    """The configuration of a pipeline with whole paths of networks, models and folders of pictures, and gates read."""
    named = _changed(pipeline, lambda name: str(user_path(name).absolute()))
    return with_gates_read(with_absolute_models(with_absolute_folders(named)))


def without_paths(pipeline: Any) -> Any:
    """The configuration of a pipeline with name and sha256 in the place of paths, as manifests hold it."""
    named = _changed(pipeline, lambda name: f"{Path(name).name} sha256:{know_network(Path(name))}")
    return without_model_paths(without_folder_paths(named))


def network_places(pipeline: Any) -> dict[str, str]:
    """sha256 -> path of every network of a pipeline's configuration."""
    return {know_network(path): str(path) for path in _paths(pipeline)}


def network_lines(pipeline: Any) -> Iterator[str]:
    """One line for every file, as ``input_lines`` has them."""
    for path in _paths(pipeline):
        yield content_line(path, f"network {path.name}")
    yield from folder_lines(pipeline)
    yield from model_lines(pipeline)


def learn_networks(facts: Mapping[str, Any], given: Any, where: str) -> None:
    """Tell this process where the networks of a finished run are.

    Args:
        facts: what ``run.json`` holds. given: files that the user names, which go before. where: for messages.

    Raises:
        DataError: the facts are damaged, or a file is no network.
    """
    places = facts.get(KEY, {})
    if not isinstance(places, dict) or not all(isinstance(p, str) for p in places.values()):
        raise DataError(f"{where}: {KEY}: expected a mapping of sha256 to files, as a run writes it")
    for name in [given] if isinstance(given, str) else given or ():
        know_network(user_path(str(name)))
    for sha256, path in places.items():
        believe_network(sha256, Path(path))
    learn_folders(facts, where)
    learn_models(facts, where)


def _changed(value: Any, change: Callable[[str], Any]) -> Any:
    if isinstance(value, dict):
        return {k: _changed(v, change) for k, v in value.items()}
    if isinstance(value, list):
        return [_changed(v, change) for v in value]
    return change(value) if isinstance(value, str) and value.lower().endswith(ENDING) else value


def _paths(pipeline: Any) -> list[Path]:
    found: list[str] = []
    _changed(pipeline, found.append)
    return [Path(name) for name in dict.fromkeys(found)]
