"""How the comparison with LiteLLM counts, and which of its configurations is taken for its best."""

from __future__ import annotations

from typing import Any

import pytest

from tests.load.litellm.peer import Ended
from tests.load.litellm.trials import CONFIGURATIONS, Window, best, figures, spread, table, table_of_trials


def trial(*, accepted: int, refused: int = 0, errors: int = 0) -> dict[str, Any]:
    """Of a hundred calls permitted."""
    return {
        "accepted": accepted,
        "utilisation": accepted / 100,
        "refused_by_server": refused,
        "errors_to_caller": errors,
    }


def test_window_counts_what_ended_in_it() -> None:
    window = Window(10.0, 2.0, {"a": 12, "b": 6}, refused=3, cpu_cores=0.9)
    inside = [Ended(101 + number, 0.5 * number) for number in range(5)]
    outside = [Ended(99.9, 50.0), Ended(110.1, 50.0, "Timeout")]
    found = figures(window, [*inside, *outside, Ended(105, 0.0, "RateLimitError")], 100.0)
    assert found == {
        "permitted": 20,
        "accepted": 18,
        "utilisation": 0.9,
        "refused_by_server": 3,
        "errors_to_caller": 1,
        "errors": {"RateLimitError": 1},
        "wait_seconds": spread([0.0, 0.5, 1.0, 1.5, 2.0]),
        "key_spread": 2.0,
        "cpu_ms_per_call": 500.0,
    }


def test_window_without_answers_has_no_figures_made_up() -> None:
    found = figures(Window(10.0, 2.0, {}, refused=0, cpu_cores=0.1), [], 0.0)
    assert (found["utilisation"], found["key_spread"], found["wait_seconds"]) == (0.0, 0.0, {})


@pytest.mark.parametrize(
    ("trials", "chosen"),
    [
        ([trial(accepted=99, refused=30), trial(accepted=91, refused=2)], 1),
        ([trial(accepted=92, refused=2, errors=9), trial(accepted=91, refused=3)], 1),
        ([trial(accepted=89), trial(accepted=95, refused=40)], 1),
        ([trial(accepted=60, refused=30), trial(accepted=50, refused=5), trial(accepted=40)], 1),
        ([trial(accepted=50), trial(accepted=50)], 0),
    ],
    ids=[
        "fewest refused of those full enough",
        "errors count too",
        "full comes first",
        "none is full",
        "first of equals",
    ],
)
def test_best_trial(trials: list[dict[str, Any]], chosen: int) -> None:
    assert best(trials) == chosen


def test_configurations_differ_in_name() -> None:
    assert len({each.name for each in CONFIGURATIONS}) == len(CONFIGURATIONS)


def test_table_has_a_column_for_each() -> None:
    ours = {"accepted": 1234, "wait_seconds": {"p50": 1.5, "p95": 2.0, "p99": 3.25}}
    lines = table({"key pool": ours, "LiteLLM": {"accepted": 7, "wait_seconds": {}}}).splitlines()
    assert lines[0] == "|  | key pool | LiteLLM |"
    assert "| accepted | 1,234 | 7 |" in lines
    assert "| wait, p50 / p95 / p99, s | 1.5 / 2.0 / 3.25 | - |" in lines
    assert "| questions lost, warming up included | - | - |" in lines


def test_trials_have_a_row_each() -> None:
    trials = [{"configuration": name, "accepted": 5, "utilisation": 0.5} for name in ("shuffled", "idlest first")]
    head, _line, *rows = table_of_trials(trials).splitlines()
    assert head.startswith("| configuration | calls permitted | accepted | utilisation |")
    assert [row.split(" | ")[:4] for row in rows] == [
        ["| shuffled", "-", "5", "0.5"],
        ["| idlest first", "-", "5", "0.5"],
    ]
