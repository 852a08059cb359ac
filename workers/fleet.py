"""The processes of a fleet: one list for the demo, for `manage.py fleet`, and for whoever starts them by hand."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from assessment.calling import LONGEST_WAIT_SECONDS
from trafficmon.core.kinds import Kind
from workers.queues import Queue
from workers.runtime import Process, celery_worker

NUMBER = "{number}"
"""Stands in a command for the number of the process among those of its kind, from 1."""
QUEUES: Mapping[Kind, tuple[Queue, ...]] = {
    Kind.RESULTS: (Queue.RESULTS, Queue.OUTBOUND, Queue.EXPORTS),
    Kind.ASSESSMENT: (Queue.ASSESS_URGENT, Queue.ASSESS),
    Kind.DETECTION: (Queue.DETECT,),
}
"""What each kind of worker consumes."""
USUAL_THREADS: Mapping[Kind, int] = {Kind.RESULTS: 5, Kind.ASSESSMENT: 32, Kind.DETECTION: 2}
_CELERY = (sys.executable, "-m", "celery", "--quiet", "-A", "trafficmon")
_FINISHING_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many processes there are of each kind, one where nothing is said, and with how many threads."""

    processes: Mapping[Kind, int] = field(default_factory=dict)
    threads: Mapping[Kind, int] = field(default_factory=dict)

    def count(self, kind: Kind) -> int:
        return self.processes.get(kind, 1)

    def kinds(self) -> list[Kind]:
        """Those of which there is any, in the order of their start."""
        return [kind for kind in Kind if self.count(kind)]


def effective(asked: Sizes) -> Sizes:
    """What runs where so much was asked for: the settings say the rest. Flower never runs without a password."""
    environment = settings.ENVIRONMENT
    processes = environment.fleet_processes | dict(asked.processes)
    if not environment.flower_password.get_secret_value():
        processes[Kind.FLOWER] = 0
    return Sizes(processes, environment.fleet_threads | dict(asked.threads))


def command_of(kind: Kind, sizes: Sizes) -> list[str]:
    """What starts a process of this kind, with NUMBER in place of its number."""
    match kind:
        case Kind.WEB:
            host, port = settings.ENVIRONMENT.server_host, settings.ENVIRONMENT.server_port
            return web_command("-b", host, "-p", str(port))
        case Kind.FLOWER:
            return [*_CELERY, "flower"]
        case Kind.BEAT:
            return [*_CELERY, "beat"]
        case Kind.CAPTURE | Kind.METRICS:
            return [sys.executable, "manage.py", kind.value]
        case _:
            threads = sizes.threads.get(kind, USUAL_THREADS[kind])
            return celery_worker(QUEUES[kind], name=f"{kind}-{NUMBER}", threads=threads)


def web_command(*listening: str) -> list[str]:
    """The web side, listening as Daphne is told."""
    daphne = (sys.executable, "-m", "daphne", *listening, "--access-log", os.devnull)
    return [*daphne, "trafficmon.asgi:application"]


def processes_of(sizes: Sizes, *, web_after: Sequence[str] = ()) -> list[Process]:
    """Each process of a fleet whose parent stays; Flower and the web side wait for `web_after`, and come last.

    There is one web process at the most: several cannot listen on one port by themselves.
    """
    found = []
    for kind in sorted(sizes.kinds(), key=lambda kind: kind in {Kind.WEB, Kind.FLOWER}):
        after = web_after if kind in {Kind.WEB, Kind.FLOWER} else ()
        count = min(sizes.count(kind), 1) if kind is Kind.WEB else sizes.count(kind)
        for number in range(1, count + 1):
            command = [word.replace(NUMBER, str(number)) for word in command_of(kind, sizes)]
            name = kind.value if count == 1 else f"{kind}-{number}"
            found.append(Process(name, command, after=after))
    return found


def stop_seconds(kind: Kind) -> int:
    """How long a process of this kind may take to finish what it has in hand when it is asked to end."""
    if kind is Kind.ASSESSMENT:
        return round(settings.ENVIRONMENT.llm_timeout + LONGEST_WAIT_SECONDS) + _FINISHING_SECONDS
    return _FINISHING_SECONDS
