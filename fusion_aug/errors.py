"""Errors that users meet. Each message is one clear sentence that names file and field."""

from calib import CalibrationError
from calib.errors import in_one_line
from calib.mirrored import as_given


class FusionAugError(ValueError):
    """Base of every error that means bad input or a bad configuration (exit code 2 on the command line)."""

    def __str__(self) -> str:
        return in_one_line(as_given(super().__str__()))


class ConfigError(FusionAugError):
    """A transform, a pipeline or an option is set up wrongly."""


class DataError(FusionAugError):
    """A file of a log is missing, damaged or unsafe."""


class UnhandledStream(FusionAugError):
    """A geometric, temporal or weather transform met a kind of data that it knows no rule for."""


USER_ERRORS = (FusionAugError, CalibrationError)
