"""Whether the processes of a fleet do their work yet, which takes longer than being started."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Collection
from pathlib import Path

import redis

from cameras.frames import connect_redis
from cameras.ownership import members
from trafficmon.celery import app
from trafficmon.core.kinds import Kind
from workers.broker import broker_errors
from workers.fleet import QUEUES
from workers.supervision import Seen, web_socket

LOOK_SECONDS = 0.5


def consumed_by_node() -> dict[str, set[str]]:
    """Of each worker that answers, the names of the queues that it consumes now."""
    try:
        replies = app.control.inspect(timeout=LOOK_SECONDS).active_queues() or {}
    except broker_errors():  # it is away: nobody can be asked
        return {}
    return {node: {queue["name"] for queue in queues} for node, queues in replies.items()}


def consumed_queues() -> set[str]:
    """The names of the queues that some worker consumes now."""
    return set().union(*consumed_by_node().values())


def unready(seen: Collection[Seen], *, before: frozenset[str]) -> list[Seen]:
    """Those that do not work yet; `before` are the capture processes that were there before these were started."""
    nodes = consumed_by_node() if any(each.kind in QUEUES for each in seen) else {}
    captures = sum(each.kind is Kind.CAPTURE for each in seen)
    is_captured = captures == 0 or _entered(before) >= captures
    return [each for each in seen if not (each.is_up and _is_at_work(each, nodes, is_captured=is_captured))]


def _entered(before: frozenset[str]) -> int:
    """How many capture processes are there that were not before; none while Redis is away."""
    try:
        return len(members(connect_redis()) - before)
    except redis.RedisError:
        return 0


def _is_at_work(seen: Seen, nodes: dict[str, set[str]], *, is_captured: bool) -> bool:
    match seen.kind:
        case Kind.WEB:
            return is_answering(web_socket(seen.number))
        case Kind.CAPTURE:
            return is_captured
        case Kind.BEAT | Kind.FLOWER | Kind.METRICS:
            return True
        case _:
            return nodes.get(f"{seen.name}@{socket.gethostname()}", set()) >= set(QUEUES[seen.kind])


def is_answering(path: Path) -> bool:
    """Whether the web process behind this Unix socket says that it is up."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(path))
            connection.sendall(b"GET /health/health_check HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
        except (OSError, http.client.HTTPException):
            return False
        return answer.status == http.client.OK


def await_readiness(
    look: Callable[[], Collection[Seen]], *, before: frozenset[str], seconds: float, say: Callable[[str], object]
) -> list[Seen]:
    """Wait until all that `look` sees do their work, and `say` what is waited for; those that do not in time."""
    until, said = time.monotonic() + seconds, ""
    while missing := unready(look(), before=before):
        if time.monotonic() > until:
            break
        words = f"Waiting for {', '.join(each.name for each in missing)} ..."
        if words != said:
            say(words)
        said = words
        time.sleep(LOOK_SECONDS)
    return missing
