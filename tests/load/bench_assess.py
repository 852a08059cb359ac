"""`make bench-assess`: real workers against a provider that refuses what is over its limits, with a backlog that is
always full; then LiteLLM's Router under the same terms. Prints a table, and one JSON line last."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.load.assess_fleet import Surroundings, Terms, start_workers, surroundings
from tests.load.litellm.comparison import Ground, compare, is_installed
from tests.load.litellm.trials import spread, table, table_of_trials
from tests.load.machine import Record

BACKLOG_SECONDS = 4.0
"""Of calls that always wait."""
LOOK_SECONDS = 5.0
DIFFERENT_REQUESTS = 20
"""That LiteLLM is given to ask in turn, each made another by a line of its own."""


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.compare and not is_installed():
        sys.exit("LiteLLM is not installed: `make bench-assess` installs it; --no-litellm leaves it out.")
    terms = Terms(
        accounts=arguments.accounts,
        per_second=arguments.rps,
        latency_seconds=arguments.latency,
        processes=arguments.processes,
        threads=arguments.threads,
    )
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name:  # PostgreSQL must get in
        folder = Path(name)
        folder.chmod(0o755)
        with surroundings(folder, terms) as around:
            start_workers(around, folder, terms)
            try:
                figures = _measure(around, terms, arguments.warm_up, arguments.seconds)
                requests = _write_requests(folder)
            finally:
                sys.stderr.write("".join(each.read_text()[-2000:] for each in folder.glob("*.log")))
        if arguments.compare:
            ground = Ground(folder, terms, requests, _backlog(terms))
            figures["litellm"] = compare(ground, arguments.warm_up, arguments.seconds, arguments.trial_seconds)
            _print_tables(figures)
    print(json.dumps({"bench": "assess", **vars(arguments), **figures}))


def _write_requests(folder: Path) -> Path:
    from tests.load.questions import write_requests

    path = folder / "requests.json"
    write_requests(path, DIFFERENT_REQUESTS)
    return path


def _print_tables(figures: dict[str, Any]) -> None:
    found = figures["litellm"]
    ours = {**figures, "errors_to_caller": figures["outcomes"].get("failed", 0)}
    print(table({"key pool": ours, f"LiteLLM {found['version']}: {found['configuration']}": found}), end="\n\n")
    print("Trials of LiteLLM's configurations:\n")
    print(table_of_trials(found["trials"]), end="\n\n", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("make bench-assess")
    parser.add_argument("--accounts", type=int, default=10)
    parser.add_argument("--rps", type=int, default=10, help="calls a second that each account permits")
    parser.add_argument("--latency", type=float, default=1.5, help="median seconds of an answer; lognormal")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--warm-up", type=float, default=40)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=160)
    parser.add_argument("--no-litellm", dest="compare", action="store_false", help="leave the comparison out")
    parser.add_argument("--trial-seconds", type=float, default=10, help="of each of LiteLLM's configurations")
    return parser


def _measure(around: Surroundings, terms: Terms, warm_up: float, seconds: float) -> dict[str, Any]:
    from cameras.models import Camera
    from tests.factories import make_camera
    from tests.load.questions import keep_pictures
    from trafficmon.core.clock import utc_now

    cameras: list[Camera] = [make_camera() for _ in range(50)]
    keep_pictures(warm_up + seconds + 300)
    _feed(around, terms, cameras, warm_up)
    before, began_at = around.stats(), utc_now()
    record = Record(around.fleet.pids)
    began = time.monotonic()
    _feed(around, terms, cameras, seconds, record)
    lasted, after, ended_at = time.monotonic() - began, around.stats(), utc_now()
    _drain(terms)
    accepted = {key: _ok(after, key) - _ok(before, key) for key in after["by_key"]}
    permitted = terms.accounts * terms.per_second * lasted
    total = sum(accepted.values())
    cores = record.cpu_cores()
    return {
        "permitted": round(permitted),
        "accepted": total,
        "utilisation": round(total / permitted, 4),
        "refused_by_server": _refused(after) - _refused(before),
        "refused_in_warm_up": _refused(before),
        "wait_seconds": _waits(began_at, ended_at),
        "key_spread": round(max(accepted.values()) / max(1, min(accepted.values())), 3),
        "cpu_ms_per_call": round(cores["assessment"] * lasted * 1000 / max(1, total), 2),
        "cpu_cores": cores,
        **_accounts_of_outcomes(around),
    }


def _feed(around: Surroundings, terms: Terms, cameras: list[Any], seconds: float, record: Record | None = None) -> None:
    """Keep the backlog full, and look at the processes now and then."""
    from assessment.models import Assessment
    from tests.load.questions import ask
    from trafficmon.core.clock import utc_now

    wanted = _backlog(terms)
    until, look_at = time.monotonic() + seconds, 0.0
    while (now := time.monotonic()) < until:
        around.fleet.check()
        if record and now >= look_at:
            record.look(now)
            look_at = now + LOOK_SECONDS
        waiting = Assessment.objects.pending().filter(lease_token="", deadline_at__gt=utc_now()).count()
        if waiting < wanted:
            ask(cameras, min(wanted - waiting, 100))
        time.sleep(0.2)
    if record:
        record.look(time.monotonic())


def _backlog(terms: Terms) -> int:
    return round(terms.accounts * terms.per_second * BACKLOG_SECONDS)


def _drain(terms: Terms) -> None:
    """Wait until nothing is pending, or its time is over."""
    from assessment.models import Assessment

    until = time.monotonic() + terms.patience_seconds + 30
    while time.monotonic() < until and Assessment.objects.pending().exists():
        time.sleep(0.5)


def _ok(stats: dict[str, Any], key: str) -> int:
    return int(stats["by_key"].get(key, {}).get("ok", 0))


def _refused(stats: dict[str, Any]) -> int:
    return sum(count for outcome, count in stats["outcomes"].items() if outcome.startswith("Throttling"))


def _waits(began_at: Any, ended_at: Any) -> dict[str, float]:
    """Seconds from asking to sending, of the answers of the window."""
    from assessment.models import Assessment

    rows = Assessment.objects.filter(status="done", ended_at__range=(began_at, ended_at))
    waits = [
        (ended - created).total_seconds() - took
        for created, ended, took in rows.values_list("created_at", "ended_at", "llm_seconds")
        if ended and took
    ]
    return spread(waits)


def _accounts_of_outcomes(around: Surroundings) -> dict[str, Any]:
    """Every question must have one outcome, and every answer must be somebody's."""
    from django.db.models import Count

    from assessment.models import Assessment

    states = dict(Assessment.objects.values_list("status").annotate(Count("pk")).order_by())
    answered = around.stats()["outcomes"].get("ok", 0)
    return {
        "lost": sum(states.values()) - states.get("done", 0),
        "duplicate": answered - states.get("done", 0),
        "outcomes": states,
        "simulator": around.stats()["outcomes"],
    }


if __name__ == "__main__":
    main()
