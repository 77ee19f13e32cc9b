"""Which pixels show the sky: where beams returned nothing, what is bright, even and blue, what hangs from the top edge.

On a coarse grid every cell has a vote of its own, a weak one by its looks and a strong one where a LiDAR hit a surface.
Votes spread along what has one colour and hardly cross an edge (the domain transform of Gastal and Oliveira 2011), so
that a white wall of which a few beams hit the lower end is a wall as a whole, and a region of which beams saw nothing
decides by its looks. Near its outline each pixel then joins the side whose mean colour around there is nearest.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from calib.ties import nearest_whole
from fusion_aug.physics.cells import CellDirections
from fusion_aug.physics.spread import faded, largest, recursive_sums

Array = np.ndarray

BELOW = -0.035  # sine of the angle under the horizon from which there is ground: it may fall away behind a crest
WEAK, EMPTY = 0.02, 5.0  # weight of a cell's looks against a point; factor on it where a beam returned nothing
REACH, COLOUR = 15.0, 600.0  # cells over which votes fade to 1/e, and cells that a step across all levels counts for
EVEN = 0.06  # standard deviation of levels, shares of full scale, at which a cell looks no more like sky
BINS = 16  # of colours: levels of blue, and blue over red from -0.2 to 0.2
BRIGHTER = 1.1  # blue level of the sky against the brightest tenth of surfaces
ENOUGH = 100  # cells of which a sky's brightest part has at least as many
NIGHT = 300  # empty cells that say that there is a sky though nothing is bright
CORE, CORE_SHARE = 40, 0.5  # cells of a patch of sky that are even and inside it, and their share
PASSED = 60  # or cells of it to which beams were sent
RIM = 2  # cells along the edge of the picture that sky may hang from
OUTLINE = 4  # cells to either side of a patch's outline that are looked at in full
LEAST_LOST = 1e-3  # share of the sky that is too much for a gap between leaves
UNLIKE = 5.0  # deviations from the colour of the sky around that are no sky
LEAST_DEVIATION = 0.02, 0.04  # of the colours of sky and of what borders on it


class Scan(NamedTuple):
    """What a scan and directions tell about the cells (rows, columns) of a grid.

    Attributes:
        found: where a point lies. rise: sine of the angle above the horizon, NaN outside the lens.
        scanned: where beams were sent. edge: along the edge of what the picture shows, from which sky may hang.
    """

    found: Array
    rise: Array
    scanned: Array
    edge: Array

    @classmethod
    def of(cls, found: Array, directions: CellDirections, guide: Array | None) -> Scan:
        """What is known of it; without directions all is above the horizon, and beams were sent everywhere."""
        floor, rise, scanned = directions
        if rise is None:
            rise = np.ones(found.shape) if floor is None else np.where(np.isfinite(floor), -1.0, 1.0)
        if scanned is None:
            scanned = np.ones(found.shape, bool)
        blank = ~np.isfinite(rise) if guide is None else ~np.isfinite(rise) | _unfilled(guide)
        return cls(found, rise, scanned, _near(blank, RIM) | (np.arange(len(found)) < RIM)[:, None])

    @property
    def solid(self) -> Array:
        """Cells that are no sky: hit, or below the horizon, or outside the lens."""
        return self.found | ~(self.rise > BELOW)

    @property
    def empty(self) -> Array:
        """Cells around which beams were sent and nothing returned."""
        rows = _usual_gap(self.found)
        kernel = np.ones((2 * rows + 1, 7), np.uint8)
        return self.scanned & ~self.solid & (cv2.dilate(self.found.astype(np.uint8), kernel) == 0)


def _unfilled(guide: Array) -> Array:
    """Cells at the canvas's rim that are wholly black: what a padded, turned or shrunken picture does not fill."""
    black = largest(guide) == 0
    _, label = cv2.connectedComponents(black.astype(np.uint8), connectivity=4)
    rim = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
    return black & np.isin(label, rim)


def _usual_gap(found: Array) -> int:
    """Rows between two rings that hit the same surface, with some to spare."""
    known = cv2.dilate(found.astype(np.uint8), np.ones((1, 7), np.uint8)) > 0  # points of one ring are apart
    rows = np.arange(len(found))[:, None]
    before = np.maximum.accumulate(np.where(known, rows, -1), 0)[:-1]
    gaps = (rows[1:] - before)[known[1:] & (before >= 0)]
    return int(np.percentile(gaps, 75)) + 2 if len(gaps) else 2


def sky_cells(scan: Scan, guide: Array | None) -> Array:
    """Cells (rows, columns) that show sky.

    Args:
        scan: evidence of beams. guide: the picture on the grid, (rows, columns, 3) float32 from 0 to 1.
    """
    solid, empty = scan.solid, scan.empty
    if guide is None:
        return _hanging(_above_beams(scan, empty), scan, ~solid)
    uneven = unevenness(guide)
    looks = _looks(guide, uneven < EVEN, scan, empty)
    weight = np.where(empty, EMPTY * WEAK, WEAK)
    sky = np.where(solid, 0.0, weight * looks * np.exp(-((uneven / EVEN) ** 2)))
    surface = np.where(scan.found, 1.0, np.where(empty, 0.5 * WEAK, WEAK) * (1 - looks))
    votes = np.stack([sky, sky + surface]).astype(np.float32)
    for axis in (0, 1, 0):  # up again at last: votes go around corners
        step = largest(np.abs(np.diff(guide, axis=axis)))
        votes = recursive_sums(votes, faded(1 + COLOUR * step, REACH), axis)
    mine = (votes[0] > 0.5 * votes[1]) & ~(scan.rise <= BELOW)
    return _hanging(mine, scan, uneven < 0.5 * EVEN)


def _above_beams(scan: Scan, empty: Array) -> Array:
    """Empty cells, and what lies above the scanner's view where its highest beams returned nothing."""
    first = np.where(scan.scanned.any(0), scan.scanned.argmax(0), len(empty) - 1)
    through = empty[first, np.arange(empty.shape[1])]
    return empty | (through[None] & ~scan.solid & (np.arange(len(empty))[:, None] < first[None]))


def unevenness(guide: Array) -> Array:
    """Standard deviation of levels around each cell."""
    mean = cv2.blur(guide, (5, 5))
    return np.sqrt(np.maximum(largest(cv2.blur(guide * guide, (5, 5)) - mean * mean), 0))


def _looks(guide: Array, even: Array, scan: Scan, empty: Array) -> Array:
    """How much a cell looks like sky, 0 to 1: by its level and hue, and by what empty and hit cells look like here."""
    blue, hue = guide[..., 2], guide[..., 2] - guide[..., 0]
    solid = scan.solid
    bright = float(np.clip(BRIGHTER * np.quantile(blue[solid], 0.9), 0.55, 0.85)) if solid.any() else 0.55
    odds = 20.0 * np.minimum(blue - bright, 0.15) + 40.0 * np.clip(hue, -0.1, 0.08)
    likely = (odds > 0) & even & ~solid
    level = (blue * 255).astype(int).clip(0, 255)
    brighter = np.cumsum(np.bincount(level[likely], minlength=256)[::-1])[::-1]
    if brighter[0] < ENOUGH:  # night if beams say that there is a sky
        odds = np.full_like(odds, 0.0 if (empty & even).sum() >= NIGHT else -8.0)
    else:  # a grey that is darker than another part of the sky is none; a deeper blue may be
        brightest = np.flatnonzero(brighter >= ENOUGH)[-1] / 255
        odds -= 40.0 * np.maximum(brightest * (0.9 - 2 * hue) - blue, 0.0)
    row, column = ((x * BINS).astype(int).clip(0, BINS - 1) for x in (blue, (hue + 0.2) * 2.5))
    place = row * BINS + column
    high = scan.found & (scan.rise > 0.02)
    ours = _histogram(place, empty & even, _share(odds))
    theirs = _histogram(place, high if high.sum() >= 50 else scan.found, None)
    ratio = (ours + 5) / (theirs * (ours.sum() + 5) / max(theirs.sum(), 1.0) + 5)
    return _share(odds + np.clip(np.log(ratio), -4, 1).ravel()[place])


def _share(odds: Array) -> Array:
    """The logistic function."""
    return 1 / (1 + cv2.exp(-odds))


def _histogram(place: Array, chosen: Array, weight: Array | None) -> Array:
    """Colours of the chosen cells, (bins, bins), smoothed by less than a bin."""
    counted = np.bincount(place[chosen], None if weight is None else weight[chosen], BINS * BINS)
    return cv2.GaussianBlur(counted.reshape(BINS, BINS).astype(np.float32), (0, 0), 0.7)


def _hanging(sky: Array, scan: Scan, even: Array) -> Array:
    """Patches that reach the top edge, or the edge of the lens, and have an even core or let beams through."""
    count, label = cv2.connectedComponents(sky.astype(np.uint8), connectivity=8)
    area, hung, core, passed = (
        np.bincount(label[m], minlength=count) for m in (sky, scan.edge, even & ~_near(~sky, 1), scan.scanned)
    )
    kept = (hung > 0) & (((core >= CORE) & (core >= CORE_SHARE * area)) | (passed >= PASSED))
    kept[0] = False
    return kept[label]


def sky_on_canvas(
    cells: Array,
    edge: Array,
    cell: int,
    picture: Array | None,
    guide: Array | None,
    pixels: Array,
    size: tuple[int, int],
) -> Array:
    """Sky (H, W), its outline at full resolution.

    Args:
        cells: (rows, columns) that show sky. edge: from which it may hang. cell: pixels of one.
        guide: the picture on the grid.
        picture: (H, W, 3) uint8, or float32 from 0 to 1. pixels: (n, 2) of points, which are no sky.
        size: (height, width).
    """
    height, width = size
    whole = np.repeat(np.repeat(cells, cell, 0), cell, 1)[:height, :width]
    if picture is not None and guide is not None:
        _outline(whole, cells, cell, picture, guide)
    _drop_lost(whole, edge & cells, cell)
    u, v = nearest_whole(pixels).astype(int).T
    for dv in (-1, 0, 1):
        for du in (-1, 0, 1):
            whole[(v + dv).clip(0, height - 1), (u + du).clip(0, width - 1)] = False
    return whole


def _outline(whole: Array, cells: Array, cell: int, picture: Array, guide: Array) -> None:
    """Give pixels near the outline, and in uneven cells, to the side of the nearest colour."""
    height, width = whole.shape
    band = _near(cells, OUTLINE) & (_near(~cells, OUTLINE) | (unevenness(guide) > 0.25 * EVEN))
    band[0] = False  # many pictures have a dark line there
    v, u = np.repeat(np.repeat(band, cell, 0), cell, 1)[:height, :width].nonzero()
    if len(v):
        own = picture[v, u].astype(np.float32) / (255.0 if picture.dtype == np.uint8 else 1.0)
        at = v // cell, u // cell
        off, less = [], []  # squared distances in deviations; minus twice the logarithms of two normal densities
        for chosen, reach, least in zip((cells, ~cells), (5, 2), LEAST_DEVIATION, strict=True):
            mean, deviation = _colours_around(guide, ~_near(~chosen, 1), reach)
            off.append((largest(np.abs(own - mean[at])) / (deviation + least)[at]) ** 2)
            less.append(off[-1] + 2 * np.log(deviation + least)[at])
        here = (less[0] < less[1]) & (off[0] < UNLIKE**2)
        whole[v, u] = np.where(np.isfinite(off[0]), here, whole[v, u])


def _drop_lost(sky: Array, edge: Array, cell: int) -> None:
    """Take away patches without a way to the edge; what is seen between leaves and wires stays."""
    _, label, stats, _ = cv2.connectedComponentsWithStats(sky.astype(np.uint8), connectivity=8)
    lost = stats[:, cv2.CC_STAT_AREA] > LEAST_LOST * sky.sum()
    lost[0] = False
    lost[label[::cell, ::cell][edge]] = False
    sky[lost[label]] = False


def _near(mask: Array, reach: int) -> Array:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0


def _colours_around(guide: Array, chosen: Array, reach: int) -> tuple[Array, Array]:
    """Mean colour and deviation of the chosen cells around each cell; infinitely far off where there are none."""
    side = (2 * reach + 1, 2 * reach + 1)
    weight = chosen.astype(np.float32)
    share = cv2.blur(weight, side)[..., None]
    colour, square = (cv2.blur(g * weight[..., None], side) / np.maximum(share, 1e-6) for g in (guide, guide * guide))
    deviation = np.sqrt(np.maximum(largest(square - colour * colour), 0))
    colour[share[..., 0] < 1e-6] = np.inf
    return colour, deviation
