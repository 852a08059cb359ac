"""`python -m tests.faults.dying_worker POINT NOTE`: a worker that assesses and kills itself when it gets there.

The product knows nothing of it: its functions are wrapped by name. It has one thread, so that it dies with one question
in its hand, and writes to the file NOTE, before it dies, which that is and whether its request was sent.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import django

POINTS = (
    "before claim",
    "after claim",
    "before reserve",
    "after reserve",
    "before send",
    "after send",
    "before answer",
    "after answer",
    "before store",
    "before commit",
    "after store",
    "before ack",
    "after ack",
)
"""In the order in which a question comes by them. After send the request is on the wire, before answer the head of the
reply has come, after answer all of it."""


@dataclass(frozen=True, slots=True)
class Note:
    """The last words of a worker."""

    question: int | None
    sent: bool
    died_at: float
    """Seconds of the wall clock."""


@dataclass(slots=True)
class Death:
    """Waits at `point`, and knows what the worker has in its hand."""

    point: str
    note: Path
    question: int | None = None
    sent: bool = False

    def at(self, point: str) -> None:
        """Die here, where this is the point and nobody has died of it before."""
        has_come = point == self.point and (self.question is not None or point == POINTS[0])
        if has_come and not self.note.exists():
            # Whole or not at all: somebody waits for the file.
            unfinished = self.note.with_suffix(".unfinished")
            unfinished.write_text(json.dumps(asdict(Note(self.question, self.sent, time.time()))))
            unfinished.rename(self.note)
            os.kill(os.getpid(), signal.SIGKILL)

    def take(self, claim: Any) -> None:
        """A question was claimed, or none was left."""
        if claim is not None:
            self.question, self.sent = claim.assessment_id, False
            self.at("after claim")

    def send(self) -> None:
        self.sent = True
        self.at("after send")


def main() -> None:
    point, note = sys.argv[1:]
    if point not in POINTS:
        sys.exit(f"There is no such point as {point!r}.")
    django.setup()
    set_trap(Death(point, Path(note)))
    _work()


def set_trap(death: Death) -> None:
    """Wrap whatever comes by the points."""
    from celery.worker.request import Request

    from assessment import assess
    from assessment.calling import Caller
    from assessment.clients.sending import OneRequestSession, _Timed
    from assessment.limiter import Limiter
    from workers import answering

    at = {point: functools.partial(death.at, point) for point in POINTS}
    _wrap(assess, "claim_next", at["before claim"], death.take)
    _wrap(Limiter, "reserve", at["before reserve"], _whatever(at["after reserve"]))
    _wrap(Caller, "_send", at["before send"], _nothing)
    _wrap(_Timed, "getresponse", death.send, _whatever(at["before answer"]))
    _wrap(OneRequestSession, "post", _nothing, _whatever(at["after answer"]))
    _wrap(answering, "_store", at["before store"], _whatever(at["after store"]))
    _wrap(assess, "store_verdict", _nothing, _whatever(at["before commit"]))
    _wrap(Request, "acknowledge", at["before ack"], _whatever(at["after ack"]))


def _wrap(owner: Any, name: str, before: Callable[[], None], after: Callable[[Any], None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        before()
        result = original(*args, **kwargs)
        after(result)
        return result

    setattr(owner, name, wrapped)


def _whatever(act: Callable[[], None]) -> Callable[[Any], None]:
    """`act`, whatever the wrapped function returned."""
    return lambda _result: act()


def _nothing(_result: object = None) -> None:
    pass


def _work() -> None:
    from celery.__main__ import main as celery

    from workers.queues import Queue
    from workers.runtime import celery_worker

    command = celery_worker([Queue.ASSESS_URGENT, Queue.ASSESS], name=f"dying-{os.getpid()}", threads=1)
    sys.argv = command[command.index("celery") :]
    celery()


if __name__ == "__main__":
    main()
