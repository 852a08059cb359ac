"""The fleet's figures in Redis, and the pace kept there."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
import redis

from cameras.load import (
    PACE_SECONDS,
    adjust_pace,
    cameras_present,
    current_stretch,
    load_of,
    note_offered,
    note_skipped,
    note_taken,
    read_pace,
    skipped_of,
)
from cameras.pacing import Load, Pace

pytestmark = pytest.mark.integration


def next_second(client: redis.Redis) -> None:
    """Wait until the current second of Redis's clock is over: figures are of whole seconds."""
    _seconds, microseconds = client.time()
    time.sleep(1 - microseconds / 1e6)


def note_offer(client: redis.Redis, camera_id: int, *, replaced: bool = False, interval: float = 1.8) -> None:
    note_offered(client, camera_id, replaced=replaced, interval_seconds=interval)


def overload(client: redis.Redis, *, seconds: int) -> None:
    """Let the last `seconds` look as if twice as much had been offered as was taken."""
    now = client.time()[0]
    for second in range(now - seconds, now):
        client.hset(f"load:{second}", mapping={"offered": 20, "taken": 10, "given_up": 10, "least_wait_ms": 900})


def test_load_adds_up_what_was_offered_taken_and_given_up(redis_client: redis.Redis) -> None:
    for camera_id, replaced in ((1, False), (1, True), (2, False)):
        note_offer(redis_client, camera_id, replaced=replaced)
    note_taken(redis_client, 1)
    note_skipped(redis_client, 2, "stale")
    note_skipped(redis_client, 2, "unreadable")
    next_second(redis_client)
    redis_client.hset(f"load:{redis_client.time()[0] - 100}", "offered", 20)
    load = load_of(redis_client, seconds=60)
    assert (load.offered, load.taken, load.given_up) == (3, 1, 2)


def test_roll_call_counts_the_cameras_that_offered_lately(redis_client: redis.Redis) -> None:
    for camera_id in (1, 1, 2):
        note_offer(redis_client, camera_id, replaced=False)
    note_skipped(redis_client, 3, "behind")
    note_skipped(redis_client, 4, "late")
    note_taken(redis_client, 1)
    assert cameras_present(redis_client, Pace(), interval_seconds=1.8) == 3
    redis_client.zincrby("load:cameras", -5000, "2")
    assert cameras_present(redis_client, Pace(), interval_seconds=1.8) == 2


def test_camera_is_present_for_its_own_interval_stretched_as_all_are(redis_client: redis.Redis) -> None:
    """As capture hands it on: every ten seconds, where the installation's is 1.8."""
    note_offer(redis_client, 1, interval=10.0)
    note_offer(redis_client, 2, interval=1.8)
    redis_client.zincrby("load:cameras", -11_000, "1")
    redis_client.zincrby("load:cameras", -11_000, "2")
    assert cameras_present(redis_client, Pace(), interval_seconds=1.8) == 1
    redis_client.zincrby("load:cameras", -12_000, "1")
    assert cameras_present(redis_client, Pace(), interval_seconds=1.8) == 0
    assert cameras_present(redis_client, Pace(stretch=2.0), interval_seconds=1.8) == 1


def test_pace_knows_how_many_cameras_there_are(redis_client: redis.Redis) -> None:
    overload(redis_client, seconds=10)
    note_offer(redis_client, 1, interval=30.0)
    redis_client.zincrby("load:cameras", -25_000, "1")
    redis_client.set("load:pace", json.dumps(asdict(Pace(troubled_since=1.0))))
    _before, after = adjust_pace(redis_client, interval_seconds=1.8)
    assert after.cameras == 1


def test_wait_of_a_camera_counts_from_the_first_frame_that_waited(redis_client: redis.Redis) -> None:
    note_offer(redis_client, 1, replaced=False)
    redis_client.decrby("camera:1:in_line", 4000)
    note_offer(redis_client, 1, replaced=True)
    note_taken(redis_client, 1)
    next_second(redis_client)
    assert 4 <= load_of(redis_client, seconds=60).least_wait_seconds < 8


def test_least_wait_is_of_the_luckiest_camera(redis_client: redis.Redis) -> None:
    for camera_id, waited in ((1, 80_000), (2, 20_000), (3, 50_000)):
        note_offer(redis_client, camera_id, replaced=False)
        redis_client.decrby(f"camera:{camera_id}:in_line", waited)
        note_taken(redis_client, camera_id)
    next_second(redis_client)
    assert 20 <= load_of(redis_client, seconds=60).least_wait_seconds < 40


def test_figures_leave_nothing_behind(redis_client: redis.Redis) -> None:
    note_offer(redis_client, 1, replaced=False)
    note_offer(redis_client, 1, replaced=True)
    adjust_pace(redis_client, interval_seconds=1.8)
    assert [key for key in redis_client.scan_iter() if redis_client.ttl(key) < 0] == []


def test_skipped_frames_are_counted_by_camera_and_reason(redis_client: redis.Redis) -> None:
    note_offer(redis_client, 1, replaced=True)
    note_skipped(redis_client, 1, "stale")
    note_skipped(redis_client, 1, "stale")
    note_skipped(redis_client, 2, "lost")
    since, counts = skipped_of(redis_client, 1)
    assert counts == {"superseded": 1, "stale": 2}
    assert timedelta(hours=1) <= datetime.now(UTC) - since <= timedelta(hours=2, seconds=1)


def test_skipped_frames_of_the_hour_before_still_count(redis_client: redis.Redis) -> None:
    hour = redis_client.time()[0] // 3600
    redis_client.hset(f"camera:1:skipped:{hour - 1}", "stale", 3)
    note_skipped(redis_client, 1, "stale")
    assert skipped_of(redis_client, 1)[1] == {"stale": 4}


def test_stretch_is_one_while_nobody_looks(redis_client: redis.Redis) -> None:
    overload(redis_client, seconds=20)
    assert current_stretch(redis_client) == 1.0


def test_overload_stretches_the_interval_once_it_lasts(redis_client: redis.Redis) -> None:
    overload(redis_client, seconds=10)
    before, after = adjust_pace(redis_client, interval_seconds=1.8)
    assert (before.stretch, after.stretch, after.troubled_since is None) == (1.0, 1.0, False)
    redis_client.delete("load:pace:look")
    redis_client.set("load:pace", json.dumps(asdict(replace(after, troubled_since=1.0))))
    before, after = adjust_pace(redis_client, interval_seconds=1.8)
    assert before.stretch == 1.0
    assert after.stretch == pytest.approx(2.2**0.5)
    assert current_stretch(redis_client) == after.stretch


def test_two_looks_at_once_are_one(redis_client: redis.Redis) -> None:
    overload(redis_client, seconds=10)
    adjust_pace(redis_client, interval_seconds=1.8)
    kept = redis_client.get("load:pace")
    before, after = adjust_pace(redis_client, interval_seconds=1.8)
    assert (before, redis_client.get("load:pace")) == (after, kept)


def test_pace_that_nobody_renews_ends(redis_client: redis.Redis) -> None:
    adjust_pace(redis_client, interval_seconds=1.8)
    assert 0 < redis_client.ttl("load:pace") <= PACE_SECONDS


def test_reading_that_falls_behind_is_load_and_a_single_lagging_camera_is_not(redis_client: redis.Redis) -> None:
    for reason in ("behind", "late", "late"):
        note_skipped(redis_client, 1, reason)
    next_second(redis_client)
    load = load_of(redis_client, seconds=60)
    assert (load.offered, load.given_up) == (1, 1)
    assert skipped_of(redis_client, 1)[1] == {"behind": 1, "late": 2}


@pytest.mark.parametrize("kept", [b"rubbish", b'{"of_another_version": 1}', None])
def test_pace_that_cannot_be_read_is_none(kept: bytes | None) -> None:
    assert read_pace(kept) == Pace()


def test_nothing_happened_is_no_load(redis_client: redis.Redis) -> None:
    assert load_of(redis_client, seconds=20) == Load()
