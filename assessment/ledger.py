"""What calls cost: each is added to the spending of its day, and a day's budgets say who may still be asked.

A day is one of the configured time zone. Budgets are looked at every few seconds and in each process by itself, so that
what is under way or was just begun when a budget is used up is spent beyond it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import structlog
from django.db import connection, transaction
from django.db.models import F, Sum
from django.utils import timezone

from assessment.models import Account, ModelPrice, PoolPolicy, Spending
from assessment.statements import prepared_cursor
from cameras.models import Camera
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from trafficmon.core.remembered import Remembered
from trafficmon.pruning import SECONDS, prune

log = structlog.get_logger()

MILLION = 1_000_000
SMALLEST = Decimal("0.00000001")
PRICE_SECONDS = 60.0
SPENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was sent, and what it used; one that failed may have used tokens, too."""

    camera_id: int | None
    account: str
    key: str
    prompt_version: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Price:
    """Per million tokens, in the currency that budgets are in."""

    tokens_in: Decimal
    tokens_out: Decimal

    def of(self, call: Call) -> Decimal:
        cost = (call.input_tokens * self.tokens_in + call.output_tokens * self.tokens_out) / MILLION
        return cost.quantize(SMALLEST)


@dataclass(frozen=True, slots=True)
class Purse:
    """What may be spent in a day, 0 where that has no limit, and what was."""

    budget: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)

    @property
    def used_share(self) -> float:
        return float(self.spent / self.budget) if self.budget else 0.0

    @property
    def is_used_up(self) -> bool:
        return bool(self.budget) and self.spent >= self.budget


@dataclass(frozen=True, slots=True)
class DayLedger:
    """A day's budgets and spending: of the whole pool, and of each account that has either.

    `in_use` are the accounts that could be asked, were it not for their budgets.
    """

    day: date
    pool: Purse
    accounts: Mapping[str, Purse]
    in_use: frozenset[str]

    @property
    def budget_share(self) -> float:
        """How much is used of what limits first: the pool's budget, or that of the account that has most left."""
        accounts = [self.accounts[account].used_share for account in self.in_use]
        return max(self.pool.used_share, min(accounts, default=0.0))

    def over_budget(self) -> frozenset[str]:
        """The accounts that must not be asked any more: all of them where the pool's budget is used up."""
        return frozenset(slug for slug, purse in self.accounts.items() if self.pool.is_used_up or purse.is_used_up)


def day_of(moment: datetime) -> date:
    """The day of the configured time zone; a new one begins at its midnight."""
    return timezone.localdate(moment, timezone.get_default_timezone())


def record_calls(calls: Sequence[Call], *, now: datetime) -> None:
    """Add calls to the spending of the day; to be called in the transaction that stores their outcome, after its row.

    The database adds, so that two workers lose nothing of each other's.
    """
    # In one order everywhere: transactions that wait for each other's rows would never end.
    for call in sorted(calls, key=str):
        price = prices().get(call.model)
        cost = price.of(call) if price else Decimal(0)
        _add(call, cost, day_of(now))
        transaction.on_commit(functools.partial(_count, call, cost if price else None))


_ADD_FOR_CAMERA = """
INSERT INTO {spending} (day, camera_id, account, key, prompt_version, model,
                        calls, failed_calls, input_tokens, output_tokens, cost)
SELECT %s, id, %s, %s, %s, %s, 1, %s, %s, %s, %s FROM {camera} WHERE id = %s
ON CONFLICT (day, camera_id, account, key, prompt_version, model) DO UPDATE SET
    calls = {spending}.calls + 1,
    failed_calls = {spending}.failed_calls + excluded.failed_calls,
    input_tokens = {spending}.input_tokens + excluded.input_tokens,
    output_tokens = {spending}.output_tokens + excluded.output_tokens,
    cost = {spending}.cost + excluded.cost
"""
"""In one statement, which Django's queries need three for: every call is added."""


def _add(call: Call, cost: Decimal, day: date) -> None:
    # Its camera may have been deleted while the model was asked; the money is spent all the same.
    if call.camera_id is None or not _add_for_camera(call, cost, day):
        _add_without_camera(call, cost, day)


def _add_for_camera(call: Call, cost: Decimal, day: date) -> bool:
    tables = {"spending": Spending._meta.db_table, "camera": Camera._meta.db_table}
    place = (connection.ops.adapt_datefield_value(day), call.account, call.key, call.prompt_version, call.model)
    figures = (int(call.failed), call.input_tokens, call.output_tokens, cost)
    with prepared_cursor() as cursor:
        cursor.execute(_ADD_FOR_CAMERA.format(**tables), (*place, *figures, call.camera_id))
        return bool(cursor.rowcount)


def _add_without_camera(call: Call, cost: Decimal, day: date) -> None:
    kind = {"account": call.account, "key": call.key, "prompt_version": call.prompt_version, "model": call.model}
    place = {"day": day, "camera_id": None, **kind}
    if not _add_to_row(place, call, cost):
        Spending.objects.create(**place)
        _add_to_row(place, call, cost)


def _add_to_row(place: Mapping[str, object], call: Call, cost: Decimal) -> bool:
    # One row at the most: of deleted cameras there may be several of a kind.
    row = Spending.objects.filter(**place).order_by("pk").values("pk")[:1]
    added = Spending.objects.filter(pk__in=row).update(
        calls=F("calls") + 1,
        failed_calls=F("failed_calls") + int(call.failed),
        input_tokens=F("input_tokens") + call.input_tokens,
        output_tokens=F("output_tokens") + call.output_tokens,
        cost=F("cost") + cost,
    )
    return bool(added)


def _count(call: Call, cost: Decimal | None) -> None:
    if cost is None:
        metrics.llm_unpriced_calls.labels(call.model).inc()
        _warn_unpriced(call.model)
    else:
        metrics.llm_cost.labels(call.model, call.account).inc(float(cost))


@functools.cache
def _warn_unpriced(model: str) -> None:
    """Say it once in a process, not at every call."""
    log.warning("ledger.no_price", model=model)


def _look_up_prices() -> dict[str, Price]:
    return {each.model: Price(each.input_price, each.output_price) for each in ModelPrice.objects.all()}


def _look_up_today() -> DayLedger:
    day = day_of(utc_now())
    rows = Spending.objects.filter(day=day).values_list("account").annotate(Sum("cost")).order_by()
    spent: dict[str, Decimal] = dict(rows)
    budgets: dict[str, Decimal] = dict(Account.objects.values_list("slug", "daily_budget"))
    pool = PoolPolicy.objects.values_list("daily_budget", flat=True).filter(pk=1).first()
    return DayLedger(
        day=day,
        pool=Purse(pool or Decimal(0), sum(spent.values(), Decimal(0))),
        accounts={
            slug: Purse(budgets.get(slug, Decimal(0)), spent.get(slug, Decimal(0))) for slug in {*budgets, *spent}
        },
        in_use=_look_up_in_use(),
    )


def _look_up_in_use() -> frozenset[str]:
    """The accounts that have a key to be asked with."""
    usable = Account.objects.filter(enabled=True, disabled_at=None, keys__enabled=True, keys__disabled_at=None)
    return frozenset(usable.values_list("slug", flat=True))


prices: Remembered[dict[str, Price]] = Remembered(_look_up_prices, seconds=PRICE_SECONDS)
_today: Remembered[DayLedger] = Remembered(_look_up_today, seconds=SPENT_SECONDS)


def todays_ledger() -> DayLedger:
    """Today's budgets and spending, a few seconds old at the most, and never those of the day before."""
    ledger = _today()
    if ledger.day == day_of(utc_now()):
        return ledger
    _today.forget()
    return _today()


def accounts_over_budget() -> frozenset[str]:
    """The accounts, by their slug, that must not be asked any more today."""
    return todays_ledger().over_budget()


def forget_remembered() -> None:
    """Look up prices, budgets and spending anew."""
    prices.forget()
    _today.forget()


def forget_spending(*, before: datetime, seconds: float = SECONDS) -> int:
    """Delete the spending of the days before that of a moment; how many rows went."""
    return prune(Spending.objects.filter(day__lt=day_of(before)), seconds=seconds)
