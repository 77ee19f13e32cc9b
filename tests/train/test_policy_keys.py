"""Keys of the dictionary of a policy: each has one owner."""

from __future__ import annotations

import pytest
import torch

import fusion_aug as fa
from calib import Frame, Rig
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Ref, SampleMeta
from fusion_aug.streams import strings

TIMES = torch.arange(3, dtype=torch.int64)


def batch(*names: str) -> fa.Sample:
    rig = Rig({"base": Frame()}, {})
    streams = {
        n: fa.Signal(frame="base", capture_times=TIMES, values={"value": torch.full((3, 1), float(k))})
        for k, n in enumerate(names)
    }
    task = fa.Text(frame="base", capture_times=TIMES[:1], values={"text": strings(["go"])})
    meta = SampleMeta(id="u", scene="u", ref=Ref("base", 0), rig=rig, true_rig=rig)
    return fa.Sample(metas=(meta,), streams={**streams, "task": task})


@pytest.mark.quick
@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"a": "state", "b": "state"}, "'state' would hold stream 'a' and stream 'b'"),
        ({"a": "state_is_pad", "b": "state"}, "'state_is_pad' would hold stream 'a' and stream 'b'"),
        ({"a": "ids"}, "'ids' would hold the ids of the windows and stream 'a'"),
        ({"a": "task", "task": "task"}, "'task' would hold stream 'a' and stream 'task'"),
        ({"a": 3}, "a: expected a key of the dictionary, got 3"),
    ],
    ids=str,
)
def test_two_entries_with_one_key_are_refused(names: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=rf"to_policy.names: .*{told}"):
        fa.to_policy(batch("a", "b"), names=names)


def test_names_of_streams_that_collide_are_refused_too() -> None:
    with pytest.raises(ConfigError, match="'a_is_pad' would hold stream 'a' and stream 'a_is_pad'"):
        fa.to_policy(batch("a", "a_is_pad"))


def test_other_names_hold_what_they_are_given() -> None:
    out = fa.to_policy(batch("a", "b"), names={"a": "b", "b": "a", "task": "a_is"})
    assert set(out) == {"ids", "a", "b", "a_is_pad", "b_is_pad", "a_is"}
    assert out["a"].unique().tolist() == [1.0] and out["b"].unique().tolist() == [0.0] and out["a_is"] == ["go"]
