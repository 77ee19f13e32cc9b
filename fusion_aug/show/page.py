"""The base of every HTML report: one file that asks for nothing and runs nothing, and in which all text is escaped.

``tag`` escapes whatever is no ``Html`` yet, so that a name from a hostile file stays text wherever it is put. Light and
dark follow the reader's system; on paper it is light, and what is folded is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from calib.errors import in_one_line

LONGEST = 400  # characters of one text: names come from files, and may be of any length
VOID = ("img", "meta")  # elements that nothing closes
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
PICTURES = "; img-src data:"
STYLE = """
:root{color-scheme:light dark;--ink:#1d2330;--dim:#5b6578;--line:#d9dee7;--page:#fff;--mark:#c2410c;--dot:#2563eb;
--good:#15803d;--bad:#b91c1c;--soft:#f4f6f9}
@media screen and (prefers-color-scheme:dark){
:root{--ink:#e6e9ef;--dim:#98a2b3;--line:#343b49;--page:#14171d;--mark:#fb923c;--dot:#7aa7ff;
--good:#4ade80;--bad:#f87171;--soft:#1c212a}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);
background:var(--page);max-width:60rem;margin:2rem auto;padding:0 1rem}
body.wide{max-width:76rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}
h1,h2,h3,p,li,summary,figcaption{overflow-wrap:anywhere}td.w,th.w{overflow-wrap:break-word}.dim{color:var(--dim)}a{color:var(--dot)}
div.t{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;white-space:nowrap}summary{cursor:pointer}
:focus-visible{outline:2px solid var(--dot);outline-offset:2px}
nav a{margin-right:1rem}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere;user-select:all}
.good{color:var(--good)}.bad{color:var(--bad)}.good,.bad{font-weight:600}
.verdict{border-left:6px solid;padding:.6rem 1rem;background:var(--soft);font-size:1.15rem}
section.failed{border:1px solid var(--line);border-left:4px solid var(--bad);padding:0 1rem .6rem;margin:.8rem 0}
figure{margin:1rem 0}figure img{width:100%;height:auto;display:block}
tr.best td{font-weight:600}svg{width:100%;height:auto}svg.bar{width:160px}svg text{fill:var(--dim);font-size:11px}
svg .grid{stroke:var(--line)}svg .far{fill:none;stroke:var(--dim);stroke-dasharray:4 3}
svg .dot{fill:var(--dot);stroke:var(--dot)}
svg .best{fill:var(--mark);stroke:var(--mark)}svg .all{fill:var(--line)}svg .range{fill:var(--dot)}
@media print{body,body.wide{max-width:none;margin:0;font-size:11px}nav{display:none}
section,figure,tr{break-inside:avoid}div.t{overflow:visible}
details::details-content{content-visibility:visible;display:block}}
"""


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: object) -> Html:
    """A value as text of a page: escaped, of one line, cut where it is too long; markup stays as it is."""
    if isinstance(value, Html):
        return value
    line = in_one_line(str(value))
    return Html(escape(line if len(line) <= LONGEST else f"{line[:LONGEST]}…", quote=True))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element.

    Args:
        name: of it, as ``td``. children: texts and markup in it.
        attributes: of it; ``class_`` is ``class``, ``aria_label`` is ``aria-label``.
    """
    own = "".join(f' {key.rstrip("_").replace("_", "-")}="{_attribute(v)}"' for key, v in attributes.items())
    return Html(f"<{name}{own}>" if name in VOID else f"<{name}{own}>{joined(children)}</{name}>")


def _attribute(value: object) -> str:
    return escape(in_one_line(str(value)), quote=True)


def joined(parts: Iterable[object]) -> Html:
    """Texts and markup, one after another."""
    return Html("".join(map(text, parts)))


def table(head: Sequence[str], rows: Iterable[Iterable[object]], numbers: Sequence[str] = (), label: str = "") -> Html:
    """A table, which scrolls sideways by itself, also with the keyboard.

    Args:
        head: names of the columns. rows: their cells. numbers: names of the columns that are aligned to the right.
        label: what the table is, for those who hear it.
    """
    kinds = ["n" if name in numbers else "w" for name in head]
    top = tag("tr", *(tag("th", name, class_=kind, scope="col") for name, kind in zip(head, kinds, strict=True)))
    body = (tag("tr", *(tag("td", cell, class_=k) for cell, k in zip(row, kinds, strict=True))) for row in rows)
    inner = tag("table", tag("thead", top), tag("tbody", *body))
    named = {"role": "region", "aria_label": label, "tabindex": 0} if label else {}
    return tag("div", inner, class_="t", **named)


def document(title: str, parts: Iterable[object], *, pictures: bool = False, wide: bool = False) -> str:
    """A whole page.

    Args:
        title: of its window. parts: of its body. pictures: whether it holds some, as ``data:`` URLs.
        wide: whether it is a wide one.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}{PICTURES if pictures else ""}">'),
        tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    body = tag("body", joined(parts), **({"class_": "wide"} if wide else {}))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
