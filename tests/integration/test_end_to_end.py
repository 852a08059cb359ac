"""What the end-to-end check makes and deletes, and what it tells without a fleet."""

from __future__ import annotations

import pytest
import redis
from django.core.management import CommandError, call_command
from pytest_django import Settings

from cameras.frames import connect_redis
from cameras.models import CHECK_CAMERAS, Camera
from tests.factories import make_camera
from workers import end_to_end
from workers.end_to_end import Producer, clean_up, live_run, run_check
from workers.health import note_seen
from workers.queues import Queue

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def names() -> set[str]:
    return set(Camera.objects.values_list("name", flat=True))


def test_checks_side_by_side_have_cameras_of_their_own_and_delete_those_that_dead_ones_left(
    redis_client: redis.Redis,
) -> None:
    street = make_camera(name="Bridge")
    for left in ("1", "0a1b2c3d 1", "0a1b2c3d 2"):
        make_camera(name=f"{CHECK_CAMERAS} {left}", source="street://junction?seed=1")
    with live_run(seconds=1) as first, live_run(seconds=1) as second:
        theirs, ours = ({each.name for each in Producer(run, rate=2).cameras} for run in (first, second))
        assert (len(theirs), len(ours), theirs & ours) == (2, 2, set())
        clean_up(second)
        assert names() == {street.name, *theirs}
    clean_up("another")
    assert names() == {street.name}


@pytest.mark.usefixtures("redis_client")
def test_cameras_that_somebody_else_called_alike_stay() -> None:
    alike = {"of the bridge": "street://junction?seed=1", "0a1b2c3d 1": "street://junction?seed=2"}
    for name, source in alike.items():
        make_camera(name=f"{CHECK_CAMERAS} {name}", source=source)
    clean_up("0a1b2c3d")
    assert names() == {f"{CHECK_CAMERAS} {name}" for name in alike}


def test_run_that_died_is_over_after_a_while(redis_client: redis.Redis) -> None:
    with live_run(seconds=30) as run:
        assert 90 < redis_client.ttl(f"check:{run}:live") <= 160
    assert not redis_client.exists(f"check:{run}:live")


def test_what_was_made_is_deleted_where_a_check_breaks(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*_arguments: object, **_times: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(end_to_end, "_watched", break_off)
    with pytest.raises(KeyboardInterrupt):
        run_check(seconds=1, rate=3)
    assert names() == set()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["e2e", "--seconds", "1"], r"^Failed: Redis cannot be reached: .+"),
        (["e2e", "--seconds", "1", "--only", "produce"], r"^Failed: Redis cannot be reached: .+"),
        (["e2e", "--seconds", "1", "--only", "watch", "detect"], r"^Failed: Redis cannot be reached: .+"),
        (["await_fleet", "--seconds", "0"], r"^No worker consumes detect, .+ after 0 s\.$"),
    ],
)
def test_redis_that_is_away_is_said(command: list[str], said: str, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    connect_redis.cache_clear()
    try:
        with pytest.raises(CommandError, match=said):
            call_command(*command)
    finally:
        connect_redis.cache_clear()


def test_queue_without_a_worker_is_named(redis_client: redis.Redis) -> None:
    note_seen(redis_client, [Queue.ASSESS, Queue.ASSESS_URGENT, Queue.RESULTS], node="seconds-ago@here")
    with pytest.raises(CommandError, match=r"^Failed: no worker consumes detect\.$"):
        call_command("e2e", seconds=1)
    with pytest.raises(CommandError, match=r"^Failed: no worker consumes detect\.$"):
        call_command("e2e", only=["watch", "detect"], seconds=0.1)
