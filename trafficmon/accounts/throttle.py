"""How often somebody may try a password, counted in Redis for all web processes together.

A try is counted before the password is looked at, so that many at once are no way around it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network

import redis
import structlog
from django.conf import settings

log = structlog.get_logger()

WINDOW_SECONDS = 900
MOST_BY_ONE_AT_A_NAME = 5
MOST_BY_ONE = 50
"""From one address, at whatever names: behind it may be a room full of operators."""
MOST_AT_A_NAME = 100
"""From everywhere together."""

_COUNT = """
local wait, begins = 0, 0
for place, key in ipairs(KEYS) do
  local count = redis.call("INCR", key)
  if count == 1 then redis.call("EXPIRE", key, ARGV[1]) end
  local most = tonumber(ARGV[1 + place])
  if count > most then wait = math.max(wait, redis.call("TTL", key)) end
  if count == most + 1 then begins = 1 end
end
return {wait, begins}
"""
_GIVE_BACK = """
redis.call("DEL", KEYS[1])
for place = 2, #KEYS do
  if redis.call("EXISTS", KEYS[place]) == 1 then redis.call("DECR", KEYS[place]) end
end
"""


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


@dataclass(frozen=True, slots=True)
class Wait:
    """Nobody may try again for so long; `begins` is true of the first who is told so."""

    seconds: int
    begins: bool


def count_try(name: str, address: str | None) -> Wait | None:
    """Count a try; how long to wait where there have been too many. Without Redis nobody is kept out."""
    limits = (MOST_BY_ONE_AT_A_NAME, MOST_BY_ONE, MOST_AT_A_NAME)
    try:
        seconds, begins = _client().eval(_COUNT, 3, *_keys(name, address), WINDOW_SECONDS, *limits)
    except redis.RedisError as error:
        log.warning("sign_in.not_throttled", error=str(error))
        return None
    return Wait(seconds, bool(begins)) if seconds else None


def give_back(name: str, address: str | None) -> None:
    """The password was right: the try counts no longer, nor do those before it from there at this name."""
    try:
        _client().eval(_GIVE_BACK, 3, *_keys(name, address))
    except redis.RedisError as error:
        log.warning("sign_in.not_given_back", error=str(error))


def _keys(name: str, address: str | None) -> tuple[str, str, str]:
    place = _network(address) if address else "unknown"
    whom = hashlib.sha256(name.lower().encode()).hexdigest()[:32]
    return f"sign_in:{place}:{whom}", f"sign_in:{place}", f"sign_in:at:{whom}"


def _network(address: str) -> str:
    """An IPv4 address; of IPv6 the network that one customer has, who may change the address at will."""
    bits = 64 if ":" in address else 32
    return str(ip_network((address, bits), strict=False).network_address)
