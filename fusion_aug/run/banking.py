"""``fusion-aug bank``: the objects of a log as a log of their own, keyframe by keyframe, from which donors come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs import Log
from fusion_aug.logs.write import GrowingLog
from fusion_aug.run import report
from fusion_aug.run.commands import must_be_empty
from fusion_aug.run.config import build_log, compose_config, import_plugins
from fusion_aug.run.progress import progress_bar
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes3D
from fusion_aug.transforms.mix.object_bank import objects_alone


def bank_command(overrides: Sequence[str], extra_dir: str | None) -> int:
    """Write the bank of a log.

    Raises:
        ConfigError: an option is wrong. DataError: the log is damaged, or has no object that can be pasted.
    """
    config = compose_config("bank", overrides, extra_dir)
    classes, least = config["classes"], config["least_points"]
    if not isinstance(classes, list) or not classes or not all(isinstance(c, str) for c in classes):
        raise ConfigError(f"classes: expected categories or patterns of them, such as [vehicle.*], got {classes!r}")
    if type(least) is not int or least < 1:
        raise ConfigError(f"least_points: expected a whole number above 0, got {least!r}")
    import_plugins(config["plugins"])
    log, out = build_log(config["log"], config["storage"]), Path(str(config["out"]))
    must_be_empty(out)
    with progress_bar("taking objects", report.ERR) as update:
        count = write_bank(log, out, classes, least, update)
    report.OUT.print(f"wrote {out}: {count} objects; use them with donors={out}", markup=False, soft_wrap=True)
    return 0


def write_bank(
    log: Log,
    out: Path,
    classes: Sequence[str] = ("*",),
    least_points: int = 5,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> int:
    """Write the objects of a log that can be pasted as a log in the folder format; one keyframe is in memory at a time.

    Args:
        log: samples. out: folder, new or empty; it appears whole. classes: categories or shell patterns of boxes.
        least_points: returns in a box, at the least. progress: called with the number of looked at and all samples.

    Returns:
        the number of objects.

    Raises:
        DataError: there is none, or something is in the folder.
    """
    count = 0
    with GrowingLog(out, "folder") as bank:
        for sample in _alone(log, classes, least_points, progress):
            count += next(iter(sample.of_type(Boxes3D).values())).rows
            bank.add(sample)
        if not count:
            raise DataError(f"{log.root}: has no object of {', '.join(classes)} that can be pasted")
        bank.finish()
    return count


def _alone(
    log: Log, classes: Sequence[str], least_points: int, progress: Callable[[int, int], None]
) -> Iterator[Sample]:
    for done, sample_id in enumerate(log.ids):
        found = objects_alone(log.read(sample_id), classes, least_points)
        progress(done + 1, len(log.ids))
        if found is not None:
            yield found
