"""Lines of text as a part of a picture: in a box that is there, or in a strip as high as they need."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import cv2
import numpy as np

FONT, THICKNESS, LINE = (cv2.FONT_HERSHEY_SIMPLEX, 0.42), 1, 18  # pixels from a line to the next
LETTER = 8  # pixels, of the mean width of a letter, and a little more
INK, PAPER, MARGIN = (235, 235, 235), (24, 26, 30), 10


def panel(lines: Sequence[str], width: int, height: int) -> np.ndarray:
    """A box of lines, which are broken where they are too long; the last one counts those that have no room.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    image = np.full((height, width, 3), PAPER, np.uint8)
    broken = _broken(lines, width)
    room = max(0, (height - 2 * MARGIN) // LINE)
    if len(broken) > room:
        broken = [*broken[: max(0, room - 1)], f"... and {len(broken) - room + 1} more lines"][:room]
    for i, line in enumerate(broken):
        cv2.putText(image, line, (MARGIN, MARGIN + LINE * (i + 1) - 5), *FONT, INK, THICKNESS, cv2.LINE_AA)
    return image


def fits(lines: Sequence[str], width: int, height: int) -> bool:
    """Whether a box has room for all lines."""
    return 2 * MARGIN + LINE * len(_broken(lines, width)) <= height


def strip(lines: Sequence[str], width: int) -> np.ndarray:
    """A strip with all lines, (H, width, 3) uint8 RGB."""
    return panel(lines, width, 2 * MARGIN + LINE * len(_broken(lines, width)))


def _broken(lines: Sequence[str], width: int) -> list[str]:
    letters = max(12, (width - 2 * MARGIN) // LETTER)
    return [part for line in lines for part in textwrap.wrap(line, letters, subsequent_indent="    ")]
