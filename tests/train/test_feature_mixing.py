"""Features of any modality: blended with those of partners in a batch, and replaced where a sensor is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from samples import make_batch, make_sample

import fusion_aug as fa
from fusion_aug.errors import ConfigError

pytestmark = pytest.mark.quick


def features(rows: int, seed: int = 0) -> dict[str, torch.Tensor]:
    noise = torch.Generator().manual_seed(seed)
    return {"camera": torch.randn(rows, 3, 4, generator=noise), "joints": torch.randn(rows, 5, generator=noise)}


def test_rows_are_blended_with_a_partner_of_the_batch() -> None:
    batch, given = make_batch(3), features(3)
    before = {n: v.clone() for n, v in given.items()}
    mixed = fa.train.mix_features(given, batch, 0.4, seed=3)
    assert all(torch.equal(given[n], before[n]) for n in given)
    assert all(int(p) != u and 0 <= int(p) < 3 for u, p in enumerate(mixed.partner))
    assert bool(((mixed.weight >= 0) & (mixed.weight <= 1)).all()) and len(set(mixed.weight.tolist())) == 3
    for name, values in given.items():
        for u in range(3):
            own, other = values[u].double().numpy(), values[int(mixed.partner[u])].double().numpy()
            expected = own * float(mixed.weight[u]) + other * (1 - float(mixed.weight[u]))
            assert np.allclose(mixed.features[name][u].numpy(), expected, atol=1e-6)
    alone = fa.train.mix_features(given["camera"], batch, 0.4, seed=3)
    assert torch.equal(alone.features, mixed.features["camera"]) and torch.equal(alone.weight, mixed.weight)


def test_draws_belong_to_samples_and_not_to_places_in_a_batch() -> None:
    samples = [make_sample(f"s{k}", gels=False) for k in range(4)]
    order = [2, 0, 3, 1]
    straight = fa.mix_features(torch.eye(4), fa.collate(samples), 1.0, seed=5, epoch=2)
    turned = fa.mix_features(torch.eye(4)[order], fa.collate([samples[k] for k in order]), 1.0, seed=5, epoch=2)
    assert torch.equal(turned.weight, straight.weight[order]) and torch.equal(turned.features, straight.features[order])
    assert [order[int(p)] for p in turned.partner] == [int(straight.partner[k]) for k in order]
    later = fa.mix_features(torch.eye(4), fa.collate(samples), 1.0, seed=5, epoch=3)
    deeper = fa.mix_features(torch.eye(4), fa.collate(samples), 1.0, seed=5, epoch=2, name="layer2")
    assert not torch.equal(later.weight, straight.weight) and not torch.equal(deeper.weight, straight.weight)


def test_weights_are_those_of_a_beta_distribution() -> None:
    samples = fa.collate([make_sample("a", gels=False), make_sample("b", gels=False)])
    drawn = [fa.mix_features(torch.zeros(2, 1), samples, 0.4, seed=k).weight[0].item() for k in range(400)]
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)) = 0.1389
    assert abs(np.mean(drawn) - 0.5) < 0.075 and abs(np.var(drawn) - 0.1389) < 0.03


def test_a_gradient_reaches_both_and_a_batch_of_one_stays() -> None:
    given = torch.ones(3, 2, requires_grad=True)
    mixed = fa.mix_features(given, make_batch(3), seed=1)
    mixed.features.sum().backward()
    expected = mixed.weight.clone()
    for u, p in enumerate(mixed.partner.tolist()):
        expected[p] += 1 - mixed.weight[u]
    assert torch.allclose(given.grad[:, 0].double(), expected, atol=1e-6)  # type: ignore[index]
    one = fa.mix_features(torch.ones(1, 2), make_sample(gels=False), seed=1)
    assert one.partner.tolist() == [0] and one.weight.tolist() == [1.0] and torch.equal(one.features, torch.ones(1, 2))


def test_records_decide_which_features_a_token_stands_for() -> None:
    token = torch.full((2,), 7.0, requires_grad=True)
    samples = [make_sample(f"s{k}", gels=False) for k in range(3)]
    gone = fa.ModalityDropout(share=1.0, by="modality", sensors=["CAM_*", "FISHEYE", "WRIST", "radar"], at_least=0)
    taken = fa.ModalityDropout(share=1.0, sensors=["CAM_FRONT"], mode="remove", at_least=0)
    batch = fa.collate([gone(samples[0], seed=1), taken(samples[1], seed=1), samples[2]])
    given = {n: torch.ones(3, 2) for n in ("camera", "CAM_FRONT", "lidar", "radar", "joints")}
    dropped = fa.drop_features(given, batch, token=token)
    expected = {"camera": [0, 1, 1], "CAM_FRONT": [0, 0, 1], "lidar": [1] * 3, "radar": [0, 1, 1], "joints": [1] * 3}
    assert {n: v.int().tolist() for n, v in dropped.present.items()} == expected
    for name, values in dropped.features.items():
        assert values[:, 0].tolist() == [1.0 if there else 7.0 for there in expected[name]], name
    sum(v.sum() for v in dropped.features.values()).backward()  # type: ignore[union-attr]
    assert token.grad.tolist() == [4.0, 4.0]  # type: ignore[union-attr]


def test_where_no_record_decides_the_key_of_the_sample_does() -> None:
    samples = [make_sample(f"s{k}", gels=False) for k in range(24)]
    batch, names = fa.collate(samples), ("camera", "lidar", "radar")
    given = {n: torch.ones(24, 1) for n in names}
    some = fa.drop_features(given, batch, share=0.5, seed=2)
    rows = torch.stack([some.present[n] for n in names])
    assert bool(rows.any(0).all()) and 0.3 < float(rows.double().mean()) < 0.8
    half = fa.drop_features({n: v[:12] for n, v in given.items()}, batch.take(range(12)), share=0.5, seed=2)
    assert all(torch.equal(half.present[n], some.present[n][:12]) for n in names)
    none = fa.drop_features(given, batch, share=1.0, at_least=0, token={n: k for k, n in enumerate(names)})
    assert not any(bool(v.any()) for v in none.present.values())
    assert [none.features[n].unique().tolist() for n in names] == [[0.0], [1.0], [2.0]]
    # a sample that went through a dropout that let it be keeps all
    recorded = fa.ModalityDropout(share=1.0, p=0.0)(samples[0], seed=1)
    kept = fa.drop_features({n: v[:1] for n, v in given.items()}, recorded, share=1.0, at_least=0)
    assert all(bool(v.all()) for v in kept.present.values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: fa.mix_features(torch.ones(2, 1), b), r"has the shape \(2, 1\); \(3, ...\) is expected"),
        (lambda b: fa.mix_features(torch.ones(3, dtype=torch.int64), b), "a tensor with fractions, got torch.int64"),
        (lambda b: fa.mix_features(torch.ones(3, 1), b, 0.0), "alpha: expected a number above 0"),
        (lambda b: fa.drop_features({"fused": torch.ones(3, 1)}, b), "'fused' is neither a sensor of the batch"),
        (lambda b: fa.drop_features({"lidar": torch.ones(3, 2)}, b, token=torch.ones(3)), "does not fit rows of 'lid"),
        (lambda b: fa.drop_features({"lidar": torch.ones(3, 2)}, b, token={"radar": 0.0}), "there is none for 'lidar'"),
        (lambda b: fa.drop_features({"lidar": torch.ones(3, 2)}, b, share=1.5), "share: expected a probability"),
        (lambda b: fa.drop_features(torch.ones(3, 2), b), "expected name -> features, got a Tensor"),
    ],
)
def test_what_does_not_fit_is_refused(call, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=message):
        call(make_batch(3))
