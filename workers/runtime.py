"""The embedded mode: every process of the fleet on one machine, in the foreground, started and stopped together."""

from __future__ import annotations

import errno
import functools
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from honcho.manager import Manager
from honcho.printer import Message, Printer
from honcho.process import Popen as HonchoPopen
from honcho.process import Process as HonchoProcess

from trafficmon.core.lifetime import end_with_parent

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
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
        """What the system's shell runs: `after`, then the command, in the place of a shell that knows how."""
        if os.name != "posix":
            return " && ".join(subprocess.list2cmdline(each) for each in (self.after, self.command) if each)
        waiting = f"{shlex.join(self.after)} && " if self.after else ""
        return f"{waiting}exec {shlex.join(self.command)}"


def check_port(host: str, port: int, *, setting: str) -> None:
    """Raise CannotStartError unless `port` is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                message = f"Port {port} is taken by another program: stop it, or set {setting} to a free port."
            else:
                message = f"Cannot listen on {host}:{port} ({error.strerror}): correct ALGO_SERVER_HOST or {setting}."
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


class _FleetPrinter(Printer):  # type: ignore[misc]  # honcho has no types
    """Passes every line on, says once that the web side listens, and remembers which process ended first."""

    def __init__(self, output: TextIO, *, listening: str, ready: str) -> None:
        super().__init__(output, time_format="", width=10, prefix=True)
        self.output = output
        self._listening, self._ready = listening, ready
        self.ended_first = ""

    def write(self, message: Message) -> None:
        ended = re.match(r"(\S+) stopped \(rc=(-?\d+)\)", str(message.data))
        if message.name == "system" and ended and not self.ended_first:
            self.ended_first = f"{ended[1]} ended (status {ended[2]})"
        try:
            with _signals_held():
                self._print(message)
        except OSError:
            # Whoever read our lines is gone: nobody is left to press Ctrl-C.
            self.output = Path(os.devnull).open("w")  # noqa: SIM115  # until the process ends
            os.kill(os.getpid(), signal.SIGTERM)

    def _print(self, message: Message) -> None:
        super().write(message)
        if self._ready and self._listening in str(message.data):
            self.output.write(f"\n{self._ready}\n\n")
            self.output.flush()
            self._ready = ""


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let signals wait: honcho's handlers print, and printing within printing is an error that would end the loop."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _BoundProcess(HonchoProcess):  # type: ignore[misc]  # honcho has no types
    """Ends when the parent does, however that ended: honcho's own go-between first, then the process behind it."""

    def run(self, *args: object, **kwargs: object) -> None:
        if os.name == "posix":
            end_with_parent(signal.SIGKILL)
            self._child_ctor = functools.partial(HonchoPopen, preexec_fn=end_with_parent)
        super().run(*args, **kwargs)


def run_together(processes: Sequence[Process], environment: Mapping[str, str], *, ready: str) -> int:
    """Run until one of them ends or Ctrl-C; then stop all of them. The exit status: 0 after Ctrl-C, else the first's.

    `ready` is printed once the web side listens.
    """
    printer = _FleetPrinter(sys.stdout, listening="Listening on TCP address", ready=ready)
    manager = Manager(printer)
    manager._process_ctor = _BoundProcess
    for process in processes:
        manager.add_process(process.name, process.shell_line(), env={**os.environ, **environment})
    if os.name == "posix":
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    manager.loop()
    if manager.returncode in {None, 0, INTERRUPTED, TERMINATED}:
        return 0
    sys.stderr.write(f"\n{printer.ended_first}, so everything was stopped; its last lines are above.\n")
    return int(manager.returncode)
