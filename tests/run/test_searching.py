"""``fusion-aug search``: a function of the user's own, from words to a preset that a run takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import small_logs
from refusals import fails

from fusion_aug.cli import main
from fusion_aug.run.helping import command_help

MODULE = """
import fusion_aug as fa

def objective(pipeline, seed, epochs, checkpoint):
    random = pipeline.transforms[0]
    return {"good": -abs(random.n - 2) - random.magnitude + 0.01 * seed}

def of_a_log(pipeline, seed, epochs, checkpoint, *, log):
    return {"samples": float(len(log))}

def frozen(pipeline, seed, epochs, checkpoint):
    strong = max([t.darkness for t in pipeline.transforms if t.p > 0 and hasattr(t, "darkness")], default=0.0)
    return {"loss": 1.0 + 2 * strong}

def fails(pipeline, seed, epochs, checkpoint):
    raise RuntimeError("no memory left")

def too_few(pipeline): ...
number = 3
"""
STEPS = ["pipeline=identity", "+pipeline.transforms.dark={_target_: fusion_aug.Shadow, darkness: [0.0, 0.5]}",
         "+pipeline.transforms.yaw={_target_: fusion_aug.RotateScene, yaw_deg: [-45, 45]}"]  # fmt: skip


@pytest.fixture
def mine(plugins: Path) -> Path:
    (plugins / "my_training.py").write_text(MODULE)
    return plugins


def words(function: str, *more: str) -> list[str]:
    return ["search", f"objective=my_training:{function}", *STEPS, "out=found", *more]


def test_what_is_found_runs(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = words("objective", "n=[1,2]", "magnitudes=[0.2,0.6]", "seeds=2")
    assert main(given) == 0
    said = capsys.readouterr().out
    assert "best of 4 trials: trial 2, good -0.195 ± 0.0071" in said and "2 operations at magnitude 0.2" in said
    root = small_logs.kitti(mine / "log")
    assert main(["run", "log=kitti", f"log.root={root}", "pipeline=policy", "--config-dir", "found", "out=run"]) == 0
    manifest = (mine / "run" / "manifest.jsonl").read_text().splitlines()
    names = {r["name"] for line in manifest[1:] for r in json.loads(line)["history"]}
    assert names == {"fusion_aug.Shadow", "fusion_aug.RotateScene"}
    before = (mine / "found" / "journal.jsonl").read_bytes()
    assert main(given) == 0 and (mine / "found" / "journal.jsonl").read_bytes() == before
    (mine / "my_training.py").write_text(MODULE + "\n# changed\n")
    fails(capsys, given, "is of another search", "about.sources.my_training", "sources=changed goes on")
    assert main([*given, "sources=changed"]) == 0 and (mine / "found" / "journal.jsonl").read_bytes() == before
    fails(capsys, [*given, "sources=any"], "sources: 'any' is not one of same, changed")


def test_a_search_goes_on_after_its_objective_was_mended(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = MODULE + "\ndef later(pipeline, *more):\n    return objective(pipeline, *more) if NAME else None\n"
    (mine / "my_training.py").write_text(wrong.replace("NAME", "pipeline.transforms[0].n == 1 or 1 / 0"))
    given = words("later", "n=[1,2]", "magnitudes=[0.2,0.6]")
    told = fails(capsys, given, "my_training:later failed in trial 2, seed 0 (ZeroDivisionError: division by zero)")
    assert "search again with the same arguments" in told and "the 2 before it are kept in" in told
    begun = (mine / "found" / "journal.jsonl").read_bytes()
    del sys.modules["my_training"]  # as a new process has it
    (mine / "my_training.py").write_text(wrong.replace("NAME", "True"))
    fails(capsys, given, "is of another search", "sources=changed goes on")
    assert main([*given, "sources=changed"]) == 0
    assert (mine / "found" / "journal.jsonl").read_bytes().startswith(begun)
    assert "best of 4 trials: trial 2" in capsys.readouterr().out


def test_a_log_is_opened_for_the_objective(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = ["log=kitti", f"log.root={small_logs.kitti(mine / 'log')}", "trials=1"]
    assert main(words("of_a_log", *log)) == 0
    assert "samples 2" in capsys.readouterr().out
    fails(
        capsys, words("of_a_log", "trials=1"), "called with pipeline, seed, epochs, checkpoint", "'log'", "log=FORMAT"
    )
    fails(
        capsys, words("objective", *log), "called with pipeline, seed, epochs, checkpoint, log, which it does not take"
    )


def test_a_filter_narrows_the_next_search(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words("frozen", "engine=density", "levels=[0.25,0.5,1.0]"), "out=filter"]) == 0
    assert "narrowed: dark.darkness to 0.5" in capsys.readouterr().out
    assert main(words("frozen", "engine=random", "trials=6", "score=loss", "within=filter")) == 0
    facts = json.loads((mine / "found" / "results.json").read_text())
    assert facts["space"]["before"]["full"]["dark.darkness"] == 0.5
    fails(capsys, [*words("frozen", "within=nowhere"), "out=o"], "nowhere/results.json: cannot be read")
    fails(capsys, [*words("frozen", "within=found"), "out=o"], "within: found/results.json is not the result")
    other = [w for w in words("frozen", "within=filter") if "yaw" not in w]
    fails(capsys, [*other, "out=o"], "within: filter is of another pipeline", "'yaw.yaw_deg'")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["objective=my_training"], "objective: expected MODULE:FUNCTION, such as my_training:objective"),
        (["objective=my_training:1st"], "objective: expected MODULE:FUNCTION"),
        (["objective=no_module:f"], "objective: 'no_module' cannot be imported (ModuleNotFoundError"),
        (["objective=my_training:nothing"], "objective: the module my_training has no 'nothing'"),
        (["objective=my_training:number"], "objective: my_training:number is no function but int"),
        (["objective=my_training:too_few"], "which it does not take (too many positional arguments)"),
        (["objective=my_training:fails", "trials=1"], "fails failed in trial 0, seed 0 (RuntimeError: no memory"),
        (["engine=ray"], "engine: 'ray' is not one of"),
        (["trials=many"], "trials: expected a whole number, got 'many'"),
        (["populatoin=3"], "populatoin"),
        (["population=3"], "population: the engine grid has no such option"),
        (["pipeline=identity", *(f"~pipeline.transforms.{n}" for n in ("dark", "yaw"))], "no number of the pipeline"),
    ],
)  # fmt: skip
def test_wrong_words(mine: Path, capsys: pytest.CaptureFixture[str], given: list[str], said: str) -> None:
    keys = {w.partition("=")[0] for w in given}
    rest = [w for w in words("objective") if w.partition("=")[0] not in keys]
    fails(capsys, [*rest, *given], said)
    assert not (mine / "found" / "results.json").exists()


@pytest.mark.quick
def test_help_tells_every_option() -> None:
    from fusion_aug.policy.search import ENGINES

    text = command_help("search")
    for engine, kind in ENGINES.items():
        assert engine in text
        assert all(f"\n{option}: null" in text for option in kind.options())
    assert "objective: ???" in text and "choices for pipeline=" in text
