"""Numbers for rows: the published generator, the same bits in NumPy and torch, in any batch, and their statistics.

Oracles: SplitMix64 in whole numbers of Python, published values of it, scipy's quantiles and tests.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import ndtri

from fusion_aug.ops.hashed import (
    BLOCK,
    FEWEST_CHANGES,
    RowKey,
    cells,
    chance,
    fractions,
    item_keys,
    row_key,
    uniform,
    words,
)
from fusion_aug.ops.normals import normal

KEYS = [row_key("ab", "CAM_FRONT", 7), row_key("ab", "CAM_FRONT", 8), row_key("cd", "LIDAR_TOP", 7)]
STEP = 0x9E3779B97F4A7C15  # of the published SplitMix64: the golden ratio
STAMPS = 1_760_000_000_000_000_000 + 33_333_333 * np.arange(100_000)
ROWS = {"counted": np.arange(100_000), "stamps": STAMPS, "columns": cells(STAMPS[:20_000], 6).reshape(-1)}


def signed(value: int) -> int:
    value %= 2**64
    return value - 2**64 if value >= 2**63 else value


def splitmix64(start: int, step: int, row: int) -> int:
    """A word by the equations of the paper, in whole numbers without a limit."""
    z = (start + row * step) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


@pytest.mark.quick
def test_published_values() -> None:
    # the first five outputs of SplitMix64 for the seed 1234567
    published = (
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
    )  # fmt: skip
    found = words(RowKey(1234567, signed(STEP)), np.arange(1, 6)).view(np.uint64)
    assert found.tolist() == list(published)


@pytest.mark.parametrize("key", KEYS)
def test_words_are_those_of_the_equations(key: RowKey) -> None:
    rows = np.array([0, 1, 5, 2**40, -3, int(STAMPS[1]), -(2**63), 2**63 - 1])
    assert words(key, rows).view(np.uint64).tolist() == [splitmix64(key.start, key.step, int(r)) for r in rows]
    whole = [splitmix64(key.start, key.step, int(r)) >> 11 for r in rows]
    assert fractions(key, rows).tolist() == whole and uniform(key, rows).tolist() == [w / 2**53 for w in whole]


@pytest.mark.quick
@pytest.mark.parametrize("kernel", [words, fractions, normal])
@pytest.mark.parametrize("rows", ROWS)
def test_torch_gives_the_bits_of_numpy(kernel: object, rows: str) -> None:
    index = torch.from_numpy(ROWS[rows])
    for key in KEYS:
        found = kernel.__wrapped__(key, index)  # type: ignore[attr-defined]  # as on a device
        assert isinstance(found, torch.Tensor)
        assert found.numpy().tobytes() == kernel(key, ROWS[rows]).tobytes()  # type: ignore[operator]


@pytest.mark.quick
def test_kinds_and_shapes() -> None:
    key, rows = KEYS[0], np.arange(12).reshape(3, 4)
    for function, dtype in ((words, torch.int64), (uniform, torch.float64), (normal, torch.float32)):
        array, tensor = function(key, rows), function(key, torch.from_numpy(rows))
        assert isinstance(array, np.ndarray) and array.shape == (3, 4) and tensor.dtype == dtype
        assert tensor.numpy().tobytes() == array.tobytes() == function(key, 12).tobytes()
        assert function(key, 12, torch.device("cpu")).dtype == dtype
        assert function(key, torch.zeros(5, 2, dtype=torch.int64, device="meta")).shape == (5, 2)
        assert function(key, 7, torch.device("meta")).device.type == "meta"
        assert function(key, 0).shape == (0,) and function(key, np.zeros((0, 3), np.int64)).shape == (0, 3)
    assert chance(key, torch.zeros(3, dtype=torch.int64, device="meta"), 0.5).dtype == torch.bool


@pytest.mark.quick
@pytest.mark.parametrize("function", [words, uniform, normal])
def test_a_row_is_the_same_in_any_batch(function: object) -> None:
    key, rng = KEYS[0], np.random.default_rng(0)
    whole = function(key, 3 * BLOCK + 5)  # type: ignore[operator]
    some = rng.permutation(len(whole))[: BLOCK + 3]
    assert (function(key, some) == whole[some]).all()  # type: ignore[operator]
    assert (function(key, some[:4]) == whole[some[:4]]).all()  # type: ignore[operator]
    assert (function(key, some.reshape(-1, 1)) == whole[some, None]).all()  # type: ignore[operator]
    backwards = np.arange(len(whole))[::-1]
    assert (function(key, backwards) == whole[::-1]).all()  # type: ignore[operator]


def test_items_with_keys_of_their_own() -> None:
    rows = cells(STAMPS[:3], 5)
    together = normal(item_keys(KEYS), rows)
    assert (together == np.concatenate([normal(k, rows[i : i + 1]) for i, k in enumerate(KEYS)])).all()
    on_device = normal.__wrapped__(RowKey(*map(torch.from_numpy, item_keys(KEYS))), torch.from_numpy(rows))
    assert (on_device.numpy() == together).all()


@pytest.mark.quick
def test_columns_are_counted_within_their_row() -> None:
    assert cells(np.array([4, 0]), 3).tolist() == [[12, 13, 14], [0, 1, 2]]
    assert cells(torch.tensor([4, 0]), 3).tolist() == [[12, 13, 14], [0, 1, 2]]
    assert len(np.unique(cells(STAMPS[:1000], 50))) == 50_000  # though the products go past 64 bits


def test_keys_tell_their_parts_apart() -> None:
    keys = {row_key("a", "b", n) for n in range(2000)} | {row_key("ab", n) for n in range(2000)}
    keys |= {row_key("a", f"b{n}") for n in range(2000)}
    assert len(keys) == 6000 and len({k.start for k in keys}) == 6000 and len({k.step for k in keys}) == 6000
    for key in keys:
        bits = key.step % 2**64
        assert bits % 2 == 1 and (bits ^ (bits >> 1)).bit_count() >= FEWEST_CHANGES


@pytest.mark.parametrize("share", [0.0, 1e-4, 0.3, 1.0, 1.5])
def test_chance(share: float) -> None:
    hit = chance(KEYS[0], 200_000, share)
    least = min(share, 1.0)
    assert abs(hit.mean() - least) <= 5 * np.sqrt(least * (1 - least) / len(hit))
    assert (hit == (uniform(KEYS[0], 200_000) < share)).all()


def test_chance_of_each_row() -> None:
    share = np.linspace(0, 1, 100_000)
    share[:1000] = np.nan
    hit = chance(KEYS[1], len(share), share)
    assert not hit[:1000].any() and (hit[1000:] == (uniform(KEYS[1], len(share)) < share)[1000:]).all()
    assert (chance(KEYS[1], torch.arange(len(share)), torch.from_numpy(share)).numpy() == hit).all()


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("key", KEYS)
def test_every_bit_is_even_and_free_of_the_others(key: RowKey, rows: str) -> None:
    bits = np.unpackbits(words(key, ROWS[rows]).view(np.uint8).reshape(-1, 8), axis=1).astype(np.float32)
    n = len(bits)
    assert np.abs(bits.mean(0) - 0.5).max() * 2 * np.sqrt(n) < 5
    centred = bits * 2 - 1
    pairs = centred.T @ centred / np.sqrt(n)
    assert np.abs(pairs[~np.eye(64, dtype=bool)]).max() < 6
    after = centred[:-1].T @ centred[1:] / np.sqrt(n - 1)  # of the next row
    assert np.abs(after).max() < 6


def test_each_bit_of_a_row_turns_half_of_its_word() -> None:
    rows = words(RowKey(0, 1), 2000)  # far from each other
    for key in KEYS:
        for bit in range(64):
            turned = words(key, rows) ^ words(key, rows ^ signed(1 << bit))
            share = np.unpackbits(turned.view(np.uint8).reshape(-1, 8), axis=1).mean(0)
            assert np.abs(share - 0.5).max() < 0.07, bit  # 6 standard deviations
            assert abs(share.mean() - 0.5) < 0.01


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("key", KEYS)
def test_normal_variates_are_normal_and_white(key: RowKey, rows: str) -> None:
    z = normal(key, ROWS[rows]).astype(float)
    n = len(z)
    assert stats.kstest(z, "norm").pvalue > 1e-4
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert abs((z**power).mean() - mean) < 5 * np.sqrt(variance / n), power
    for lag in (1, 2, 3, 4, 6, 7, 64, 1600, 4800):
        assert abs((z[lag:] * z[:-lag]).sum()) < 5 * np.sqrt(n - lag), lag
        assert abs(((z[lag:] ** 2 - 1) * (z[:-lag] ** 2 - 1)).sum()) < 5 * 2 * np.sqrt(n - lag), lag


def test_neighbouring_keys_are_independent() -> None:
    n = 20_000
    z = np.stack([normal(row_key("ab", "CAM_FRONT", t), n) for t in range(60)]).astype(float)
    pairs = (z @ z.T / np.sqrt(n))[np.triu_indices(60, 1)]
    assert np.abs(pairs).max() < 5.5 and stats.kstest(pairs, "norm").pvalue > 1e-4
    shifted = (z[:, 1:] @ z[:, :-1].T / np.sqrt(n - 1)).ravel()
    assert np.abs(shifted).max() < 5.5
    assert stats.kstest(z.mean(0) * np.sqrt(60), "norm").pvalue > 1e-4  # the same row of many keys


@pytest.mark.parametrize("rows", ROWS)
def test_pairs_of_rows_fill_the_square_evenly(rows: str) -> None:
    u = uniform(KEYS[2], ROWS[rows])
    for lag in (1, 3, 6):
        square = (u[:-lag] * 32).astype(int) * 32 + (u[lag:] * 32).astype(int)
        assert stats.chisquare(np.bincount(square, minlength=1024)).pvalue > 1e-4, lag


def test_normal_variates_are_the_quantiles_of_32_bits() -> None:
    key = KEYS[0]
    value = ((words(key, 500_000) >> 32) | 1).astype(float)  # odd, from -2^31 to 2^31
    exact = -np.sign(value) * ndtri(np.abs(value) / 2**32)
    assert np.abs(normal(key, 500_000) - exact).max() < 4e-6


def test_normal_variates_reach_to_six_standard_deviations() -> None:
    # rows whose words have the outermost upper halves, found by going backwards through the mix
    key = KEYS[0]
    upper = np.array([0, 1, 2, 3, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 2])
    rows = np.array([_row_of(key, (int(u) << 32) | 12345) for u in upper])
    assert ((words(key, rows).view(np.uint64) >> np.uint64(32)) == upper).all()
    z = normal(key, rows)
    assert z[0] == z[1] == -z[6] == -z[7] and abs(z[0] + ndtri(2.0**-32)) < 4e-6
    assert abs(z[3] + ndtri(3 * 2.0**-32)) < 4e-6 and abs(z[4]) < 4e-6 and abs(z[5]) < 4e-6


def _row_of(key: RowKey, word: int) -> int:
    def unshift(z: int, by: int) -> int:
        out = z
        for _ in range(64 // by):
            out = z ^ (out >> by)
        return out

    z = unshift(word, 31) * pow(0x94D049BB133111EB, -1, 2**64) % 2**64
    z = unshift(z, 27) * pow(0xBF58476D1CE4E5B9, -1, 2**64) % 2**64
    return signed((unshift(z, 30) - key.start) * pow(key.step, -1, 2**64))
