from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from detection.assignment import assign

gain_tables = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.one_of(st.just(0.0), st.floats(0.01, 1.0))
)


def best_total(gains: NDArray[np.float64]) -> float:
    """By trying every way to place the shorter side."""
    table = gains if gains.shape[0] <= gains.shape[1] else gains.T
    rows = range(table.shape[0])
    return max(
        sum(float(table[row, column]) for row, column in zip(rows, order, strict=True))
        for order in permutations(range(table.shape[1]), table.shape[0])
    )


@given(gain_tables)
def test_assignment_reaches_the_greatest_total(gains: NDArray[np.float64]) -> None:
    assert np.isclose(sum(gains[pair] for pair in assign(gains)), best_total(gains))


@given(gain_tables)
def test_assignment_pairs_nothing_twice_and_nothing_without_gain(gains: NDArray[np.float64]) -> None:
    pairs = assign(gains)
    assert len({row for row, _ in pairs}) == len(pairs)
    assert len({column for _, column in pairs}) == len(pairs)
    assert all(gains[pair] > 0 for pair in pairs)
    assert pairs == sorted(pairs)


def test_assignment_prefers_the_best_whole_to_the_best_single_pair() -> None:
    assert assign(np.array([[0.9, 0.8], [0.8, 0.0]])) == [(0, 1), (1, 0)]


def test_assignment_of_nothing_is_empty() -> None:
    assert assign(np.zeros((0, 3))) == []
    assert assign(np.zeros((3, 0))) == []
    assert assign(np.zeros((2, 2))) == []
