"""Presets: they combine, and the suite has severities."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
import yaml

from fusion_aug.cli import main
from fusion_aug.run.config import build_pipeline, compose_config, config_dir, option_names

PRESETS = option_names("pipeline", None)


@pytest.mark.parametrize("name", [n for n in PRESETS if n.startswith("suite/")])
def test_every_suite_preset_builds_at_every_severity(name: str) -> None:
    built = set()
    for severity in (1, 3, 5):
        words = ["log=kitti", "log.root=x", "out=y", f"pipeline={name}", f"pipeline.severity={severity}"]
        built.add(str(build_pipeline(compose_config("run", words)["pipeline"]).to_config()))
    assert len(built) == 3  # severities differ


def test_every_pair_of_presets_composes() -> None:
    own = [n for n in PRESETS if not n.startswith("suite/")]
    assert {"identity", "geometry", "photometric", "driving", "robot", "touch", "timewarp"} <= set(own)
    for a, b in combinations(own, 2):
        words = ["log=kitti", "log.root=x", "out=y", f"pipeline=[{b},{a}]"]
        build_pipeline(compose_config("run", words)["pipeline"])


def test_presets_share_a_main_figure_only_where_it_means_the_same() -> None:
    """A key of two presets must mean the same field."""
    meaning: dict[str, set[str]] = {}
    for name in PRESETS:
        preset = yaml.safe_load((config_dir() / "pipeline" / f"{name}.yaml").read_text())
        for key in preset:
            if key in ("_target_", "transforms", "defaults", "severity"):
                continue
            fields = set(_uses(preset["transforms"], key))
            assert fields, (name, key)
            meaning.setdefault(key, set()).add(",".join(sorted(fields)))
    assert {k: v for k, v in meaning.items() if len(v) > 1} == {}


def _uses(node: object, key: str, field: str = "") -> list[str]:
    if isinstance(node, dict):
        return [f for k, v in node.items() for f in _uses(v, key, str(k))]
    if isinstance(node, list):
        return [f for v in node for f in _uses(v, key, field)]
    return [field] if isinstance(node, str) and f".{key}}}" in node else []


def test_a_severity_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["log=nuscenes", "log.root=datasets/drive", "pipeline=suite/fog", f"out={tmp_path / 'o'}"]
    assert main(["run", *words, "pipeline.severity=9"]) == 2
    assert "expected a whole number from 0 to 5, got 9" in capsys.readouterr().err


def test_a_sweep_over_the_suite_names_its_presets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["log=nuscenes", "log.root=datasets/drive", "limit=1", "pipeline=glob(suite/f*)", "pipeline.severity=1,5"]
    assert main(["run", "-m", *words, f"out={tmp_path / 'o'}"]) == 0
    made = sorted(p.name for p in (tmp_path / "o").iterdir())
    assert len(made) == 6 and any("suite_fog" in m and "severity-5" in m for m in made)
    assert main(["run", "-m", "log=nuscenes", "log.root=x", "pipeline=glob(suite/zz*)", "out=y"]) == 2
    assert "matches no option" in capsys.readouterr().err
