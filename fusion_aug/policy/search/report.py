"""The report of a search: one HTML file that asks for nothing else, and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from fusion_aug.policy.search.charts import range_bar, scores_chart
from fusion_aug.policy.search.trials import MEAN, Proposal, Trial
from fusion_aug.policy.space import Space
from fusion_aug.show.page import Html, document

MOST_ROWS = 50  # trials in the table, the best ones
SHORT = 90  # characters of what was tried that are always shown


def html_report(space: Space, facts: Mapping[str, Any]) -> str:
    """The report as one page.

    Args:
        space: that was searched, or that is left. facts: of ``figures``.
    """
    trials = [trial_of(t) for t in facts["trials_made"]]
    best = facts["best"]["trial"]
    parts = [f"<h1>Search by {escape(facts['engine'])}</h1>", _about(facts)]
    for score in facts["score"]:
        rows = [t.per_seed(score) for t in trials]
        parts.append(f"<h2>{escape(_named(score))} of every trial</h2>{scores_chart(rows, best, _named(score))}")
        parts.append(_legend(trials, score))
    parts += [_result(space, trials, facts), _table(trials, facts)]
    return document("Search", [Html("".join(parts))])


def trial_of(facts: Mapping[str, Any]) -> Trial:
    """A trial from its figures."""
    proposal = Proposal(facts["recipe"], facts["epochs"], facts["start"], facts["parent"])
    return Trial(facts["trial"], proposal, {n: tuple(s["seeds"]) for n, s in facts["scores"].items()})


def _named(score: str) -> str:
    return "mean of all scores" if score == MEAN else score


def _about(facts: Mapping[str, Any]) -> str:
    seeds = ", ".join(map(str, facts["seeds"]))
    options = "; ".join(f"{k} {v}" for k, v in facts["options"].items()) or "none"
    return (
        f"<p>{many(facts['trials'], 'trial')} of {escape(facts['objective'])}, {many(facts['epochs'], 'epoch')} each, "
        f"seeds of the trainings {escape(seeds)}, seed of the search {facts['seed']}. Options: {escape(options)}.</p>"
    )


def _legend(trials: Sequence[Trial], score: str) -> str:
    spreads = [s for t in trials if (s := t.spread(score)) is not None]
    more = ""
    if spreads:
        typical = sorted(spreads)[len(spreads) // 2]
        more = f" Bars span the seeds; the median standard deviation over seeds is {typical:.3g}."
    return (
        f'<p class="dim">A dot is the mean of a trial, in their order; orange is the result. Dashed: the best mean so '
        f"far.{more}</p>"
    )


def _result(space: Space, trials: Sequence[Trial], facts: Mapping[str, Any]) -> str:
    """What the best trial is, and what the best quarter of the trials has in common."""
    recipe = facts["best"]["recipe"]
    title = f"<h2>Result: trial {facts['best']['trial']}</h2>"
    if "n" in recipe:
        return f"{title}<p>{escape(described(recipe))}.</p>{_grid(trials, facts)}"
    if "policies" in recipe:
        items = "".join(f"<li>{escape(_steps(policy))}</li>" for policy in recipe["policies"])
        return f"{title}<p>One of these for every sample:</p><ol>{items}</ol>"
    if facts["engine"] == "density":
        return _left(space, facts)
    score = facts["score"][0]
    top = sorted(trials, key=lambda t: (-t.value(score), t.number))[: max(1, len(trials) // 4)]
    rows = []
    for dimension in space.dimensions:
        values = [t.recipe["magnitudes"][dimension.name] for t in top]
        mine = recipe["magnitudes"][dimension.name]
        bar = range_bar(min(values), max(values), mine)
        rows.append(
            f'<tr><td class="w">{escape(dimension.name)}</td><td>{bar}</td><td class="n">{mine:.3g}</td>'
            f'<td class="w">{escape(told(dimension.value(mine)))}</td>'
            f'<td class="n">{recipe.get("p", {}).get(dimension.path, 1):.3g}</td></tr>'
        )
    head = (
        "<tr><th>field</th><th>magnitudes of the best quarter, 0 to 1</th>"
        '<th class="n">result</th><th>value</th><th class="n">p</th></tr>'
    )
    return f'{title}<div class="t"><table>{head}{"".join(rows)}</table></div>'


def _grid(trials: Sequence[Trial], facts: Mapping[str, Any]) -> str:
    """Scores by number of operations and magnitude."""
    score, best = facts["score"][0], facts["best"]["trial"]
    strong = list(dict.fromkeys(t.recipe["magnitude"] for t in trials))
    head = "".join(f'<th class="n">magnitude {m:g}</th>' for m in strong)
    rows: dict[int, str] = {}
    for t in trials:
        mark = " ★" if t.number == best else ""
        text = f"{t.value(score):.4g}{_plus_minus(t, score)}{mark}"
        rows[t.recipe["n"]] = rows.get(t.recipe["n"], "") + f'<td class="n">{text}</td>'
    body = "".join(f"<tr><td>{many(n, 'operation')}</td>{cells}</tr>" for n, cells in rows.items())
    return f'<div class="t"><table><tr><th></th>{head}</tr>{body}</table></div>'


def _left(space: Space, facts: Mapping[str, Any]) -> str:
    """What a filter left of every dimension."""
    before, left = facts["space"]["before"]["full"], facts["space"]["left"]["full"]
    rows = "".join(
        f'<tr><td class="w">{escape(name)}</td><td>{escape(told(full))}</td>'
        f"<td>{escape(told(left[name]) if name in left else 'thrown out')}</td></tr>"
        for name, full in before.items()
    )
    head = "<tr><th>field</th><th>value at magnitude 1 before</th><th>now</th></tr>"
    return f'<h2>What is left</h2><div class="t"><table>{head}{rows}</table></div>'


def _table(trials: Sequence[Trial], facts: Mapping[str, Any]) -> str:
    """The best trials."""
    names, first = facts["score"], facts["score"][0]
    best = facts["best"]["trial"]
    order = sorted(trials, key=lambda t: (t.number != best, -t.value(first), t.number))[:MOST_ROWS]
    head = "".join(f'<th class="n">{escape(_named(n))}</th>' for n in names)
    rows = "".join(
        f'<tr{" class=best" if t.number == best else ""}><td class="n">{t.number}</td>'
        + "".join(f'<td class="n">{t.value(n):.4g}{_plus_minus(t, n)}</td>' for n in names)
        + f'<td class="w">{_folded(described(t.recipe))}</td></tr>'
        for t in order
    )
    some = f", the best {MOST_ROWS}" if len(trials) > MOST_ROWS else ""
    head = f'<tr><th class="n">trial</th>{head}<th>what was tried</th></tr>'
    return f'<h2>Trials{some}</h2><div class="t"><table>{head}{rows}</table></div>'


def _folded(text: str) -> str:
    """A text as HTML, of a long one the beginning, which opens the whole."""
    if len(text) <= SHORT:
        return escape(text)
    begin = text[:SHORT].rpartition(", ")[0] or text[:SHORT]
    return f"<details><summary>{escape(begin)}, …</summary>{escape(text)}</details>"


def _plus_minus(trial: Trial, score: str) -> str:
    spread = trial.spread(score)
    return "" if spread is None else f" ± {spread:.2g}"


def described(recipe: Mapping[str, Any]) -> str:
    """A recipe in words."""
    if "n" in recipe:
        return f"{many(recipe['n'], 'operation')} at magnitude {recipe['magnitude']:g}"
    if "policies" in recipe:
        return "; or ".join(_steps(policy) for policy in recipe["policies"])
    strong = [f"{name} {m:.3g}" for name, m in recipe["magnitudes"].items() if m]
    return ", ".join(strong) or "nothing"


def many(count: int, thing: str) -> str:
    """A count of things in words: ``1 operation``, ``2 operations``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _steps(policy: Sequence[Sequence[Any]]) -> str:
    return ", then ".join(f"{path} at {magnitude:g}" for path, magnitude in policy)


def told(value: Any) -> str:
    """A field's value: a number, either of two, or empty."""
    if value is None:
        return "left empty"
    if isinstance(value, Mapping):
        return " or ".join(f"{v:.4g}" for v in value.get("values", ())) or str(value)
    return f"{value:.4g}"
