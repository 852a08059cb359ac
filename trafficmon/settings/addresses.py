"""Addresses as operators write them: refused at start, by the setting's name, where nobody could be reached by them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import AfterValidator

_ALLOWED_HOST = re.compile(r"\*|\.?[\w-]+(\.[\w-]+)*|\[[0-9A-Fa-f:.]+\]")


def address(*schemes: str, example: str, without: str = "") -> AfterValidator:
    """Nothing, or what `check_address` lets through."""
    return AfterValidator(lambda value: value and check_address(value, *schemes, example=example, without=without))


def check_address(value: str, *schemes: str, example: str, without: str = "") -> str:
    """The address; ValueError unless it begins with one of `schemes` and names a host, or for `unix` a path.

    Nobody is asked. It may have none of the signs in `without`.
    """
    if re.search(r"\s", value) or set(value) & set(without) or not _leads_somewhere(value, schemes):
        message = f"use an address such as {example}"
        raise ValueError(message)
    return value


def _leads_somewhere(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        leads = parts.path if parts.scheme == "unix" else parts.hostname and parts.port != 0
    except ValueError:  # a port that there is not, brackets that do not close
        return False
    return parts.scheme in schemes and bool(leads)


def is_allowed_host(name: str) -> bool:
    """Whether Django could ever find it in a request: a bare name or number, without scheme, port or path."""
    return _ALLOWED_HOST.fullmatch(name) is not None
