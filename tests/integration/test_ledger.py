"""What calls cost, added up by the day, and what budgets follow from it: real database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connections, transaction
from django.utils import timezone
from prometheus_client import REGISTRY
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from assessment import ledger
from assessment.ledger import (
    Call,
    accounts_over_budget,
    day_of,
    forget_spending,
    record_calls,
    todays_ledger,
)
from assessment.models import Account, ApiKey, ModelPrice, PoolPolicy, Spending
from tests.factories import NOON, make_camera
from trafficmon.core.clock import utc_now

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CALL = Call(None, "acct-a", "key-1", "default-v3", "qwen", input_tokens=1000, output_tokens=200)


def price(model: str = "qwen", tokens_in: str = "0.15", tokens_out: str = "1.5") -> None:
    ModelPrice.objects.create(model=model, input_price=Decimal(tokens_in), output_price=Decimal(tokens_out))
    ledger.forget_remembered()


def make_account(slug: str, *, budget: str = "0", **fields: object) -> Account:
    account = Account.objects.create(slug=slug, daily_budget=Decimal(budget), **fields)
    ApiKey.objects.create(slug=f"{slug}-key", account=account, secret_variable="A_KEY")
    return account


def spend(cost: str, *, account: str = "acct-a", day: date | None = None) -> None:
    day = day or day_of(utc_now())
    Spending.objects.create(
        day=day, account=account, key="k", prompt_version="p", model="m", calls=1, cost=Decimal(cost)
    )
    ledger.forget_remembered()


def figures(row: Spending) -> tuple[int, int, int, int, Decimal]:
    return row.calls, row.failed_calls, row.input_tokens, row.output_tokens, row.cost


def test_calls_of_a_kind_are_added_up() -> None:
    price()
    camera = make_camera()
    call = replace(CALL, camera_id=camera.pk)
    record_calls([call], now=NOON)
    record_calls([replace(call, output_tokens=400)], now=NOON)
    record_calls([replace(call, input_tokens=0, output_tokens=0, failed=True)], now=NOON)
    [row] = Spending.objects.all()
    assert (row.day, row.camera, row.account, row.key) == (date(2026, 5, 4), camera, "acct-a", "key-1")
    assert (row.prompt_version, row.model) == ("default-v3", "qwen")
    # Twice 1000 tokens at 0.15 a million, and 600 at 1.5.
    assert figures(row) == (3, 1, 2000, 600, Decimal("0.0012"))


def test_calls_of_different_kinds_are_kept_apart() -> None:
    here, there = make_camera(), make_camera()
    first = replace(CALL, camera_id=here.pk)
    others = [
        replace(first, camera_id=there.pk),
        replace(first, account="acct-b"),
        replace(first, key="key-2"),
        replace(first, prompt_version="default-v9"),
        replace(first, model="qwen-flash"),
    ]
    record_calls([first, *others, first], now=NOON)
    record_calls([first], now=NOON + timedelta(days=1))
    assert Spending.objects.count() == 7
    assert Spending.objects.get(calls=2).camera == here


def test_day_is_of_the_configured_time_zone(settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Shanghai"
    before_midnight = datetime(2026, 5, 4, 15, 59, tzinfo=UTC)
    with timezone.override(ZoneInfo("America/New_York")):
        assert day_of(before_midnight) == date(2026, 5, 4)
        assert day_of(before_midnight + timedelta(minutes=1)) == date(2026, 5, 5)


def test_call_about_a_camera_that_was_just_deleted_is_paid_all_the_same() -> None:
    gone, also_gone = make_camera(), make_camera()
    for camera in (gone, also_gone):
        record_calls([replace(CALL, camera_id=camera.pk)], now=NOON)
    late = replace(CALL, camera_id=gone.pk)
    gone.delete()
    also_gone.delete()
    record_calls([late], now=NOON)
    record_calls([late], now=NOON)
    assert sorted(Spending.objects.filter(camera=None).values_list("calls", flat=True)) == [1, 3]


def test_further_call_of_a_kind_takes_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    price()
    call = replace(CALL, camera_id=make_camera().pk)
    record_calls([call], now=NOON)
    with django_assert_num_queries(1):
        record_calls([call], now=NOON)


def test_outcome_that_is_not_stored_costs_nothing(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    price(model="rolled-back")

    def store_and_fail() -> None:
        with transaction.atomic():
            record_calls([replace(CALL, model="rolled-back")], now=NOON)
            raise LookupError

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(LookupError):
        store_and_fail()
    assert not Spending.objects.exists()
    assert cost_counted("rolled-back") is None


def cost_counted(model: str, account: str = "acct-a") -> float | None:
    return REGISTRY.get_sample_value("llm_cost_total", {"model": model, "account": account})


def test_cost_is_counted_by_model_and_account(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    price(model="counted")
    with django_capture_on_commit_callbacks(execute=True):
        record_calls([replace(CALL, model="counted")], now=NOON)
    assert cost_counted("counted") == pytest.approx(0.00045)


def test_model_without_a_price_costs_nothing_and_is_counted(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        record_calls([replace(CALL, model="unpriced")] * 2, now=NOON)
    [row] = Spending.objects.all()
    assert figures(row) == (2, 0, 2000, 400, Decimal(0))
    assert REGISTRY.get_sample_value("llm_unpriced_calls_total", {"model": "unpriced"}) == 2
    assert cost_counted("unpriced") is None


def test_prices_are_looked_up_once_a_minute(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    price()
    record_calls([CALL], now=NOON)
    ModelPrice.objects.update(input_price=1)
    record_calls([CALL], now=NOON)
    assert Spending.objects.get().cost == Decimal("0.0009")
    ledger.forget_remembered()
    record_calls([CALL], now=NOON)
    assert Spending.objects.get().cost == Decimal("0.0022")


@pytest.mark.django_db(transaction=True)
def test_calls_recorded_at_once_lose_nothing_of_each_other() -> None:
    price()
    cameras = [make_camera().pk for _ in range(3)]
    calls = [replace(CALL, camera_id=camera) for camera in cameras]

    def work(number: int) -> None:
        """Two calls in one transaction, in another order each time."""
        with transaction.atomic():
            record_calls([calls[number % 3], calls[(number + 1) % 3]], now=NOON)
        connections.close_all()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(30)))
    rows = Spending.objects.order_by("camera")
    assert [(row.camera_id, *figures(row)) for row in rows] == [
        (camera, 20, 0, 20_000, 4_000, Decimal("0.009")) for camera in cameras
    ]


def test_spending_of_today_is_added_up_by_account() -> None:
    make_account("acct-a", budget="2")
    spend("0.5")
    spend("0.25", account="default")
    spend("8", day=day_of(utc_now()) - timedelta(days=1))
    kept = todays_ledger()
    assert kept.pool.spent == Decimal("0.75")
    assert {slug: (purse.budget, purse.spent) for slug, purse in kept.accounts.items()} == {
        "acct-a": (Decimal(2), Decimal("0.5")),
        "default": (Decimal(0), Decimal("0.25")),
    }
    assert kept.in_use == {"acct-a"}


def test_account_whose_budget_is_used_up_is_not_asked_any_more() -> None:
    make_account("acct-a", budget="1")
    make_account("acct-b", budget="1")
    make_account("acct-c")
    spend("0.99")
    spend("1", account="acct-b")
    spend("50", account="acct-c")
    assert accounts_over_budget() == {"acct-b"}


def test_nobody_is_asked_any_more_when_the_budget_of_all_is_used_up() -> None:
    PoolPolicy.objects.update_or_create(pk=1, defaults={"daily_budget": Decimal(3)})
    make_account("acct-a")
    spend("2", account="default")
    assert accounts_over_budget() == frozenset()
    spend("1", account="acct-c")
    assert accounts_over_budget() == {"acct-a", "acct-c", "default"}
    assert todays_ledger().budget_share == 1.0


def test_budget_share_is_that_of_the_account_with_most_left() -> None:
    make_account("acct-a", budget="1")
    make_account("acct-b", budget="1")
    make_account("out", enabled=False)
    make_account("keyless").keys.all().delete()
    spend("0.9")
    spend("0.4", account="acct-b")
    assert todays_ledger().budget_share == pytest.approx(0.4)
    make_account("without-limit")
    ledger.forget_remembered()
    assert todays_ledger().budget_share == 0.0
    PoolPolicy.objects.update_or_create(pk=1, defaults={"daily_budget": Decimal(2)})
    ledger.forget_remembered()
    assert todays_ledger().budget_share == pytest.approx(0.65)


def test_budgets_begin_anew_at_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    make_account("acct-a", budget="1")
    now = [datetime(2026, 5, 4, 23, 59, 59, tzinfo=UTC)]
    monkeypatch.setattr(ledger, "utc_now", lambda: now[0])
    spend("1", day=date(2026, 5, 4))
    assert accounts_over_budget() == {"acct-a"}
    now[0] += timedelta(seconds=1)
    assert accounts_over_budget() == frozenset()


def test_spending_is_looked_up_once_in_some_seconds(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(4):
        accounts_over_budget()
    with django_assert_num_queries(0):
        accounts_over_budget()
        todays_ledger()


def test_spending_of_days_long_past_is_forgotten() -> None:
    for days in range(4):
        spend("1", day=date(2026, 5, 1) + timedelta(days=days))
    assert forget_spending(before=NOON - timedelta(days=1)) == 2
    assert set(Spending.objects.values_list("day", flat=True)) == {date(2026, 5, 3), date(2026, 5, 4)}
