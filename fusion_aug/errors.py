"""Errors that users meet. Each message is one clear sentence that names file and field."""

import re
import shlex
from pathlib import Path

from calib import CalibrationError
from calib.errors import in_one_line
from calib.mirrored import as_given

_IN_CHECKOUT = re.compile(r"pip install '\.\[([\w,]+)\]'")


def installing(extra: str) -> str:
    """The command that installs an extra of this package, wherever it is given; several extras have commas between."""
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():  # it is used from there
        return f"pip install -e {shlex.quote(f'{checkout}[{extra}]')}"
    return f"pip install '.[{extra}]' in the folder of the checkout"


class FusionAugError(ValueError):
    """Base of every error that means bad input or a bad configuration (exit code 2 on the command line)."""

    def __str__(self) -> str:
        return in_one_line(as_given(super().__str__()))


class ConfigError(FusionAugError):
    """A transform, a pipeline or an option is set up wrongly."""


class MissingPackage(ConfigError):
    """A package that is not installed is needed. It is missing for every sample, so that none is skipped for it.

    Messages name an extra as ``pip install '.[NAME]'``, as it is called in the checkout; read, it is ``installing``.
    """

    def __str__(self) -> str:
        return _IN_CHECKOUT.sub(lambda found: installing(found[1]), super().__str__())


class DataError(FusionAugError):
    """A file of a log is missing, damaged or unsafe."""


class UnhandledStream(FusionAugError):
    """A geometric, temporal or weather transform met a kind of data that it knows no rule for."""


class Obstacle(UnhandledStream):
    """A transform would have to change data that are not understood.

    Args:
        place: of the data, such as a topic. transform: name of its class. reason: why. remedy: what to do.
    """

    def __init__(self, place: str, transform: str, reason: str, remedy: str):
        super().__init__(place, transform, reason, remedy)  # so that it travels between processes
        self.place, self.transform, self.reason, self.remedy = place, transform, reason, remedy

    def __str__(self) -> str:
        return in_one_line(
            as_given(f"{self.place}: {self.transform} would have to change it, but {self.reason}; {self.remedy}")
        )


USER_ERRORS = (FusionAugError, CalibrationError)
