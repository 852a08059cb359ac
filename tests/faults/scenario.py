"""`python -m tests.faults.scenario NAME ...`: faults under load, each with its figures as one JSON line.

Without names they are read from standard input, one a line: so the tests drive it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tests.load.assess_fleet import Terms, surroundings

TERMS = Terms(
    accounts=4,
    per_second=5,
    latency_seconds=0.3,
    latency_sigma=0.2,
    processes=2,
    threads=16,
    patience_seconds=90,
    call_seconds=4,
)


def main() -> None:
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="faults-", dir="/tmp") as name:  # PostgreSQL must get in
        folder = Path(name)
        folder.chmod(0o755)
        try:
            for figures in _play(folder, arguments.names, arguments.seconds):
                print(json.dumps(figures), flush=True)
        finally:
            sys.stderr.write("".join(f"{each}\n{each.read_text()[-3000:]}" for each in folder.glob("*.log")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.faults.scenario")
    parser.add_argument("names", nargs="*", help="what is to go wrong; else read from standard input")
    parser.add_argument("--seconds", type=float, help="how long each fault lasts")
    return parser


def _play(folder: Path, names: list[str], seconds: float | None) -> Iterator[dict[str, object]]:
    with surroundings(folder, TERMS) as around:
        # Only now Django knows its settings.
        from tests.faults.deaths import DEATHS, measure_deaths
        from tests.faults.measure import measure
        from tests.faults.stage import set_stage

        with set_stage(around, folder, TERMS) as stage:
            for name in names or map(str.strip, sys.stdin):
                yield measure_deaths(stage) if name == DEATHS else asdict(measure(stage, name, seconds))


if __name__ == "__main__":
    main()
