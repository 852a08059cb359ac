"""Who asks: a key, and the account that it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credential:
    """A key and its account; without one it is an account of its own."""

    key: str
    account_name: str = ""

    @property
    def account(self) -> str:
        """Whose limits are used. Not to be told: it may be the key itself."""
        return self.account_name or self.key

    @property
    def told_key(self) -> str:
        """As much of the key as may be told."""
        return f"…{self.key[-6:]}"

    @property
    def told_account(self) -> str:
        """What the account is called in counts and in faults."""
        return self.account_name or self.told_key


def read_keys(keys: Iterable[str]) -> dict[str, Credential]:
    """The credentials by their keys, each given as `SECRET` or `SECRET@ACCOUNT`."""
    split = (each.partition("@") for each in keys)
    return {key: Credential(key, account) for key, _at, account in split}
