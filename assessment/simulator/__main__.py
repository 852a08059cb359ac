"""`python -m assessment.simulator --port 8900 [--seed N] [--latency 0.8] ...`"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from aiohttp import web

from assessment.simulator.faults import Latency
from assessment.simulator.limits import GROWTH_FREE, GROWTH_SECONDS, Growth
from assessment.simulator.server import Simulator, SimulatorOptions


def main() -> None:
    arguments = _parser().parse_args()
    application = Simulator(_options(arguments)).application()
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


def read_options(words: Sequence[str]) -> SimulatorOptions:
    """The options that the command's words ask for; ends the process where they are wrong."""
    return _options(_parser().parse_args(words))


def _options(arguments: argparse.Namespace) -> SimulatorOptions:
    return SimulatorOptions(
        seed=arguments.seed,
        latency=Latency(median_seconds=arguments.latency, sigma=arguments.latency_sigma),
        keys=tuple(arguments.key),
        rps=arguments.rps,
        rpm=arguments.rpm,
        tpm=arguments.tpm,
        in_flight=arguments.in_flight,
        growth=_growth(arguments),
        rubbish=arguments.rubbish,
    )


def _growth(arguments: argparse.Namespace) -> Growth | None:
    if not arguments.growth:
        return None
    return Growth(arguments.growth, arguments.growth_seconds, arguments.growth_free)


def _announce(text: str) -> None:
    print(f"model simulator: {text.splitlines()[0].strip('= ')}", flush=True)  # noqa: T201  # it is a program's output


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m assessment.simulator", description="A stand-in for DashScope, in both of its protocols."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.8, help="seconds an answer takes (the median)")
    parser.add_argument("--latency-sigma", type=float, default=0.0, help="spread of a lognormal latency; 0 is fixed")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="SECRET[@ACCOUNT]",
        help="a key it accepts, and its account: left out, the key is an account of its own; no --key: any sk-...",
    )
    _add_limits(parser.add_argument_group("limits of each account and model, over all its keys; 0: no limit"))
    parser.add_argument("--rubbish", type=float, default=0.0, help="share of answers fenced, wrapped or commented")
    return parser


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--rps", type=int, default=0, help="requests in any second")
    group.add_argument("--rpm", type=int, default=0, help="requests in any minute")
    group.add_argument("--tpm", type=int, default=0, help="input tokens in any minute")
    group.add_argument("--in-flight", type=int, default=0, help="requests at once")
    growth = "by how much requests may grow from one span of seconds to the next"
    group.add_argument("--growth", type=float, default=0.0, metavar="FACTOR", help=growth)
    group.add_argument("--growth-seconds", type=float, default=GROWTH_SECONDS, help="the span")
    group.add_argument("--growth-free", type=int, default=GROWTH_FREE, help="requests in a span that are always free")


if __name__ == "__main__":
    main()
