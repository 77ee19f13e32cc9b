"""Chains of nuScenes tables: what they lead to is read once, what they do not lead to is named and counted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nuscenes_files import tables
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.core.account import account_of

Rows = list[dict[str, Any]]
STRAY = {"sample_token": "nowhere", "prev": "", "next": ""}


@pytest.fixture
def root(street: Path, tmp_path: Path) -> Path:
    """A made log without its sidecar."""
    made = tmp_path / "log"
    for name in ("v1.0-mini", "samples", "sweeps", "lidarseg", "panoptic", "maps"):
        shutil.copytree(street / name, made / name)
    return made


def edit(root: Path, table: str, change: Callable[[Rows], Any]) -> None:
    """Change the rows of a table, which are in the order of their stamps."""
    path = root / f"v1.0-mini/{table}.json"
    rows = json.loads(path.read_text())
    if table == "sample":
        rows.sort(key=lambda r: r["timestamp"])
    change(rows)
    path.write_text(json.dumps(rows))


def unreached(root: Path) -> dict[str, int]:
    """Table -> how many of its rows the account names."""
    return {g.name.removeprefix("v1.0-mini/").removesuffix(".json"): g.count for g in account_of(opened(root)).rows}


def opened(root: Path) -> Any:
    return fa.open_log("nuscenes", root)


# --- rows that no chain leads to -------------------------------------------------------------------------------------
def add_strays(root: Path) -> dict[str, int]:
    """Rows that nothing leads to, in every table that is written without them."""
    count = {"scene": 1, "sample": 2, "sample_data": 5, "sample_annotation": 7, "calibrated_sensor": 3, "ego_pose": 4,
             "instance": 6}  # fmt: skip
    empty = {"scene": {"first_sample_token": "", "last_sample_token": ""}, "sample": {"prev": "", "next": ""}}
    for table, number in count.items():
        more = empty.get(table, STRAY if table.startswith("sample_") else {})
        edit(root, table, lambda r, n=number, m=more: r.extend({**r[0], "token": f"stray{i}", **m} for i in range(n)))
    # those of a record that is a stray itself are none of a sample either
    edit(root, "sample_data", lambda r: r[-1].update(ego_pose_token="stray0", calibrated_sensor_token="stray1"))
    edit(root, "sample_annotation", lambda r: r[-1].update(instance_token="stray2"))
    return count


def test_rows_that_nothing_leads_to_are_named_and_counted(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unreached(root) == {}
    count = add_strays(root)
    assert unreached(root) == count
    assert main(["inspect", "log=nuscenes", f"log.root={root}"]) == 0
    told = capsys.readouterr().out
    data = {table: n for table, n in count.items() if table == "scene" or table.startswith("sample")}
    assert all(f"{n} v1.0-mini/{table}.json, such as stray0" in told for table, n in data.items())
    named = [line.split() for line in told.partition("rows of tables ")[2].splitlines()]
    assert all([f"v1.0-mini/{t}.json", str(n), "left", "out"] in [w[:4] for w in named] for t, n in
               count.items() if t not in data)  # fmt: skip
    assert "everything is understood" not in told
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={root}", "pipeline=identity", "limit=2")
    account = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])["account"]
    found = {g["name"]: (g["count"], g["fate"], g.get("example")) for g in account["rows"]}
    assert found == {
        f"v1.0-mini/{t}.json": (n, "left out", f"v1.0-mini/{t}.json:stray0" if t in data else None)
        for t, n in count.items()
    }
    assert not any(token.startswith("stray") for rows in tables(out).values() for token in rows)
    assert main(["check", str(out)]) == 0
    capsys.readouterr()
    text = (out / "manifest.jsonl").read_text()
    (out / "manifest.jsonl").write_text(text.replace('"rows": [', '"rows_of_another_name": [', 1))
    assert main(["check", str(out)]) == 1
    told = [line for line in capsys.readouterr().out.splitlines() if "rows left out unnamed" in line]
    assert len(told) == len(count) and all("FAIL" in line for line in told)


def test_what_a_scene_begins_behind_is_named_and_counted(root: Path) -> None:
    samples = sorted(tables(root)["sample"].values(), key=lambda r: r["timestamp"])
    edit(root, "scene", lambda r: r[0].update(first_sample_token=samples[2]["token"]))
    lost, t = {r["token"] for r in samples[:2]}, tables(root)
    data = {k: [r for r in t["sample_data"].values() if (r["sample_token"] in lost) == k] for k in (True, False)}
    boxes = {k: [r for r in t["sample_annotation"].values() if (r["sample_token"] in lost) == k] for k in (True, False)}
    gone = {r["instance_token"] for r in boxes[True]} - {r["instance_token"] for r in boxes[False]}
    poses = {r["ego_pose_token"] for r in data[True]} - {r["ego_pose_token"] for r in data[False]}
    counts = {"sample": 2, "sample_data": len(data[True]), "sample_annotation": len(boxes[True])}
    counts |= {"instance": len(gone), "ego_pose": len(poses), "lidarseg": 2, "panoptic": 2}
    assert counts["sample_data"] > 10 and counts["sample_annotation"] > 10
    assert unreached(root) == {table: n for table, n in counts.items() if n}


def test_rows_of_excluded_channels_are_no_strays(root: Path) -> None:
    log = fa.open_log("nuscenes", root, exclude=["CAM_FRONT", "sweeps/*"])
    assert account_of(log).rows == ()


# --- chains that contradict themselves -------------------------------------------------------------------------------
def second_scene(root: Path, *, cut: bool) -> None:
    """The last two samples become a scene of their own; ``cut``: whether the first chain ends before them."""

    def change(samples: Rows) -> None:
        for row in samples[3:]:
            row["scene_token"] = "second"
        if cut:
            samples[2]["next"] = samples[3]["prev"] = ""

    edit(root, "sample", change)
    samples = sorted(tables(root)["sample"].values(), key=lambda r: r["timestamp"])

    def divide(scenes: Rows) -> None:
        ends = {"first_sample_token": samples[3]["token"], "last_sample_token": samples[4]["token"]}
        scenes.append({**scenes[0], "token": "second", "name": "drive-0001", **ends})
        scenes[0].update(last_sample_token=samples[2]["token"])

    edit(root, "scene", divide)


def test_a_chain_that_runs_on_into_another_scene_is_refused(root: Path) -> None:
    second_scene(root, cut=False)
    samples = sorted(tables(root)["sample"], key=lambda t: tables(root)["sample"][t]["timestamp"])
    said = rf"sample\.json: {samples[2]}: next: leads from scene '\w+' to sample '{samples[3]}', .* 'second'"
    with pytest.raises(fa.DataError, match=said):
        opened(root).ids  # noqa: B018


def test_two_scenes_are_read_once_each(root: Path) -> None:
    second_scene(root, cut=True)
    log = opened(root)
    assert len(set(log.ids)) == len(log.ids) == 5 and unreached(root) == {}
    assert [log.scene_of(i) == "second" for i in log.ids] == [False] * 3 + [True] * 2


def test_two_scenes_that_begin_with_one_sample_are_refused(root: Path) -> None:
    edit(root, "scene", lambda r: r.append({**r[0], "token": "other", "name": "scene-x"}))
    with pytest.raises(fa.DataError, match=r"scene\.json: other: first_sample_token: leads from scene 'other' to"):
        opened(root).ids  # noqa: B018


@pytest.mark.parametrize("select", [None, "drive-0000"])
def test_a_sample_of_an_unknown_scene_is_refused(root: Path, select: str | None) -> None:
    edit(root, "sample", lambda r: r[2].update(scene_token="zz"))
    with pytest.raises(fa.DataError, match=r"sample\.json: \w+: next: leads from .* whose scene_token is 'zz'"):
        fa.open_log("nuscenes", root, select=select).ids  # noqa: B018


def test_a_box_that_jumps_to_another_instance_is_refused(root: Path) -> None:
    by_instance: dict[str, Rows] = {}
    for row in tables(root)["sample_annotation"].values():
        by_instance.setdefault(row["instance_token"], []).append(row)
    one, other = [rows for rows in by_instance.values() if len(rows) > 1][:2]
    own = next(r for r in one if r["prev"])
    edit(root, "sample_annotation", lambda r: next(x for x in r if x["token"] == own["token"]).update(
        prev=other[0]["token"]))  # fmt: skip
    said = rf"sample_annotation\.json: {own['token']}: prev: leads from instance '{own['instance_token']}' to"
    with pytest.raises(fa.DataError, match=said):
        opened(root).read(own["sample_token"])


# --- references that lead nowhere ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("table", "field", "target"),
    [
        ("scene", "first_sample_token", "sample"),
        ("sample", "next", "sample"),
        ("sample_data", "calibrated_sensor_token", "calibrated_sensor"),
        ("sample_data", "ego_pose_token", "ego_pose"),
        ("calibrated_sensor", "sensor_token", "sensor"),
        ("sample_annotation", "instance_token", "instance"),
        ("sample_annotation", "prev", "sample_annotation"),
        ("sample_annotation", "next", "sample_annotation"),
        ("instance", "category_token", "category"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(root: Path, table: str, field: str, target: str) -> None:
    edit(root, table, lambda r: [row.update({field: "zz"}) for row in r])
    with pytest.raises(fa.DataError, match=rf"{table}\.json: \w+: {field}: 'zz' is no row of {target}\.json$"):
        list(opened(root))


@pytest.mark.parametrize(("token", "said"), [("zz", "'zz' is no row of"), (None, "goes round in a circle")])
def test_a_chain_past_what_is_not_written_is_named_where_it_breaks(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], token: str | None, said: str
) -> None:
    """The sweep after the written ones, which are one sample, leads to nothing, or to itself."""
    t = tables(root)
    last = max((r for r in t["sample"].values()), key=lambda r: r["timestamp"])
    beyond = next(r for r in t["sample_data"].values() if r["sample_token"] == last["token"] and r["next"] == "")
    edit(root, "sample_data", lambda rows: [
        r.update(next=token or r["token"]) for r in rows if r["token"] == beyond["token"]])  # fmt: skip
    words = ["run", "log=nuscenes", f"log.root={root}", "pipeline=identity", "limit=1", f"out={tmp_path / 'out'}"]
    assert main(words) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"sample_data.json: {beyond['token']}: next: " in told and said in told
