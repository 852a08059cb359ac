"""`config/api_keys.yaml`, read into the database: the file is what an installation begins with or is restored from."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import yaml
from django.conf import settings
from django.db import transaction
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from assessment.keys import UNREFUSED, forget_secrets, pool_changed, secret_changed, secret_of
from assessment.limits import LONGEST_COOLDOWN_SECONDS, SHORTEST_COOLDOWN_SECONDS, Strategy
from assessment.models import Account, ApiKey, PoolPolicy
from assessment.models.pool import ADDRESS_PATTERN, Provider
from trafficmon.core.encryption import encrypt

_VARIABLE = re.compile(r"^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$")
_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
_Limit = Annotated[int, Field(ge=0, le=1_000_000_000)]


class UnusableKeyFile(Exception):
    """The file cannot be used; the message names it and every mistake. No value is repeated: it may be a secret."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _Limited(_Part):
    id: _Id
    qps_limit: _Limit = 0
    rpm_limit: _Limit = 0
    tpm_limit: _Limit = 0
    max_in_flight: _Limit = 0

    def limits(self) -> dict[str, int]:
        return {
            "requests_per_second": self.qps_limit,
            "requests_per_minute": self.rpm_limit,
            "tokens_per_minute": self.tpm_limit,
            "most_in_flight": self.max_in_flight,
        }


_Listed = TypeVar("_Listed", bound=_Limited)


class _Account(_Limited):
    provider: Provider = Provider.DASHSCOPE
    base_url: Annotated[str, Field(max_length=200, pattern=rf"^$|{ADDRESS_PATTERN}")] = ""
    json_mode: bool = True

    @model_validator(mode="after")
    def openai_has_an_address(self) -> Self:
        if self.provider is Provider.OPENAI and not self.base_url:
            message = "an account of the provider openai needs a base_url, up to and with /v1"
            raise ValueError(message)
        return self


class _Key(_Limited):
    account: _Id | None = None
    api_key: Annotated[SecretStr, Field(min_length=1)]
    priority: Annotated[int, Field(ge=0, le=1000)] = 1
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    enabled: bool = True

    @field_validator("api_key")
    @classmethod
    def names_no_setting(cls, secret: SecretStr) -> SecretStr:
        if names_a_setting(secret):
            message = "this variable is a setting of the service: give the key one of its own"
            raise ValueError(message)
        return secret


class KeyFile(_Part):
    """The whole file; `accounts` may be left out, then each key is an account of its own."""

    strategy: Strategy = Strategy.ROUND_ROBIN
    max_retry_per_key: Annotated[int, Field(ge=1, le=100)] = 3
    default_cooldown: Annotated[float, Field(ge=SHORTEST_COOLDOWN_SECONDS, le=LONGEST_COOLDOWN_SECONDS)] = 60.0
    accounts: list[_Account] = []
    keys: Annotated[list[_Key], Field(min_length=1)]

    @field_validator("accounts", "keys")
    @classmethod
    def ids_are_unique(cls, listed: list[_Listed]) -> list[_Listed]:
        twice = sorted(name for name, count in Counter(each.id for each in listed).items() if count > 1)
        if twice:
            message = f"more than one has the id {', '.join(twice)}"
            raise ValueError(message)
        return listed

    @model_validator(mode="after")
    def accounts_are_listed(self) -> Self:
        named = {each.account for each in self.keys if each.account}
        unknown = sorted(named - {each.id for each in self.accounts})
        if unknown:
            message = f"keys name an account that is not listed: {', '.join(unknown)}"
            raise ValueError(message)
        return self


def read_key_file(path: Path) -> KeyFile:
    """The file's content; raises UnusableKeyFile."""
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return KeyFile.model_validate(content)
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read: {error}"
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = f"{path} is not YAML{f', line {mark.line + 1}' if mark else ''}."
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors()]
        message = "\n".join([f"{path} is wrong:", *lines])
    raise UnusableKeyFile(message) from None


def import_keys(path: Path) -> int:
    """Take the file's accounts, keys and policy into the database, over those of the same ids; how many keys.

    What the file does not name stays as it is, but for the secrets of keys whose account has another address now.
    Limits of a key without an account are its own account's.
    """
    file = read_key_file(path)
    with transaction.atomic():
        accounts = {each.id: _store_account(each) for each in file.accounts}
        for key in file.keys:
            _store_key(key, accounts.get(key.account or ""))
        policy = {"strategy": file.strategy, "max_retry_per_key": file.max_retry_per_key}
        policy |= {"default_cooldown_seconds": file.default_cooldown, "imported_digest": _digest(path)}
        PoolPolicy.objects.update_or_create(pk=1, defaults=policy)
        pool_changed()
    return len(file.keys)


def import_if_changed(path: Path) -> int | None:
    """As `import_keys`, where there is such a file and it is another than the one imported last; else None."""
    if not path.is_file() or PoolPolicy.objects.filter(pk=1, imported_digest=_digest(path)).exists():
        return None
    return import_keys(path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _store_account(account: _Account) -> Account:
    for moved in Account.objects.filter(slug=account.id).exclude(base_url=account.base_url):
        forget_secrets(moved)
    reached = {"provider": account.provider, "base_url": account.base_url, "json_mode": account.json_mode}
    told = {**reached, **account.limits()}
    return Account.objects.update_or_create(slug=account.id, defaults=told)[0]


def _store_key(key: _Key, account: Account | None) -> None:
    own = key.limits() if account else _Limited(id=key.id).limits()
    if account is None:
        account = Account.objects.update_or_create(slug=key.id, defaults=key.limits())[0]
    told = {"account": account, "priority": key.priority, "weight": key.weight, "enabled": key.enabled}
    secret = _new_secret(key)
    ApiKey.objects.update_or_create(slug=key.id, defaults={**told, **own, **secret})
    if secret:
        secret_changed(key.id)


def _new_secret(key: _Key) -> dict[str, Any]:
    """Nothing where the key's secret is that of before; to a new one no refusal of the old applies."""
    told, kept = secret_fields(key.api_key), ApiKey.objects.filter(slug=key.id).first()
    told_key = ApiKey(slug=key.id, **told)
    is_same = kept and kept.secret_variable == told_key.secret_variable and secret_of(kept) == secret_of(told_key)
    return {} if is_same else {**told, **UNREFUSED}


def secret_fields(secret: SecretStr) -> dict[str, str]:
    """Where a key's secret is kept: `${NAME}` stays in that environment variable, anything else is encrypted."""
    if variable := _variable_in(secret):
        return {"secret_variable": variable, "secret_encrypted": ""}
    plain = secret.get_secret_value().strip()
    return {"secret_variable": "", "secret_encrypted": encrypt(plain, key=settings.FIELD_KEY)}


def names_a_setting(secret: SecretStr) -> bool:
    """Whether it names a variable that holds no key but a setting of the service, perhaps a password."""
    return settings.ENVIRONMENT.is_own(_variable_in(secret))


def _variable_in(secret: SecretStr) -> str:
    """NAME of `${NAME}`; "" of anything else."""
    found = _VARIABLE.match(secret.get_secret_value().strip())
    return found[1] if found else ""
