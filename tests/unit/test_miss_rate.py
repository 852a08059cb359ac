"""Between which bounds a share lies of which a few were seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.miss_rate import MissRate, wilson_interval


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (1, 10, 0.0179, 0.4042), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_interval_is_that_of_the_tables(hits: int, total: int, low: float, high: float) -> None:
    assert list(wilson_interval(hits, total)) == pytest.approx([low, high], abs=1e-4)


def test_nothing_seen_says_nothing() -> None:
    assert (MissRate(0, 0).share, MissRate(0, 0).interval) == (None, (0.0, 1.0))


@given(st.integers(1, 10_000), st.data())
def test_share_lies_within_its_interval_and_more_samples_narrow_it(total: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, total))
    low, high = wilson_interval(hits, total)
    assert 0 <= low <= hits / total <= high <= 1
    narrow = wilson_interval(4 * hits, 4 * total)
    assert narrow[1] - narrow[0] < high - low
