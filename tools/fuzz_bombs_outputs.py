"""Outputs of runs of ``fuzz.py`` that name modules, files outside and more than they hold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from fuzz_hand import Hand

CASES: dict[str, Hand] = {}
COMMANDS = (
    ("check", "{out}"),
    ("show", "{out}", "index=0", "out=picture.png"),
    ("replay", "{out}", "training/000000"),
    ("replay", "{out}/manifest.jsonl", "training/000000", "out=again"),
)


def _lines(root: Path, outside: Path, change: Callable[[list[Any], Path], None]) -> None:
    """Change the lines of the manifest."""
    path = root / "manifest.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows, outside)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _facts(root: Path, outside: Path, change: Callable[[Any, Path], None], name: str = "run.json") -> None:
    path = root / name
    content = json.loads(path.read_text())
    change(content, outside)
    path.write_text(json.dumps(content))


def _header(rows: list[Any], outside: Path, **values: Any) -> None:
    rows[0].update(values)


def _entry(rows: list[Any], outside: Path, **values: Any) -> None:
    rows[1].update(values)


def _big_params(rows: list[Any], outside: Path, value: Any) -> None:
    """Every parameter of every record is one value."""
    for record in rows[1]["history"]:
        record["params"] = {i: dict.fromkeys(p, value) for i, p in record["params"].items()}
        record["before"] = dict.fromkeys(record["before"], value)


def _big_numbers(rows: list[Any], outside: Path, value: Any) -> None:
    """Every number in the parameters is one value."""

    def changed(found: Any) -> Any:
        if isinstance(found, dict):
            return {k: changed(v) for k, v in found.items()}
        if isinstance(found, list):
            return [changed(v) for v in found]
        return value if isinstance(found, int | float) and not isinstance(found, bool) else found

    for record in rows[1]["history"]:
        record["params"], record["before"] = changed(record["params"]), changed(record["before"])


MANIFESTS: dict[str, Callable[[list[Any], Path], None]] = {
    "a module": partial(_header, plugins=["evil"]),
    "a module by its path": partial(_header, plugins=["../here/evil"]),
    "a format outside": partial(_header, output="../../outside"),
    "another format": partial(_header, output="mcap"),
    "no samples": lambda rows, outside: rows.__delitem__(slice(1, None)),
    "an id outside": partial(_entry, id="../../outside/secret", source="../../outside/secret"),
    "a source outside": partial(_entry, source="/etc/passwd", id="/etc/passwd"),
    "parameters of 10^308": partial(_big_params, value=1e308),
    "parameters of 2^62": partial(_big_params, value=2**62),
    "parameters of 10^4 entries": partial(_big_params, value=[0.5] * 10**4),
    "numbers of 10^308": partial(_big_numbers, value=1e308),
    "numbers of 2^31": partial(_big_numbers, value=2**31),
    "numbers of -1": partial(_big_numbers, value=-1),
    "numbers of 10^5": partial(_big_numbers, value=10**5),
    "numbers that are none": partial(_big_numbers, value=float("nan")),
}
for _name, _change in MANIFESTS.items():
    for _words in COMMANDS:
        _command = " ".join(w for w in _words if "out}" in w or "=" not in w)
        _hand = Hand("run", partial(_lines, change=_change), _words, may_be_read=True)
        CASES[f"manifest of {_name}: {_command}"] = _hand

RUNS: dict[str, Callable[[Any, Path], None]] = {
    "an input outside": lambda c, outside: c.update(source_root=str(outside)),
    "all files as input": lambda c, outside: c.update(source_root="/"),
    "a device as input": lambda c, outside: c.update(source_root="/dev/zero"),
    "a device as rig": lambda c, outside: c.update(rig="/dev/zero"),
    "the web as input": lambda c, outside: c.update(source_root="http://127.0.0.1:9/x"),
}
for _name, _facts_change in RUNS.items():
    for _words in COMMANDS[:3]:
        CASES[f"run.json of {_name}: {_words[0]}"] = Hand("run", partial(_facts, change=_facts_change), _words)

PLANS: dict[str, Callable[[Any, Path], None]] = {
    "a module": lambda c, outside: c["config"].update(plugins=["evil"]),
    "a program": lambda c, outside: c["config"]["pipeline"].update(_target_="os.system"),
    "an input outside": lambda c, outside: c["config"]["log"].update(root=str(outside)),
    "no settings": lambda c, outside: c.update(config={}),
    "10^9 copies": lambda c, outside: c["config"].update(copies=10**9),
    "10^9 samples": lambda c, outside: c.update(samples=10**9),
    "another fingerprint": lambda c, outside: c.update(fingerprint="x"),
}
for _name, _facts_change in PLANS.items():
    _plan = partial(_facts, change=_facts_change, name=".work/plan.json")
    CASES[f"plan of {_name}: merge"] = Hand("half", _plan, ("merge", "{out}"), may_be_read=_name == "10^9 samples")


def _linked(root: Path, outside: Path, name: str) -> None:
    """A link to the folder outside, or to the file in it, in place of a part of an output."""
    path, target = root / name, outside
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
        target = outside / "secret.json"
    path.symlink_to(target)


LINKED = (".work", ".work/lock", ".work/done", ".work/plan.json", "training", "run.json")
for _name in LINKED:
    CASES[f"a link as {_name}: merge"] = Hand("half", partial(_linked, name=_name), ("merge", "{out}"))
for _name in (".work", "manifest.jsonl", "run.json", "training/image_2"):
    for _words in COMMANDS[:3]:
        _hand = Hand("run", partial(_linked, name=_name), _words, may_be_read=_words[0] == "replay")
        CASES[f"a link as {_name}: {_words[0]}"] = _hand
CASES["a link as .work of a finished run: merge"] = Hand("run", partial(_linked, name=".work"), ("merge", "{out}"))


def _markers(root: Path, outside: Path, change: Callable[[Any, Path], None]) -> None:
    for path in (root / ".work" / "done").glob("*.json"):
        _facts(root, outside, change, f".work/done/{path.name}")


MARKERS: dict[str, Callable[[Any, Path], None]] = {
    "an id outside": lambda c, outside: c["line"].update(id="../../outside/x", source="../../outside/x"),
    "no rows": lambda c, outside: c.pop("rows"),
    "no figures": lambda c, outside: c.update(used=[]),
    "an account of texts": lambda c, outside: c["line"].update(account={"velodyne": "x"}),
    "nothing": lambda c, outside: c.clear(),
}
for _name, _facts_change in MARKERS.items():
    CASES[f"markers of {_name}: merge"] = Hand("half", partial(_markers, change=_facts_change), ("merge", "{out}"))
