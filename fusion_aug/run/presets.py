"""Presets of pipelines from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fusion_aug.core.compose import Compose
from fusion_aug.errors import ConfigError
from fusion_aug.run.config import build_pipeline, compose_config, option_names
from fusion_aug.run.keys import did_you_mean


def preset(*names: str, config_dir: str | Path | None = None, **figures: Any) -> Compose:
    """Build the pipeline of one or more presets, as ``pipeline=[NAME, ...]`` does on the command line.

    ``preset("driving", mirror=0, yaw_deg=5)`` is ``pipeline=driving pipeline.mirror=0 pipeline.yaw_deg=5``.

    Args:
        names: of presets: files below ``pipeline/`` of the package's configurations, such as ``driving`` or
            ``suite/fog``. The transforms of several follow one another; those of one name are merged.
        config_dir: folder whose ``pipeline/*.yaml`` are presets too.
        figures: values for the presets' main figures, in the unit that the preset's file names.

    Raises:
        ConfigError: there is no such preset or figure, or a value is wrong.
    """
    extra_dir = None if config_dir is None else str(config_dir)
    known = option_names("pipeline", extra_dir)
    for name in names:
        if not isinstance(name, str):
            raise ConfigError(f"preset: expected names one by one, as in preset('geometry', 'fog'), got {name!r}")
        if name not in known:
            raise ConfigError(f"preset: there is no preset {name!r}{did_you_mean(str(name), known)}")
    if not names:
        raise ConfigError(f"preset: name at least one (there are {', '.join(known)})")
    config = compose_config("preset", [f"pipeline=[{','.join(names)}]"], extra_dir, figures=figures)
    return build_pipeline(config["pipeline"])
