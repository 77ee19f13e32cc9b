"""``log.exclude`` of logs of robots: what matches nothing is refused when the log is opened."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_logs
from places import ARM

import fusion_aug as fa

pytest.importorskip("mcap")
pytest.importorskip("h5py")

NAMES = {
    "mcap": (["/front/*", "/imu"], "/frnt/*", "/front/image/compressed"),
    "lerobot": (["*tactile*", "action"], "observation.stat", "observation.state"),
    "robomimic": (["obs/*_image", "rewards"], "obs/grip", "actions"),
}


@pytest.mark.quick
@pytest.mark.parametrize("kind", NAMES)
def test_an_exclusion_that_excludes_nothing_is_refused(kind: str, tmp_path: Path) -> None:
    right, wrong, known = NAMES[kind]
    root = small_logs.robomimic(tmp_path / "log") if kind == "robomimic" else ARM / kind
    present = fa.open_log(kind, root, exclude=right)
    assert all(present.is_excluded(n) or "*" in n for n in right)  # type: ignore[attr-defined]
    with pytest.raises(fa.ConfigError, match=r"log\.exclude: .* matches nothing of .*; it has ") as told:
        fa.open_log(kind, root, exclude=[*right, wrong])
    assert repr(wrong) in str(told.value) and known in str(told.value)
