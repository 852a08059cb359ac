"""How well questions are answered."""

from __future__ import annotations

from django.http import HttpRequest

from assessment.ledger import todays_ledger
from assessment.miss_rate import MissRate, measure_miss_rates
from assessment.service_level import current_ladder, measure_workload
from trafficmon.accounts.models import User
from trafficmon.api.answers import Answer, endpoint
from trafficmon.core.clock import utc_now
from trafficmon.live import compose
from trafficmon.live.messages import Ladder


class Waiting(Answer):
    """Questions that nobody has taken."""

    urgent: int
    others: int


class Ended(Answer):
    """Questions that ended, answered in time or not."""

    in_time: int
    missed: int


class GateMisses(Answer):
    """Of the groups left out for one reason and asked about all the same; the interval is that of 95 %."""

    sampled: int
    missed: int
    miss_rate: float | None
    miss_rate_interval: tuple[float, float]


class Load(Answer):
    """How far assessment is reduced, what waits, what it has cost today, and what the gate misses, by reason."""

    ladder: Ladder
    waiting: Waiting
    in_flight: int
    oldest_seconds: float
    ended_last_minute: Ended
    in_time_share: float | None
    spent_today: float
    daily_budget: float | None
    budget_share: float
    gate: dict[str, GateMisses]


@endpoint("GET")
def assessment_load(_request: HttpRequest, _user: User) -> Load:
    """How well questions are answered, how far assessment is reduced, what it has cost today, what the gate misses."""
    workload, ledger = measure_workload(utc_now()), todays_ledger()
    share = workload.in_time_share
    return Load(
        ladder=compose.ladder_part(current_ladder()),
        waiting=Waiting(urgent=workload.urgent_waiting, others=workload.others_waiting),
        in_flight=workload.in_flight,
        oldest_seconds=round(workload.oldest_seconds, 1),
        ended_last_minute=Ended(in_time=workload.in_time, missed=workload.missed),
        in_time_share=None if share is None else round(share, 4),
        spent_today=round(float(ledger.pool.spent), 6),
        daily_budget=float(ledger.pool.budget) or None,
        budget_share=round(ledger.budget_share, 4),
        gate={reason: _misses(each) for reason, each in measure_miss_rates(utc_now()).items()},
    )


def _misses(rate: MissRate) -> GateMisses:
    low, high = rate.interval
    return GateMisses(
        sampled=rate.sampled,
        missed=rate.missed,
        miss_rate=None if rate.share is None else round(rate.share, 4),
        miss_rate_interval=(round(low, 4), round(high, 4)),
    )
