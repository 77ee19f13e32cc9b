"""Donors for tests that walk the registry: for every receiving sample one of the same rig, with other contents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import T0, make_sample

import fusion_aug as fa
from fusion_aug.core.mixing import transform as mixing
from fusion_aug.core.mixing.donors import Donor, Wish
from fusion_aug.core.mixing.identity import sample_hash
from fusion_aug.core.registry import Context

LATER = 2_000_000_000  # ns: the donor's keyframe is another one of the same drive


def donor_for(sample: fa.Sample, seed: int) -> fa.Sample:
    """A sample with the receiver's cameras, kinds of pictures and points, and with other boxes and pictures."""
    camera = sample.meta.rig.sensors.get("CAM_FRONT")
    size = (48, 64) if camera is None else camera.model.size
    donor = make_sample(f"donor{seed}", time=T0 + LATER, size=size, seed=100 + seed, boxes=1)
    streams = {n: _of_the_kind(s, sample.streams[n]) for n, s in donor.streams.items() if n in sample.streams}
    return donor.with_streams(streams)


def _of_the_kind(stream: fa.Stream, like: fa.Stream) -> fa.Stream:
    if isinstance(like, fa.Points) and len(like) == len(stream):  # the same ground, and columns
        return replace(like.loaded(), capture_times=stream.capture_times, sample_index=stream.sample_index)
    if isinstance(like, fa.Camera) and len(like) and like.image(0).dtype == torch.float32:
        return replace(stream, items=tuple(i.float() / 255 for i in stream.items))
    return stream


class GivenDonors(fa.Donors):
    """Two donors for whatever sample asks; records find them again by their ids, as long as the test lasts."""

    def __init__(self) -> None:
        super().__init__([make_sample("never")])
        self.made: dict[str, Donor] = {}

    def partners(self, sample: fa.Sample, rng: np.random.Generator, wish: Wish) -> Iterator[Donor]:
        for seed in rng.permutation(2).tolist():
            made = donor_for(sample, seed)
            key = sample_hash(made)
            named = made.with_meta(0, id=f"{made.id}-{key[:8]}")
            donor = self.made.setdefault(named.id, Donor(named, key))
            yield donor

    def get(self, sample_id: str) -> Donor:
        return self.made[sample_id]


@pytest.fixture
def given_donors(monkeypatch: pytest.MonkeyPatch) -> GivenDonors:
    """Mixes find donors without being given any."""
    donors, asked = GivenDonors(), mixing.donors_of

    def found(context: Context, who: str) -> fa.Donors:
        return asked(context, who) if mixing.DONORS in context.resources else donors

    monkeypatch.setattr(mixing, "donors_of", found)
    return donors
