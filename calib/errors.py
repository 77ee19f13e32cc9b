"""The error of this package."""

from calib.mirrored import as_given


def in_one_line(text: str) -> str:
    """Text that may hold names from files, without their line ends and what else would steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


class CalibrationError(ValueError):
    """A calibration is wrong or missing. The message is one sentence that names the file and the field."""

    def __str__(self) -> str:
        return in_one_line(as_given(super().__str__()))
