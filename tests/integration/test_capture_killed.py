"""Two capture processes read cameras over RTSP while a worker detects what they bring, and one of them is killed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
import redis
from django.db.models import Min

from assessment.models import FrameResult
from tests.capturing import running
from tests.clips import write_clip
from tests.processes import Running, database_url, wait_until
from tests.rtsp_camera import RtspCamera, needs_rtsp_server, served
from trafficmon.core.clock import utc_now
from workers.queues import Queue
from workers.runtime import celery_worker

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    needs_rtsp_server,
]

CAMERAS = 8
BACK_SECONDS = 10


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RtspCamera]:
    clip = write_clip(tmp_path / "road.mp4", width=640, height=480)
    with served("--cameras", str(CAMERAS), clip) as started:
        yield started


class Fleet:
    """Processes as operators start them, on the test's database and Redis."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "model.yaml").write_text("model: {name: sample}\nllm: {enabled: false}\n")
        self.processes: list[Running] = []

    def start(self, command: list[str]) -> Running:
        environment = {
            "DATABASE_URL": database_url(),
            "ALGO_MODEL_CONFIG_PATH": str(self._folder / "model.yaml"),
            "ALGO_CAMERA_NETWORKS": "127.0.0.0/8",
            "ALGO_FRAME_INTERVAL": "0.5",
        }
        log = self._folder / f"process{len(self.processes)}.log"
        self.processes.append(Running(command, log, environment))
        return self.processes[-1]

    def said(self) -> str:
        return "\n".join(each.said()[-1500:] for each in self.processes)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    for each in made.processes:
        each.kill()


def shares(client: redis.Redis, cameras: list[int]) -> dict[bytes, list[int]]:
    """The cameras by the process that owns them."""
    owned: dict[bytes, list[int]] = {}
    for camera in cameras:
        owner = cast("bytes | None", client.get(f"camera:{camera}:owner"))
        if owner:
            owned.setdefault(owner, []).append(camera)
    return owned


def first_detected(cameras: list[int], since: datetime) -> list[datetime]:
    """When the first frame captured after `since` was detected, of each camera that has one."""
    rows = FrameResult.objects.filter(camera__in=cameras, captured_at__gt=since)
    return [row["at"] for row in rows.values("camera").annotate(at=Min("detected_at"))]


def test_cameras_of_a_killed_capture_process_are_back_within_ten_seconds(
    server: RtspCamera, fleet: Fleet, redis_client: redis.Redis
) -> None:
    cameras = [running(f"road {number}", server.url(path=f"cam{number}")).pk for number in range(1, CAMERAS + 1)]
    fleet.start(celery_worker([Queue.DETECT], name="detection", threads=2))
    victim, _survivor = (fleet.start([sys.executable, "manage.py", "capture"]) for _process in range(2))
    half = [CAMERAS // 2] * 2
    wait_until(lambda: [*map(len, shares(redis_client, cameras).values())] == half, 120, failing=fleet.said)
    at_work_since = utc_now()
    wait_until(lambda: len(first_detected(cameras, at_work_since)) == CAMERAS, 90, failing=fleet.said)
    before = shares(redis_client, cameras)
    victim.kill()
    killed_at = utc_now()
    wait_until(lambda: [*map(len, shares(redis_client, cameras).values())] == [CAMERAS], BACK_SECONDS)
    [survivor] = shares(redis_client, cameras)
    lost = sorted(set(cameras) - set(before[survivor]))
    # A second later: what the killed process had captured may be dated by its camera.
    since, left = killed_at + timedelta(seconds=1), BACK_SECONDS - (utc_now() - killed_at).total_seconds()
    wait_until(lambda: len(first_detected(lost, since)) == len(lost) == CAMERAS // 2, left, failing=fleet.said)
    back_after = (max(first_detected(lost, since)) - killed_at).total_seconds()
    print(json.dumps({"cameras": len(lost), "back_after_seconds": round(back_after, 1)}))
