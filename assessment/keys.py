"""The accounts and keys that may be asked now, as the database has them; their secrets never leave this process.

Each process keeps what it read for a few seconds under a version that Redis holds for all: whoever changes an account
or a key changes the version, and the limiter refuses a pool of an old one: a change holds from the next call on.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import structlog
from django.conf import settings
from django.db import transaction

from assessment.clients import ModelClient, NoKey, Scope, Vendor, load_client
from assessment.ledger import accounts_over_budget
from assessment.limiter import Limiter, LimiterUnreachable
from assessment.limits import KeyStanding, KeyState, Limits, Pool, PoolAccount, PoolKey, Strategy, Wish
from assessment.models import Account, ApiKey, CameraRoute, ModelLimit, PoolPolicy
from cameras.frames import connect_redis
from trafficmon.core.encryption import UnreadableSecretError, decrypt
from trafficmon.core.ids import new_token
from trafficmon.core.remembered import Remembered

log = structlog.get_logger()

_FORGOTTEN = "forgotten"
"""In place of an encrypted secret: nothing can be read of it."""
DEFAULT = "default"
"""Account and key where the database has none: DASHSCOPE_API_KEY."""
BOOK_SECONDS = 5.0
NO_SECRET = "its secret cannot be read: enter it again, or set its environment variable"  # noqa: S105  # a reason


@dataclass(frozen=True, slots=True)
class Access:
    """How a key's account is asked; the secret is not to be shown."""

    client: ModelClient
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """What the database says of keys with their accounts, of routes and policy, as of a version.

    The secrets are by the keys' ids, "" of those that cannot be had here; to decrypt them at each call would be work.
    """

    version: str
    policy: PoolPolicy
    keys: tuple[ApiKey, ...]
    secrets: Mapping[str, str] = field(repr=False)
    model_limits: Mapping[tuple[int, str], ModelLimit]
    routes: Mapping[int, Wish]


@functools.cache
def limiter() -> Limiter:
    """The one that all threads of this process share."""
    return Limiter(connect_redis())


def _read_book() -> Book:
    # The version first: what changes while the rest is read makes this book outdated.
    version = _version()
    keys = tuple(ApiKey.objects.select_related("account")) or _only_key()
    return Book(
        version=version,
        policy=PoolPolicy.objects.filter(pk=1).first() or PoolPolicy(pk=1),
        keys=keys,
        secrets={each.slug: secret_of(each) for each in keys},
        model_limits={(each.account_id, each.model): each for each in ModelLimit.objects.all()},
        routes={each.camera_id: _pin(each) for each in CameraRoute.objects.select_related("account", "key")},
    )


def _version() -> str:
    """The one that holds; where Redis has none, it was emptied, and starts slowly under a new one."""
    current = limiter().current_version()
    if current is None:
        limiter().publish_version(current := new_token())
    return current


def _only_key() -> tuple[ApiKey, ...]:
    """The key of the environment, where there is no other."""
    if not settings.ENVIRONMENT.dashscope_api_key.get_secret_value():
        return ()
    return (ApiKey(slug=DEFAULT, account=Account(slug=DEFAULT), secret_variable="DASHSCOPE_API_KEY"),)  # noqa: S106  # its name


def _pin(route: CameraRoute) -> Wish:
    return (
        Wish(only_key=route.key.slug) if route.key else Wish(only_account=route.account.slug if route.account else "")
    )


_book: Remembered[Book] = Remembered(_read_book, seconds=BOOK_SECONDS)


def forget_pool() -> None:
    """Read accounts and keys anew before the next call."""
    _book.forget()


def load_pool(model: str) -> Pool:
    """What may be used for `model` now; raises LimiterUnreachable."""
    return _pool(_book(), accounts_over_budget(), model)


@functools.lru_cache(maxsize=8)
def _pool(book: Book, spent: frozenset[str], model: str) -> Pool:
    """The same one for as long as nothing changes: the limiter spells each out for its script."""
    keys = [each for each in book.keys if is_usable(each) and book.secrets[each.slug]]
    keys = [each for each in keys if each.account.slug not in spent and model not in each.refused_models]
    accounts = {each.account.slug: each.account for each in keys}
    return Pool(
        version=book.version,
        model=model,
        strategy=Strategy(book.policy.strategy),
        accounts=tuple(PoolAccount(slug, _limits_of(book, each, model)) for slug, each in accounts.items()),
        keys=tuple(PoolKey(each.slug, each.account.slug, _limits(each), each.priority, each.weight) for each in keys),
        default_cooldown_seconds=book.policy.default_cooldown_seconds,
        failures_before_cooldown=book.policy.max_retry_per_key,
    )


def all_keys() -> tuple[ApiKey, ...]:
    """Every key, with its account, usable or not."""
    return _book().keys


def masked(key: ApiKey) -> str:
    """The key's secret as it may be shown: where it comes from, or its last four characters."""
    if key.secret_variable:
        return f"${{{key.secret_variable}}}"
    secret = secret_of(key)
    return f"…{secret[-4:]}" if len(secret) >= 12 else "…"


def standings(model: str) -> list[KeyStanding]:
    """Where every key stands, those that were taken out too; raises LimiterUnreachable."""
    in_use = {each.key_id: each for each in limiter().standings(load_pool(model))}
    book = _book()
    return [in_use.get(each.slug) or _disabled(book, each, model) for each in book.keys]


def _disabled(book: Book, key: ApiKey, model: str) -> KeyStanding:
    reason = key.disabled_reason or key.account.disabled_reason or _why_unused(book, key, model)
    return KeyStanding(key.slug, key.account.slug, KeyState.DISABLED, reason)


def _why_unused(book: Book, key: ApiKey, model: str) -> str:
    if not (key.enabled and key.account.enabled):
        return "switched off"
    if not book.secrets[key.slug]:
        return NO_SECRET
    return f"no right to {model}" if model in key.refused_models else "budget used up"


def is_usable(key: ApiKey) -> bool:
    """Whether neither people nor refusals have taken out the key or its account."""
    account = key.account
    return key.enabled and account.enabled and key.disabled_at is None and account.disabled_at is None


def _limits_of(book: Book, account: Account, model: str) -> Limits:
    return _limits(book.model_limits.get((account.pk, model), account))


def _limits(row: Account | ApiKey | ModelLimit) -> Limits:
    """Where only the requests of a minute are limited, providers may hold each second to its share of them."""
    a_minute = row.requests_per_minute
    a_second = row.requests_per_second or -(-a_minute // 60)
    return Limits(a_second, a_minute, row.tokens_per_minute, row.most_in_flight)


def pin_of(camera_id: int, *, last_account: str = "") -> Wish:
    """Where the questions of a camera go; preferably not to the account that has just failed one."""
    pin = _book().routes.get(camera_id, Wish())
    return Wish(0, pin.only_key, pin.only_account, frozenset({last_account} if last_account else ()))


def access_of(key_id: str) -> Access:
    """How to ask with the key; raises NoKey where its secret cannot be had."""
    book = _book()
    key = next((each for each in book.keys if each.slug == key_id), None)
    if not key or not book.secrets[key_id]:
        message = f"Key {key_id}: {NO_SECRET}."
        raise NoKey(message)
    return Access(_client_of(key.account), book.secrets[key_id])


def access_to(model: str, kept: Sequence[ApiKey]) -> Access:
    """How to ask `model` with the first of the keys that may be used, for who asks alone; raises NoKey.

    Where none is kept it is the environment's key. No limit is looked at.
    """
    usable = (each for each in kept or _only_key() if is_usable(each) and model not in each.refused_models)
    key = next(filter(secret_of, usable), None)
    if key is None:
        raise NoKey("No API key is configured: set DASHSCOPE_API_KEY.")
    return Access(_client_of(key.account), secret_of(key))


def warm_up() -> None:
    """Load what the first calls would have to wait for, each of them."""
    for key in _book().keys:
        _client_of(key.account)


def _client_of(account: Account) -> ModelClient:
    base_url = account.base_url or settings.ENVIRONMENT.llm_base_url
    return _client(cast("Vendor", account.provider), base_url, account.json_mode)


@functools.cache
def _client(vendor: Vendor, base_url: str, json_mode: bool) -> ModelClient:
    """One for all threads of this process."""
    return load_client(vendor, base_url=base_url, json_mode=json_mode)


def secret_of(key: ApiKey) -> str:
    """The key itself; "" where it cannot be had."""
    if key.secret_variable == "DASHSCOPE_API_KEY":  # noqa: S105  # its name
        return settings.ENVIRONMENT.dashscope_api_key.get_secret_value()
    if key.secret_variable:
        return settings.ENVIRONMENT.secret_named(key.secret_variable)
    try:
        return decrypt(key.secret_encrypted, key=settings.FIELD_KEY)
    except UnreadableSecretError:
        _say_unreadable(key.slug, key.secret_encrypted)
        return ""


@functools.lru_cache(maxsize=1000)
def _say_unreadable(key_id: str, _secret_encrypted: str) -> None:
    """Once in each process, though it is tried every few seconds."""
    log.error("key.unreadable", key_id=key_id)


def pool_changed() -> None:
    """Let a change hold for the next call here, and once it is committed for that of every worker."""
    forget_pool()
    transaction.on_commit(_announce)


def _announce() -> None:
    forget_pool()
    try:
        limiter().publish_version(new_token())
    except LimiterUnreachable as error:
        log.warning("pool.not_announced", error=str(error))


def take_out_key(key_id: str, reason: str, *, now: datetime) -> bool:
    """Use the key no more, until somebody puts it back; False where that was so already."""
    return _take_out(ApiKey, key_id, reason, now)


def take_out_account(account_id: str, reason: str, *, now: datetime) -> bool:
    """Use none of the account's keys any more, until somebody puts it back; False where that was so already."""
    return _take_out(Account, account_id, reason, now)


def _take_out(model: type[ApiKey | Account], slug: str, reason: str, now: datetime) -> bool:
    found = model.objects.filter(slug=slug, disabled_at=None)
    if not found.update(disabled_at=now, disabled_reason=reason[:300]):
        return False
    log.error("pool.taken_out", kind=model._meta.model_name, id=slug, reason=reason)
    pool_changed()
    return True


_NOT_TAKEN_OUT: Mapping[str, Any] = {"disabled_at": None, "disabled_reason": ""}
UNREFUSED: Mapping[str, Any] = {**_NOT_TAKEN_OUT, "refused_models": []}
"""How a key is kept that nobody has refused."""


def put_back(kind: type[ApiKey | Account], slug: str) -> bool:
    """Use it again at once, a key for every model; False where nothing kept it from being used."""
    back = {"enabled": True, **(UNREFUSED if kind is ApiKey else _NOT_TAKEN_OUT)}
    was_out = bool(kind.objects.filter(slug=slug).exclude(**back).update(**back))
    if was_out:
        pool_changed()
    return _lift_cooldowns(kind, slug) or was_out


def _lift_cooldowns(kind: type[ApiKey | Account], slug: str) -> bool:
    """Whether it was cooling for one of the models that are asked; where Redis is away that ends by itself."""
    scope, environment = Scope.KEY if kind is ApiKey else Scope.ACCOUNT, settings.ENVIRONMENT
    models = {environment.llm_model, environment.llm_cheaper_model} - {""}
    try:
        lifted = [limiter().lift(model, scope, slug) for model in models]
        return any(lifted)
    except LimiterUnreachable as error:
        log.warning("pool.not_lifted", id=slug, error=str(error))
        return False


def forget_secrets(account: Account) -> int:
    """Let no key that was entered for one address be sent to another: the account's keys need theirs anew; how many."""
    count = account.keys.update(secret_variable="", secret_encrypted=_FORGOTTEN)
    log.warning("pool.secrets_forgotten", account=account.slug, keys=count)
    return count


def secret_changed(slug: str) -> None:
    """As `pool_changed`, and once nobody asks with the old secret any more, what its key cooled for is over."""
    pool_changed()
    transaction.on_commit(functools.partial(_lift_cooldowns, ApiKey, slug))


def is_kept(key_id: str) -> bool:
    """Whether it is a key of the database, and not the environment's."""
    return ApiKey.objects.filter(slug=key_id).exists()


def refuse_model(key_id: str, model: str) -> bool:
    """Ask `model` no more with this key; False where that was so already."""
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().filter(slug=key_id).first()
        if key is None or model in key.refused_models:
            return False
        ApiKey.objects.filter(pk=key.pk).update(refused_models=[*key.refused_models, model])
        pool_changed()
    log.error("key.model_refused", key_id=key_id, model=model)
    return True
