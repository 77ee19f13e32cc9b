"""Labels of points as the files of SemanticKITTI hold them: numbers alone, whose names are the published ones."""

from __future__ import annotations

from dataclasses import replace

import torch

from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.classes import Classes
from fusion_aug.logs.core.options import LogOptions
from fusion_aug.logs.core.point_labels import with_others
from fusion_aug.logs.semantickitti.classes import NAMES, NOBODYS, OUTLIER
from fusion_aug.streams import LazyColumns, Points
from fusion_aug.streams.lazy_columns import UNLABELLED

OTHER_NAMES = "log.classes: label files hold numbers alone, so readers of the published names find {} in the output"


def unlabelled_class(cloud: Points, options: LogOptions) -> int | None:
    """Class that points without one are written as: ``log.unlabelled``, else 0, where that is no class of another name.

    Returns:
        None where nothing says which.
    """
    if options.unlabelled is not None:
        return int(options.unlabelled)
    name = cloud.label_names[NOBODYS] if cloud.label_names else ""
    return NOBODYS if name in ("", NAMES[NOBODYS]) else None


def as_held(cloud: Points, options: LogOptions) -> Points:
    """A cloud as its files hold it: every point has a class, and classes have the published names.

    Args:
        cloud: with or without labels. options: of the log.
    """
    if "label" not in cloud.values:
        return cloud
    number = unlabelled_class(cloud, options)
    air = OUTLIER if options.air_label is None else int(options.air_label)
    held = replace(cloud, label_names=NAMES, air_label=air)
    if number is None:  # which is refused where it is written
        return held
    if isinstance(cloud.values, LazyColumns):
        values = with_others(cloud.values, number)
        return held if values is cloud.values else replace(held, values=values)
    label = held["label"]
    return held.with_values(label=torch.where(label == UNLABELLED, torch.full_like(label, number), label))


def renamed(classes: Classes | None) -> str | None:
    """What a user should know of classes whose numbers have another published name; None where there are none."""
    names = () if classes is None else classes.numbers_of(NAMES)[1]
    published = dict(enumerate(NAMES))
    other = [f"{name!r} as {i} {published.get(i, '')}" for i, name in enumerate(names) if name not in ("", NAMES[i])]
    return OTHER_NAMES.format(", ".join(other)) if other else None


def check_classes(classes: Classes | None) -> None:
    """Refuse classes of which one would have the number of points that nobody labelled, before the first byte.

    Raises:
        ConfigError: naming it.
    """
    names = () if classes is None else classes.numbers_of(NAMES)[1]
    if names and names[NOBODYS] not in ("", NAMES[NOBODYS]):
        raise ConfigError(
            f"log.classes: points of {names[NOBODYS]!r} would get the number {NOBODYS}, which label files have for "
            f"{NAMES[NOBODYS]!r}; call no class by the name of another that it does not stand for"
        )
