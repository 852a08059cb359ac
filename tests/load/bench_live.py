"""The live feed under load: `make bench-live ARGS="--clients 20 --cameras 50 --seconds 60"`.

Starts the web side as the fleet does, with a Redis and a database of its own; publishes what `--cameras` would, by the
functions that workers publish with, their pictures stored as capture stores them; and measures what `--clients` sockets
receive: once as our wall asks (binary, reduced to what it shows), once as other front ends do (base64 in full). At the
end one more client connects that never reads. One JSON line comes last; the wall's figures stand at its top, those of
the others under `inline`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django

from tests.load.fleet import Fleet, prepare_environment, running_web
from tests.load.live_clients import running_clients
from tests.load.machine import taken_by
from tests.load.viewer import percentiles

MODES = {"wall": "pictures=binary&width=430", "inline": "pictures=inline"}
"""Of a wall of 50 cameras in four columns on a screen of 1920 pixels; and what a client gets that asks for nothing."""
SETTLE_SECONDS = 4.0
GROUPS = 4
PICTURES = 8
LARGEST_P95_SECONDS = 0.25


@dataclass(slots=True)
class Publisher:
    """A thread that publishes a frame of each camera in each interval, evenly spread, and a verdict on every second."""

    rows: list[Any]
    pictures: list[bytes]
    interval: float
    published: dict[str, float] = field(default_factory=dict)
    messages: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def check(self) -> None:
        """Raise RuntimeError where it publishes no more."""
        if self._thread and not self._thread.is_alive():
            raise RuntimeError("the publisher has ended: see above")

    def _run(self) -> None:
        from cameras.frames import FrameStore, connect_redis

        store, began = FrameStore(connect_redis()), time.monotonic()
        for number in itertools.count():
            if self._stop.wait(max(0.0, began + number * self.interval / len(self.rows) - time.monotonic())):
                return
            self._publish(number, store)

    def _publish(self, number: int, store: Any) -> None:
        from trafficmon.core.clock import utc_now
        from trafficmon.live import publish

        row = self.rows[number % len(self.rows)]
        row.frame_key, row.captured_at = f"bench-{number}", utc_now()
        store.put(row.frame_key, self.pictures[number % len(self.pictures)])
        self.published[row.frame_key] = time.time()
        publish.publish_frame(row)
        self.messages += 1
        if number % 2:
            publish.publish_verdict(row)
            self.messages += 1


def main() -> None:
    options = _parser().parse_args()
    with ExitStack() as pool:
        folder = Path(pool.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        prepare_environment(folder / "run", "none", burst_detections=1, pool=pool)
        session_key, publisher = prepare(options.cameras, options.interval)
        fleet = pool.enter_context(running_web(folder / "run"))
        publisher.start()
        pool.callback(publisher.stop)
        measured = {mode: _measure(fleet, publisher, session_key, mode, options) for mode in MODES}
        stalled = _measure_stalled(fleet, publisher, session_key, options)
        publisher.stop()
        fleet.check()
        fleet.stop()
        complaints = (folder / "run" / "web.log").read_text(errors="replace")
    print(complaints, end="")
    asked = {"clients": options.clients, "cameras": options.cameras, "interval_seconds": options.interval}
    figures = asked | measured["wall"] | {"stalled_client_rss_mb": stalled, "inline": measured["inline"]}
    late = measured["wall"]["receive_seconds"]["p95"]
    print(json.dumps(figures | {"held": late is not None and late < LARGEST_P95_SECONDS}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--cameras", type=int, default=50)
    parser.add_argument("--interval", type=float, default=1.8, help="seconds between frames of a camera")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="measured in each way, after everything has settled"
    )
    parser.add_argument("--stalled-seconds", type=float, default=30.0)
    return parser


def prepare(cameras: int, interval: float) -> tuple[str, Publisher]:
    """Tables, cameras with a judged frame each, and a session of somebody who may see them all."""
    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from tests.factories import make_camera, record
    from trafficmon.accounts.models import User
    from trafficmon.accounts.roles import Role

    call_command("migrate", verbosity=0)
    client = Client()
    client.force_login(User.objects.create_user("bench", password=None, role=Role.ADMINISTRATOR))
    rows = [record(make_camera(), groups=GROUPS) for _camera in range(cameras)]
    for row in rows:
        row.assessments.update(status="done", risk_level="low", risk_type="other", description="The cars are close.")
    return str(client.cookies["sessionid"].value), Publisher(rows, _pictures(), interval)


def _pictures() -> list[bytes]:
    """Of streets, coded as capture codes what it samples."""
    from cameras.sources import encode_jpeg
    from cameras.street import Street

    streets = [Street("junction", seed=seed, width=1280, height=720) for seed in range(PICTURES)]
    return [encode_jpeg(street.render()) for street in streets]


def _measure(
    fleet: Fleet, publisher: Publisher, session_key: str, mode: str, options: argparse.Namespace
) -> dict[str, Any]:
    """What the clients receive in `options.seconds`, and what that takes of the web side."""
    with running_clients(fleet.address, session_key, clients=options.clients, query=MODES[mode]) as clients:
        wait(fleet, publisher, SETTLE_SECONDS + options.clients / 10)
        before, since = taken_by(fleet.pids["web"]), time.time()
        wait(fleet, publisher, options.seconds)
        after, until = taken_by(fleet.pids["web"]), time.time()
        seen = clients.stop()
    return _figures(seen, publisher.published, (since, until), options.clients) | {
        "web_cpu_cores": round((after.cpu_seconds - before.cpu_seconds) / (until - since), 3),
        "web_rss_mb": round(after.rss_mb, 1),
    }


def _figures(
    seen: dict[str, Any], published: dict[str, float], between: tuple[float, float], clients: int
) -> dict[str, Any]:
    """Of the frames published in that time: how late they came, and how many of them to how many clients."""
    since, until = between
    meant = {key for key, moment in published.items() if since <= moment < until - 1}
    late = [received - published[key] for key, received in seen["received"] if key in meant]
    began = min((received for _key, received in seen["received"]), default=since)
    seconds = max(until - began, 0.1)
    return {
        "receive_seconds": percentiles(late),
        "frames_received_share": round(len(late) / max(len(meant) * clients, 1), 4),
        "messages_per_second": round(seen["messages"] / seconds, 1),
        "bytes_per_client_second": round(seen["bytes"] / seconds / max(clients, 1)),
    }


def _measure_stalled(fleet: Fleet, publisher: Publisher, session_key: str, options: argparse.Namespace) -> float:
    """By how many MB the web side grows while one client is connected that never reads."""
    wait(fleet, publisher, SETTLE_SECONDS)
    before = taken_by(fleet.pids["web"]).rss_mb
    with _stalled_client(fleet.address, session_key):
        wait(fleet, publisher, options.stalled_seconds)
        return round(taken_by(fleet.pids["web"]).rss_mb - before, 1)


@contextmanager
def _stalled_client(address: str, session_key: str) -> Iterator[None]:
    """A socket that asks for the largest messages and takes the answer to its handshake, and nothing else."""
    where = urlsplit(address)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect((where.hostname or "", where.port or 0))
        client.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {where.netloc}\r\nOrigin: {address}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Cookie: sessionid={session_key}\r\n\r\n".encode()
        )
        answer = client.recv(64)
        if b" 101 " not in answer:
            raise RuntimeError("the stalled client was refused")
        yield


def wait(fleet: Fleet, publisher: Publisher, seconds: float) -> None:
    """For so long; raises RuntimeError where what is measured has ended meanwhile."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        fleet.check()
        publisher.check()
        time.sleep(min(0.5, max(until - time.monotonic(), 0)))


if __name__ == "__main__":
    main()
