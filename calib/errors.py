"""The error of this package."""


class CalibrationError(ValueError):
    """A calibration is wrong or missing. The message is one sentence that names the file and the field."""
