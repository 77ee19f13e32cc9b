"""What a person sees in Rerun's web viewer: ``python viewer_page.py BROWSER ADDRESS`` prints it as JSON.

A process of its own, since a browser that dies leaves Playwright waiting for ever.
"""

from __future__ import annotations

import json
import sys
from io import BytesIO

import cv2
import numpy as np

LOOKS = 20  # one every two seconds
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]


def both_sides(seen: dict[str, list[int]]) -> bool:
    """Boxes in the scene and sky in the camera, on the left and on the right."""
    return bool(seen) and min(seen["boxes"]) > 20 and min(seen["sky"]) > 200


def coloured(png: bytes) -> dict[str, list[int]]:
    """Pixels of the colours of boxes and sky, in the left and the right half."""
    image = cv2.imdecode(np.frombuffer(BytesIO(png).read(), np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)
    halves = np.array_split(image, 2, axis=1)

    def like(colour: tuple[int, int, int], tolerance: int) -> list[int]:
        return [int((np.abs(half - colour).max(2) < tolerance).sum()) for half in halves]

    return {"boxes": like((255, 170, 30), 40), "sky": like((150, 190, 235), 40)}


def look(browser: str, address: str) -> dict[str, list[int]]:
    """Open a page and look at it until both sides are there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as run:
        page = run.chromium.launch(executable_path=browser, args=[*FLAGS, *QUIET]).new_page(
            viewport={"width": 1000, "height": 640}
        )
        page.goto(address)
        seen: dict[str, list[int]] = {}
        for _ in range(LOOKS):
            page.wait_for_timeout(2000)
            seen = coloured(page.screenshot(timeout=60_000))
            if both_sides(seen):
                break
    return seen


if __name__ == "__main__":
    print(json.dumps(look(*sys.argv[1:])))
