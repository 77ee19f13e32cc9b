"""Fixtures that several packages' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real sensor data; tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("FUSION_AUG_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real sensor data in {folder} (set FUSION_AUG_REAL_DATA)")
    return folder


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made log in nuScenes format: 5 keyframes, small pictures."""
    from fusion_aug.synth.drive import Size, make_log

    return make_log(tmp_path_factory.mktemp("street") / "log", frames=5, size=Size((180, 320), 360, 92, 1))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``case`` walks the registry: every setting of every transform of the package."""
    if "case" not in metafunc.fixturenames:
        return
    from cases import CASES

    from fusion_aug.core.registry import own_transforms

    pairs = [(name, kwargs) for name in own_transforms() for kwargs in CASES.get(name, [])]
    ids = [f"{name}-{i}" for i, (name, _) in enumerate(pairs)]
    metafunc.parametrize("case", pairs, ids=ids)
