"""Presets that are combined: figures merge, transforms are never lost; and wrong words get a hint."""

from __future__ import annotations

from pathlib import Path

import pytest

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.run.config import build_pipeline, compose_config

HEAD = "_target_: fusion_aug.pipeline\n"


def presets(folder: Path, **texts: str) -> str:
    (folder / "pipeline").mkdir()
    for name, text in texts.items():
        (folder / f"pipeline/{name}.yaml").write_text(text if text.startswith("defaults") else HEAD + text)
    return str(folder)


def built(folder: str, *names: str) -> fa.Compose:
    words = ["log=kitti", "log.root=x", "out=y", f"pipeline=[{','.join(names)}]"]
    return build_pipeline(compose_config("run", words, folder)["pipeline"])


SHADE = "transforms: {{shade: {{_target_: fusion_aug.{kind}, factor: 1.3}}}}\n"


@pytest.mark.quick
def test_two_kinds_under_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = presets(tmp_path, first=SHADE.format(kind="Brightness"), second=SHADE.format(kind="Contrast"))
    words = ["run", "log=kitti", f"log.root={tmp_path}", f"out={tmp_path / 'o'}", "--config-dir", folder]
    assert main([*words, "pipeline=[first,second]"]) == 2
    message = capsys.readouterr().err
    for part in ("'first'", "'second'", "'shade'", "fusion_aug.Brightness", "fusion_aug.Contrast", "another name"):
        assert part in message
    with pytest.raises(fa.ConfigError, match="'shade'"):
        fa.preset("second", "first", config_dir=folder)


def test_two_kinds_through_the_defaults_of_a_preset(tmp_path: Path) -> None:
    both = "defaults: [first, second, _self_]\n" + HEAD
    folder = presets(tmp_path, first=SHADE.format(kind="Brightness"), second=SHADE.format(kind="Contrast"), both=both)
    with pytest.raises(fa.ConfigError, match="'first' and 'second' both give a transform 'shade'"):
        built(folder, "both")


def test_two_kinds_inside_a_container(tmp_path: Path) -> None:
    inside = (
        "transforms:\n  one:\n    _target_: fusion_aug.OneOf\n"
        "    transforms:\n      a: {{_target_: fusion_aug.{}, {}: 1.5}}\n"
    )
    folder = presets(tmp_path, first=inside.format("Gamma", "gamma"), second=inside.format("Contrast", "factor"))
    with pytest.raises(fa.ConfigError, match=r"a transform 'one\.transforms\.a'"):
        built(folder, "first", "second")


def test_a_special_case_takes_the_place_of_the_general_one() -> None:
    """A robot has one mirror, with the figures of both presets."""
    both = built("", "geometry", "robot")
    assert [type(t) for t in both.transforms if isinstance(t, fa.MirrorScene)] == [fa.MirrorRobot]
    assert fa.preset("geometry", "robot", mirror=1) == fa.preset("geometry", "photometric", "robot", mirror=1)
    with pytest.raises(fa.ConfigError, match=r"'mirror' .*would be lost; name 'geometry' before 'robot'"):
        built("", "robot", "geometry")


def test_two_lists_are_refused(tmp_path: Path) -> None:
    text = "transforms: [{{_target_: fusion_aug.{}, {}: 1.5}}]\n"
    folder = presets(tmp_path, first=text.format("Gamma", "gamma"), second=text.format("Contrast", "factor"))
    with pytest.raises(fa.ConfigError, match=r"both give their transforms .* give each a name"):
        built(folder, "first", "second")
    assert [type(t) for t in built(folder, "first").transforms] == [fa.Gamma]


def test_one_kind_under_one_name_takes_the_later_figures(tmp_path: Path) -> None:
    first = "transforms: {shade: {_target_: fusion_aug.Brightness, factor: 1.3, p: 0.5}}\n"
    second = "transforms: {shade: {_target_: fusion_aug.Brightness, factor: 0.7}}\n"
    folder = presets(tmp_path, first=first, second=second, third="transforms: {shade: {factor: 0.6}}\n")
    (shade,) = built(folder, "first", "second").transforms
    assert shade == fa.Brightness(factor=0.7, p=0.5)
    (shade,) = built(folder, "first", "third").transforms
    assert shade == fa.Brightness(factor=0.6, p=0.5)


def test_a_preset_that_hides_one_of_ours_is_refused(tmp_path: Path) -> None:
    folder = presets(tmp_path, fog=SHADE.format(kind="Brightness"))
    with pytest.raises(fa.ConfigError, match=r"pipeline/fog\.yaml has the name of a preset that is there; rename"):
        built(folder, "fog")


@pytest.mark.parametrize(
    "word, part",
    [
        ("pipeline.yaw_dg=5", "pipeline.yaw_dg: there is no such key; did you mean yaw_deg?"),
        ("sead=3", "sead: there is no such key; did you mean seed?"),
        ("log.rigg=x", "log.rigg: there is no such key; did you mean rig?"),
        ("pipeline.transforms.yaww.yaw_deg=5", "did you mean yaw?"),
        ("pipeline=geometri", "pipeline: there is no preset 'geometri'; did you mean geometry?"),
        ("pipeline=zzz", "suite/fog"),
    ],
)
def test_a_wrong_word_gets_a_hint(word: str, part: str) -> None:
    with pytest.raises(fa.ConfigError) as error:
        compose_config("run", ["log=kitti", "log.root=x", "out=y", "pipeline=geometry", word])
    assert part in str(error.value) and "\n" not in str(error.value)


def test_a_list_of_presets_from_python() -> None:
    with pytest.raises(fa.ConfigError, match=r"one by one, as in preset\('geometry', 'fog'\), got \['fog', 'rain'\]"):
        fa.preset(["fog", "rain"])  # type: ignore[arg-type]


def test_no_preset_names_a_camera() -> None:
    """Whatever cameras are called, the presets take them."""
    for name in ("viewpoint", "suite/spatial_misalignment"):
        (mount,) = fa.preset(name).transforms
        assert mount.sensors is None  # type: ignore[attr-defined]
