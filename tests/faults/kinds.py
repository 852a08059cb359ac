"""The faults: how each begins and ends, and for how long it lasts in between."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.faults.stage import Stage
from tests.load.assess_fleet import secret_of


def _nothing(_stage: Stage) -> None:
    """What ends by itself, or never."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong; `throttles` where the simulator refuses by order what otherwise only we can cause."""

    begin: Callable[[Stage], None]
    end: Callable[[Stage], None] = _nothing
    seconds: float = 3.0
    throttles: bool = False
    back_seconds: float = 60.0
    """Within which all that was asked before its end has its outcome, on a busy machine, too."""


def _misbehave(kind: str, key_ending: str, stage: Stage) -> None:
    stage.tell_simulator(kind=kind, key_ending=key_ending)


def _behave(stage: Stage) -> None:
    stage.tell_simulator(reset=True)


def _provider(kind: str, *, key_ending: str = "", seconds: float = 3.0, throttles: bool = False) -> Fault:
    """A fault of the provider, for all keys or that of one account."""
    begin = functools.partial(_misbehave, kind, key_ending)
    return Fault(begin, _behave, seconds, throttles)


# Keys of a model that is away rest longer each time, so that a minute of it may be felt for 40 s after its end.
# One that hangs takes each request and never answers. Keys of which three calls in a row, of four seconds each here,
# had no answer rest for ten seconds: a hang of this length shows it, and docs/benchmarks.md tells of a minute.
FAULTS = {
    "workers killed": Fault(Stage.kill_workers, Stage.restart_workers, seconds=1),
    "Redis killed and empty": Fault(Stage.kill_redis, Stage.restart_redis),
    "database killed": Fault(Stage.kill_database, Stage.restart_database),
    "key revoked": Fault(functools.partial(_misbehave, "revoked", secret_of(0)), seconds=0),
    "account throttled": _provider("rate_limit", key_ending=secret_of(0), throttles=True),
    "all accounts cooling": _provider("rate_limit", throttles=True),
    "model unreachable": replace(_provider("drop", seconds=60), back_seconds=90),
    "model hangs": replace(_provider("hang", seconds=14), back_seconds=90),
    "model overloaded": _provider("overloaded"),
    "rubbish answered": _provider("rubbish"),
}
