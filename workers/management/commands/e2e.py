"""Send synthetic pictures and detections through the real queues of a running fleet, and say what became of them.

Each detection is one question to the model, and costs what one costs. The exit status is 0 where enough came through.
With --only produce they are sent and left to whoever watches; --only watch QUEUE sends nothing and tells what moves
there.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser

from cameras.frames import connect_redis
from trafficmon.core.clock import utc_now
from trafficmon.core.logging import mask_secrets
from workers.end_to_end import (
    QUEUES_OF,
    Leg,
    Producer,
    Tally,
    done_since,
    is_passed,
    live_run,
    open_legs,
    run_check,
    sending,
)
from workers.health import queues_served, workers_seen
from workers.queues import Queue, waiting_on

LOOK_SECONDS = 2.0


class Command(BaseCommand):
    """`manage.py e2e --seconds 60 [--rate N] [--only produce | --only watch QUEUE]`"""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=_number(above=0), default=60.0, help="how long to send or watch")
        parser.add_argument("--rate", type=_number(above=0), default=1.0, help="pictures and detections a second, each")
        parser.add_argument("--least-success", type=_number(above=0), default=0.99, help="share that must come through")
        parser.add_argument("--only", nargs="+", metavar=("PART", "QUEUE"), default=[], help="produce, or watch QUEUE")

    def handle(self, *_args: Any, seconds: float, rate: float, only: list[str], **options: Any) -> None:
        """Raises CommandError where the check fails."""
        try:
            self._run(seconds, rate, only, options["least_success"])
        except redis.RedisError as error:
            message = f"Failed: Redis cannot be reached: {mask_secrets(str(error))}"
            raise CommandError(message) from None

    def _run(self, seconds: float, rate: float, only: list[str], least_success: float) -> None:
        match only:
            case []:
                self._check(seconds, rate, least_success)
            case ["produce"]:
                self._produce(seconds, rate)
            case ["watch", name] if name in list(Queue):
                self._watch(Queue(name), seconds)
            case _:
                message = f"--only takes produce, or watch and one of {', '.join(Queue)}."
                raise CommandError(message)

    def _check(self, seconds: float, rate: float, least_success: float) -> None:
        served = queues_served(connect_redis())
        if missing := [queue for leg in open_legs() for queue in QUEUES_OF[leg] if not served[queue]]:
            message = f"Failed: no worker consumes {', '.join(missing)}."
            raise CommandError(message)
        self.stdout.write(f"Sending for {seconds:g} s, {rate:g} a second ...")
        tallies = run_check(seconds=seconds, rate=rate)
        self._print(tallies)
        if not is_passed(list(tallies.values()), least_success=least_success):
            message = f"Failed: less than {least_success:.0%} came through."
            raise CommandError(message)
        self.stdout.write("Passed.")

    def _print(self, tallies: dict[Leg, Tally]) -> None:
        self.stdout.write(f"{'':<12}{'sent':>8}{'received':>10}{'average':>10}{'P95':>10}{'success':>10}  errors")
        for leg, tally in tallies.items():
            errors = ", ".join(f"{count} {error}" for error, count in tally.errors.most_common()) or "none"
            times = f"{tally.average:>8.2f} s{tally.p95:>8.2f} s"
            self.stdout.write(f"{leg:<12}{tally.sent:>8}{tally.received:>10}{times}{tally.success:>10.1%}  {errors}")

    def _produce(self, seconds: float, rate: float) -> None:
        with live_run(seconds=seconds) as run:
            sent = list(sending(Producer(run, rate=rate), seconds=seconds, rate=rate))
        for leg in open_legs():
            self.stdout.write(f"{sum(bool(each[leg]) for each in sent)} {leg} were sent.")
        self.stdout.write("Their cameras and rows stay until the next whole check.")

    def _watch(self, queue: Queue, seconds: float) -> None:
        """One line every two seconds; raises CommandError where nobody consumes, or messages wait and nothing moves."""
        until, began = time.monotonic() + seconds, utc_now()
        consumers = 0
        while time.monotonic() < until:
            since = utc_now()
            time.sleep(min(LOOK_SECONDS, max(until - time.monotonic(), 0.1)))
            consumers = sum(queue in each.queues for each in workers_seen(connect_redis()))
            done = done_since(queue, since)
            self.stdout.write(
                f"{queue}: {waiting_on(queue)} wait, {consumers} workers, {done} done in {LOOK_SECONDS:g} s"
            )
        if not consumers:
            message = f"Failed: no worker consumes {queue}."
            raise CommandError(message)
        if waiting_on(queue) and not done_since(queue, began - timedelta(seconds=1)):
            message = f"Failed: {waiting_on(queue)} messages wait on {queue}, and nothing was done."
            raise CommandError(message)


def _number(*, above: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        number = float(text)
        if not (math.isfinite(number) and number > above):
            message = f"{text} is not above {above:g}"
            raise argparse.ArgumentTypeError(message)
        return number

    return read
