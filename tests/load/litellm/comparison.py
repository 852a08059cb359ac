"""LiteLLM's Router under the terms of bench-assess: each configuration briefly, the best of them at length.

Every measurement has a simulator, a Redis and processes of its own, so that none inherits what another has used up.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import redis

from tests.load.assess_fleet import Terms, secret_of, start_simulator, stats_of, wait_for_simulator
from tests.load.fleet import ROOT, Fleet
from tests.load.litellm.peer import Ended, Plan
from tests.load.litellm.trials import CONFIGURATIONS, Configuration, Window, best, figures
from tests.load.machine import Record
from trafficmon.core.redis_server import find_redis_server
from workers.runtime import free_port

PYTHON = ROOT / "var" / "litellm" / "bin" / "python"
PEER = Path(__file__).with_name("peer.py")
KIND = "litellm"
START_SECONDS = 120.0
TRIAL_WARM_UP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What all measurements have in common; `requests` is a file of them, `backlog` the questions that always wait."""

    folder: Path
    terms: Terms
    requests: Path
    backlog: int


@dataclass(frozen=True, slots=True)
class Stage:
    """What one measurement runs on."""

    fleet: Fleet
    folder: Path
    simulator: str
    redis_port: int


def is_installed() -> bool:
    """Whether `make bench-assess` has installed LiteLLM."""
    return PYTHON.exists()


def compare(ground: Ground, warm_up: float, seconds: float, trial_seconds: float) -> dict[str, Any]:
    """The figures of the best configuration, with those of all trials; says how far it is, for it takes minutes."""
    trials: list[dict[str, Any]] = []
    for each in CONFIGURATIONS:
        _say(each.name)
        trials.append({"configuration": each.name, **_measure(ground, each, TRIAL_WARM_UP_SECONDS, trial_seconds)})
    chosen = CONFIGURATIONS[best(trials)]
    _say(f"{chosen.name}, at length")
    found = _measure(ground, chosen, warm_up, seconds)
    told = {"configuration": chosen.name, "settings": dict(chosen.settings), "load": chosen.load}
    return {"version": _version(), **told, **found, "trials": trials}


def _say(what: str) -> None:
    print(f"LiteLLM: {what} ...", file=sys.stderr, flush=True)


def _version() -> str:
    code = "from importlib.metadata import version; print(version('litellm'))"
    return subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _measure(ground: Ground, configuration: Configuration, warm_up: float, seconds: float) -> dict[str, Any]:
    with _stage(ground) as stage:
        plans = _plans(ground, stage, configuration, warm_up + seconds)
        begin = _start(stage, plans)
        _sleep_until(begin + warm_up, stage.fleet)
        record, before, began_at = Record(stage.fleet.pids), stats_of(stage.simulator), time.monotonic()
        record.look(began_at)
        _sleep_until(began_at + seconds, stage.fleet)
        after, ended_at = stats_of(stage.simulator), time.monotonic()
        record.look(ended_at)
        ended = _outcomes(ground, stage, plans)
        last = stats_of(stage.simulator)
    window = Window(
        ended_at - began_at,
        ground.terms.accounts * ground.terms.per_second,
        {key: _ok(after["by_key"][key]) - _ok(before["by_key"].get(key, {})) for key in after["by_key"]},
        _refused(after) - _refused(before),
        record.cpu_cores()[KIND],
    )
    answered = sum(not each.error for each in ended)
    return {
        **figures(window, ended, began_at),
        "refused_in_warm_up": _refused(before),
        "cpu_cores": record.cpu_cores(),
        "in_flight": sum(each.in_flight for each in plans),
        "lost": len(ended) - answered,
        "duplicate": _ok(last["outcomes"]) - answered,
        "simulator": last["outcomes"],
    }


@contextmanager
def _stage(ground: Ground) -> Iterator[Stage]:
    folder = ground.folder / f"litellm-{time.monotonic_ns()}"
    folder.mkdir()
    fleet = Fleet("")
    try:
        simulator = start_simulator(fleet, folder, free_port(), ground.terms)
        redis_port = free_port()
        # On a port, not a socket: its documentation advises host and port, and finds a URL slower.
        server = [find_redis_server(), "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        fleet.start("redis", list(map(str, server)), folder / "redis.log")
        wait_for_simulator(simulator)
        _wait_for_redis(redis_port)
        yield Stage(fleet, folder, simulator, redis_port)
    finally:
        fleet.stop()
        sys.stderr.write("".join(each.read_text()[-1000:] for each in folder.glob("peer-*.log")))


def _wait_for_redis(port: int) -> None:
    until = time.monotonic() + 20
    with redis.Redis(port=port) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
            else:
                return


def _plans(ground: Ground, stage: Stage, configuration: Configuration, seconds: float) -> list[Plan]:
    """One for each process; so many calls are in flight in all as, at the mean latency, use what is permitted."""
    terms = ground.terms
    mean_latency = terms.latency_seconds * math.exp(terms.latency_sigma**2 / 2)
    busy = terms.accounts * terms.per_second * mean_latency
    return [
        Plan(
            requests=str(ground.requests),
            api_base=f"{stage.simulator}/compatible-mode/v1",
            api_keys=[secret_of(each) for each in range(terms.accounts)],
            calls_a_minute=60 * terms.per_second,
            redis_port=stage.redis_port,
            settings=configuration.settings,
            number=number,
            in_flight=max(1, round(busy * configuration.load / terms.processes)),
            spread_seconds=mean_latency,
            backlog=round(ground.backlog / terms.processes),
            seconds=seconds,
            timeout_seconds=terms.patience_seconds,
            folder=str(stage.folder),
        )
        for number in range(terms.processes)
    ]


def _start(stage: Stage, plans: list[Plan]) -> float:
    """Start the processes; the moment at which all of them begin to ask."""
    for plan in plans:
        file = stage.folder / f"plan-{plan.number}.json"
        file.write_text(json.dumps(asdict(plan)))
        stage.fleet.start(KIND, [str(PYTHON), str(PEER), str(file)], stage.folder / f"peer-{plan.number}.log")
    _wait_for(stage.fleet, [plan.path("ready") for plan in plans], START_SECONDS)
    begin = time.monotonic() + 0.5
    file = stage.folder / "begin.new"
    file.write_text(str(begin))
    file.rename(plans[0].begin_path())
    return begin


def _wait_for(fleet: Fleet, files: list[Path], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not all(each.exists() for each in files):
        fleet.check()
        if time.monotonic() > until:
            message = f"LiteLLM's processes left no {files[0].name} in time"
            raise RuntimeError(message)
        time.sleep(0.1)


def _sleep_until(moment: float, fleet: Fleet) -> None:
    while (left := moment - time.monotonic()) > 0:
        fleet.check()
        time.sleep(min(left, 1.0))


def _outcomes(ground: Ground, stage: Stage, plans: list[Plan]) -> list[Ended]:
    """What became of all questions, once those in flight have ended too."""
    files = [plan.path("outcomes") for plan in plans]
    until = time.monotonic() + ground.terms.patience_seconds + 30
    while not all(each.exists() for each in files) and time.monotonic() < until:
        time.sleep(0.1)
    return [Ended(**each) for file in files for each in json.loads(file.read_text())]


def _ok(outcomes: dict[str, Any]) -> int:
    return int(outcomes.get("ok", 0))


def _refused(stats: dict[str, Any]) -> int:
    return sum(count for outcome, count in stats["outcomes"].items() if outcome.startswith("Throttling"))
