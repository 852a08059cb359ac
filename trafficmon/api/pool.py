"""The pool of keys as programs see it: where each stands, never its secret; taken out and put back."""

from __future__ import annotations

from typing import cast

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _
from pydantic import Field

from assessment import keys, switching
from assessment.clients import UnableToAssess
from assessment.key_record import KeyRecord, records_of
from assessment.limits import KeyStanding, KeyState
from assessment.models import Account, ApiKey
from trafficmon.accounts.access import Caller, caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.api.answers import Answer, Asked, Refused, endpoint
from trafficmon.core.clock import utc_now

log = structlog.get_logger()


class WhichModel(Asked):
    """For which model: keys have limits of their own for each."""

    model: str = Field(default="", max_length=100)


class Disabling(Asked):
    """Why it is taken out."""

    reason: str = Field(default="", max_length=300)


class Share(Answer):
    """How much is used of what may be; no limit where that is null."""

    used: int
    limit: int | None


class KeyAnswer(Answer):
    """A key as it stands; of its secret the end alone, by which it is recognised."""

    key_id: str
    account: str
    secret: str
    state: KeyState
    reason: str | None
    until_seconds: float | None
    in_flight: int
    last_second: Share
    last_minute: Share
    tokens_last_minute: Share
    succeeded: int
    failed: int
    success_rate: float


class KeysAnswer(Answer):
    """The pool as it stands for one model."""

    model: str
    keys: list[KeyAnswer]


class Switched(Answer):
    """Whether it may be used now, and whether this request changed that."""

    id: str
    enabled: bool
    changed: bool


@endpoint("GET", role=Role.ADMINISTRATOR)
def keys_now(_request: HttpRequest, _user: User, query: WhichModel) -> KeysAnswer:
    """Every key: its state, why and for how long, and what it used of what it may."""
    model = query.model or settings.ENVIRONMENT.llm_model
    try:
        standings = keys.standings(model)
    except UnableToAssess as error:
        raise Refused(503, str(error)) from None
    secrets = {each.slug: keys.masked(each) for each in keys.all_keys()}
    records = records_of([each.key_id for each in standings])
    told = [_told(each, record, secrets[each.key_id]) for each, record in zip(standings, records, strict=True)]
    return KeysAnswer(model=model, keys=told)


def _told(each: KeyStanding, record: KeyRecord, secret: str) -> KeyAnswer:
    return KeyAnswer(
        key_id=each.key_id,
        account=each.account_id,
        secret=secret,
        state=each.state,
        reason=each.reason or None,
        until_seconds=round(each.until_seconds, 1) or None,
        in_flight=each.in_flight,
        last_second=_share(each.used_second, each.limit_second),
        last_minute=_share(each.used_minute, each.limit_minute),
        tokens_last_minute=_share(each.tokens_minute, each.limit_tokens),
        succeeded=record.succeeded,
        failed=record.failed,
        success_rate=round(record.success_rate, 4),
    )


def _share(used: int, limit: int) -> Share:
    return Share(used=used, limit=limit or None)


@endpoint("POST", role=Role.ADMINISTRATOR)
def disable_key(request: HttpRequest, user: User, slug: str, body: Disabling) -> Switched:
    """Use the key no more, from the next call on."""
    return _disable(request, user, _find(ApiKey, slug), body)


@endpoint("POST", role=Role.ADMINISTRATOR)
def disable_account(request: HttpRequest, user: User, slug: str, body: Disabling) -> Switched:
    """Use none of the account's keys any more, from the next call on."""
    return _disable(request, user, _find(Account, slug), body)


@endpoint("POST", role=Role.ADMINISTRATOR)
def enable_key(request: HttpRequest, user: User, slug: str) -> Switched:
    """Put it back into the pool."""
    return _enable(request, user, ApiKey, slug)


@endpoint("POST", role=Role.ADMINISTRATOR)
def enable_account(request: HttpRequest, user: User, slug: str) -> Switched:
    """Put it back into the pool."""
    return _enable(request, user, Account, slug)


def _disable(request: HttpRequest, user: User, row: ApiKey | Account, why: Disabling) -> Switched:
    changed = switching.take_out(row, why.reason, by=cast("Caller", caller_of(request)), now=utc_now())
    log.info("pool.taken_out_by", kind=row._meta.model_name, id=row.slug, user=user.pk, changed=changed)
    return Switched(id=row.slug, enabled=False, changed=changed)


def _enable(request: HttpRequest, user: User, kind: type[ApiKey | Account], slug: str) -> Switched:
    row = _find(kind, slug)
    changed = switching.put_back(row, by=cast("Caller", caller_of(request)))
    log.info("pool.put_back_by", kind=kind._meta.model_name, id=slug, user=user.pk, changed=changed)
    return Switched(id=slug, enabled=kind.objects.get(slug=slug).enabled, changed=changed)


def _find(kind: type[ApiKey | Account], slug: str) -> ApiKey | Account:
    row = kind.objects.filter(slug=slug).first()
    if row is None:
        raise Refused(404, _("There is no such key or account in the database."))
    return row
