"""Frames waiting for detection, on a real Redis."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import cast

import pytest
import redis
from django.conf import settings

from cameras.frames import (
    HELD_SECONDS,
    UNSERVED_SECONDS,
    WAKE_SECONDS,
    FrameRef,
    FrameStore,
    Offer,
    Returned,
    connect_redis,
)

pytestmark = pytest.mark.integration
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def store(redis_client: redis.Redis) -> FrameStore:
    return FrameStore(redis_client)


def frame(number: int, *, camera_id: int = 1) -> FrameRef:
    return FrameRef(camera_id, f"key-{number}", NOON + timedelta(milliseconds=number), (f"key-{number}",))


def taken(store: FrameStore, camera_id: int = 1) -> FrameRef:
    """The camera's waiting frame, now in the caller's hand."""
    ref = store.take(camera_id)
    assert ref
    return ref


def test_store_gives_back_the_jpeg(store: FrameStore) -> None:
    store.put("one", b"\xff\xd8jpeg")
    assert store.get("one") == b"\xff\xd8jpeg"
    assert store.get("another") is None


def test_store_keeps_a_jpeg_for_its_time_only(redis_client: redis.Redis) -> None:
    FrameStore(redis_client, keep_seconds=7.5).put("one", b"jpeg")
    assert 7_000 < redis_client.pttl("frame:one") <= 7_500


def test_store_keeps_a_jpeg_beyond_the_deadline_of_its_assessment_and_no_longer(
    store: FrameStore, redis_client: redis.Redis
) -> None:
    store.put("one", b"jpeg")
    deadline_seconds = settings.ENVIRONMENT.assessment_deadline_seconds
    assert (deadline_seconds + 14) * 1000 < redis_client.pttl("frame:one") <= (deadline_seconds + 15) * 1000


def test_store_forgets_every_picture_of_a_burst(store: FrameStore, redis_client: redis.Redis) -> None:
    for key in ("a", "b", "c"):
        store.put(key, b"jpeg")
    store.forget(FrameRef(1, "c", NOON, ("a", "b", "c")))
    assert redis_client.keys("frame:*") == []


def test_offer_asks_for_one_wake_up_only(store: FrameStore) -> None:
    assert store.offer(frame(1)) == Offer(wake=True, replaced=None)
    assert store.offer(frame(2)) == Offer(wake=False, replaced=frame(1))
    assert store.take(1) == frame(2)


def test_offer_of_an_older_frame_gives_that_up(store: FrameStore) -> None:
    store.offer(frame(2))
    assert store.offer(frame(1)) == Offer(wake=False, replaced=frame(1))
    assert store.take(1) == frame(2)


def test_cameras_wait_apart(store: FrameStore) -> None:
    assert store.offer(frame(1, camera_id=1)).wake
    assert store.offer(frame(2, camera_id=2)) == Offer(wake=True, replaced=None)
    assert store.take(1) == frame(1, camera_id=1)


def test_take_leaves_nothing_waiting(store: FrameStore) -> None:
    store.offer(frame(1))
    assert store.take(1) == frame(1)
    assert store.take(1) is None


def test_take_of_nothing_leaves_the_camera_free(store: FrameStore) -> None:
    assert store.take(1) is None
    assert store.offer(frame(1)).wake


def test_finish_passes_the_wake_up_on_while_a_frame_waits(store: FrameStore) -> None:
    store.offer(frame(1))
    first = taken(store)
    assert store.offer(frame(2)) == Offer(wake=False, replaced=None)
    assert store.finish(first)
    assert not store.offer(frame(3)).wake
    assert not store.finish(taken(store))
    assert store.offer(frame(4)).wake


def test_finish_without_waking_leaves_that_to_the_next_offer(store: FrameStore) -> None:
    store.offer(frame(1))
    first = taken(store)
    store.offer(frame(2))
    assert store.finish(first, waking=False)
    assert store.offer(frame(3)).wake


def test_one_frame_of_a_camera_is_in_hand_at_a_time(store: FrameStore) -> None:
    store.offer(frame(1))
    first = taken(store)
    store.offer(frame(2))
    assert store.take(1) is None
    store.finish(first)
    assert store.take(1) == frame(2)


def test_lost_wake_up_is_replaced_after_its_time(store: FrameStore, redis_client: redis.Redis) -> None:
    store.offer(frame(1))
    grow_older(redis_client, "waiting", seconds=WAKE_SECONDS - 1)
    assert store.offer(frame(2)) == Offer(wake=False, replaced=frame(1))
    grow_older(redis_client, "waiting", seconds=1)
    assert store.offer(frame(3)) == Offer(wake=True, replaced=frame(2))


def grow_older(client: redis.Redis, what: str, *, seconds: float) -> None:
    """As if what waits or is in hand had been so for that much longer."""
    for camera in cast("list[bytes]", client.zrange(f"cameras:{what}", 0, -1)):
        client.zincrby(f"cameras:{what}", -round(seconds * 1000), camera)


def test_frame_is_overdue_when_its_worker_has_been_silent_too_long(
    store: FrameStore, redis_client: redis.Redis
) -> None:
    store.offer(frame(1))
    first = taken(store)
    grow_older(redis_client, "in_hand", seconds=HELD_SECONDS - 0.5)
    assert store.overdue() == []
    assert store.give_back(first, fresh_after=NOON) == Returned(dropped=False, wake=False)
    grow_older(redis_client, "in_hand", seconds=0.5)
    assert store.overdue() == [frame(1)]
    assert store.hold(first)
    assert store.overdue() == []


def test_overdue_frame_waits_again_while_it_is_fresh(store: FrameStore, redis_client: redis.Redis) -> None:
    store.offer(frame(1))
    first = taken(store)
    grow_older(redis_client, "in_hand", seconds=HELD_SECONDS)
    assert store.give_back(first, fresh_after=NOON) == Returned(dropped=False, wake=True)
    assert not store.offer(frame(0)).wake
    assert store.take(1) == frame(1)


def test_two_takers_of_a_frame_never_both_hold_it(store: FrameStore, redis_client: redis.Redis) -> None:
    store.put("key-1", b"jpeg")
    store.offer(frame(1))
    late = taken(store)
    grow_older(redis_client, "in_hand", seconds=HELD_SECONDS)
    [overdue] = store.overdue()
    store.give_back(overdue, fresh_after=NOON)
    store.forget(late)
    successor = taken(store)
    assert successor == late
    assert (store.hold(successor), store.hold(late)) == (True, False)
    grow_older(redis_client, "in_hand", seconds=HELD_SECONDS)
    assert store.give_back(late, fresh_after=NOON) == Returned(dropped=False, wake=False)
    store.forget(late)
    store.finish(late)
    assert store.get("key-1") == b"jpeg"
    assert store.hold(successor)
    store.forget(successor)
    assert store.get("key-1") is None


@pytest.mark.parametrize(
    ("newer_waits", "fresh_after", "wake"), [(True, NOON, True), (False, NOON + timedelta(seconds=1), False)]
)
def test_overdue_frame_is_lost_where_a_newer_one_waits_or_it_is_stale(
    store: FrameStore, redis_client: redis.Redis, newer_waits: bool, fresh_after: datetime, wake: bool
) -> None:
    store.offer(frame(1))
    first = taken(store)
    if newer_waits:
        store.offer(frame(2))
    grow_older(redis_client, "in_hand", seconds=HELD_SECONDS)
    assert store.give_back(first, fresh_after=fresh_after) == Returned(dropped=True, wake=wake)
    assert store.take(1) == (frame(2) if newer_waits else None)


def test_worker_that_was_taken_for_dead_changes_nothing(store: FrameStore, redis_client: redis.Redis) -> None:
    store.offer(frame(1))
    first = taken(store)
    grow_older(redis_client, "in_hand", seconds=HELD_SECONDS)
    store.offer(frame(2))
    store.give_back(first, fresh_after=NOON)
    second = taken(store)
    assert second == frame(2)
    assert not store.hold(first)
    assert not store.finish(first)
    assert store.give_back(first, fresh_after=NOON) == Returned(dropped=False, wake=False)
    assert store.take(1) is None
    assert store.hold(second)


def test_camera_goes_on_without_any_sweeper(store: FrameStore, redis_client: redis.Redis) -> None:
    store.offer(frame(1))
    first = taken(store)
    grow_older(redis_client, "in_hand", seconds=59)
    assert not store.offer(frame(2)).wake
    grow_older(redis_client, "in_hand", seconds=1)
    grow_older(redis_client, "waiting", seconds=WAKE_SECONDS)
    assert store.offer(frame(3)).wake
    assert store.take(1) == frame(3)
    assert not store.hold(first)


def test_frame_that_was_set_aside_is_given_up_once(store: FrameStore, redis_client: redis.Redis) -> None:
    store.offer(frame(1))
    first = taken(store)
    grow_older(redis_client, "in_hand", seconds=60)
    store.offer(frame(2))
    store.finish(first)
    [overdue] = store.overdue()
    assert overdue == first
    assert store.give_back(overdue, fresh_after=NOON) == Returned(dropped=True, wake=False)
    assert store.give_back(overdue, fresh_after=NOON) == Returned(dropped=False, wake=False)
    assert store.overdue() == []


def test_frame_in_hand_is_known_for_as_long_as_nothing_sweeps(store: FrameStore, redis_client: redis.Redis) -> None:
    store.offer(frame(1))
    taken(store)
    assert redis_client.ttl("camera:1:in_hand") == -1
    grow_older(redis_client, "in_hand", seconds=3600)
    assert store.overdue() == [frame(1)]


def test_cameras_are_unserved_when_no_message_is_left_for_them(store: FrameStore, redis_client: redis.Redis) -> None:
    for number in (1, 2):
        store.offer(frame(number, camera_id=number))
    assert store.unserved(queued=0) == []
    grow_older(redis_client, "waiting", seconds=UNSERVED_SECONDS)
    assert store.unserved(queued=1) == []
    assert store.unserved(queued=0) == [1, 2]
    store.expect([1, 2])
    assert store.unserved(queued=0) == []


def test_camera_is_unserved_when_later_messages_have_come_through(store: FrameStore, redis_client: redis.Redis) -> None:
    store.offer(frame(1, camera_id=1))
    grow_older(redis_client, "waiting", seconds=UNSERVED_SECONDS + 1)
    store.offer(frame(2, camera_id=2))
    store.offer(frame(3, camera_id=3))
    assert store.unserved(queued=2) == []
    store.take(2)
    assert store.unserved(queued=1) == [1]


def test_camera_whose_worker_failed_is_unserved_at_once(store: FrameStore) -> None:
    store.offer(frame(1))
    first = taken(store)
    store.offer(frame(2))
    store.finish(first, waking=False)
    assert store.unserved(queued=5) == [1]


def test_newest_wins_and_one_wakes_when_many_offer_at_once(store: FrameStore) -> None:
    offers: list[Offer] = []
    barrier = threading.Barrier(8)

    def offer_every_eighth(first: int) -> None:
        barrier.wait()
        offers.extend([store.offer(frame(number)) for number in range(first, 400, 8)])

    run_all([partial(offer_every_eighth, first) for first in range(8)])
    assert sum(offer.wake for offer in offers) == 1
    given_up = sorted(offer.replaced.captured_at for offer in offers if offer.replaced)
    assert given_up == [frame(number).captured_at for number in range(399)]
    assert store.take(1) == frame(399)


def test_every_frame_is_taken_or_given_up_once_while_others_take(store: FrameStore) -> None:
    """A producer and the chain of wake-ups it starts: nothing is lost or taken twice, none works beside another."""
    taken: list[FrameRef] = []
    given_up: list[FrameRef] = []
    wake_ups = threading.Semaphore(0)
    over = threading.Event()
    at_work = [0]

    def work() -> None:
        while wake_ups.acquire(timeout=60) and not over.is_set():
            at_work[0] += 1
            assert at_work[0] == 1
            ref = store.take(1)
            assert ref
            taken.append(ref)
            at_work[0] -= 1
            if store.finish(ref):
                wake_ups.release()

    def offer() -> None:
        for number in range(300):
            outcome = store.offer(frame(number))
            given_up.extend([outcome.replaced] if outcome.replaced else [])
            if outcome.wake:
                wake_ups.release()
        wait_until(lambda: len(taken) + len(given_up) == 300)
        over.set()
        for _ in range(3):
            wake_ups.release()

    run_all([work, work, work, offer])
    assert sorted(ref.captured_at for ref in taken + given_up) == [frame(number).captured_at for number in range(300)]
    assert taken[-1] == frame(299)


def test_tracks_are_kept_for_a_minute(store: FrameStore, redis_client: redis.Redis) -> None:
    assert store.load_tracks(1) is None
    store.save_tracks(1, b"state")
    assert store.load_tracks(1) == b"state"
    assert 59 <= redis_client.ttl("camera:1:tracks") <= 60


def test_pause_ends_by_itself(store: FrameStore) -> None:
    assert store.pause_left(1) == 0
    store.pause(1, 3)
    assert 2.5 < store.pause_left(1) <= 3
    assert store.pause_left(2) == 0


def test_pause_of_nothing_is_none(store: FrameStore) -> None:
    store.pause(1, 0)
    assert store.pause_left(1) == 0


def test_connect_redis_is_one_client_of_the_process() -> None:
    assert connect_redis() is connect_redis()


def test_connect_redis_gives_up_on_a_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", os.environ["REDIS_URL"])
    client = connect_redis.__wrapped__()
    assert client.ping()
    assert client.connection_pool.connection_kwargs["socket_timeout"] == 5


def test_connect_redis_keeps_network_connections_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "redis://192.0.2.1:6379/0")
    client = connect_redis.__wrapped__()
    assert client.connection_pool.connection_kwargs["socket_keepalive"] is True


def test_frame_ref_survives_json() -> None:
    moments = (NOON, NOON + timedelta(seconds=0.25), NOON + timedelta(seconds=0.5, microseconds=7))
    ref = replace(frame(1), burst=("a", "b", "key-1"), captured_at=moments[-1], moments=moments, evidence_key="e")
    assert FrameRef.from_json(ref.to_json()) == ref


def test_frame_ref_of_an_older_version_is_still_read() -> None:
    spelled = '{"camera_id": 1, "frame_key": "k", "captured_at": "2026-05-04T12:00:00+00:00", "burst": ["j", "k"]}'
    assert FrameRef.from_json(spelled) == FrameRef(1, "k", datetime(2026, 5, 4, 12, tzinfo=UTC), ("j", "k"))


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    done = threading.Event()
    for _ in range(round(seconds / 0.005)):
        if condition():
            return
        done.wait(0.005)
    pytest.fail("it did not happen in time")


def run_all(jobs: list[Callable[[], None]]) -> None:
    failures: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as failure:  # noqa: BLE001  # carried over to the test's own thread
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert failures == []
