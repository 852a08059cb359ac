"""One request to the back office, signed with ALGO_JWT_SECRET where there is one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import requests
from django.conf import settings

from trafficmon.core.clock import utc_now

SECONDS = (5.0, 20.0)
"""To connect, and between two pieces of the answer."""
MOST_BYTES = 20_000_000
GOOD_FOR_SECONDS = 300
_FINE = {0, 200, "0", "200", None}
"""Codes in an envelope that say that all is well."""


class BackOfficeRefused(Exception):
    """The back office did not answer, or not as it should; the message says what to look at."""


def ask(method: str, path: str, *, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
    """What it answers, taken out of an envelope `{"code", "data"}` where there is one; raises BackOfficeRefused."""
    url = f"{settings.ENVIRONMENT.backend_base_url.rstrip('/')}/{path}"
    try:
        with requests.request(
            method, url, json=body, headers={**_signed(), **(headers or {})}, timeout=SECONDS, stream=True,
            allow_redirects=False,
        ) as answer:  # fmt: skip
            content = answer.raw.read(MOST_BYTES + 1, decode_content=True)
            return _read(answer.status_code, content)
    except (requests.RequestException, OSError) as error:
        message = f"The back office could not be reached at {url}: {type(error).__name__}. See ALGO_BACKEND_BASE_URL."
        raise BackOfficeRefused(message) from None


def _read(status: int, content: bytes) -> Any:
    if not 200 <= status < 300:
        hint = " See ALGO_JWT_SECRET and ALGO_JWT_HEADER." if status in {401, 403} else ""
        message = f"The back office answered with HTTP {status}.{hint}"
        raise BackOfficeRefused(message)
    if len(content) > MOST_BYTES:
        raise BackOfficeRefused("The back office's answer is longer than 20 MB.")
    if not content.strip():
        return None
    try:
        told = json.loads(content)
    except ValueError:
        raise BackOfficeRefused("The back office's answer is no JSON.") from None
    return _unwrapped(told)


def _unwrapped(told: Any) -> Any:
    """What is in the envelope, where there is one."""
    if not isinstance(told, dict) or not told.keys() & {"code", "data"}:
        return told
    if told.get("code") not in _FINE:
        message = f"The back office refused with code {str(told.get('code'))[:20]}: {str(told.get('msg', ''))[:200]}"
        raise BackOfficeRefused(message)
    return told.get("data")


def _signed() -> dict[str, str]:
    environment = settings.ENVIRONMENT
    secret = environment.jwt_secret.get_secret_value()
    if not secret:
        return {}
    token = sign(secret, {"iss": "trafficmon", "sub": "algo"})
    is_usual = environment.jwt_header.lower() == "authorization"
    return {environment.jwt_header: f"Bearer {token}" if is_usual else token}


def sign(secret: str, claims: Mapping[str, object]) -> str:
    """A JSON Web Token (RFC 7519) signed with HMAC-SHA256, good from now on for five minutes."""
    now = int(utc_now().timestamp())
    parts = ({"alg": "HS256", "typ": "JWT"}, {**claims, "iat": now, "exp": now + GOOD_FOR_SECONDS})
    text = ".".join(_packed(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{text}.{_packed(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())}"


def _packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
