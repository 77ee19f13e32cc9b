"""What shards and interrupted runs tell is in ``run.json`` at the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_logs
from test_unfinished import refused, words

from fusion_aug import DataError
from fusion_aug.cli import main
from fusion_aug.run.told import Told, all_told, is_told


@pytest.mark.quick
def test_what_all_have_told(tmp_path: Path) -> None:
    first = Told(tmp_path, "1/2", ["a", "b"])
    first.retried[7] += 1
    assert first.save() and not first.save()
    again = Told(tmp_path, "1/2", ["c"])  # the same shard, interrupted and begun again
    again.retried[7] += 1
    assert again.save() and again.notes == ["a", "b", "c"]
    other = Told(tmp_path, "2/2", ["b"])
    other.retried[3] += 1
    assert other.save()
    assert not Told(tmp_path, None, []).save(), "who has nothing to tell leaves no file"
    assert all_told(tmp_path) == (["a", "b", "c"], {7: 2, 3: 1})
    assert sorted(p.name for p in (tmp_path / ".work/told").iterdir()) == ["1-of-2.json", "2-of-2.json"]


@pytest.mark.parametrize("text", ["[]", "{", '{"notes": "a", "retried": {}}', '{"notes": [], "retried": {"-1": 1}}',
                                  '{"notes": [1], "retried": {}}', '{"notes": [], "retried": {"1": "x"}}'])  # fmt: skip
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / ".work/told").mkdir(parents=True)
    (tmp_path / ".work/told/all.json").write_text(text)
    with pytest.raises(DataError, match=r"told/all\.json"):
        all_told(tmp_path)


@pytest.mark.quick
def test_names_of_others_are_not_fetched_from_a_store() -> None:
    assert is_told("all.json") and is_told("3-of-64.json")
    assert not any(map(is_told, ("../all.json", "all.json/x", "a-of-b.json", "all.json.part", "plan.json")))


def test_notes_of_a_shard_are_those_of_the_merged_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard that ran on another processor than its first one and than the merge."""
    root, out = small_logs.kitti(tmp_path / "log", frames=3), tmp_path / "out"
    monkeypatch.delenv("MKL_CBWR", raising=False)
    assert main(words(root, out, "shard=1/2")) == 0
    with monkeypatch.context() as there:
        there.setenv("MKL_CBWR", "COMPATIBLE")
        assert main(words(root, out, "shard=2/2")) == 0
    (out / ".work/told/2-of-2.json").write_text(
        (out / ".work/told/2-of-2.json").read_text().replace('": {', '": {"2": 3')
    )
    capsys.readouterr()
    assert main(["merge", str(out)]) == 0 and "MKL_CBWR" in capsys.readouterr().out
    facts = json.loads((out / "run.json").read_text())
    assert len(facts["notes"]) == 1 and "MKL_CBWR: not set then, COMPATIBLE now" in facts["notes"][0]
    assert facts["retried"] == {"training/000002": 3} and not (out / ".work").exists()
    refused(capsys, words(root, out, "seed=4"), "finished run of another job", "seed: 0 there, 4 now")


DIES_ONCE = """
import os
from dataclasses import dataclass
from pathlib import Path
import fusion_aug as fa

@dataclass(frozen=True, kw_only=True)
class DiesOnce(fa.Transform, fa.PointOp):
    share: float = 0.5

@fa.handles(DiesOnce, fa.Points)
def die(stream, call):
    if not Path("died").exists():
        Path("died").touch()
        os.abort()
    return stream
"""


@pytest.mark.slow
def test_samples_that_a_shard_tried_again_are_in_the_merged_run(plugins: Path) -> None:
    (plugins / "dies_once.py").write_text(DIES_ONCE)
    root = small_logs.kitti(plugins / "log")
    command = [
        "run",
        "log=kitti",
        f"log.root={root}",
        "pipeline=identity",
        "plugins=[dies_once]",
        "out=out",
        "workers=1",
    ]
    command.append("+pipeline.transforms.d={_target_: dies_once.DiesOnce}")
    assert main([*command, "shard=2/2"]) == 0 and main([*command, "shard=1/2"]) == 0
    assert main(["merge", "out", "plugins=[dies_once]"]) == 0
    assert json.loads((plugins / "out/run.json").read_text())["retried"] == {"training/000001": 1}
