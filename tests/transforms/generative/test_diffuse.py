"""``Diffuse``: a small random model made by the library itself; seeds, conditions, hostile folders, runs."""

from __future__ import annotations

import builtins
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from places import DRIVE

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, DataError, MissingPackage
from fusion_aug.transforms.generative import diffusion_model, made_pictures
from fusion_aug.transforms.generative.diffusion_model import TINY_FOLDER

WITH_DEPTH = 7  # a keyframe of the sample log
MODEL = {"folder": "tiny", "size": [32, 64]}
CAMERA = "CAM_FRONT"


@pytest.fixture(scope="module")
def sample() -> fa.Sample:
    return fa.open_log("nuscenes", DRIVE)[WITH_DEPTH]


def diffused(sample: fa.Sample, seed: int = 1, **words: Any) -> np.ndarray:
    given = {"model": MODEL, "condition": ["depth"], "strength": 0.8, "steps": 4, "cameras": [CAMERA], **words}
    return fa.Diffuse(**given)(sample, seed=seed)[CAMERA].image(0).numpy()  # type: ignore[attr-defined]


def test_the_same_bytes_twice_and_others_by_seed_caption_and_condition(sample: fa.Sample) -> None:
    first = diffused(sample)
    assert first.shape == tuple(sample[CAMERA].image(0).shape) and first.dtype == np.uint8  # type: ignore[attr-defined]
    made_pictures._MADE.clear()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert (diffused(sample) == first).all() and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    others: dict[str, dict[str, Any]] = {
        "seed": {"seed": 2}, "caption": {"caption": "snow at night"}, "strength": {"strength": 0.5},
        "guidance": {"guidance": 1.0, "caption": "snow"}, "steps": {"steps": 5},
        **{c: {"condition": [c]} for c in ("segmentation", "boxes", "edges")},
    }  # fmt: skip
    for name, words in others.items():
        assert (diffused(sample, **words) != first).any(), name
    assert (diffused(sample, strength=0.0) == sample[CAMERA].image(0).numpy()).all()  # type: ignore[attr-defined]
    assert diffused(sample, model={"folder": "tiny", "size": [40, 72]}).shape == first.shape


def test_conditions_follow_the_augmented_sample(sample: fa.Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def diffused(self: Any, levels: np.ndarray, conditions: list[np.ndarray], **words: Any) -> np.ndarray:
        seen.append(conditions)
        return levels / np.float32(255)

    monkeypatch.setattr(diffusion_model.DiffusionModel, "diffused", diffused)
    for pipeline in ([], [fa.MirrorScene(axis="y")]):
        made_pictures._MADE.clear()
        words = ["depth", "segmentation", "boxes", "edges"]
        out = fa.Compose(
            [*pipeline, fa.Diffuse(model="tiny", condition=words, cameras=["CAM_BACK"], palette={"road": [1, 2, 3]})]
        )
        out(sample, seed=1)["CAM_BACK"].image(0)  # type: ignore[attr-defined]
    plain, mirrored = seen
    for name, a, b in zip(words, plain, mirrored, strict=True):
        assert a.max() > 0 and np.abs(a[:, ::-1].astype(int) - b).mean() < 4, name
    depth = 1 / np.maximum(plain[0][..., 0] / 255.0, 1e-3)
    given = sample["CAM_BACK/depth"].image(0).numpy().squeeze()  # type: ignore[attr-defined]
    near = (given > 1) & (given < 10)
    assert np.corrcoef(depth[near], given[near])[0, 1] > 0.95
    assert ((plain[1] == [1, 2, 3]).all(-1)).any()


def pickled(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))


def remote_code(folder: Path) -> None:
    (folder / "pipeline.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")


def custom_pipeline(folder: Path) -> None:
    change(folder, "_class_name", ["pipeline", "MyPipeline"])


def custom_part(folder: Path) -> None:
    change(folder, "unet", ["my_unet", "MyUnet"])


def auto_map(folder: Path) -> None:
    change(folder, "auto_map", {"AutoModel": "code.Model"}, "text_encoder/config.json")


def no_controlnet(folder: Path) -> None:
    shutil.rmtree(folder / "controlnet")


def no_index(folder: Path) -> None:
    (folder / "model_index.json").write_text("[]")


def change(folder: Path, key: str, value: Any, name: str = "model_index.json") -> None:
    stored = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**stored, key: value}))


HOSTILE: list[tuple[Callable[[Path], None], str]] = [
    (pickled, r"diffusion_pytorch_model\.bin: may hold code, which is never loaded; weights have to be safetensors"),
    (remote_code, r"pipeline\.py: may hold code"),
    (custom_pipeline, r"model_index\.json: is of \['pipeline', 'MyPipeline'\]"),
    (custom_part, r"unet: is \['my_unet', 'MyUnet'\], expected UNet2DConditionModel"),
    (no_controlnet, r"has no controlnet"),
    (no_index, r"expected a mapping, got list"),
]


@pytest.mark.parametrize(("change", "text"), HOSTILE, ids=[c.__name__ for c, _ in HOSTILE])
def test_hostile_folders_are_refused_before_anything_is_loaded(
    change: Callable[[Path], None], text: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(TINY_FOLDER, tmp_path / "model")
    change(folder)
    with pytest.raises(ConfigError, match=text):
        fa.Diffuse(model=str(folder), condition=["depth"])
    assert not (folder / "ran").exists()


def test_code_that_a_configuration_names_is_not_run(tmp_path: Path, sample: fa.Sample) -> None:
    folder = shutil.copytree(TINY_FOLDER, tmp_path / "model")
    auto_map(folder)
    assert (diffused(sample, model={"folder": str(folder), "size": [32, 64]}) == diffused(sample)).all()


@pytest.mark.parametrize(("words", "text"), [
    ({"condition": ["normals"]}, r"Diffuse\.condition: there is no 'normals' \(there are depth, segmentation, b"),
    ({"condition": []}, r"expected one word for each ControlNet"),
    ({"steps": 0}, r"Diffuse\.steps: expected a whole number from 1"),
    ({"model": {"folder": "tiny", "size": [30, 64]}}, r"multiples of 8 pixels, got \(30, 64\)"),
    ({"model": "nowhere"}, r"Diffuse\.model: .*nowhere: there is no such folder"),
    ({"palette": {"car": 3}}, r"palette: car: expected \[red, green, blue\]"),
    ({"palette": [1, 2, 3]}, r"palette: expected a mapping of classes to colours"),
    ({"palette": {"car": [1, 2]}}, r"palette: car: expected \[red, green, blue\]"),
])  # fmt: skip
def test_wrong_words(words: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        fa.Diffuse(**{"model": "tiny", "condition": ["depth"], **words})


def test_what_the_sample_lacks_is_named(sample: fa.Sample) -> None:
    with pytest.raises(DataError, match=r"tiny has 1 ControlNets, but 2 conditions are given"):
        diffused(sample, condition=["depth", "boxes"])
    bare = sample.with_streams({CAMERA: sample[CAMERA]})
    for condition, text in (
        ("depth", "nothing tells how far away"),
        ("segmentation", "'CAM_FRONT' has no mask of classes"),
    ):
        with pytest.raises(DataError, match=text):
            diffused(bare, condition=[condition])
    with pytest.raises(DataError, match=r"has no sentences 'speech'"):
        diffused(sample, text="speech")


def test_a_missing_package_is_told(sample: fa.Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def importing(name: str, *args: Any, **words: Any) -> Any:
        if name == "diffusers":
            raise ImportError(name)
        return usual(name, *args, **words)

    made_pictures._MADE.clear()
    diffusion_model._loaded.cache_clear()
    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(MissingPackage, match=r"Diffuse needs the packages diffusers.*pip install .*diffusion"):
        diffused(sample)


def test_the_package_is_imported_when_it_is_used() -> None:
    code = (
        "import sys, fusion_aug as fa; fa.Diffuse(model='tiny', condition=['depth']); print('diffusers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_run_its_replay_and_a_changed_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = shutil.copytree(TINY_FOLDER, tmp_path / "mine"), tmp_path / "out"
    gate = tmp_path / "gate.json"
    limits = {"agreement": -1.0, "moved": 99.0, "uneven": 99.0, "kept": -1.0, "new": 9.0}  # lets all pass
    fa.Gate({"night": limits}, {"night": 30}).save(gate)
    word = (
        f"+pipeline.transforms.made={{_target_: fusion_aug.Diffuse, model: {{folder: '{folder}', size: [32, 64]}}, "
        f"condition: [edges], steps: 2, cameras: [CAM_FRONT], gate: '{gate}', style: night}}"
    )
    words = ["log=nuscenes", f"log.root={DRIVE}", "limit=1", "pipeline=identity", word]
    assert main(["run", *words, f"out={out}"]) == 0
    header, line = (json.loads(x) for x in (out / "manifest.jsonl").read_text().splitlines())
    judged = line["history"][0]["params"][""]["judged"]["CAM_FRONT[0]"]
    assert judged["verdict"] == "passed" and set(judged["figures"]) == set(limits)
    assert str(tmp_path) not in json.dumps([header, line])
    assert main(["run", *words, f"out={out}"]) == 0  # done before
    fa.Gate({"night": {**limits, "new": 8.0}}, {"night": 30}).save(gate)
    assert main(["run", *words, f"out={out}"]) == 2 and "another job" in capsys.readouterr().err
    forget(monkeypatch)
    assert main(["replay", str(out), line["id"]]) == 0 and "digest agrees" in capsys.readouterr().out
    (folder / "README.md").write_text("changed")
    forget(monkeypatch)
    assert main(["replay", str(out), line["id"]]) == 2
    assert "mine: is another model than was used" in capsys.readouterr().err


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process knows nothing of models."""
    monkeypatch.setattr(diffusion_model, "_FOLDERS", {})
    diffusion_model._loaded.cache_clear()
    made_pictures._MADE.clear()
