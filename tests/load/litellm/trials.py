"""How the Router may be configured, what its calls came to, which configuration was best, and the table. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.load.litellm.peer import Ended

ENOUGH = 0.9
"""Of what is permitted; a configuration that reaches it is judged by its refusals."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The Router's settings, and how many calls are in flight as a share of what keeps the accounts just busy."""

    name: str
    settings: Mapping[str, object] = field(default_factory=dict)
    load: float = 1.0


_CALM: Mapping[str, object] = {"disable_cooldowns": True}
_LEAST_BUSY = {"routing_strategy": "least-busy", **_CALM}
CONFIGURATIONS = (
    Configuration("as it comes (simple-shuffle)"),
    Configuration("simple-shuffle, no cooldowns", {"routing_strategy": "simple-shuffle", **_CALM}),
    Configuration("least-busy, no cooldowns", _LEAST_BUSY),
    Configuration("least-busy, no cooldowns, no retries", {**_LEAST_BUSY, "num_retries": 0}),
    Configuration("least-busy, no cooldowns, 85 % in flight", _LEAST_BUSY, load=0.85),
    Configuration("least-busy, no cooldowns, 125 % in flight", _LEAST_BUSY, load=1.25),
    Configuration(
        "least-busy, cooldowns of 1 s, queued while all cool down",
        {"routing_strategy": "least-busy", "cooldown_time": 1, "default_priority": 0},
    ),
    Configuration(
        "usage-based-v2, checked before calls, no cooldowns",
        {"routing_strategy": "usage-based-routing-v2", "enable_pre_call_checks": True, **_CALM},
    ),
)
"""The strategies for several keys of one model, without the cooldowns that make all keys of a full pool rest at once,
and as nobody has tuned it."""


@dataclass(frozen=True, slots=True)
class Window:
    """What the server counted in the measured time, and what the processes used of the processor."""

    lasted_seconds: float
    permitted_a_second: float
    accepted_by_key: Mapping[str, int]
    refused: int
    cpu_cores: float


def figures(window: Window, ended: Iterable[Ended], began_at: float) -> dict[str, Any]:
    """What a window came to, in the words of bench-assess; `ended` outside of it counts for nothing."""
    within = [each for each in ended if began_at <= each.at <= began_at + window.lasted_seconds]
    errors = Counter(each.error for each in within if each.error)
    accepted = sum(window.accepted_by_key.values())
    permitted = window.permitted_a_second * window.lasted_seconds
    busiest, idlest = max(window.accepted_by_key.values(), default=0), min(window.accepted_by_key.values(), default=0)
    return {
        "permitted": round(permitted),
        "accepted": accepted,
        "utilisation": round(accepted / permitted, 4),
        "refused_by_server": window.refused,
        "errors_to_caller": errors.total(),
        "errors": dict(errors),
        "wait_seconds": spread([each.waited_seconds for each in within if not each.error]),
        "key_spread": round(busiest / max(1, idlest), 3),
        "cpu_ms_per_call": round(window.cpu_cores * window.lasted_seconds * 1000 / max(1, accepted), 2),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """The middle and the long end; none of none."""
    if len(values) < 2:
        return {}
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 3), "p95": round(cuts[94], 3), "p99": round(cuts[98], 3)}


def best(trials: Sequence[Mapping[str, Any]]) -> int:
    """The number of the trial with the fewest refusals and errors among those that use enough of what is permitted, or
    else of that with the most answers less refusals."""
    numbers = range(len(trials))
    enough = [number for number in numbers if trials[number]["utilisation"] >= ENOUGH]
    if enough:
        return min(enough, key=lambda number: _failed(trials[number]))
    return max(numbers, key=lambda number: trials[number]["accepted"] - trials[number]["refused_by_server"])


def _failed(trial: Mapping[str, Any]) -> int:
    return int(trial["refused_by_server"] + trial["errors_to_caller"])


_ROWS = {
    "permitted": "calls permitted",
    "accepted": "accepted",
    "utilisation": "utilisation",
    "refused_by_server": "refused by the server",
    "errors_to_caller": "errors to the caller",
    "wait_seconds": "wait, p50 / p95 / p99, s",
    "key_spread": "busiest key to idlest",
    "cpu_ms_per_call": "CPU, ms a call",
    "lost": "questions lost, warming up included",
    "duplicate": "answers to nobody",
}


def table(columns: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures of all columns side by side, in Markdown."""
    return _markdown([("", *columns), *((_ROWS[name], *cells) for name, cells in _cells(columns).items())])


def table_of_trials(trials: Sequence[Mapping[str, Any]]) -> str:
    """The same with a row for each trial."""
    rows = {trial["configuration"]: trial for trial in trials}
    columns = _cells(rows)
    return _markdown(
        [("configuration", *(_ROWS[name] for name in columns)), *zip(rows, *columns.values(), strict=True)]
    )


def _cells(columns: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """By the name of the figure."""
    return {name: [_spelled(each.get(name)) for each in columns.values()] for name in _ROWS}


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    head, *body = lines
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body))


def _spelled(value: object) -> str:
    if isinstance(value, Mapping):
        return " / ".join(map(str, value.values())) or "-"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
