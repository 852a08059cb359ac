"""Which capture process reads which camera: each is owned by one process of the fleet, in equal shares."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import redis
import structlog

from trafficmon.core.ids import new_token

log = structlog.get_logger()

OWNERSHIP_SECONDS = 4.0
"""A process that says nothing for so long has lost its cameras to the others."""
RENEWAL_SECONDS = 1.0
_MEMBERS = "capture:members"

_SHARE = """
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local me, ttl_ms, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms)
redis.call('ZADD', KEYS[1], now_ms + ttl_ms, me)
local names = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(names)
local members, cameras = #names, #KEYS - 1
local readable = math.min(cameras, most)
local share = math.floor(readable / members)
for rank, name in ipairs(names) do
  if name == me and rank <= readable % members then share = share + 1 end
end
local owned, mine, free = 0, {}, {}
for place = 1, cameras do
  local key = KEYS[place + 1]
  local owner = redis.call('GET', key)
  if owner == me and #mine >= share then
    redis.call('DEL', key)
    owner = false
  elseif owner == me then
    redis.call('PEXPIRE', key, ttl_ms)
    mine[#mine + 1] = place
  elseif not owner then
    free[#free + 1] = place
  end
  if owner then owned = owned + 1 end
end
local left = {}
for _, place in ipairs(free) do
  if owned >= most then
    left[#left + 1] = place
  elseif #mine < share then
    redis.call('SET', KEYS[place + 1], me, 'PX', ttl_ms)
    mine[#mine + 1] = place
    owned = owned + 1
  end
end
return {mine, members, left}
"""

# A process that has left, or was silent for too long, is not made a member again by this, nor an owner.
_RENEW = """
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms)
redis.call('ZADD', KEYS[1], 'XX', now_ms + ARGV[2], ARGV[1])
local renewed = 0
for place = 2, #KEYS do
  if redis.call('GET', KEYS[place]) == ARGV[1] then
    redis.call('PEXPIRE', KEYS[place], ARGV[2])
    renewed = renewed + 1
  end
end
return renewed
"""

# Says how many processes are left.
_GIVE_UP = """
for place = 2, #KEYS do
  if redis.call('GET', KEYS[place]) == ARGV[1] then redis.call('DEL', KEYS[place]) end
end
if ARGV[2] == '1' then redis.call('ZREM', KEYS[1], ARGV[1]) end
local now = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], '(' .. now[1] * 1000 + math.floor(now[2] / 1000), '+inf')
"""


@dataclass(frozen=True, slots=True)
class Share:
    """The cameras this process reads, how many processes capture, and the cameras that are too many for all of them."""

    mine: frozenset[int]
    members: int = 1
    too_many: frozenset[int] = frozenset()


class Ownership:
    """This process's part in capture. What is not kept for OWNERSHIP_SECONDS falls to the other processes.

    Shares are equal: whoever has more than its own gives the rest up, so that a process that joins is given work and
    one that leaves is replaced. Over all processes at most `most` cameras are owned, and they stay those that are.
    """

    def __init__(self, client: redis.Redis, *, most: int) -> None:
        self._most = most
        self.name = new_token()
        self._share = client.register_script(_SHARE)
        self._renew = client.register_script(_RENEW)
        self._give_up = client.register_script(_GIVE_UP)
        self._last = Share(frozenset())
        self._held_until = float("-inf")

    def keep(self, wanted: Sequence[int]) -> Share:
        """Our share of the wanted cameras, for OWNERSHIP_SECONDS from now; while Redis is away it stays as it was."""
        began = time.monotonic()
        try:
            self.give_up(sorted(self._last.mine - set(wanted)))
            arguments = (self.name, round(OWNERSHIP_SECONDS * 1000), self._most)
            mine, members, left = self._share(keys=[_MEMBERS, *map(_key, wanted)], args=arguments)
        except redis.RedisError as error:
            log.warning("capture.ownership_unknown", error=type(error).__name__)
            return Share(self._last.mine & frozenset(wanted), self._last.members)
        share = Share(_at(mine, wanted), int(members), _at(left, wanted))
        self._held_until = began + OWNERSHIP_SECONDS
        if (len(share.mine), share.members) != (len(self._last.mine), self._last.members):
            log.info("capture.share", cameras=len(share.mine), processes=share.members)
        self._last = share
        return share

    def renew(self) -> None:
        """Keep what is ours for OWNERSHIP_SECONDS from now; our share stays as it is. From any thread."""
        began, mine = time.monotonic(), sorted(self._last.mine)
        try:
            arguments = (self.name, round(OWNERSHIP_SECONDS * 1000))
            renewed = int(self._renew(keys=[_MEMBERS, *map(_key, mine)], args=arguments))
        except redis.RedisError as error:
            log.warning("capture.ownership_unknown", error=type(error).__name__)
            return
        if mine and renewed == len(mine):
            self._held_until = max(self._held_until, began + OWNERSHIP_SECONDS)

    def is_held(self) -> bool:
        """Whether what was ours still is: others may have it where our share could not be kept in time."""
        return time.monotonic() < self._held_until

    def give_up(self, camera_ids: Sequence[int]) -> None:
        """Let others have these cameras at once; raises redis.RedisError."""
        if camera_ids:
            self._give_up(keys=[_MEMBERS, *map(_key, camera_ids)], args=(self.name, 0))
        self._last = Share(self._last.mine - frozenset(camera_ids), self._last.members)

    def leave(self) -> bool:
        """Let others have all that is ours, and our share; whether nobody captures any more, as far as is known."""
        mine, self._last = sorted(self._last.mine), Share(frozenset(), self._last.members)
        try:
            return int(self._give_up(keys=[_MEMBERS, *map(_key, mine)], args=(self.name, 1))) == 0
        except redis.RedisError as error:
            log.warning("capture.ownership_unknown", error=type(error).__name__)
            return self._last.members == 1


def members(client: redis.Redis) -> frozenset[str]:
    """The names of the capture processes of all hosts that were there within the last OWNERSHIP_SECONDS."""
    seconds, microseconds = client.time()
    now_ms = seconds * 1000 + microseconds // 1000
    found = cast("list[bytes]", client.zrangebyscore(_MEMBERS, f"({now_ms}", "+inf"))
    return frozenset(name.decode() for name in found)


@contextmanager
def renewing(ownership: Ownership, *, is_at_work: Callable[[], bool]) -> Iterator[None]:
    """Keep what is ours from a thread of its own, however long the process's other work waits for a database.

    While it `is_at_work` no more nothing is renewed, and others take over.
    """
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEWAL_SECONDS):
            if is_at_work():
                ownership.renew()

    thread = threading.Thread(target=renew, name="ownership", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(RENEWAL_SECONDS)  # Redis may be away; what is renewed late is no longer ours


def _at(places: Sequence[int], wanted: Sequence[int]) -> frozenset[int]:
    return frozenset(wanted[place - 1] for place in places)


def _key(camera_id: int) -> str:
    return f"camera:{camera_id}:owner"


def capture_processes(client: redis.Redis) -> int:
    """How many processes capture now; raises RedisError."""
    seconds, microseconds = client.time()
    return int(client.zcount(_MEMBERS, seconds * 1000 + microseconds // 1000, "+inf"))
