"""The pool of keys for people to look at: where each key and account stands, how it does, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Avg, Count, Max, Sum

from assessment import keys
from assessment.key_record import KeyRecord, records_of
from assessment.ledger import Purse, day_of, todays_ledger
from assessment.limits import KeyStanding, KeyState
from assessment.models import Account, ApiKey, Assessment, ModelLimit, Spending
from assessment.risk import AssessmentStatus

LATELY = timedelta(minutes=15)
"""Answers to questions asked since then say how long a key takes."""

Place = tuple[str, str]
"""Of a key: its account's and its own id."""


@dataclass(frozen=True, slots=True)
class Answers:
    """How many answers came lately, and how long they took."""

    count: int = 0
    usual_seconds: float = 0.0
    slowest_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """A key as it stands; `secret` is masked. One that is not kept in the database cannot be switched."""

    standing: KeyStanding
    record: KeyRecord
    secret: str
    most_in_flight: int
    answers: Answers
    cost: Decimal
    is_kept: bool

    @property
    def is_in(self) -> bool:
        """Whether it may be used, now or once it has cooled."""
        return self.standing.state is not KeyState.DISABLED


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """An account with its keys; `out` says why it is not used, "" where it is."""

    account: Account
    keys: tuple[KeyFigures, ...]
    purse: Purse
    most_in_flight: int
    out: str

    @property
    def in_flight(self) -> int:
        return sum(each.standing.in_flight for each in self.keys)

    @property
    def is_in(self) -> bool:
        """Whether nobody has taken it out or switched it off."""
        return self.account.enabled and self.account.disabled_at is None

    @property
    def is_kept(self) -> bool:
        return self.account.pk is not None


def pool_figures(model: str, *, now: datetime) -> list[AccountFigures]:
    """Every account with its keys, for one model; raises LimiterUnreachable or RedisError."""
    standings = keys.standings(model)
    rows = {each.slug: each for each in keys.all_keys()}
    records = records_of([each.key_id for each in standings])
    answers, costs = _answers(now), _costs(now)
    found: dict[str, list[KeyFigures]] = {}
    for standing, record in zip(standings, records, strict=True):
        key, place = rows[standing.key_id], (standing.account_id, standing.key_id)
        figures = KeyFigures(
            standing=standing,
            record=record,
            secret=keys.masked(key),
            most_in_flight=key.most_in_flight,
            answers=answers.get(place, Answers()),
            cost=costs.get(place, Decimal(0)),
            is_kept=key.pk is not None,
        )
        found.setdefault(standing.account_id, []).append(figures)
    accounts = _accounts(rows.values())
    most = _most_in_flight(accounts, model)
    return [_account(accounts[slug], found.get(slug, []), most[slug]) for slug in sorted(accounts)]


def _accounts(used: Iterable[ApiKey]) -> dict[str, Account]:
    """All that are kept; where none is, that of the environment's key, which is `used` alone."""
    kept = {each.slug: each for each in Account.objects.all()}
    return kept or {each.account.slug: each.account for each in used}


def _account(account: Account, figures: list[KeyFigures], most_in_flight: int) -> AccountFigures:
    ledger = todays_ledger()
    out = account.disabled_reason or ("" if account.enabled else "switched off")
    if not out and account.slug in ledger.over_budget():
        out = "budget used up"
    purse = ledger.accounts.get(account.slug, Purse())
    return AccountFigures(account, tuple(figures), purse, most_in_flight, out)


def _most_in_flight(accounts: Mapping[str, Account], model: str) -> dict[str, int]:
    """Of each account for the model; 0 is no limit."""
    own = dict(ModelLimit.objects.filter(model=model).values_list("account__slug", "most_in_flight"))
    return {slug: own.get(slug, each.most_in_flight) for slug, each in accounts.items()}


def _answers(now: datetime) -> dict[Place, Answers]:
    rows = (
        Assessment.objects.filter(created_at__gt=now - LATELY, status=AssessmentStatus.DONE, llm_seconds__isnull=False)
        .exclude(key="")
        .values_list("account", "key")
        .annotate(Count("pk"), Avg("llm_seconds"), Max("llm_seconds"))
        .order_by()
    )
    return {(account, key): Answers(count, usual, slowest) for account, key, count, usual, slowest in rows}


def _costs(now: datetime) -> dict[Place, Decimal]:
    rows = Spending.objects.filter(day=day_of(now)).values_list("account", "key").annotate(Sum("cost")).order_by()
    return {(account, key): cost for account, key, cost in rows}
