"""The example of every transform: it builds, does something, and stands in documents and help as it is."""

from __future__ import annotations

import pytest
import torch
import yaml
from cases import SETTINGS
from generic import same_values
from samples import make_sample
from tables import call

import fusion_aug as fa
from calib import rig_to_dict
from fusion_aug.core.compose import Container
from fusion_aug.core.registry import TRANSFORMS, own_transforms
from fusion_aug.run.config import build_pipeline
from fusion_aug.run.helping import command_help
from fusion_aug.streams.families import Photometric

EVERY = {n.removeprefix("fusion_aug."): c for n, c in TRANSFORMS.items() if n.startswith("fusion_aug.")}
TIMES = ("capture_times", "receive_times", "clock_offset", "present", "sample_index")


def described(sample: fa.Sample) -> tuple:
    """Everything that a transform may change: streams with their classes, columns, pictures and stamps, and rigs."""
    streams = {}
    for name, stream in sample.realized().streams.items():
        parts = {**stream.values, **{f: getattr(stream, f) for f in TIMES}}
        parts |= {f"picture {i}": p for i, p in enumerate(getattr(stream, "pictures", ()))}
        streams[name] = type(stream), parts
    return streams, [rig_to_dict(r, exact=True) for m in sample.metas for r in (m.rig, m.true_rig)]


def differ(a: tuple, b: tuple) -> bool:
    if a[1] != b[1] or list(a[0]) != list(b[0]):
        return True
    for (kind, parts), (other, others) in zip(a[0].values(), b[0].values(), strict=True):
        if kind is not other or list(parts) != list(others):
            return True
        for key, value in parts.items():
            if (value is None) != (others[key] is None) or not same_values(value, others[key]):
                return True
    return False


@pytest.mark.usefixtures("given_donors")
@pytest.mark.parametrize("name", own_transforms())
def test_an_example_does_something(name: str) -> None:
    """To a sample of every kind of stream; what changes levels refuses tactile pictures, so it meets none."""
    kind = own_transforms()[name]
    sample = make_sample(gels=not issubclass(kind, Photometric))
    assert differ(described(sample), described(kind(**kind.example)(sample, seed=1)))


def test_the_comparison_finds_nothing_where_nothing_is() -> None:
    sample = make_sample()
    assert not differ(described(sample), described(make_sample()))
    assert not differ(described(sample), described(fa.RotateScene(yaw_deg=0.0)(sample, seed=1)))


def test_containers_have_an_example_too() -> None:
    sample = make_sample(gels=False)
    for kind in (c for c in EVERY.values() if issubclass(c, Container)):
        built = kind(**kind.example)
        assert len(built.transforms) > 1
        outs = (built(sample, seed=s, resources={"hard_examples": fa.HardExamples(["s0"])}) for s in range(20))
        assert any(not torch.equal(o["CAM_FRONT"].image(0), sample["CAM_FRONT"].image(0)) for o in outs), kind


@pytest.mark.parametrize("name", EVERY)
def test_an_example_reads_as_a_call(name: str) -> None:
    """What docs/transforms.md shows is Python."""
    kind = EVERY[name]
    assert eval(call(kind, kind.example), {"fa": fa}) == kind(**kind.example)


def test_help_shows_every_example_as_a_configuration_has_it() -> None:
    lines = [line.removeprefix("#   ") for line in command_help("run").splitlines() if "{_target_: fusion_aug." in line]
    shown = [yaml.safe_load(line) for line in lines]
    assert [c["_target_"] for c in shown] == [f"fusion_aug.{name}" for name in own_transforms()]
    for config in shown:
        (built,) = build_pipeline({"_target_": "fusion_aug.pipeline", "transforms": {"it": config}}).transforms
        assert built == type(built)(**type(built).example)
    assert all(len(line.partition("  # ")[2].split()) >= 3 for line in lines)
    assert "_target_" not in command_help("replay"), "a replay has no pipeline"


def test_settings_of_the_tests_name_transforms_that_there_are() -> None:
    assert set(SETTINGS) <= set(own_transforms())
