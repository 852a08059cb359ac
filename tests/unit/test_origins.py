"""Which pages may open the live feed."""

from __future__ import annotations

import pytest

from trafficmon.live.origins import is_welcome

HOSTS = ["desk.example", ".city.example"]
ORIGINS = ["https://front.example"]


@pytest.mark.parametrize(
    ("host", "origin", "welcome"),
    [
        (b"desk.example", b"http://desk.example", True),
        (b"desk.example:5000", b"http://desk.example:5000", True),
        (b"desk.example", b"https://desk.example:443", True),
        (b"desk.example:5000", b"http://desk.example:5001", False),
        (b"desk.example", b"http://evil.example", False),
        (b"desk.example", b"null", False),
        (b"desk.example", b"http://desk.example:x", False),
        (b"desk.example", b"https://front.example", True),
        (b"desk.example", b"http://front.example", False),
        (b"desk.example", None, True),
        (b"north.city.example", b"http://north.city.example", True),
        (b"evil.example", b"http://evil.example", False),
        (b"", b"http://desk.example", False),
    ],
)
def test_only_own_pages_and_named_origins_are_welcome(host: bytes, origin: bytes | None, *, welcome: bool) -> None:
    headers = [(b"host", host), *([(b"origin", origin)] if origin else [])]
    assert is_welcome(headers, hosts=HOSTS, origins=ORIGINS, has_ticket=True) is welcome


@pytest.mark.parametrize(
    ("origin", "welcome"), [(b"https://desk.example", True), (None, True), (b"https://front.example", False)]
)
def test_page_elsewhere_is_not_welcome_without_a_ticket(origin: bytes | None, *, welcome: bool) -> None:
    headers = [(b"host", b"desk.example"), *([(b"origin", origin)] if origin else [])]
    assert is_welcome(headers, hosts=HOSTS, origins=ORIGINS) is welcome
