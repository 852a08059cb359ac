"""`python -m assessment.simulator --port 8900 [--seed N] [--latency 0.8] ...`"""

from __future__ import annotations

import argparse
import sys

from aiohttp import web

from assessment.simulator.faults import Latency
from assessment.simulator.server import Simulator, SimulatorOptions


def main() -> None:
    arguments = _parser().parse_args()
    options = SimulatorOptions(
        seed=arguments.seed,
        latency=Latency(median_seconds=arguments.latency, sigma=arguments.latency_sigma),
        keys=tuple(arguments.key),
        rps=arguments.rps,
        rpm=arguments.rpm,
        tpm=arguments.tpm,
        rubbish=arguments.rubbish,
    )
    application = Simulator(options).application()
    try:
        web.run_app(
            application,
            host=arguments.host,
            port=arguments.port,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=1,
            print=_announce,
        )
    except OSError as error:
        sys.exit(f"The simulator cannot listen on {arguments.host}:{arguments.port}: {error.strerror}.")


def _announce(text: str) -> None:
    print(f"model simulator: {text.splitlines()[0].strip('= ')}", flush=True)  # noqa: T201  # it is a program's output


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m assessment.simulator", description="A stand-in for DashScope.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.8, help="seconds an answer takes (the median)")
    parser.add_argument("--latency-sigma", type=float, default=0.0, help="spread of a lognormal latency; 0 is fixed")
    parser.add_argument("--key", action="append", default=[], help="a key it accepts; none given: any that is sk-...")
    parser.add_argument("--rps", type=int, default=0, help="requests a second and key; 0: no limit")
    parser.add_argument("--rpm", type=int, default=0, help="requests a minute and key; 0: no limit")
    parser.add_argument("--tpm", type=int, default=0, help="input tokens a minute and key; 0: no limit")
    parser.add_argument("--rubbish", type=float, default=0.0, help="share of answers fenced, wrapped or commented")
    return parser


if __name__ == "__main__":
    main()
