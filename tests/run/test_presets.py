"""Presets: they combine, and the suite has severities."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_logs
import yaml
from places import DRIVE

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.run.config import build_pipeline, compose_config, config_dir, option_names

PRESETS = option_names("pipeline", None)


@pytest.mark.parametrize("name", [n for n in PRESETS if n.startswith("suite/")])
def test_every_suite_preset_builds_at_every_severity(name: str) -> None:
    built = set()
    for severity in (1, 5):
        words = ["log=kitti", "log.root=x", "out=y", f"pipeline={name}", f"pipeline.severity={severity}"]
        built.add(str(build_pipeline(compose_config("run", words)["pipeline"]).to_config()))
    assert len(built) == 2  # severities differ


@pytest.mark.slow
def test_every_pair_of_presets_composes() -> None:
    own = [n for n in PRESETS if not n.startswith("suite/")]
    assert {"identity", "geometry", "photometric", "driving", "robot", "touch", "timewarp"} <= set(own)
    mirrors = ("geometry", "driving")  # of a scene, which are none of a robot
    for left_out in (("robot",), mirrors):  # of a list, every pair is compared
        first = [n for n in own if n in ("mix", "paste")]  # which stand before the others
        chosen = ",".join([*first, *reversed([n for n in own if n not in (*left_out, *first)])])
        words = ["log=kitti", "log.root=x", "out=y", f"pipeline=[{chosen}]"]
        build_pipeline(compose_config("run", words)["pipeline"])
    for mirror in mirrors:
        with pytest.raises(fa.ConfigError, match="a transform 'mirror'"):
            compose_config("run", ["log=kitti", "log.root=x", "out=y", f"pipeline=[robot,{mirror}]"])


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
    words = ["log=nuscenes", f"log.root={DRIVE}", "pipeline=suite/fog", f"out={tmp_path / 'o'}"]
    assert main(["run", *words, "pipeline.severity=9"]) == 2
    assert "expected a whole number from 0 to 5, got 9" in capsys.readouterr().err


def test_a_sweep_over_the_suite_names_its_presets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_logs.kitti(tmp_path / "log", frames=1)
    words = ["log=kitti", f"log.root={root}", "pipeline=glob(suite/fo*)", "pipeline.severity=1,5"]
    assert main(["run", "-m", *words, f"out={tmp_path / 'o'}"]) == 0
    made = sorted(p.name for p in (tmp_path / "o").iterdir())
    assert len(made) == 4 and any("suite_fog" in m and "severity-5" in m for m in made)
    assert main(["run", "-m", "log=nuscenes", "log.root=x", "pipeline=glob(suite/zz*)", "out=y"]) == 2
    assert "matches no option" in capsys.readouterr().err


@pytest.mark.quick
def test_presets_from_python() -> None:
    """The same pipeline as on the command line, with main figures as Python has them."""
    words = ["log=kitti", "log.root=x", "out=y", "pipeline=driving", "pipeline.mirror=0", "pipeline.yaw_deg=[-10,10]"]
    built = fa.preset("driving", mirror=0, yaw_deg=[-10, 10])
    assert built.to_config() == build_pipeline(compose_config("run", words)["pipeline"]).to_config()
    assert dict(built.children())["mirror"].p == 0
    several = fa.preset("geometry", "photometric", brightness={"distribution": "normal", "mean": 1, "std": 0.1})
    assert list(several.names[:2]) == ["yaw", "mirror"] and "brightness" in several.names
    assert fa.preset("suite/fog", severity=5) != fa.preset("suite/fog", severity=1)


def test_presets_of_ones_own_from_python(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()
    text = (
        "_target_: fusion_aug.pipeline\nhow: 0.5\ntransforms:\n  it: {_target_: fusion_aug.Gamma, gamma: '${...how}'}\n"
    )
    (tmp_path / "pipeline/mine.yaml").write_text(text)
    (gamma,) = fa.preset("mine", config_dir=tmp_path, how=[0.8, 1.2]).transforms
    assert gamma == fa.Gamma(gamma=[0.8, 1.2])


@pytest.mark.parametrize(
    "names, figures, part",
    [
        (["drivin"], {}, "preset: there is no preset 'drivin'; did you mean driving?"),
        ([], {}, "preset: name at least one"),
        (["driving"], {"miror": 0}, "pipeline.miror: there is no such figure; did you mean mirror?"),
        (["driving"], {"transforms": {}}, "pipeline.transforms: there is no such figure"),
        (["driving"], {"mirror": 3}, "MirrorScene.p: expected a probability"),
        (["driving"], {"yaw_deg": object()}, "pipeline.yaw_deg: Value 'object'"),
        (["suite/fog"], {"severity": 9}, "expected a whole number from 0 to 5, got 9"),
    ],
)
def test_a_wrong_preset_from_python_is_a_sentence(names: list[str], figures: dict, part: str) -> None:
    with pytest.raises(fa.ConfigError) as error:
        fa.preset(*names, **figures)
    assert part in str(error.value) and "\n" not in str(error.value)


def test_presets_inside_a_program_that_uses_hydra_itself(tmp_path: Path) -> None:
    from hydra import compose, initialize_config_dir

    (tmp_path / "train.yaml").write_text("rate: 3\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert len(fa.preset("geometry").transforms) == 5
        assert compose("train").rate == 3
