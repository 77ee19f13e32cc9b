"""The error of this package."""

from calib.mirrored import as_given


class CalibrationError(ValueError):
    """A calibration is wrong or missing. The message is one sentence that names the file and the field."""

    def __str__(self) -> str:
        return as_given(super().__str__())
