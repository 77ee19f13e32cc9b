"""Records of what was done, as JSON and back."""

from __future__ import annotations

import json

import pytest
from samples import make_sample

import fusion_aug as fa
from fusion_aug.sample.history import history_from_json, history_to_json

pytestmark = pytest.mark.quick


def test_records_come_back_from_json() -> None:
    parts = [fa.RotateScene(yaw_deg=[-30, 30]), fa.Gamma(gamma=[0.5, 2], scope="sensor"), fa.FlipImage(p=0.0)]
    history = fa.Compose(parts)(make_sample(gels=False), seed=1).history
    assert [r.applied for r in history] == [True, True, False]
    assert history_from_json(json.loads(json.dumps(history_to_json(history), allow_nan=False))) == history


@pytest.mark.parametrize("change", [{"version": "1"}, {"extra": 1}, {"params": []}, {"applied": 1.5}])
def test_damaged_records_are_refused(change: dict) -> None:
    record = fa.FlipImage()(make_sample()).history[0].to_json()
    with pytest.raises(fa.DataError, match=r"file\.jsonl\[0\]"):
        history_from_json([{**record, **change}], "file.jsonl")
