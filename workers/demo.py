"""What the demo is made of: its cameras, its user and its processes."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from django.conf import settings

from cameras.models import Camera, CameraGroup, Wanted
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.kinds import Kind
from workers.fleet import Sizes, processes_of
from workers.runtime import Process

CAMERAS = {
    "Junction": "street://junction?seed=1",
    "Avenue": "street://avenue?seed=2",
    "Junction at night": "street://night-junction?seed=3",
    "Highway": "street://highway?seed=4",
}


def prepare_database(password: str) -> None:
    """The demo's user with this password, and its cameras, unless they are there already."""
    user, _created = User.objects.get_or_create(username="operator")
    user.role, user.is_staff, user.is_superuser = Role.ADMINISTRATOR, True, True
    user.set_password(password)
    user.save()
    group, _created = CameraGroup.objects.get_or_create(name="Demo streets")
    for name, source in CAMERAS.items():
        Camera.objects.get_or_create(name=name, defaults={"source": source, "group": group, "wanted": Wanted.RUNNING})


def demo_environment(simulator_port: int, password: str) -> Mapping[str, str]:
    """What the fleet's processes are told beyond the demo's own environment; the password is Flower's, too."""
    simulated = not settings.ENVIRONMENT.dashscope_api_key.get_secret_value()
    told = {
        "ALGO_DEMO": "1",
        "ALGO_FLOWER_PASSWORD": settings.ENVIRONMENT.flower_password.get_secret_value() or password,
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
    simulator = (sys.executable, "-m", "assessment.simulator", "--port", str(simulator_port))
    sizes = Sizes(processes={Kind.METRICS: 0}, threads={Kind.ASSESSMENT: 8})  # its web process serves them, too
    fleet = processes_of(sizes, web_after=(sys.executable, "manage.py", "await_fleet"))
    return [Process("simulator", simulator), *fleet]
