"""The fleet of this host in the background: start it, stop it, see how it is, restart it without losing anything."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

import pydantic
import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from assessment.days import add_up_again
from trafficmon.core.kinds import Kind, UnusableCountError, check_processes, check_threads, read_counts
from trafficmon.core.logging import mask_secrets
from workers import supervision
from workers.fleet import Sizes, effective, processes_of
from workers.readiness import Before, await_readiness, look_before, unready
from workers.runtime import CannotStartError, run_together
from workers.supervision import NotRunningError, Seen, Supervisor
from workers.surroundings import check_exchangeable, check_surroundings

NOT_RUNNING_STATUS = 3
READY_SECONDS = 120.0


class Command(BaseCommand):
    """`manage.py fleet start|stop|status|restart [KIND]`"""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        start = actions.add_parser("start", help="start every process, and wait until they do their work")
        start.add_argument("--foreground", action="store_true", help="stay, for a service manager; always on Windows")
        actions.add_parser("stop", help="let every process finish what it has in hand, and end")
        actions.add_parser("status", help="how each process is; exit status 0 where all are up, 3 where no fleet runs")
        restart = actions.add_parser("restart", help="one process after the other, each once the one before works")
        restart.add_argument("kind", nargs="?", type=Kind, choices=list(Kind), help="only these")
        for each in (start, restart):
            each.add_argument("--processes", type=_counts(check_processes), default={}, metavar="KIND=N,...")
            each.add_argument("--threads", type=_counts(check_threads), default={}, metavar="KIND=N,...")
            each.add_argument("--seconds", type=float, default=READY_SECONDS, help="wait so long for each to work")

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        """Raises CommandError where something is wrong, with its exit status."""
        self._patience = options.get("seconds") or READY_SECONDS
        try:
            getattr(self, f"_{action}")(**options)
        except CannotStartError as error:
            raise CommandError(str(error)) from None
        except redis.RedisError as error:
            message = f"Redis cannot be reached: {mask_secrets(str(error))}"
            raise CommandError(message) from None
        except NotRunningError as error:
            raise CommandError(str(error), returncode=NOT_RUNNING_STATUS) from None

    def _start(self, *, processes: dict[Kind, int], threads: dict[Kind, int], foreground: bool, **_: Any) -> None:
        asked = Sizes(processes, threads)
        sizes = effective(asked)
        if os.name == "posix" and supervision.is_running():
            raise CannotStartError("The fleet is running already: see python manage.py fleet status.")
        check_surroundings(sizes)
        if not sizes.count(Kind.FLOWER) and asked.count(Kind.FLOWER):
            self.stdout.write("Flower is left out: it needs ALGO_FLOWER_PASSWORD.")
        if os.name != "posix":
            sys.exit(run_together(processes_of(sizes), supervision.prepared_environment(), ready=_ready_line()))
        supervision.remember(asked)
        before = look_before()
        supervision.launch(foreground=foreground)
        self._await(lambda _seen: True, before=before)
        self.stdout.write(f"{_ready_line()} Logs: {supervision.logs_folder()}")

    def _stop(self, **_options: Any) -> None:
        supervisor = Supervisor()
        supervisor.pid()
        self.stdout.write("Stopping: each process finishes what it has in hand ...")
        supervisor.stop_all()
        self.stdout.write("The fleet has stopped.")

    def _status(self, **_options: Any) -> None:
        seen = Supervisor().seen()
        for each in seen:
            self.stdout.write(f"{each.name:<14}  {each.state:<9}  {each.said}".rstrip())
        if any(each.kind is Kind.FLOWER for each in seen):
            self.stdout.write(f"Flower: http://127.0.0.1:{settings.ENVIRONMENT.flower_port} (user flower)")
        # What dies again and again is being started, too, whenever one looks, but does not come to work.
        failing = unready([each for each in seen if not each.is_steady], before=Before())
        if failing:
            raise CommandError("\n".join(each.failure for each in failing))

    def _restart(self, *, kind: Kind | None, processes: dict[Kind, int], threads: dict[Kind, int], **_: Any) -> None:
        supervisor, was_asked = Supervisor(), supervision.remembered()
        supervisor.pid()
        asked = Sizes({**was_asked.processes, **processes}, {**was_asked.threads, **threads})
        check_exchangeable(effective(asked))
        sizes = supervision.remember(asked)
        changed = supervisor.read_again()
        for each in [kind] if kind else list(Kind):
            if each in changed:
                self._replace(supervisor, each, sizes.count(each))
            else:
                self._roll(supervisor, each)
        if kind is None:
            # The code of before ran until now, and may have changed what days tell without marking them.
            add_up_again()
        self.stdout.write("Restarted.")

    def _replace(self, supervisor: Supervisor, kind: Kind, count: int) -> None:
        """Exchange all processes of a kind at once for `count` others; what is in hand is finished or handed back."""
        self.stdout.write(f"{kind}: now {count}, exchanged at once as their command or their number is another ...")
        supervisor.remove(kind)
        before = look_before()
        if count:
            supervisor.add(kind)
        self._await(lambda seen: seen.kind is kind, before=before)

    def _roll(self, supervisor: Supervisor, kind: Kind) -> None:
        """Exchange the processes of a kind one by one; raises CommandError where a new one does not come to work."""
        for old in [each for each in supervisor.seen() if each.kind is kind]:
            self.stdout.write(f"{old.name} ...")
            supervisor.stop(old)
            before = look_before()
            supervisor.start(old)
            self._await(lambda seen, name=old.name: seen.name == name, before=before)  # type: ignore[misc]  # mypy cannot infer a default

    def _await(self, is_meant: Callable[[Seen], bool], *, before: Before) -> None:
        """Wait until the processes that are meant work; raises CommandError, naming those that do not in time."""
        supervisor = Supervisor()

        def look() -> list[Seen]:
            return [each for each in supervisor.seen() if is_meant(each)]

        missing = await_readiness(look, before=before, seconds=self._patience, say=self.stdout.write)
        if missing:
            raise CommandError("Not at work yet, but kept trying:\n" + "\n".join(each.failure for each in missing))


def _ready_line() -> str:
    return f"The fleet is at work: http://127.0.0.1:{settings.ENVIRONMENT.server_port}"


def _counts(check: Callable[[dict[Kind, int]], dict[Kind, int]]) -> Callable[[str], dict[Kind, int]]:
    """What reads `detection=2,web=2` from the command line."""

    def read(text: str) -> dict[Kind, int]:
        try:
            return check(pydantic.TypeAdapter(dict[Kind, int]).validate_python(read_counts(text)))
        except pydantic.ValidationError as error:
            message = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
            raise argparse.ArgumentTypeError(message) from None
        except UnusableCountError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read
