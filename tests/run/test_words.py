"""Names of files on the command line: any character, ``~``, and what Hydra's grammar keeps its meaning for."""

from __future__ import annotations

import os
import shutil
from itertools import product
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from small_infos import write_small

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.run.config import compose_config
from fusion_aug.run.words import quote_names, quoted, value_of

NAMES = [
    "müller", "run=1", "a,b", "a(1)", "[x]", "a [/b] c", "it's", '"both" \'kinds\'', "back\\slash", "end\\", "{x: y}",
    "$HOME", "#1", "50%", "a:b", "~tilde", "null", "1e3", "true", "*", "a  b ", "choice(x) y",
]  # fmt: skip


@pytest.mark.quick
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_taken_as_it_is(name: str) -> None:
    config = compose_config("run", ["log=kitti", f"log.root=/data/{name}", f"out=/out/{name}", "pipeline=identity"])
    assert (config["log"]["root"], config["out"]) == (f"/data/{name}", f"/out/{name}")
    assert value_of(f"out=/{name}") == f"/{name}"


@pytest.mark.quick
def test_a_quoted_text_is_itself_for_hydra() -> None:
    parser = OverridesParser.create()
    for text in map("".join, product("a\\'\" ", repeat=4)):
        assert parser.parse_override(f"out={quoted(text)}").value() == text


@pytest.mark.quick
@pytest.mark.parametrize(
    "given, found",
    [
        ("log.root='a b'", "log.root='a b'"),
        ('log.root="a, b"', 'log.root="a, b"'),
        ("log.root=${oc.env:HOME}/x", "log.root=${oc.env:HOME}/x"),
        ("log.root=choice(a,b)", "log.root=choice(a,b)"),
        ("log.root=", "log.root="),
        ("log.rig=null", "log.rig=null"),
        ("+log.rig=a,b", "+log.rig='a,b'"),
        ("log.follow_links=[a b, c=d,'e,f',g's]", "log.follow_links=['a b','c=d','e,f','g\\'s']"),
        ("log.follow_links=a,b", "log.follow_links='a,b'"),
        ("log.joint_map={a: b}", "log.joint_map={a: b}"),
        ("log.joint_map=my map.yaml", "log.joint_map='my map.yaml'"),
        ("pipeline=[fog,rain]", "pipeline=[fog,rain]"),
        ("log.select=[1,x]", "log.select=[1,x]"),
        ("seed=1,2", "seed=1,2"),
    ],
)
def test_what_is_written_in_hydras_grammar_stays(given: str, found: str) -> None:
    assert quote_names([given]) == [found]


def test_every_command_takes_such_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Run, check, show, replay and inspect on folders that are called as no shell would like."""
    root = write_small(tmp_path / "a=1, [b] (ü) it's", name="my infos, 1")
    out, conf = tmp_path / "out=2, {x} [/y]", tmp_path / "c=3 'd'"
    (conf / "pipeline").mkdir(parents=True)
    shutil.copyfile(Path(__file__).parents[2] / "configs/pipeline/night.yaml", conf / "pipeline/dark.yaml")
    log = ["log=mmdet3d", f"log.root={root}", "log.infos=my infos, 1.pkl"]
    own = ["--config-dir", str(conf), "pipeline=dark"]
    assert main(["run", *log, *own, f"out={out}"]) == 0
    assert main(["check", str(out)]) == 0
    assert main(["show", *log, *own, f"out={tmp_path / 'p=1, [a].png'}"]) == 0
    assert main(["show", str(out), f"out={tmp_path / 'q=1, [a].png'}"]) == 0
    assert main(["replay", str(out / "manifest.jsonl"), "my infos, 1/t0"]) == 0
    assert main(["inspect", *log]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["check", os.path.relpath(out)]) == 0, "with a = in its name, as a word"
    assert (tmp_path / "p=1, [a].png").is_file() and (tmp_path / "q=1, [a].png").is_file()
    capsys.readouterr()


def test_a_sweep_over_roots_is_a_choice(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_small(tmp_path / name)
    words = ["-m", "log=mmdet3d", f"log.root=choice({tmp_path}/one,{tmp_path}/two)", "pipeline=identity", "seed=1"]
    assert main(["run", *words, f"out={tmp_path / 'a,b'}"]) == 0
    assert len(list((tmp_path / "a,b").iterdir())) == 2


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_small(tmp_path / "logs/small")
    (tmp_path / "conf/pipeline").mkdir(parents=True)
    text = "_target_: fusion_aug.pipeline\ntransforms: {y: {_target_: fusion_aug.RotateScene, yaw_deg: 5}}\n"
    (tmp_path / "conf/pipeline/mine.yaml").write_text(text)
    words = ["log=mmdet3d", "log.root=~/logs/small", "--config-dir", "~/conf", "pipeline=mine"]
    assert main(["run", *words, "out=~/made"]) == 0 and (tmp_path / "made/manifest.jsonl").is_file()
    assert main(["check", "~/made"]) == 0
    assert len(fa.open_log("mmdet3d", "~/logs/small")) == 1
    assert len(fa.preset("mine", config_dir="~/conf").transforms) == 1
    (tmp_path / "~name").mkdir()
    write_small(tmp_path / "~name/log")
    assert len(fa.open_log("mmdet3d", os.path.relpath(tmp_path / "~name/log"))) == 1


def test_a_file_in_place_of_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mcap").write_bytes(b"")
    assert main(["run", "log=mcap", f"log.root={tmp_path / 'a.mcap'}", f"out={tmp_path / 'o'}"]) == 2
    assert f"is a file; give its folder, log.root={tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize("select, ids", [(1, ["t1"]), ([0, 2], ["t0", "t2"]), ("t1", ["t1"]), ("*2", ["t2"])])
def test_a_number_selects_what_ends_in_it(tmp_path: Path, select: object, ids: list[str]) -> None:
    def named(content: dict) -> None:
        for row in content["data_list"]:
            row["token"] = row["token"].replace("t", "t_00")

    root = write_small(tmp_path / "log", samples=3, change=named if select != "t1" and select != "*2" else None)
    found = fa.open_log("mmdet3d", root, select=select).ids
    assert [i.rpartition("/")[2].replace("t_00", "t") for i in found] == ids


def test_a_number_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(fa.ConfigError, match=r"log\.select: expected names or whole numbers, got 10000000000\.0"):
        fa.open_log("mmdet3d", write_small(tmp_path / "log"), select=1e10).ids  # noqa: B018
    with pytest.raises(fa.ConfigError, match="'7' matches nothing"):
        fa.open_log("mmdet3d", tmp_path / "log", select=7).ids  # noqa: B018
