"""What a browser makes of a report: ``python report_look.py BROWSER PAGE [PICTURES]`` prints it as JSON.

A process of its own, as ``viewer_page``. With PICTURES, a folder, it takes some: light, dark, printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from viewer_page import QUIET

WIDTH, HEIGHT = 1200, 900
TIMES = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"
CONTRAST = "() => [getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
LOADED = "() => [...document.images].every(i => i.complete && i.naturalWidth > 0)"
FOCUS = "() => document.activeElement.tagName + ' ' + document.activeElement.textContent.slice(0, 40)"
FOLDED = """() => [...document.querySelectorAll('details > :not(summary)')].filter(
    e => !e.checkVisibility({contentVisibilityAuto: true}) || e.getBoundingClientRect().height == 0).length"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def look(browser: str, path: str, pictures: str | None = None) -> dict[str, object]:
    """Open a page from its file, and walk it with the Tab key."""
    from playwright.sync_api import sync_playwright

    told: list[str] = []
    asked: list[str] = []
    with sync_playwright() as run:
        chromium = run.chromium.launch(executable_path=browser, args=["--no-sandbox", *QUIET])
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("dialog", lambda dialog: told.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)
        address = Path(path).absolute().as_uri()
        page.goto(address, wait_until="load")
        seen: dict[str, object] = {"load_ms": page.evaluate(TIMES), "overflow": page.evaluate(OVERFLOW)}
        seen["whole_pictures"] = page.evaluate(LOADED)
        seen["verdict"] = page.locator(".verdict").first.inner_text()
        seen["first_row"] = page.locator("tbody tr").first.inner_text().split("\t")
        colours = {}
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            colours[scheme] = page.evaluate(CONTRAST)
            if pictures:
                page.screenshot(path=f"{pictures}/{scheme}.png", full_page=True)
        seen["colours"] = colours
        stops = []
        for _ in range(400):
            page.keyboard.press("Tab")
            stop = page.evaluate(FOCUS)
            if stop.startswith("BODY") or (stops and stop == stops[0]):
                break
            stops.append(stop)
        seen["stops"] = stops
        page.emulate_media(media="print", color_scheme="dark")
        seen["printed"] = page.evaluate(CONTRAST)
        seen["folded_in_print"] = page.evaluate(FOLDED)
        if pictures:
            page.pdf(path=f"{pictures}/printed.pdf", format="A4")
        chromium.close()
    return seen | {"console": told, "requests": [a for a in asked if a != address]}


if __name__ == "__main__":
    print(json.dumps(look(*sys.argv[1:])))
