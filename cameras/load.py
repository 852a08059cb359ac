"""What all capture processes offer and all detection workers take, counted in Redis, and the pace that follows from it.

Redis's own clock decides which second a frame belongs to: hosts need not agree on the time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import redis

from cameras.pacing import MOST_WINDOW_SECONDS, Load, Pace, next_pace, roll_call_seconds, window_seconds

PACE_SECONDS = 15
"""A pace that nobody renews ends after this: where the schedule is dead, cameras go back to their own interval."""
LOOK_SECONDS = 1.0
"""Two looks are never closer: several sweeps at once count as one."""
SKIPPED_SECONDS = 3600
"""What a camera had skipped is counted by the hour, and the hour before is kept."""
PACE_KEY = "load:pace"
_CAMERAS = "load:cameras"
"""When each camera offered a frame last."""
_INTERVALS = "load:intervals"
"""The seconds between a camera's frames, where nothing is stretched."""

_PRELUDE = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bucket = 'load:' .. time[1]
local function count(field)
  redis.call('HINCRBY', bucket, field, 1)
  redis.call('EXPIRE', bucket, {MOST_WINDOW_SECONDS + 10})
end
local function offered(camera)
  count('offered')
  redis.call('ZADD', '{_CAMERAS}', now, camera)
  redis.call('EXPIRE', '{_CAMERAS}', {SKIPPED_SECONDS})
end
local function skip(camera, reason)
  local hour = 'camera:' .. camera .. ':skipped:' .. math.floor(time[1] / {SKIPPED_SECONDS})
  redis.call('HINCRBY', hour, reason, 1)
  redis.call('EXPIRE', hour, {2 * SKIPPED_SECONDS})
end
"""
# KEYS[1] says since when a camera waits for its turn; ARGV: the camera, then what happened.
_OFFERED = f"""
offered(ARGV[1])
redis.call('HSET', '{_INTERVALS}', ARGV[1], ARGV[3])
redis.call('EXPIRE', '{_INTERVALS}', {SKIPPED_SECONDS})
if ARGV[2] == '1' then
  count('given_up')
  skip(ARGV[1], 'superseded')
else
  redis.call('SET', KEYS[1], now, 'EX', 60)
end
"""
_TAKEN = """
count('taken')
local since = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
if since then
  local waited, least = now - since, redis.call('HGET', bucket, 'least_wait_ms')
  if not least or waited < tonumber(least) then
    redis.call('HSET', bucket, 'least_wait_ms', waited)
  end
end
"""
_SKIPPED = """
skip(ARGV[1], ARGV[2])
if ARGV[2] == 'behind' then
  offered(ARGV[1])
end
if ARGV[2] == 'stale' or ARGV[2] == 'behind' then
  count('given_up')
end
"""


def note_offered(client: redis.Redis, camera_id: int, *, replaced: bool, interval_seconds: float) -> None:
    """Count a frame that was offered for detection, and the one it gave the camera to give up, if it did.

    `interval_seconds` is the camera's own, not stretched.
    """
    _run(client, _OFFERED, camera_id, int(replaced), str(interval_seconds))


def note_taken(client: redis.Redis, camera_id: int) -> None:
    """Count a frame that a detection worker took, and how long its camera had waited for that."""
    _run(client, _TAKEN, camera_id)


def note_skipped(client: redis.Redis, camera_id: int, reason: str) -> None:
    """Count a frame that was given up for another reason than a newer one."""
    _run(client, _SKIPPED, camera_id, reason)


def _run(client: redis.Redis, script: str, camera_id: int, *arguments: int | str) -> None:
    client.register_script(_PRELUDE + script)(keys=[f"camera:{camera_id}:in_line"], args=[camera_id, *arguments])


def skipped_of(client: redis.Redis, *camera_ids: int) -> tuple[datetime, Mapping[str, int]]:
    """How many frames of the cameras were given up, by reason, and since when: that was one to two hours ago."""
    hour = client.time()[0] // SKIPPED_SECONDS
    counts: dict[str, int] = {}
    with client.pipeline(transaction=False) as asked:
        for camera_id in camera_ids:
            for each in (hour - 1, hour):
                asked.hgetall(f"camera:{camera_id}:skipped:{each}")
        rows = cast("list[dict[bytes, bytes]]", asked.execute())
    for reason, count in (pair for kept in rows for pair in kept.items()):
        counts[reason.decode()] = counts.get(reason.decode(), 0) + int(count)
    return datetime.fromtimestamp((hour - 1) * SKIPPED_SECONDS, UTC), counts


def load_of(client: redis.Redis, *, seconds: int) -> Load:
    """What happened in the last whole `seconds`, over the whole fleet; its cameras are not counted."""
    now = client.time()[0]
    with client.pipeline(transaction=False) as pipe:
        for second in range(now - seconds, now):
            pipe.hmget(f"load:{second}", "offered", "taken", "given_up", "least_wait_ms")
        rows = cast("list[list[bytes | None]]", pipe.execute())
    waits = [int(row[3]) / 1000 for row in rows if row[3] is not None]
    offered, taken, given_up = (sum(int(row[place] or 0) for row in rows) for place in range(3))
    return Load(offered, taken, given_up, min(waits, default=0.0))


def cameras_present(client: redis.Redis, pace: Pace, *, interval_seconds: float) -> int:
    """How many cameras offered a frame as lately as they have to, each at its own interval.

    `interval_seconds` is that of cameras of which none is known.
    """
    now = client.time()[0]
    offered = cast("list[tuple[bytes, float]]", client.zrange(_CAMERAS, 0, -1, withscores=True))
    own = cast("dict[bytes, bytes]", client.hgetall(_INTERVALS))
    silences = ((now - at_ms / 1000, float(own.get(camera, interval_seconds))) for camera, at_ms in offered)
    return sum(silence <= roll_call_seconds(pace, interval) for silence, interval in silences)


def current_stretch(client: redis.Redis) -> float:
    """By what every camera's interval is to be multiplied now, 1 at least."""
    return _pace_of(client).stretch


def _pace_of(client: redis.Redis) -> Pace:
    return read_pace(cast("bytes | None", client.get(PACE_KEY)))


def read_pace(kept: bytes | str | None) -> Pace:
    """The pace found under PACE_KEY; nothing there is no stretch."""
    try:
        return Pace(**json.loads(kept)) if kept else Pace()
    except (TypeError, ValueError):  # another version's
        return Pace()


def adjust_pace(client: redis.Redis, *, interval_seconds: float) -> tuple[Pace, Pace]:
    """Decide the pace anew from the last seconds' figures and keep it; what it was and what it is."""
    before = _pace_of(client)
    if not client.set(f"{PACE_KEY}:look", "1", nx=True, px=round(LOOK_SECONDS * 1000)):
        return before, before
    seconds, microseconds = client.time()
    present = cameras_present(client, before, interval_seconds=interval_seconds)
    load = replace(load_of(client, seconds=window_seconds(before, interval_seconds)), cameras=present)
    after = next_pace(before, load, now=seconds + microseconds / 1e6, interval_seconds=interval_seconds)
    client.set(PACE_KEY, json.dumps(asdict(after)), ex=timedelta(seconds=PACE_SECONDS))
    return before, after
