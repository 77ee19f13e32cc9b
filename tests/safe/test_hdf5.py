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
