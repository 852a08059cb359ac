"""What the demo is made of: its cameras, its user and its processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import redis
from django.conf import settings
from django.db import DatabaseError, connection

from cameras.frames import connect_redis
from cameras.models import Camera, CameraGroup, Wanted
from detection.backends import find_weights
from detection.detector import DetectorError
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.logging import mask_secrets
from trafficmon.settings.environment import Environment
from workers.queues import Queue
from workers.runtime import CannotStartError, Process, celery_worker

CAMERAS = {
    "Junction": "street://junction?seed=1",
    "Avenue": "street://avenue?seed=2",
    "Junction at night": "street://night-junction?seed=3",
    "Highway": "street://highway?seed=4",
}


def check_services(environment: Environment) -> None:
    """Raise CannotStartError unless the weights, the database and a Redis elsewhere can be used."""
    try:
        find_weights(settings.MODEL_FILE, weights_dir=settings.WEIGHTS_DIR)
        connection.ensure_connection()
        if environment.redis_url:
            connect_redis().ping()
    except DetectorError as error:
        message = f"The detector cannot be loaded: {error}"
    except (DatabaseError, OSError) as error:
        message = f"The database cannot be reached: {error} Correct DATABASE_URL."
    except (redis.RedisError, ValueError) as error:
        message = f"Redis cannot be reached: {error} Correct REDIS_URL."
    else:
        return
    raise CannotStartError(mask_secrets(" ".join(message.split())))


def prepare_database(password: str) -> None:
    """The demo's user with this password, and its cameras, unless they are there already."""
    user, _created = User.objects.get_or_create(username="operator")
    user.role, user.is_staff, user.is_superuser = Role.ADMINISTRATOR, True, True
    user.set_password(password)
    user.save()
    group, _created = CameraGroup.objects.get_or_create(name="Demo streets")
    for name, source in CAMERAS.items():
        Camera.objects.get_or_create(name=name, defaults={"source": source, "group": group, "wanted": Wanted.RUNNING})


def demo_environment(simulator_port: int) -> Mapping[str, str]:
    """What the fleet's processes are told beyond the demo's own environment."""
    simulated = not settings.ENVIRONMENT.dashscope_api_key.get_secret_value()
    told = {
        "ALGO_DEMO": "1",
        "ALGO_LANGUAGE": settings.ENVIRONMENT.language,
        "ALGO_TIME_ZONE": settings.ENVIRONMENT.time_zone,
        "PROMETHEUS_MULTIPROC_DIR": str(settings.RUN_DIR / "metrics"),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        # Containers and test machines run as root; the demo listens to nobody else's tasks.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    }
    if simulated:
        told |= {
            "ALGO_LLM_SIMULATED": "1",
            "ALGO_LLM_BASE_URL": f"http://127.0.0.1:{simulator_port}/api/v1",
            "DASHSCOPE_API_KEY": "sk-simulated",
        }
    return told


def demo_processes(simulator_port: int) -> list[Process]:
    """The whole fleet. The web side starts last, so that being healthy means that pictures are on their way."""
    manage = (sys.executable, "manage.py")
    environment = settings.ENVIRONMENT
    await_fleet = (*manage, "await_fleet")
    web = (
        sys.executable,
        "-m",
        "daphne",
        "-b",
        environment.server_host,
        "-p",
        str(environment.server_port),
        "--access-log",
        os.devnull,
    )
    return [
        Process("simulator", (sys.executable, "-m", "assessment.simulator", "--port", str(simulator_port))),
        Process("detection", celery_worker([Queue.DETECT], name="detection", threads=2)),
        Process("assessment", celery_worker([Queue.ASSESS_URGENT, Queue.ASSESS], name="assessment", threads=8)),
        Process("results", celery_worker([Queue.RESULTS, Queue.OUTBOUND], name="results", threads=5)),
        Process("beat", (sys.executable, "-m", "celery", "--quiet", "-A", "trafficmon", "beat")),
        Process("capture", (*manage, "capture")),
        Process("web", (*web, "trafficmon.asgi:application"), after=await_fleet),
        Process("flower", _flower(), after=await_fleet),
    ]


def _flower() -> tuple[str, ...]:
    flower = (sys.executable, "-m", "celery", "--quiet", "-A", "trafficmon", "flower")
    # Of its own accord it would remember a hundred thousand tasks.
    return (*flower, "--address=127.0.0.1", f"--port={settings.ENVIRONMENT.flower_port}", "--max_tasks=2000")
