"""Several capture processes share the cameras: equal shares, one owner each, and a successor within seconds."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from cameras.frames import FrameStore
from cameras.models import Camera, CameraQuerySet, StreamState, Wanted
from cameras.ownership import Ownership, renewing
from tests.capturing import Seen, capturing, running, threads_of, wait_until
from tests.clips import write_clip

pytestmark = [pytest.mark.integration]

LAPSING_SECONDS = 2.0


@pytest.fixture(autouse=True)
def long_ownership(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing lapses because the machine is slow: what another takes over was given up."""
    monkeypatch.setattr("cameras.ownership.OWNERSHIP_SECONDS", 60.0)


@pytest.fixture
def short_ownership(long_ownership: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cameras.ownership.OWNERSHIP_SECONDS", LAPSING_SECONDS)


def shares(members: list[Ownership], wanted: list[int], rounds: int = 4) -> list[frozenset[int]]:
    """What each process reads once all have kept their share a few times."""
    for _round in range(rounds - 1):
        for member in members:
            member.keep(wanted)
    return [member.keep(wanted).mine for member in members]


@pytest.mark.parametrize(
    ("processes", "sizes"), [(1, [7]), (2, [3, 4]), (3, [2, 2, 3]), (9, [0, 0, 1, 1, 1, 1, 1, 1, 1])]
)
def test_ownership_shares_cameras_equally(redis_client: redis.Redis, processes: int, sizes: list[int]) -> None:
    members = [Ownership(redis_client, most=50) for _process in range(processes)]
    kept = shares(members, [1, 2, 3, 4, 5, 6, 7])
    assert sorted(map(len, kept)) == sizes
    assert sorted(number for each in kept for number in each) == [1, 2, 3, 4, 5, 6, 7]


def test_ownership_moves_no_camera_without_need(redis_client: redis.Redis) -> None:
    first, second = (Ownership(redis_client, most=50) for _process in range(2))
    before = shares([first, second], [1, 2, 3, 4])
    assert shares([first, second], [1, 2, 3, 4, 5, 6], rounds=3)[0] >= before[0]


def test_ownership_gives_a_new_process_its_share(redis_client: redis.Redis) -> None:
    first, second = (Ownership(redis_client, most=50) for _process in range(2))
    assert first.keep([1, 2, 3, 4]).mine == {1, 2, 3, 4}
    assert second.keep([1, 2, 3, 4]).mine == set()
    assert first.keep([1, 2, 3, 4]).mine == {1, 2}
    assert second.keep([1, 2, 3, 4]).mine == {3, 4}


def test_ownership_that_is_given_up_is_taken_at_once(redis_client: redis.Redis) -> None:
    first, second = (Ownership(redis_client, most=50) for _process in range(2))
    first.keep([1, 2])
    first.leave()
    share = second.keep([1, 2])
    assert (share.mine, share.members) == (frozenset({1, 2}), 1)


def test_last_process_to_leave_is_told_so(redis_client: redis.Redis) -> None:
    first, second, dead = (Ownership(redis_client, most=50) for _process in range(3))
    for each in (first, second, dead):
        each.keep([1, 2])
    redis_client.zadd("capture:members", {dead.name: 1})
    assert (first.leave(), second.leave()) == (False, True)
    assert redis_client.keys("*owner") == []


def test_ownership_that_is_renewed_stays(redis_client: redis.Redis) -> None:
    first, second = (Ownership(redis_client, most=50) for _process in range(2))
    first.keep([1, 2])
    for number in (1, 2):
        redis_client.pexpire(f"camera:{number}:owner", 30_000)
    first.renew()
    assert [redis_client.pttl(f"camera:{number}:owner") > 30_000 for number in (1, 2)] == [True, True]
    share = second.keep([1, 2])
    assert (share.mine, share.members) == (frozenset(), 2)


@pytest.mark.usefixtures("short_ownership")
@pytest.mark.parametrize("leaves", [True, False])
def test_renewal_brings_nothing_back(redis_client: redis.Redis, leaves: bool) -> None:
    first, second = (Ownership(redis_client, most=50) for _process in range(2))
    first.keep([1, 2])
    if leaves:
        first.leave()
    else:
        redis_client.flushdb()
    assert second.keep([1, 2]).mine == {1, 2}
    first.renew()
    assert second.keep([1, 2]).members == 1
    wait_until(lambda: not first.is_held())


@pytest.mark.usefixtures("short_ownership")
def test_process_that_does_no_work_is_not_renewed(redis_client: redis.Redis) -> None:
    first, second = (Ownership(redis_client, most=50) for _process in range(2))
    first.keep([1])
    with renewing(first, is_at_work=lambda: False):
        wait_until(lambda: second.keep([1]).mine == {1})


@pytest.mark.usefixtures("short_ownership")
def test_ownership_of_a_silent_process_lapses(redis_client: redis.Redis) -> None:
    first, second = (Ownership(redis_client, most=50) for _process in range(2))
    began = time.monotonic()
    first.keep([1, 2])
    assert first.is_held()
    wait_until(lambda: second.keep([1, 2]).mine == {1, 2})
    assert not first.is_held()
    assert time.monotonic() - began > LAPSING_SECONDS - 0.5


def test_ownership_stays_as_it_was_while_redis_is_away(redis_client: redis.Redis) -> None:
    class Away(Ownership):
        def go_away(self) -> None:
            self._share = redis.Redis.from_url("redis://127.0.0.1:1/0").register_script("return 1")

    owner = Away(redis_client, most=50)
    owner.keep([1, 2])
    owner.go_away()
    assert owner.keep([2, 3]).mine == {2}


@limits(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wanted=st.sets(st.integers(1, 12)).map(sorted),
    rounds=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30),
    most=st.integers(1, 12),
)
def test_ownership_is_of_one_process_and_within_the_limit(
    redis_client: redis.Redis, wanted: list[int], rounds: list[tuple[int, bool]], most: int
) -> None:
    redis_client.flushdb()
    members = [Ownership(redis_client, most=most) for _process in range(4)]
    for who, leaves in rounds:
        held = members[who].keep(wanted).mine
        if leaves:
            members[who].leave()
        found = {number: redis_client.get(f"camera:{number}:owner") for number in wanted}
        assert sum(owner is not None for owner in found.values()) <= most
        mine = {number for number, owner in found.items() if owner == members[who].name.encode()}
        assert mine == (set() if leaves else held)


@pytest.fixture
def videos(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    folder = tmp_path / "videos"
    folder.mkdir()
    write_clip(folder / "road.mp4")
    return folder


@pytest.fixture
def store(redis_client: redis.Redis) -> FrameStore:
    return FrameStore(redis_client)


def wait_until_renewed(client: redis.Redis, camera: Camera) -> None:
    """Until its owner, whom half of the time is taken away, has all of it again."""
    client.pexpire(f"camera:{camera.pk}:owner", 30_000)
    wait_until(lambda: client.pttl(f"camera:{camera.pk}:owner") > 30_000)


def reads(seen: Seen, camera: Camera, *, count: int = 2) -> bool:
    return len(seen.of(camera)) >= count


@pytest.mark.django_db(transaction=True)
def test_capture_hands_half_of_its_cameras_to_one_that_joins(videos: Path, store: FrameStore) -> None:
    cameras = [running(f"road {number}") for number in range(4)]
    with capturing(store) as first:
        wait_until(lambda: all(reads(first, camera) for camera in cameras))
        with capturing(store) as second:
            wait_until(lambda: sum(reads(second, camera) for camera in cameras) == 2)
            wait_until(lambda: all(threads_of(camera) == 1 for camera in cameras))
            joined = [camera for camera in cameras if second.of(camera)]
            count = len(second.frames)
            wait_until(lambda: len(second.frames) > count + 4)
            assert [camera for camera in cameras if second.of(camera)] == joined
        states = Camera.objects.values_list("state", flat=True)
        wait_until(lambda: set(states.all()) == {StreamState.ONLINE})


@pytest.mark.django_db(transaction=True)
def test_capture_takes_over_from_one_that_stopped(videos: Path, store: FrameStore) -> None:
    camera = running("road")
    with ExitStack() as first_at_work:
        first = first_at_work.enter_context(capturing(store))
        wait_until(lambda: first.of(camera))
        with capturing(store) as second:
            wait_until(lambda: store.client.zcard("capture:members") == 2)
            first_at_work.close()
            wait_until(lambda: second.of(camera), seconds=30)
            wait_until(lambda: Camera.objects.get(pk=camera.pk).state == StreamState.ONLINE)


@pytest.mark.django_db(transaction=True)
def test_capture_keeps_its_cameras_while_the_database_hangs(
    videos: Path, store: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = running("road")
    answers, asked = threading.Event(), threading.Event()
    answers.set()

    def hang(cameras: CameraQuerySet) -> CameraQuerySet:
        if not answers.is_set():
            asked.set()
            answers.wait(120)
        return cameras.filter(wanted=Wanted.RUNNING)

    monkeypatch.setattr(type(Camera.objects), "wanted_running", hang)
    with capturing(store) as seen, ExitStack() as at_end:
        at_end.callback(answers.set)
        wait_until(lambda: reads(seen, camera))
        answers.clear()
        assert asked.wait(60)
        for _renewal in range(3):
            wait_until_renewed(store.client, camera)
        assert Ownership(store.client, most=50).keep([camera.pk]).mine == frozenset()
        count = len(seen.of(camera))
        wait_until(lambda: len(seen.of(camera)) > count)


@pytest.mark.django_db(transaction=True)
def test_last_capture_to_end_says_so_of_all_cameras(videos: Path, store: FrameStore) -> None:
    """The other process ended a moment before: nobody has taken its camera over."""
    cameras = [running(f"road {number}") for number in range(2)]
    other = Ownership(store.client, most=50)
    with capturing(store):
        wait_until(lambda: len(other.keep([each.pk for each in cameras]).mine) == 1)
        wait_until(lambda: Camera.objects.filter(state=StreamState.ONLINE).exists())
        Camera.objects.update(state=StreamState.ONLINE)
        other.leave()
    states = Camera.objects.values_list("state", "last_error")
    assert list(states) == 2 * [(StreamState.OFFLINE, "Capture is not running.")]


@pytest.mark.django_db(transaction=True)
def test_capture_that_leaves_others_behind_says_nothing_of_its_cameras(videos: Path, store: FrameStore) -> None:
    camera = running("road")
    with capturing(store):
        wait_until(lambda: Camera.objects.get(pk=camera.pk).state == StreamState.ONLINE)
        Ownership(store.client, most=50).keep([])
    assert Camera.objects.get(pk=camera.pk).state == StreamState.ONLINE


@pytest.mark.django_db(transaction=True)
def test_capture_lets_go_of_a_camera_that_another_owns(
    videos: Path, store: FrameStore, redis_client: redis.Redis
) -> None:
    camera = running("road")
    with capturing(store) as seen:
        wait_until(lambda: Camera.objects.get(pk=camera.pk).state == StreamState.ONLINE)
        redis_client.set(f"camera:{camera.pk}:owner", "another")
        redis_client.zadd("capture:members", {"another": (time.time() + 60) * 1000})
        wait_until(lambda: not threads_of(camera))
        told = list(seen.states)
    assert seen.states == told
    assert redis_client.get(f"camera:{camera.pk}:owner") == b"another"


def test_threads_that_keep_at_once_leave_no_camera_twice(redis_client: redis.Redis) -> None:
    members = [Ownership(redis_client, most=20) for _process in range(5)]
    wanted = list(range(1, 21))
    threads = [threading.Thread(target=lambda member=member: shares([member], wanted, rounds=20)) for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    kept = shares(members, wanted)
    assert sorted(number for each in kept for number in each) == wanted
