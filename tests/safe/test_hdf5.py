"""HDF5 files that name other files: refused before anything of them is followed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import small_logs

import fusion_aug as fa
from fusion_aug.safe.hdf5 import packing_of

pytestmark = pytest.mark.quick


def soft_to_external(file: Any) -> None:
    """A link within the file that leads through one that leaves it."""
    file["hidden"] = h5py.ExternalLink("other.hdf5", "/data")
    del file["data"]
    file["data"] = h5py.SoftLink("/hidden")


def external_below(file: Any) -> None:
    file["data/demo_0/next_obs"] = h5py.ExternalLink("other.hdf5", "/data/demo_0/obs")


def storage_in_a_copied_group(file: Any) -> None:
    file.create_group("data/demo_0/next_obs").create_dataset("x", (4,), "f4", external=[("secret.bin", 0, 16)])


def deep(file: Any) -> None:
    file.create_group("/".join(["a"] * 200))


@pytest.mark.parametrize("damage", [soft_to_external, external_below, storage_in_a_copied_group, deep])
def test_what_lies_elsewhere_is_refused(damage: Callable[[Any], None], tmp_path: Path) -> None:
    path = small_logs.robomimic(tmp_path / "log", demos=1) / "demos.hdf5"
    small_logs.robomimic(tmp_path / "more", demos=1)
    (tmp_path / "more" / "demos.hdf5").rename(tmp_path / "log" / "other.hdf5.bak")
    (tmp_path / "log" / "secret.bin").write_bytes(b"s" * 16)
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(fa.DataError, match=r"demos\.hdf5: /.*(another file|more than 32 groups)"):
        fa.open_log("robomimic", path.parent)[0]


def test_links_within_the_file_are_followed(tmp_path: Path) -> None:
    path = small_logs.robomimic(tmp_path / "log", demos=1) / "demos.hdf5"
    with h5py.File(path, "r+") as file:
        file.move("data/demo_0/actions", "kept")
        file["data/demo_0/actions"] = h5py.SoftLink("/kept")
        stored = np.array(file["kept"])
    sample = fa.open_log("robomimic", path.parent)[0]
    assert np.array_equal(sample["actions"]["value"].numpy(), stored)


def unknown_filter(file: Any) -> None:
    """A data set that HDF5 stored without the filter that it lacks."""
    data = file["data/demo_0/obs/gripper"][:]
    del file["data/demo_0/obs/gripper"]
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk(data.shape)
    made.set_filter(32013, h5py.h5z.FLAG_OPTIONAL, (1, 2))
    space, kind = h5py.h5s.create_simple(data.shape), h5py.h5t.py_create(data.dtype)
    h5py.Dataset(h5py.h5d.create(file["data/demo_0/obs"].id, b"gripper", kind, space, made))[...] = data


def parent(file: Any) -> None:
    """A demonstration that is called as the folder above."""
    file["data"].copy(file["data/demo_0"], "copied")
    file["data"].move("copied", b"..")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (unknown_filter, r"demos\.hdf5: /data/demo_0/obs/gripper: is packed with the HDF5 filter 32013"),
        (parent, r"demos\.hdf5: data/\.\.: a demonstration cannot be called so"),
    ],
)
def test_the_input_is_named(damage: Callable[[Any], None], told: str, tmp_path: Path) -> None:
    path = small_logs.robomimic(tmp_path / "log", demos=1) / "demos.hdf5"
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(fa.DataError, match=told):
        fa.open_log("robomimic", tmp_path / "log")[0]


def test_packing_is_that_of_another_data_set(tmp_path: Path) -> None:
    """Filters of plugins have a number alone; LZF stands for one here, which h5py registers as plugins are."""
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        for name, packing in (("a", {}), ("b", {"compression": "gzip", "compression_opts": 7})):
            file.create_dataset(name, data=np.zeros(4), chunks=(4,), **packing)
            own = packing_of(file[name])
            assert {k: v for k, v in own.items() if v is not None} == packing

        class Plugin:
            id, compression = file.create_dataset("c", data=np.zeros(4), compression=32000).id, "unknown"

        file.create_dataset("d", data=np.zeros(4), **packing_of(Plugin))
        assert file["d"].compression == "lzf"
