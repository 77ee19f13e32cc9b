"""Rerun recordings: what is in the file, and what a person sees in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from places import REPOSITORY
from viewer_page import both_sides

import fusion_aug as fa
from calib import CameraSensor, Pinhole
from fusion_aug.cli import main
from fusion_aug.show.labels import label_colours
from fusion_aug.show.recording import log_sample, pinhole, record, serve

rr = pytest.importorskip("rerun")


@pytest.fixture(scope="module")
def recording(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = fa.open_log("nuscenes", street)
    pairs = [(log[i], fa.MirrorScene()(log[i])) for i in range(2)]
    path = tmp_path_factory.mktemp("recording") / "street.rrd"
    assert record(pairs, path) == 2
    return path


def test_it_holds_both_sides(recording: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rerun", "rrd", "print", str(recording)], capture_output=True, text=True
    )
    entities = set(re.findall(r"/[\w/]+", done.stdout))
    for side in ("before", "after"):
        for name in ("LIDAR_TOP", "RADAR_FRONT", "CAM_FRONT_LEFT", "FISHEYE_FRONT", "FISHEYE_FRONT/lens", "boxes"):
            assert f"/{side}/world/ref/{name}" in entities, (side, name)
        assert f"/{side}/world/path" in entities
    assert "/done" in entities


def test_points_have_the_colours_of_their_classes(street: Path) -> None:
    logged: dict[str, object] = {}

    class Stream:
        def log(self, entity: str, what: object, **_: object) -> None:
            logged[entity] = what

    sample = fa.open_log("nuscenes", street)[0]
    cloud = sample["LIDAR_TOP"].realized().loaded()
    labelled = cloud.with_values(label=torch.arange(cloud.rows) % 5)
    log_sample(rr, Stream(), "after", sample.with_streams({"LIDAR_TOP": labelled}), [])
    colours = logged["after/world/ref/LIDAR_TOP"].colors.as_arrow_array().to_numpy()  # type: ignore[attr-defined]
    classes = label_colours(labelled["label"][labelled.item_slice(sample.key_item("LIDAR_TOP"))].numpy())
    assert np.array_equal(colours, (classes.astype(np.uint32) << [24, 16, 8]).sum(1, dtype=np.uint32) + 255)


def test_a_pinhole_projects_as_rerun_does() -> None:
    """Rerun's pixel coordinates start at the corner of the first pixel, ours at its centre."""
    camera = CameraSensor(frame="c", model=Pinhole.from_focal(500.0, 520.0, 311.0, 207.5, (400, 640)))
    logged = pinhole(rr, camera)
    K = np.array(logged.image_from_camera.as_arrow_array().to_pylist()).reshape(3, 3).T
    point = torch.tensor([0.3, -0.2, 4.0], dtype=torch.float64)
    ours = camera.project(point)[0].numpy()
    theirs = K @ point.numpy()
    assert np.allclose(theirs[:2] / theirs[2], ours + 0.5, atol=1e-4)


def test_the_command(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.rrd"
    words = ["show", "log=nuscenes", f"log.root={street}", "pipeline=geometry", "--rerun", "n=2", "index=1"]
    assert main([*words, f"out={out}"]) == 0 and out.stat().st_size > 50_000
    assert main([*words, f"out={tmp_path / 'a.png'}"]) == 2
    assert "is an .rrd file" in capsys.readouterr().err


def test_the_viewer_is_not_a_module_of_the_current_folder(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is that of somebody else's log."""
    for name in ("rerun", "rerun_cli", "subprocess"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    with serve(recording, free_port()) as (server, _):
        assert server.poll() is None


@pytest.mark.slow
@pytest.mark.browser
def test_a_person_sees_both_sides(recording: Path) -> None:
    """The bundled web viewer in headless Chromium: orange boxes in the scenes left and right, blue sky below."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    pytest.importorskip("playwright")
    if browser is None:
        pytest.skip("there is no Chromium on this machine (Debian: apt-get install chromium)")
    seen: dict[str, list[int]] = {}
    # now and then the viewer's server and page spin and wait for one another, so both are started again
    for patience in (60, 120, 240):
        with serve(recording, free_port()) as (_, address):
            seen = looked(browser, address, patience)
        if both_sides(seen):
            break
    assert both_sides(seen), seen


def looked(browser: str, address: str, patience: float) -> dict[str, list[int]]:
    """What is seen within some seconds; nothing where the browser or what drives it stands still."""
    words = [sys.executable, str(REPOSITORY / "tests/support/viewer_page.py"), browser, address]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            said = process.communicate(timeout=patience)[0]
        except subprocess.TimeoutExpired:
            return {}
        finally:
            with suppress(ProcessLookupError):  # the browser too, whatever it waits for
                os.killpg(process.pid, signal.SIGKILL)
    found: dict[str, list[int]] = json.loads(said) if process.returncode == 0 else {}
    return found


def free_port() -> int:
    """A port of the loopback interface that nobody holds, and as a rule the next one too."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
