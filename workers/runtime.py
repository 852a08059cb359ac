"""The embedded mode: every process of the fleet on one machine, in the foreground, started and stopped together."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from honcho.manager import Manager
from honcho.printer import Message, Printer

INTERRUPTED = 128 + signal.SIGINT
LEAST_FREE_BYTES = 500_000_000


class CannotStartError(Exception):
    """The fleet cannot start; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the fleet; `after` is a command that must succeed first."""

    name: str
    command: Sequence[str]
    after: Sequence[str] = ()

    def shell_line(self) -> str:
        """What a POSIX shell runs: `after`, and where that succeeds the command in the shell's place."""
        waiting = f"{shlex.join(self.after)} && " if self.after else ""
        return f"{waiting}exec {shlex.join(self.command)}"


def check_port(host: str, port: int, *, setting: str) -> None:
    """Raise CannotStartError unless `port` is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
            message = f"Port {port} {reason}: stop it, or set {setting} to a free port."
            raise CannotStartError(message) from None


def check_disk(folder: Path) -> None:
    """Raise CannotStartError when the disk of `folder` is nearly full."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        message = f"Only {free // 1_000_000} MB are free on the disk of {folder}: make room for 500 MB at least."
        raise CannotStartError(message)


def free_port() -> int:
    """A port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def celery_worker(queues: Iterable[str], *, name: str, threads: int) -> list[str]:
    """The plain worker command that an operator would type."""
    return [
        *(sys.executable, "-m", "celery", "--quiet", "-A", "trafficmon", "worker", "--queues", ",".join(queues)),
        *("--hostname", f"{name}@%h", "--pool", "threads", "--concurrency", str(threads), "--events"),
        *("--without-mingle", "--without-gossip"),
    ]


class _ReadyPrinter(Printer):  # type: ignore[misc]  # honcho has no types
    """Passes every line on, and says once that the web side listens."""

    def __init__(self, output: TextIO, *, listening: str, ready: str) -> None:
        super().__init__(output, time_format="", width=10, prefix=True)
        self._listening, self._ready = listening, ready

    def write(self, message: Message) -> None:
        super().write(message)
        if self._ready and message.type == "line" and self._listening in str(message.data):
            self.output.write(f"\n{self._ready}\n\n")
            self.output.flush()
            self._ready = ""


def run_together(processes: Sequence[Process], environment: Mapping[str, str], *, ready: str) -> int:
    """Run until one of them ends or Ctrl-C; then stop all of them. The exit status: 0 after Ctrl-C, else the first's.

    `ready` is printed once the web side listens.
    """
    manager = Manager(_ReadyPrinter(sys.stdout, listening="Listening on TCP address", ready=ready))
    for process in processes:
        manager.add_process(process.name, process.shell_line(), env={**os.environ, **environment})
    manager.loop()
    return 0 if manager.returncode in {None, INTERRUPTED} else int(manager.returncode)
