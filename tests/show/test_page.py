"""The base of all reports: whatever is put into a page stays text."""

from __future__ import annotations

import pytest
from html_page import Page

from fusion_aug.show.bars import histogram, over_time
from fusion_aug.show.page import LONGEST, Html, document, table, tag, text

HOSTILE = "</td></style><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J\u202e\" onclick='a&lt;"


@pytest.mark.quick
def test_hostile_text_stays_text() -> None:
    parts = [tag("p", HOSTILE, title=HOSTILE), table(["a", HOSTILE], [(HOSTILE, 1)], [HOSTILE], label=HOSTILE)]
    page = Page(document(HOSTILE, parts))
    kinds = {name for name, _ in page.tags}
    assert kinds == {
        "html", "head", "meta", "title", "style", "body", "p", "div", "table", "thead", "tbody", "tr", "th", "td"
    }  # fmt: skip
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on") or key == "src"]
    clean = HOSTILE.replace("\x1b", "\N{REPLACEMENT CHARACTER}").replace("\u202e", "\N{REPLACEMENT CHARACTER}")
    assert page.text.count(clean) == 4  # title, paragraph, head and cell
    assert [attrs["title"] for name, attrs in page.tags if name == "p"] == [clean]


@pytest.mark.quick
def test_text_that_no_encoding_holds_and_text_of_any_length() -> None:
    assert (
        text("a\udc80\n\tb").encode()
        == "a\N{REPLACEMENT CHARACTER}".encode() + 2 * "\N{REPLACEMENT CHARACTER}".encode() + b"b"
    )
    assert text("x" * 10**6) == "x" * LONGEST + "…"
    assert text("<" * 10**6) == "&lt;" * LONGEST + "…", "it is cut before it is escaped"
    assert text(Html("<b>a</b>")) == "<b>a</b>" and text(3.5) == "3.5"


@pytest.mark.quick
def test_charts_show_their_values() -> None:
    bars = [a for t, a in Page(histogram([0.0] * 3 + [1.0], "a <b>")).tags if t == "rect"]
    assert [(float(b["x"] or 0), round(float(b["height"] or 0), 1)) for b in bars] == [(0.0, 18.0), (153.3, 6.0)]
    assert len(Page(histogram([5.0, 5.0], "same")).tags) == 2
    times = [1.0] * 999 + [4.0]
    heights = [float(a["height"] or 0) for t, a in Page(over_time(times, "s")).tags if t == "rect"]
    assert len(heights) == 200 and heights[-1] == 80.0 and set(heights[:-1]) == {20.0}
