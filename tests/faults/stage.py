"""A fleet that assesses, with servers of its own that may be killed: what the scenarios play on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

from assessment.clients import Scope
from assessment.keys import limiter, put_back
from assessment.models import Account, ApiKey
from cameras.frames import connect_redis
from cameras.models import Camera
from tests.factories import make_camera
from tests.faults.outcomes import keep_log
from tests.load.assess_fleet import Surroundings, Terms, start_workers
from tests.load.questions import keep_pictures
from trafficmon.core.redis_server import start_redis

PER_SECOND = 6.0
"""Questions asked: a third of what the accounts permit, so that what has piled up can be made up for."""
CAMERAS = 4
PICTURES_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Stage:
    """The fleet, its servers and the cameras that are asked about."""

    around: Surroundings
    folder: Path
    terms: Terms
    cameras: tuple[Camera, ...]

    def requests(self) -> Counter[str]:
        """What became of the requests that the simulator has seen."""
        return Counter(self.around.stats()["outcomes"])

    def tell_simulator(self, **order: object) -> None:
        self.around.control(**order)

    def calm(self) -> None:
        """Let everything be as if nothing had happened before: no fault, no cooldown, no key taken out, no ramp."""
        self.tell_simulator(reset=True)
        kinds: tuple[type[ApiKey | Account], ...] = (ApiKey, Account)
        for kind in kinds:
            for slug in kind.objects.values_list("slug", flat=True):
                put_back(kind, slug)
        client, model = connect_redis(), settings.ENVIRONMENT.llm_model
        limiter().lift(model, Scope.MODEL)
        for bucket in ("m", *(f"a:acct-{number:02}" for number in range(self.terms.accounts))):
            client.hset(f"{{llm}}:{bucket}:{model}", mapping={"ramp_from": 0, "reserved": round(time.time() * 1000)})

    def kill_redis(self) -> None:
        self.around.redis.process.kill()
        self.around.redis.process.wait()

    def restart_redis(self) -> None:
        """At the same address and empty, but for the pictures of the questions to come."""
        self.around.redis = start_redis(self.folder)
        keep_pictures(PICTURES_SECONDS)

    def kill_database(self) -> None:
        self.around.postgres.kill()
        connection.close()

    def restart_database(self) -> None:
        self.around.postgres.start()

    def kill_workers(self) -> None:
        """Those that assess and the one that joins results; the clock goes on."""
        for kind in ("assessment", "assessment", "results"):
            self.around.fleet.kill(kind)

    def restart_workers(self) -> None:
        self.around.fleet.kill("beat")
        start_workers(self.around, self.folder, self.terms)


@contextmanager
def set_stage(around: Surroundings, folder: Path, terms: Terms) -> Iterator[Stage]:
    """The fleet at work; what its processes said stays in the logs of `folder`."""
    keep_log()
    keep_pictures(PICTURES_SECONDS)
    stage = Stage(around, folder, terms, tuple(make_camera() for _camera in range(CAMERAS)))
    stage.calm()
    start_workers(around, folder, terms)
    yield stage


def wait_for(condition: Callable[[], object], *, seconds: float) -> bool:
    """Whether `condition` came to hold in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
