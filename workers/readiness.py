"""Whether the processes of a fleet do their work yet, which takes longer than being started."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import redis

from cameras.frames import connect_redis
from cameras.ownership import members
from trafficmon.core.kinds import Kind
from workers.fleet import QUEUES
from workers.health import workers_seen
from workers.supervision import Seen, web_socket

LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Before:
    """What was there before processes were started: none of it is theirs."""

    captures: frozenset[str] = frozenset()
    at: float = 0.0
    """By Redis's clock."""


def look_before() -> Before:
    """What is there now; nothing where Redis is away."""
    try:
        client = connect_redis()
        return Before(members(client), client.time()[0])
    except redis.RedisError:
        return Before()


def unready(seen: Collection[Seen], *, before: Before) -> list[Seen]:
    """Those that do not work yet; all of them while Redis is away, but the web side."""
    captures = sum(each.kind is Kind.CAPTURE for each in seen)
    try:
        client = connect_redis()
        nodes = {each.node: each.queues for each in workers_seen(client, after=before.at)}
        is_captured = len(members(client) - before.captures) >= captures
    except redis.RedisError:
        nodes, is_captured = {}, False
    return [each for each in seen if not (each.is_up and _is_at_work(each, nodes, is_captured=is_captured))]


def _is_at_work(seen: Seen, nodes: Mapping[str, Collection[str]], *, is_captured: bool) -> bool:
    match seen.kind:
        case Kind.WEB:
            return is_answering(web_socket(seen.number))
        case Kind.CAPTURE:
            return is_captured
        case Kind.BEAT | Kind.FLOWER | Kind.METRICS:
            return True
        case _:
            return set(QUEUES[seen.kind]) <= set(nodes.get(f"{seen.name}@{socket.gethostname()}", ()))


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
    look: Callable[[], Collection[Seen]], *, before: Before, seconds: float, say: Callable[[str], object]
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
