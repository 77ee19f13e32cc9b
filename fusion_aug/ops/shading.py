"""How a surface is lit, told apart from its own pattern."""

from __future__ import annotations

import cv2
import numpy as np

DARK = 1e-3  # light below which nothing is told apart
USUAL, LEAST, MOST = 0.3, 0.1, 0.8  # share of the light that surfaces give back


def shading(light: np.ndarray, where: np.ndarray, radius: int, pattern: float) -> np.ndarray:
    """How bright a surface is lit, smooth but for shadows, by a guided filter of the logarithm (He et al. 2013).

    Only pixels of the surface are used, so that nothing leaks in from its surroundings.

    Args:
        light: (H, W) float32, linear luminance. where: (H, W) bool, the surface. radius: pixels over which a pattern is
            evened out. pattern: standard deviation of the logarithm of light up to which a contrast is taken for
            pattern, above for light and shadow.

    Returns:
        (H, W) float32, of pixels of the surface.
    """
    log = np.log(np.maximum(light, DARK)).astype(np.float32)
    weight = where.astype(np.float32)
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(values: np.ndarray) -> np.ndarray:
        total = cv2.boxFilter(values * weight, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT)
        return total / count

    count = np.maximum(cv2.boxFilter(weight, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT), 1e-6)
    middle = mean(log)
    spread = np.maximum(mean(log * log) - middle * middle, 0)
    kept = spread / (spread + np.float32(pattern**2))
    even = mean((1 - kept) * middle)
    smooth: np.ndarray = np.exp(mean(kept) * log + even)
    return smooth


def lit_by(smooth: np.ndarray, where: np.ndarray, mean_light: float) -> np.ndarray:
    """Light that falls on a surface, as a perfectly white one would show it.

    What share of it the surface gave back cannot be seen. It is taken for usual (0.3) times its brightness against the
    picture's, and for 0.1 to 0.8: a grey world, in which dark surfaces lie in shadow.

    Args:
        smooth: (H, W) its shading. where: (H, W) bool, the surface. mean_light: mean luminance of the picture.
    """
    mine = float(smooth[where].mean(dtype=np.float64)) if where.any() else mean_light
    albedo = min(max(USUAL * mine / max(mean_light, DARK), LEAST), MOST)
    return smooth / np.float32(albedo)
