"""Whom an analysis asks: the accounts that the fleet asks, whichever their providers are.

Where Redis answers, calls go through the pool of keys, that of the environment too where the database has no other:
what the fleet and the analysis ask together stays within the accounts' limits, and is paid for. Where it does not, no
fleet can be asking; then the first usable key is asked, and that of the environment where the database has none, or is
not there. So an analysis still needs no server.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import redis
from django.conf import settings
from django.db import DatabaseError, connection

from assessment import keys, ledger
from assessment.calling import LONGEST_WAIT_SECONDS, Caller
from assessment.clients import Answer, NoKey, Question, UnableToAssess
from assessment.limiter import NoSlot
from assessment.models import ApiKey
from assessment.tokens import estimate_tokens
from cameras.frames import connect_redis
from trafficmon.core.clock import utc_now

Ask = Callable[[Question], Answer]


class PoolUnreachable(UnableToAssess):
    """The database of accounts and keys cannot be asked."""

    reason = "no_pool"


def find_ask() -> Ask:
    """The fleet's pool of keys, or one key; what is asked without any raises NoKey."""
    return _ask_pool if _is_redis_there() else _ask_first_of(_kept_keys())


def _kept_keys() -> tuple[ApiKey, ...]:
    """All that the database has, in their order; none where it is not there."""
    if not _is_database_there():
        return ()
    try:
        return tuple(ApiKey.objects.select_related("account").order_by("priority", "slug"))
    except DatabaseError:
        return ()


def _is_database_there() -> bool:
    """A file may not be; to look into it would make it."""
    return connection.vendor != "sqlite" or Path(connection.settings_dict["NAME"]).exists()


def _is_redis_there() -> bool:
    try:
        return bool(connect_redis().ping())
    except redis.RedisError:
        return False


def _ask_first_of(kept: tuple[ApiKey, ...]) -> Ask:
    seconds = settings.ENVIRONMENT.llm_timeout

    def ask(question: Question) -> Answer:
        access = keys.access_to(question.model, kept)
        return access.client.ask(question, api_key=access.secret, timeout_seconds=seconds)

    return ask


def _ask_pool(question: Question) -> Answer:
    if not _is_database_there():
        raise PoolUnreachable("There is no database: python manage.py migrate makes it.")
    seconds = settings.ENVIRONMENT.llm_timeout
    caller = Caller(None, keys.limiter(), time.monotonic() + LONGEST_WAIT_SECONDS + seconds, seconds)
    try:
        try:
            return caller.ask(question, tokens=estimate_tokens(question))
        finally:
            ledger.record_calls(caller.made, now=utc_now())
    except NoSlot as error:
        if error.reason == NoKey.reason:
            raise NoKey("No API key is configured, or none may be used.") from None
        raise
    except DatabaseError as error:
        raise PoolUnreachable(str(error)) from error
    finally:
        connection.close()  # each thread has its own
