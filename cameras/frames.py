"""Pictures on their way from a camera to detection: kept in Redis for a while, at most one frame waiting per camera."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

import redis
from django.conf import settings

from trafficmon.core.clock import read_moment

WAKE_SECONDS = 15
"""A wake-up that is older than this is taken for lost, and another may be sent."""
TRACKS_SECONDS = 60

_OFFER = """
local waiting = redis.call('HMGET', KEYS[1], 'ref', 'at')
local replaced = waiting[1]
if waiting[1] and tonumber(waiting[2]) > tonumber(ARGV[2]) then
  replaced = ARGV[1]
else
  redis.call('HSET', KEYS[1], 'ref', ARGV[1], 'at', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
local wake = redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[4])
return {wake and 1 or 0, replaced}
"""

_TAKE = """
local ref = redis.call('HGET', KEYS[1], 'ref')
if ref then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
end
return ref
"""

_FINISH = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
  return 1
end
redis.call('DEL', KEYS[2])
return 0
"""


@dataclass(frozen=True, slots=True)
class FrameRef:
    """A pointer to the frame to detect; `burst` holds the keys of all frames sampled with it, in time order.

    `moments` are when each frame of the burst was captured, the last one at `captured_at`.
    """

    camera_id: int
    frame_key: str
    captured_at: datetime
    burst: tuple[str, ...] = ()
    moments: tuple[datetime, ...] = ()

    def to_json(self) -> str:
        """What `from_json` reads; the moment is in ISO 8601."""
        return json.dumps(
            {
                "camera_id": self.camera_id,
                "frame_key": self.frame_key,
                "captured_at": self.captured_at.isoformat(),
                "burst": self.burst,
                "moments": [each.isoformat() for each in self.moments],
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
            tuple(map(read_moment, fields["moments"])),
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """What became of an offered frame: whether a wake-up is to be sent, and the frame given up, if any.

    The one given up is the older of the two: the frame that waited, or the offered one where a newer already waits.
    """

    wake: bool
    replaced: FrameRef | None


class FrameStore:
    """Frames by key, and of each camera the newest frame waiting for detection. Every step is one atomic command."""

    def __init__(self, client: redis.Redis, *, keep_seconds: float = 75) -> None:
        self.client = client
        self._keep_ms = round(keep_seconds * 1000)
        self._offer = client.register_script(_OFFER)
        self._take = client.register_script(_TAKE)
        self._finish = client.register_script(_FINISH)

    def put(self, frame_key: str, jpeg: bytes) -> None:
        """Keep a JPEG for `keep_seconds`."""
        self.client.set(f"frame:{frame_key}", jpeg, px=self._keep_ms)

    def get(self, frame_key: str) -> bytes | None:
        """The JPEG, or None when its time is over."""
        return cast("bytes | None", self.client.get(f"frame:{frame_key}"))

    def forget(self, ref: FrameRef) -> None:
        """Free the pictures of a frame that was given up before its time."""
        self.forget_all({ref.frame_key, *ref.burst})

    def forget_all(self, frame_keys: Iterable[str]) -> None:
        """Free pictures that nobody will ask for any more."""
        names = [f"frame:{key}" for key in frame_keys]
        if names:
            self.client.delete(*names)

    def offer(self, ref: FrameRef) -> Offer:
        """Let `ref` wait for detection; the newest replaces the one still waiting.

        A wake-up is due only when none is outstanding for the camera.
        """
        arguments = (ref.to_json(), ref.captured_at.timestamp(), self._keep_ms, WAKE_SECONDS * 1000)
        wake, replaced = cast("list[Any]", self._offer(keys=_keys(ref.camera_id), args=arguments))
        return Offer(wake=bool(wake), replaced=FrameRef.from_json(replaced) if replaced else None)

    def take(self, camera_id: int) -> FrameRef | None:
        """The newest waiting frame, which then no longer waits; whoever takes it must call `finish`."""
        ref = cast("bytes | None", self._take(keys=_keys(camera_id), args=(WAKE_SECONDS * 1000,)))
        return FrameRef.from_json(ref) if ref else None

    def finish(self, camera_id: int) -> bool:
        """Whether another frame waits, so that the caller sends the next wake-up; else the next offer asks for it."""
        return bool(self._finish(keys=_keys(camera_id), args=(WAKE_SECONDS * 1000,)))

    def release(self, camera_id: int) -> None:
        """Let the next offer ask for a wake-up, whatever became of the last one."""
        self.client.delete(_keys(camera_id)[1])

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


def _keys(camera_id: int) -> tuple[str, str]:
    return f"camera:{camera_id}:waiting", f"camera:{camera_id}:busy"


@lru_cache(maxsize=1)
def connect_redis() -> redis.Redis:
    """The process's client of settings.REDIS_URL; a server that stops answering is noticed within seconds."""
    url = settings.REDIS_URL
    over_network = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return redis.Redis.from_url(
        url, socket_timeout=5, socket_connect_timeout=5, health_check_interval=30, **over_network
    )
