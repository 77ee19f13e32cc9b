"""The report of a run: what stands in it, what it asks a browser for, and that no name of a file becomes markup."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_logs
from html_page import Page
from places import REPOSITORY

import fusion_aug as fa
from fusion_aug.check import Row
from fusion_aug.check.worst import MOST as MOST_WORST
from fusion_aug.check.worst import Worst
from fusion_aug.cli import main
from fusion_aug.run.checking import CheckedRun, check_written
from fusion_aug.run.html.pictures import MOST, MOST_BYTES, coded
from fusion_aug.run.html.whole import report_page
from fusion_aug.run.usage import read_usage
from fusion_aug.sample.manifest import output_id

PATIENCE = 60.0  # seconds for a browser


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two samples of a small log after a pipeline, with a report."""
    folder = tmp_path_factory.mktemp("report")
    words = ["log=kitti", f"log.root={small_logs.kitti(folder / 'kitti')}", "pipeline=driving", "lossy=true"]
    assert main(["run", *words, f"out={folder / 'out'}", "copies=2", "report=true"]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def checked(run_of: Path) -> CheckedRun:
    """A check of the sound output."""
    return check_written(run_of, [], None)


@pytest.fixture
def broken(run_of: Path, tmp_path: Path) -> Path:
    """Another output, of which the boxes of the first sample are gone."""
    out = tmp_path / "broken"
    shutil.copytree(run_of, out)
    first = json.loads((out / "manifest.jsonl").read_text().splitlines()[1])["id"]
    (out / "training" / "label_2" / f"{Path(first).name}.txt").write_text("")
    return out


def asks_for_nothing(text: str) -> Page:
    """Look for all that a browser would fetch or run; returns the page."""
    page = Page(text)
    assert not {t for t, _ in page.tags} & {
        "script",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "audio",
        "video",
    }
    urls = [a[key] for _, a in page.tags for key in ("src", "href", "srcset", "action", "background") if key in a]
    assert all((u or "").startswith(("data:image/jpeg;base64,", "#")) for u in urls)
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on") or key == "style"]
    style = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert not re.search(r"url\(|@import|expression", style)
    (policy,) = [a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'") and "script-src" not in policy
    return page


def test_a_run_writes_its_report(run_of: Path) -> None:
    text = (run_of / "report.html").read_text()
    page = asks_for_nothing(text)
    assert "PASS: all " in page.text
    for word in ("Figures", "Losses", "Drawn", "Throughput", "Before and after", "samples per second", "yaw_deg"):
        assert word in page.text, word
    assert 2 <= len([t for t, _ in page.tags if t == "img"]) <= 4 and len(text) < 3 * 10**6
    anchors = {a["href"] for t, a in page.tags if t == "a"}
    assert anchors == {f"#{a['id']}" for t, a in page.tags if t == "section" and "id" in a}
    account = json.loads((run_of / "manifest.jsonl").read_text().splitlines()[0])["account"]
    assert all(name in page.text for name in account["streams"])


def test_failed_figures_come_first_with_commands_that_work(
    broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "r.html"
    assert main(["check", "--html", str(target), str(broken)]) == 1
    text = target.read_text()
    page = asks_for_nothing(text)
    assert page.text.index("FAIL: ") < page.text.index("boxes missing") < page.text.index("verdict")
    found = check_written(broken, [], None)
    row = next(r for r in found.rows if r.measurement == "boxes missing")
    (_, sample), *_ = found.worst.of(row).worst
    assert found.worst.of(row).samples == 1 and sample == found.manifest.entries[0].id
    section = text[text.index("boxes missing") :]
    commands = re.findall(r"<code>(.*?)</code>", section)[:2]
    monkeypatch.chdir(tmp_path)
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "fusion-aug" and main(words) == 0
    assert (tmp_path / "again" / "manifest.jsonl").exists() and (tmp_path / "sample.png").exists()
    lost = [line for line in (tmp_path / "again").rglob("label_2/*.txt") if line.read_text()]
    assert lost, "the sample is whole again"


def test_two_runs_beside_one_another(run_of: Path, broken: Path, tmp_path: Path) -> None:
    target = tmp_path / "both.html"
    assert main(["check", "--compare", str(run_of), str(broken), f"--html={target}"]) == 1
    page = asks_for_nothing(target.read_text())
    cells = page.text[page.text.index("max A") :]
    assert cells.index("boxes missing") < cells.index("calibration") and "median B" in cells
    assert page.text.index("PASS: all") < page.text.index("FAIL: ")


def test_names_of_files_never_become_markup(run_of: Path, tmp_path: Path) -> None:
    out = tmp_path / "<img src=x onerror=alert(1)>"
    shutil.copytree(run_of, out)
    evil = "</td><script>alert(1)</script>"
    lines = (out / "manifest.jsonl").read_text().splitlines()
    header = json.loads(lines[0])
    streams = header["account"]["streams"]
    streams[evil] = {"items": [2, 1], "lost": {evil: 1}}
    header["account"]["files"].append(
        {"name": evil, "fate": "left out", "about": evil, "count": 1, "understood": False}
    )
    (out / "manifest.jsonl").write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    facts = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(facts | {"skipped": [[evil, evil]], "finished": evil}))
    page = asks_for_nothing(report_page(check_written(out, [], None)))
    assert page.text.count(evil) >= 7


@pytest.mark.parametrize(
    "damage", [{"skipped": 3}, {"used": {"samples": "x"}}, {"worst": [1]}, {"seconds": None}, {"used": {}}]
)
def test_damaged_facts_are_named(checked: CheckedRun, tmp_path: Path, damage: Any) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text(json.dumps(checked.facts | damage))
    with pytest.raises(fa.DataError, match=r"out: manifest.jsonl or run.json: .*is (damaged|missing)"):
        report_page(replace(checked, out=out, manifest=replace(checked.manifest, entries=[])))


def test_ten_thousand_samples_are_no_larger(checked: CheckedRun) -> None:
    entries = checked.manifest.entries
    many = [replace(e, copy=k, id=output_id(e.source, k)) for k in range(10_000 // len(entries)) for e in entries]
    page = report_page(replace(checked, manifest=replace(checked.manifest, entries=many)))
    few = report_page(checked)
    assert f"Over {len(many):,} samples" in page
    pictures = MOST * math.ceil(MOST_BYTES * 4 / 3)  # those of copies that nobody wrote cannot be drawn here
    assert len(page) - len(few) < 300_000 and pictures + 700_000 < 3 * 10**6


def test_a_pipeline_on_a_log_has_a_page_of_its_figures(run_of: Path, tmp_path: Path) -> None:
    target = tmp_path / "r.html"
    words = ["check", "log=kitti", f"log.root={run_of.parent / 'kitti'}", "pipeline=geometry", "n=1"]
    assert main([*words, "--html", str(target)]) == 0
    page = asks_for_nothing(target.read_text())
    assert "PASS: all" in page.text and "projection" in page.text and "Losses" not in page.text


def test_what_cannot_be_written_is_refused_before_anything_is_read(
    run_of: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in (tmp_path / "r.txt", tmp_path / "no" / "r.html", "s3://a/r.html"):
        assert main(["check", "nowhere", "--html", str(word)]) == 2
        assert "--html" in capsys.readouterr().err
    assert main(["check", str(run_of), "--html"]) == 2 and "1 word" in capsys.readouterr().err
    assert main(["check", "--compare", "a", "b"]) == 2 and "needs --html" in capsys.readouterr().err
    words = ["run", "log=kitti", f"log.root={tmp_path}", f"out={tmp_path / 'o'}", "report=true"]
    assert main([*words, "shard=1/2"]) == 2 and "a shard is no whole run" in capsys.readouterr().err


@pytest.mark.quick
def test_the_worst_samples_are_kept() -> None:
    worst = Worst()
    for i in range(20):
        worst.add(f"s{i}", [Row("m", "a", "px", 1.0, np.array([0.0, i / 2])), Row("m", "a", "px", 1.0, np.zeros(1))])
    worst.add("nan", [Row("m", "a", "px", 1.0, np.array([0.0, np.nan]))])
    over = worst.of(Row("m", "a", "px", 1.0))
    assert over.samples == 18 and [name for _, name in over.worst] == ["nan", "s19", "s18", "s17", "s16"]
    assert len(over.worst) == MOST_WORST and worst.of(Row("other", "a", "px", 1.0)).samples == 0


@pytest.mark.quick
def test_a_picture_of_any_content_is_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2400, 3), np.uint8)
    assert 10_000 < len(coded(noise)) <= MOST_BYTES


@pytest.mark.quick
def test_seconds_are_read_from_the_table(tmp_path: Path) -> None:
    assert read_usage(tmp_path / "run.csv") == []
    (tmp_path / "run.csv").write_text("id,seconds,bytes,memory,process\na,0.5,1,1,x:1\n")
    assert read_usage(tmp_path / "run.csv") == [0.5]


@pytest.mark.browser
def test_a_browser_opens_it_with_nothing_to_say(broken: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    pytest.importorskip("playwright")
    if browser is None:
        pytest.skip("no Chromium")
    main(["check", str(broken), "--html", str(tmp_path / "r.html")])
    seen = looked(browser, tmp_path / "r.html")
    assert seen["console"] == [] and seen["requests"] == [] and seen["load_ms"] < 1000 and seen["whole_pictures"]
    assert seen["verdict"].startswith("FAIL") and "fusion-aug replay" in seen["first_row"][-1]
    light, dark = seen["colours"]["light"], seen["colours"]["dark"]
    assert light != dark and seen["printed"] == light and seen["folded_in_print"] == 0 and seen["overflow"] == 0
    assert {"A Figures", "SUMMARY the slowest samples"} <= set(seen["stops"])


def looked(browser: str, page: Path) -> dict[str, Any]:
    """What is seen; the browser ends with the process that drives it."""
    words = [sys.executable, str(REPOSITORY / "tests/support/report_look.py"), browser, str(page)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            return json.loads(process.communicate(timeout=PATIENCE)[0])
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
