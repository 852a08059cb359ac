"""Pictures on their way from a camera to detection: kept in Redis for a while, at most one frame waiting per camera."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

import redis
from django.conf import settings

from trafficmon.core.clock import read_moment
from trafficmon.core.ids import new_token

WAKE_SECONDS = 15
"""A wake-up that is older than this is taken for lost, and another may be sent."""
HELD_SECONDS = 4
"""A worker that has held a frame for longer without a word is taken for dead."""
UNSERVED_SECONDS = 3
"""A camera whose wake-up is neither queued nor with a worker after this long needs another."""
TRACKS_SECONDS = 60
_LONGEST_HELD_SECONDS = 60
"""After which a held frame is set aside even where nothing sweeps, so that its camera goes on."""

_WAITING, _IN_HAND, _SERVED = "cameras:waiting", "cameras:in_hand", "cameras:served"
_ABANDONED = "cameras:abandoned"

# KEYS: the camera's waiting frame and its frame in hand; for all cameras since when they wait for a worker, since when
# a worker holds their frame, and when the latest wake-up was sent that has come to a worker (all ms); the frames set
# aside, by taking. ARGV[1] is the camera. Redis's own clock decides, which all hosts share.
_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_OFFER = (
    _NOW
    + """
local waiting = redis.call('HMGET', KEYS[1], 'ref', 'at')
local replaced = waiting[1]
if waiting[1] and tonumber(waiting[2]) > tonumber(ARGV[4]) then
  replaced = ARGV[3]
else
  redis.call('HSET', KEYS[1], 'key', ARGV[2], 'ref', ARGV[3], 'at', ARGV[4])
end
local since = redis.call('ZSCORE', KEYS[3], ARGV[1])
if since and tonumber(since) > now - ARGV[5] then
  return {0, replaced}
end
redis.call('ZADD', KEYS[3], now, ARGV[1])
local held = redis.call('HMGET', KEYS[2], 'ref', 'taking')
if held[2] and tonumber(redis.call('ZSCORE', KEYS[4], ARGV[1]) or 0) <= now - ARGV[6] then
  redis.call('HSET', KEYS[6], held[2], held[1])
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[4], ARGV[1])
end
return {1 - redis.call('EXISTS', KEYS[2]), replaced}
"""
)

_TAKE = (
    _NOW
    + """
if redis.call('EXISTS', KEYS[2]) == 1 then
  return false
end
local since = tonumber(redis.call('ZSCORE', KEYS[3], ARGV[1]) or 0)
redis.call('ZREM', KEYS[3], ARGV[1])
local ref = redis.call('HGET', KEYS[1], 'ref')
if ref then
  if since > tonumber(redis.call('GET', KEYS[5]) or 0) then
    redis.call('SET', KEYS[5], string.format('%.0f', since))
  end
  redis.call('RENAME', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[2], 'taking', ARGV[2])
  redis.call('ZADD', KEYS[4], now + ARGV[3], ARGV[1])
end
return ref
"""
)

_HOLD = (
    _NOW
    + """
if redis.call('HGET', KEYS[2], 'taking') ~= ARGV[2] then
  return 0
end
redis.call('ZADD', KEYS[4], now, ARGV[1])
return 1
"""
)

# What it leaves waiting: `now` where the caller sends the wake-up, 0 where the next offer or the sweeper has to.
_FINISH = (
    _NOW
    + """
if redis.call('HGET', KEYS[2], 'taking') ~= ARGV[2] then
  return 0
end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[4], ARGV[1])
local waits = redis.call('EXISTS', KEYS[1])
if waits == 1 then
  redis.call('ZADD', KEYS[3], ARGV[3] == '1' and now or 0, ARGV[1])
end
return waits
"""
)

_GIVE_BACK = (
    _NOW
    + """
if redis.call('HDEL', KEYS[6], ARGV[2]) == 1 then
  return {1, 0}
end
local since = tonumber(redis.call('ZSCORE', KEYS[4], ARGV[1]) or now)
if redis.call('HGET', KEYS[2], 'taking') ~= ARGV[2] or since > now - ARGV[4] then
  return {0, 0}
end
redis.call('ZREM', KEYS[4], ARGV[1])
local dropped = 1
if redis.call('EXISTS', KEYS[1]) == 1 or tonumber(redis.call('HGET', KEYS[2], 'at')) < tonumber(ARGV[3]) then
  redis.call('DEL', KEYS[2])
else
  redis.call('RENAME', KEYS[2], KEYS[1])
  redis.call('HDEL', KEYS[1], 'taking')
  dropped = 0
end
local waits = redis.call('EXISTS', KEYS[1])
if waits == 1 then
  redis.call('ZADD', KEYS[3], now, ARGV[1])
end
return {dropped, waits}
"""
)

# ARGV: the frame and its taking. From the seventh on, KEYS are those of its pictures.
_FORGET = """
local waits = redis.call('HGET', KEYS[1], 'key') == ARGV[1]
local held = redis.call('HMGET', KEYS[2], 'key', 'taking')
if waits or (held[1] == ARGV[1] and held[2] ~= ARGV[2]) then
  return 0
end
return redis.call('DEL', unpack(KEYS, 7))
"""


@dataclass(frozen=True, slots=True)
class FrameRef:
    """A pointer to the frame to detect; `burst` holds the keys of all frames sampled with it, in time order.

    `moments` are when each frame of the burst was captured, the last one at `captured_at`. `evidence_key` is that of
    the same frame as the camera's main stream has it, where detection runs on another. `taking` names the one time that
    it was taken by which it is in hand: the same frame taken again is another's.
    """

    camera_id: int
    frame_key: str
    captured_at: datetime
    burst: tuple[str, ...] = ()
    moments: tuple[datetime, ...] = ()
    evidence_key: str = ""
    taking: str = field(default="", compare=False)

    @property
    def picture_keys(self) -> frozenset[str]:
        """The keys of all its pictures."""
        return frozenset(filter(None, (self.frame_key, *self.burst, self.evidence_key)))

    def to_json(self) -> str:
        """What `from_json` reads, which is of no taking; the moment is in ISO 8601."""
        return json.dumps(
            {
                "camera_id": self.camera_id,
                "frame_key": self.frame_key,
                "captured_at": self.captured_at.isoformat(),
                "burst": self.burst,
                "moments": [each.isoformat() for each in self.moments],
                "evidence_key": self.evidence_key,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> FrameRef:
        """The reference that `to_json` spelled; raises ValueError, KeyError or TypeError for anything else."""
        fields = json.loads(text)
        return cls(
            int(fields["camera_id"]),
            str(fields["frame_key"]),
            read_moment(fields["captured_at"]),
            tuple(map(str, fields["burst"])),
            # Left out by older versions, whose frames may wait while workers are exchanged.
            tuple(map(read_moment, fields.get("moments", ()))),
            str(fields.get("evidence_key", "")),
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """What became of an offered frame: whether a wake-up is to be sent, and the frame given up, if any.

    The one given up is the older of the two: the frame that waited, or the offered one where a newer already waits.
    """

    wake: bool
    replaced: FrameRef | None


@dataclass(frozen=True, slots=True)
class Returned:
    """What became of a frame in hand that was given up: whether it is lost, and whether a wake-up is to be sent.

    Neither where its worker is at it again, or has finished it meanwhile.
    """

    dropped: bool
    wake: bool


class FrameStore:
    """Frames by key; of each camera the newest frame waiting for detection and the one in a worker's hand.

    Every step is one atomic command, so that a frame is always waiting, in hand, or somebody's to count.
    """

    def __init__(self, client: redis.Redis, *, keep_seconds: float = 75) -> None:
        self.client = client
        self._keep_ms = round(keep_seconds * 1000)
        self._detecting_seconds = 0.0
        self._offer = client.register_script(_OFFER)
        self._take = client.register_script(_TAKE)
        self._hold = client.register_script(_HOLD)
        self._finish = client.register_script(_FINISH)
        self._give_back = client.register_script(_GIVE_BACK)
        self._forget = client.register_script(_FORGET)

    def put(self, frame_key: str, jpeg: bytes) -> None:
        """Keep a JPEG for `keep_seconds`."""
        self.client.set(f"frame:{frame_key}", jpeg, px=self._keep_ms)

    def put_all(self, jpegs: Mapping[str, bytes]) -> None:
        """Keep all of them, in one go."""
        with self.client.pipeline(transaction=False) as pipeline:
            for frame_key, jpeg in jpegs.items():
                pipeline.set(f"frame:{frame_key}", jpeg, px=self._keep_ms)
            pipeline.execute()

    def get(self, frame_key: str) -> bytes | None:
        """The JPEG, or None when its time is over."""
        return cast("bytes | None", self.client.get(f"frame:{frame_key}"))

    def get_all(self, frame_keys: Sequence[str]) -> dict[str, bytes]:
        """The JPEGs whose time is not over, by key."""
        found = cast("list[bytes | None]", self.client.mget([f"frame:{key}" for key in frame_keys]))
        return {key: jpeg for key, jpeg in zip(frame_keys, found, strict=True) if jpeg is not None}

    def keep_longer(self, ref: FrameRef) -> None:
        """Keep a frame's pictures for `keep_seconds` from now."""
        with self.client.pipeline(transaction=False) as pipeline:
            for frame_key in sorted(ref.picture_keys):
                pipeline.pexpire(f"frame:{frame_key}", self._keep_ms)
            pipeline.execute()

    def forget(self, ref: FrameRef) -> None:
        """Free the pictures of a frame that was given up before its time, unless it waits or is in another's hand."""
        pictures = [f"frame:{key}" for key in sorted(ref.picture_keys)]
        self._forget(keys=[*_keys(ref.camera_id), *pictures], args=(ref.frame_key, ref.taking))

    def forget_all(self, frame_keys: Iterable[str]) -> None:
        """Free pictures that nobody will ask for any more."""
        names = [f"frame:{key}" for key in frame_keys]
        if names:
            self.client.delete(*names)

    def offer(self, ref: FrameRef) -> Offer:
        """Let `ref` wait for detection; the newest replaces the one still waiting.

        A wake-up is due only when none is outstanding for the camera. A frame that was in hand for longer than
        _LONGEST_HELD_SECONDS is set aside for whoever sweeps next to count.
        """
        camera_id, at = ref.camera_id, ref.captured_at.timestamp()
        limits = (WAKE_SECONDS * 1000, _LONGEST_HELD_SECONDS * 1000)
        arguments = (camera_id, ref.frame_key, ref.to_json(), at, *limits)
        wake, replaced = cast("list[Any]", self._offer(keys=_keys(camera_id), args=arguments))
        return Offer(wake=bool(wake), replaced=FrameRef.from_json(replaced) if replaced else None)

    def take(self, camera_id: int) -> FrameRef | None:
        """The newest waiting frame, in the caller's hand until `finish`; None while another is in hand."""
        more_ms = round(max(2 * self._detecting_seconds - HELD_SECONDS, 0) * 1000)
        taking = new_token()
        ref = cast("bytes | None", self._take(keys=_keys(camera_id), args=(camera_id, taking, more_ms)))
        return _taken(ref, taking) if ref else None

    def note_duration(self, seconds: float) -> None:
        """Detecting a frame has taken so long here: the next ones may stay in hand for twice as long."""
        self._detecting_seconds = max(seconds, 0.9 * self._detecting_seconds)

    def hold(self, ref: FrameRef) -> bool:
        """Whether `ref` is still in the caller's hand, which it then is for another HELD_SECONDS."""
        return bool(self._hold(keys=_keys(ref.camera_id), args=(ref.camera_id, ref.taking)))

    def finish(self, ref: FrameRef, *, waking: bool = True) -> bool:
        """Whether another frame waits, for which the caller sends the wake-up; else the next offer asks for it.

        A caller that cannot send it says `waking=False`. Nothing changes where `ref` is no longer in hand.
        """
        arguments = (ref.camera_id, ref.taking, int(waking))
        return bool(self._finish(keys=_keys(ref.camera_id), args=arguments))

    def overdue(self) -> list[FrameRef]:
        """The frames set aside or in hand for longer than HELD_SECONDS: their workers may be dead."""
        before = self._now_ms() - HELD_SECONDS * 1000
        cameras = cast("list[bytes]", self.client.zrangebyscore(_IN_HAND, "-inf", before))
        held = [self.client.hmget(_keys(int(each))[1], "taking", "ref") for each in cameras]
        aside = cast("dict[bytes, bytes]", self.client.hgetall(_ABANDONED))
        found = [*cast("list[tuple[bytes | None, bytes | None]]", held), *aside.items()]
        return [_taken(ref, taking.decode()) for taking, ref in found if taking and ref]

    def give_back(self, ref: FrameRef, *, fresh_after: datetime) -> Returned:
        """Let an overdue frame wait again, unless a newer one does, or it is older than `fresh_after` or set aside."""
        arguments = (ref.camera_id, ref.taking, fresh_after.timestamp(), HELD_SECONDS * 1000)
        dropped, wake = cast("list[int]", self._give_back(keys=_keys(ref.camera_id), args=arguments))
        return Returned(dropped=bool(dropped), wake=bool(wake))

    def unserved(self, *, queued: int) -> list[int]:
        """The cameras whose wake-up must be lost, longest waiting first.

        Where messages are still `queued`, it is lost when one that was sent later has come to a worker; else all are.
        """
        served = int(cast("bytes | None", self.client.get(_SERVED)) or 0)
        before = (served if queued else self._now_ms()) - UNSERVED_SECONDS * 1000
        in_hand = set(cast("list[bytes]", self.client.zrange(_IN_HAND, 0, -1)))
        waiting = cast("list[bytes]", self.client.zrangebyscore(_WAITING, "-inf", max(before, 0)))
        return [int(camera) for camera in waiting if camera not in in_hand]

    def longest_wait_seconds(self) -> float:
        """For how long the camera that waits longest for a worker has done so since it was last woken; 0: none."""
        waiting = cast("list[tuple[bytes, float]]", self.client.zrange(_WAITING, 0, 0, withscores=True))
        return max(0.0, (self._now_ms() - waiting[0][1]) / 1000) if waiting else 0.0

    def expect(self, camera_ids: Sequence[int]) -> None:
        """Note that wake-ups are sent to these cameras now."""
        if camera_ids:
            self.client.zadd(_WAITING, dict.fromkeys(map(str, camera_ids), self._now_ms()), xx=True)

    def _now_ms(self) -> int:
        seconds, microseconds = self.client.time()
        return seconds * 1000 + microseconds // 1000

    def load_tracks(self, camera_id: int) -> bytes | None:
        """The tracker's state as it was last saved, or None when that is too long ago."""
        return cast("bytes | None", self.client.get(f"camera:{camera_id}:tracks"))

    def save_tracks(self, camera_id: int, state: bytes) -> None:
        """Keep the tracker's state for TRACKS_SECONDS: it is of no use to a frame much later."""
        self.client.set(f"camera:{camera_id}:tracks", state, ex=TRACKS_SECONDS)

    def pause(self, camera_id: int, seconds: float) -> None:
        """Let the camera's next frame wait: after a high risk the same scene need not be judged again at once."""
        if seconds > 0:
            self.client.set(f"camera:{camera_id}:pause", "1", px=max(round(seconds * 1000), 1))

    def pause_left(self, camera_id: int) -> float:
        """Seconds until the camera's next frame is wanted; 0 when it is wanted now."""
        return max(self.client.pttl(f"camera:{camera_id}:pause"), 0) / 1000


def _keys(camera_id: int) -> tuple[str, ...]:
    return f"camera:{camera_id}:waiting", f"camera:{camera_id}:in_hand", _WAITING, _IN_HAND, _SERVED, _ABANDONED


def _taken(ref: bytes, taking: str) -> FrameRef:
    return replace(FrameRef.from_json(ref), taking=taking)


@lru_cache(maxsize=1)
def connect_redis() -> redis.Redis:
    """The process's client of settings.REDIS_URL; a server that stops answering is noticed within seconds."""
    url = settings.REDIS_URL
    over_network = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return redis.Redis.from_url(
        url, socket_timeout=5, socket_connect_timeout=5, health_check_interval=30, **over_network
    )
