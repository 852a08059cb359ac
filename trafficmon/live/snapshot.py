"""What a page needs at once when it opens: each camera's newest frame, its last verdict, and its alerts, in Redis."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from trafficmon.live.messages import AlertMessage, AssessmentResult, DetectionResult

KEEP_SECONDS = 300
ALERTS_KEPT = 100
ALERTS_KEEP_SECONDS = 86_400

_SET_IF_NOT_OLDER = """
local kept = redis.call("GET", KEYS[1])
if kept and cjson.decode(kept)[ARGV[1]] > ARGV[2] then return 0 end
redis.call("SET", KEYS[1], ARGV[3], "EX", ARGV[4])
return 1
"""
"""Two workers may finish two frames of a camera in the wrong order. Moments are spelled so that text sorts by time."""


def latest_key(camera_id: int) -> str:
    return f"camera:{camera_id}:latest"


def verdict_key(camera_id: int) -> str:
    return f"camera:{camera_id}:verdict"


def alerts_key(camera_id: int) -> str:
    return f"alerts:{camera_id}"


def keep_latest(client: redis.Redis, result: DetectionResult) -> bool:
    """Keep the frame unless a newer one of its camera is kept already; whether it was kept."""
    arguments = ("timestamp", result.timestamp, result.as_json(), KEEP_SECONDS)
    return bool(client.eval(_SET_IF_NOT_OLDER, 1, latest_key(result.camera_id), *arguments))


def keep_verdict(client: redis.Redis, verdict: AssessmentResult) -> None:
    """Keep the camera's last verdict, and write it into the kept frame where it belongs or precedes it."""
    arguments = ("frameTimestamp", verdict.frame_timestamp or "", verdict.as_json(), KEEP_SECONDS)
    client.eval(_SET_IF_NOT_OLDER, 1, verdict_key(verdict.camera_id), *arguments)
    latest = load_latest(client, verdict.camera_id)
    if latest:
        keep_latest(client, latest)


def load_latest(client: redis.Redis, camera_id: int) -> DetectionResult | None:
    """The camera's newest frame with its last verdict, without its picture."""
    return read_latest(client.mget(latest_key(camera_id), verdict_key(camera_id)))


def read_latest(kept: Sequence[bytes | str | None]) -> DetectionResult | None:
    """The frame and the verdict found under `latest_key` and `verdict_key`, put together."""
    latest, verdict = kept
    if latest is None:
        return None
    return DetectionResult.model_validate_json(latest).with_verdict(
        AssessmentResult.model_validate_json(verdict) if verdict else None
    )


def last_verdict(client: redis.Redis, camera_id: int) -> AssessmentResult | None:
    kept = client.get(verdict_key(camera_id))
    return AssessmentResult.model_validate_json(kept) if kept else None


def keep_alert(client: redis.Redis, alert: AlertMessage) -> None:
    """Add the change to the camera's list, newest first."""
    key = alerts_key(alert.camera_id)
    with client.pipeline() as pipeline:
        pipeline.lpush(key, alert.as_json())
        pipeline.ltrim(key, 0, ALERTS_KEPT - 1)
        pipeline.expire(key, ALERTS_KEEP_SECONDS)
        pipeline.execute()
