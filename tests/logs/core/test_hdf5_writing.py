"""What a run leaves alone in HDF5 files of episodes: packing, chunks, attributes and their types."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_logs

from fusion_aug.cli import main
from fusion_aug.logs.core.hdf5_writing import numbered_names

h5py = pytest.importorskip("h5py")
DARKER = "+pipeline.transforms.dark={_target_: fusion_aug.Brightness, factor: 0.8}"


def test_datasets_keep_their_packing_and_attributes(tmp_path: Path) -> None:
    root, name = small_logs.robomimic(tmp_path / "log", demos=1), "data/demo_0/obs/front_image"
    with h5py.File(root / "demos.hdf5", "a") as file:
        pictures = file[name][...]
        del file[name]
        made = file.create_dataset(name, data=pictures, chunks=(2, 16, 40, 3), compression="gzip", compression_opts=7)
        made.attrs["my_unit"] = np.float32(0.5)
        file["data/demo_0/obs/gripper"].attrs["my_words"] = "opening"
        file["data/demo_0"].attrs["model_file"] = "<mujoco/>"
    words = ["run", "log=robomimic", f"log.root={root}", f"out={tmp_path / 'out'}", "pipeline=identity", DARKER]
    assert main(words) == 0
    with h5py.File(tmp_path / "out/demos.hdf5") as file:
        after = file[name]
        assert (after.chunks, after.compression, after.compression_opts) == ((2, 16, 40, 3), "gzip", 7)
        assert np.abs(after[...] - 0.8 * pictures).max() <= 1 and type(after.attrs["my_unit"]) is np.float32
        assert file["data/demo_0/obs/gripper"].attrs["my_words"] == "opening"
        assert file["data/demo_0"].attrs["model_file"] == "<mujoco/>"


def test_copies_take_the_next_free_numbers() -> None:
    ids = ["demo_3", "demo_3__1", "demo_7", "demo_7__1", "other"]
    names = ["demo_3", "demo_8", "demo_7", "demo_9", "demo_10"]
    found = numbered_names(ids, "demo")
    assert [found[i] for i in ids] == names
