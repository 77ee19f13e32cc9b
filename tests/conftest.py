"""Fixtures that several packages' tests share."""

from __future__ import annotations

import fcntl
import gc
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import pytest
import torch
from donating import given_donors  # noqa: F401  (a fixture)
from places import REPOSITORY
from roundings import ORDERS, rounding
from stores import Bucket, bucket_of, store_process


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rounding", choices=ORDERS, help="run tests and fixtures with products in another legal rounding"
    )


def pytest_configure() -> None:
    """What takes processors of this process, of the other workers and of processes that tests start, and tests nothing.

    To compile all of us takes each of them a second or two, so bytecode is kept; threads that wait do not spin.
    """
    torch.set_num_threads(1)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays: to look for garbage in it takes a third of the time of collecting.

    Tests make thousands of small objects, among which it is looked for less often than Python does by itself.
    """
    gc.disable()
    sys.dont_write_bytecode = False
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode = True  # what a test writes twice in a second would run as it was first
        gc.freeze()
        gc.set_threshold(7_000)
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A test that compares computed floats with ``==`` fails under one rounding or another, on any machine."""
    bare = item.get_closest_marker("own_operators") is not None
    with nullcontext() if bare else other_rounding(item.config):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(request: pytest.FixtureRequest) -> Generator[None, object, object]:
    """What fixtures make is made under the same rounding."""
    with other_rounding(request.config):
        return (yield)


def other_rounding(config: pytest.Config) -> AbstractContextManager[None]:
    order = config.getoption("--rounding")
    return rounding(order) if order else nullcontext()


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The current folder of all tests is an empty one, so that none can depend on where pytest was started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real sensor data; tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("FUSION_AUG_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real sensor data in {folder} (set FUSION_AUG_REAL_DATA)")
    return folder


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made log in nuScenes format: 5 keyframes, small pictures. The first process of the tests makes it for all."""
    from fusion_aug.synth.drive import Size, make_log

    here = tmp_path_factory.getbasetemp()
    folder = (here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / "street"
    with Path(f"{folder}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        return folder if folder.exists() else make_log(folder, frames=5, size=Size((180, 320), 360, 92, 1))


@pytest.fixture
def own_names() -> Iterator[None]:
    """Registries that hold what the package registers and no more, for the time of a test that registers its own."""
    from fusion_aug.check.comparisons import COMPARISONS
    from fusion_aug.check.counts import COUNTERS
    from fusion_aug.check.measurement import MEASUREMENTS
    from fusion_aug.core.registry import _HANDLERS, TRANSFORMS
    from fusion_aug.logs import FORMATS
    from fusion_aug.streams.base import STREAMS
    from fusion_aug.streams.source import DECODERS, ROW_COUNTERS

    registries = (TRANSFORMS, _HANDLERS, STREAMS, DECODERS, ROW_COUNTERS, FORMATS, MEASUREMENTS, COMPARISONS, COUNTERS)
    before = [(dict(r), dict(r._owners)) for r in registries]
    for registry in registries:
        for name in [n for n, owner in registry._owners.items() if not owner.module.startswith("fusion_aug")]:
            registry.pop(name, None)
    yield
    for registry, (things, owners) in zip(registries, before, strict=True):
        for known, was in ((registry, things), (registry._owners, owners)):
            known.clear()
            known.update(was)


@pytest.fixture
def plugins(own_names: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, for modules of one's own; what they register and import is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if tmp_path in Path(getattr(module, "__file__", None) or "/").parents:
            del sys.modules[name]


@pytest.fixture(autouse=True)
def donors_of_cases(request: pytest.FixtureRequest) -> None:
    """A test of every ``case`` gives donors to those that mix."""
    if "case" in request.fixturenames and request.getfixturevalue("case")[0] in mixes():
        request.getfixturevalue("given_donors")


@cache
def mixes() -> frozenset[str]:
    from cases import MIXES

    return frozenset(MIXES)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """``-m quick`` imports those files alone that have quick tests: the others take as long as many of its tests."""
    named_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    if config.getoption("-m") == "quick" and named_test and "mark.quick" not in collection_path.read_text():
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks for real data is marked so."""
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``case`` walks the registry: every setting of every transform that the test's ``only(...)`` lets through.

    The id is ``Name-k`` with k the number of the setting of that transform, so a new transform changes no other id.
    ``-m quick`` takes the first setting of each.
    """
    if "case" not in metafunc.fixturenames:
        return
    from cases import CASES

    from fusion_aug.core.registry import own_transforms

    most = 1 if metafunc.config.getoption("-m") == "quick" else None
    named = {f"{name}-{k}": (name, s) for name in own_transforms() for k, s in enumerate(CASES.get(name, [])[:most])}
    for mark in metafunc.definition.iter_markers("cases"):
        named = {i: case for i, case in named.items() if mark.kwargs["where"](case)}
    if not named:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: no case of the registry is left to test")
    metafunc.parametrize("case", named.values(), ids=named)


@pytest.fixture(scope="session")
def store() -> Iterator[int]:
    """Port of an S3 on this machine."""
    with store_process() as port:
        yield port


@pytest.fixture
def bucket(store: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A new bucket, with a proxy before it that counts requests and makes faults."""
    with bucket_of(store, monkeypatch) as found:
        yield found
