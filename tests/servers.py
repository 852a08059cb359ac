"""A PostgreSQL server of a bench's or a test's own; Redis is started in the product's own way."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from trafficmon.core.lifetime import end_with_parent
from workers.runtime import free_port

NOT_INSTALLED = "needs PostgreSQL's server: apt-get install postgresql"
_USER = "postgres"


def postgres_folder() -> Path | None:
    """Where the server's programs are; None where it is not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@dataclass(slots=True)
class Postgres:
    """A server in `folder`."""

    programs: Path
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        """Make an empty database cluster."""
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, _USER)
        initdb = [str(self.programs / "initdb"), "-D", str(self.folder), "-U", _USER, "--auth=trust", "--no-sync"]
        subprocess.run(_unprivileged(initdb), check=True, capture_output=True, cwd="/")

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.folder)}
        given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [str(self.programs / "postgres"), "-D", str(self.folder), "-p", str(self.port), *given]
        with (self.folder.parent / "postgres.log").open("ab") as log:
            self.process = subprocess.Popen(
                _unprivileged(command),
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=end_with_parent,  # noqa: PLW1509  # one system call
            )
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """End it at once but in order."""
        if self.process and self.process.poll() is None:
            os.kill(self._main_pid(), signal.SIGINT)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self) -> None:
        """End it as a power cut would; `start` brings it back with the same port and rows."""
        main = self._main_pid()
        # Those that survive for a moment hold the memory that the next server of this folder must have.
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        for pid in (main, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()
        while any(Path(f"/proc/{pid}/exe").exists() for pid in children):
            time.sleep(0.01)

    def _main_pid(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().splitlines()[0])


def _unprivileged(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    return (
        ["setpriv", "--reuid", _USER, "--regid", _USER, "--clear-groups", "--pdeathsig", "INT", *command]
        if os.geteuid() == 0
        else command
    )


@contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """A server of its own with an empty database `postgres`; `folder` must be one that everybody may enter."""
    programs = postgres_folder()
    if programs is None:
        raise FileNotFoundError(NOT_INSTALLED)
    server = Postgres(programs, folder / "postgres")
    server.create()
    server.start()
    try:
        yield server
    finally:
        server.stop()
