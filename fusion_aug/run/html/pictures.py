"""Pictures of samples before and after, in the page itself."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import cv2
import numpy as np

from fusion_aug.errors import USER_ERRORS
from fusion_aug.run.checking import CheckedRun
from fusion_aug.run.html.checks import commands
from fusion_aug.run.showing import pair_of_run
from fusion_aug.show.page import Html, joined, tag
from fusion_aug.show.sheet import draw_sheet

MOST = 4  # samples
WIDTH = 2200  # pixels of a picture
MOST_BYTES = 380_000  # of a picture, so that a page with all of them stays below 3 MB
QUALITIES = (82, 70, 55, 40, 25)  # of JPEG; the first at which a picture is small enough


def pictures_section(found: CheckedRun) -> Html:
    """The worst samples of figures over their limits, then others, evenly spread over the run."""
    return joined(_figure(found, name) for name in chosen(found))


def chosen(found: CheckedRun) -> list[str]:
    """Ids of the samples that are drawn."""
    worst = [name for row in found.failed for _, name in found.worst.of(row).worst[:1]]
    entries = found.manifest.entries
    spread = [entries[i * len(entries) // MOST].id for i in range(MOST)] if entries else []
    return list(dict.fromkeys([*worst, *spread]))[:MOST]


def _figure(found: CheckedRun, name: str) -> Html:
    try:
        before, after = pair_of_run(found.source, found.written, found.manifest.entry(name))
        jpeg = coded(draw_sheet(before, after))
    except USER_ERRORS as error:
        return tag("p", tag("b", name), f" cannot be drawn: {error}")
    url = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    words = f"{name} before and after {', '.join(r.path for r in after.history if r.applied) or 'nothing'}"
    return tag("figure", tag("figcaption", words), tag("img", src=url, alt=words), commands(found, name))


def coded(picture: np.ndarray) -> bytes:
    """A picture as a JPEG that is small enough.

    Args:
        picture: (H, W, 3) uint8 RGB.
    """
    scale = min(1.0, WIDTH / picture.shape[1])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    return next((j for j in _codings(small) if len(j) <= MOST_BYTES), None) or coded(_halved(picture))


def _codings(picture: np.ndarray) -> Iterator[bytes]:
    for quality in QUALITIES:
        yield cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _halved(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
