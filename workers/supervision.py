"""A fleet in the background, kept alive by supervisor: what it is told, and how it is spoken to."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from trafficmon.core.kinds import Kind
from trafficmon.core.redis_server import LONGEST_SOCKET_PATH
from workers.fleet import NUMBER, Sizes, command_of, effective, stop_seconds, web_command
from workers.runtime import CannotStartError

STEADY_SECONDS = 20
"""What dies sooner than this after its start is started again after a second, then two, then three, and so on."""
_WAIT, _WITHOUT_WAIT = True, False
_LOG_BYTES, _LOGS_KEPT = 20_000_000, 5
_BIND = (sys.executable, "-m", "trafficmon.core.lifetime")


class NotRunningError(Exception):
    """No fleet of this run directory is running."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What supervisor says of one process."""

    kind: Kind
    number: int
    state: str
    said: str

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number}"

    @property
    def failure(self) -> str:
        """How it is, and where its own words are."""
        said = self.said or "it says nothing"
        return f"{self.name} is {self.state.lower()}: {said}; see {log_of(self.kind, self.number)}"

    @property
    def is_up(self) -> bool:
        """Whether it is there; one that cannot start is, too, between its pauses."""
        return self.state in {"STARTING", "RUNNING"}

    @property
    def is_steady(self) -> bool:
        """Whether it has been there for STEADY_SECONDS."""
        return self.state == "RUNNING"


def folder() -> Path:
    """Where supervisor keeps its configuration and sockets, readable by the owner alone."""
    return settings.RUN_DIR / "fleet"


def logs_folder() -> Path:
    return settings.RUN_DIR / "logs"


def log_of(kind: Kind, number: int) -> Path:
    return logs_folder() / f"{kind}-{number}.log"


def web_socket(number: int) -> Path:
    """Where one web process answers beside the port that all of them share, so that each can be asked how it is."""
    return folder() / f"web-{number}.sock"


def _control_socket() -> Path:
    return folder() / "control.sock"


def _pid_file() -> Path:
    return folder() / "supervisord.pid"


def _configuration_file() -> Path:
    return folder() / "supervisord.conf"


def _asked_file() -> Path:
    return folder() / "asked.json"


def configuration(sizes: Sizes) -> str:
    """What supervisor is told of a fleet. It has no secrets: those its processes read as they always do."""
    head: dict[str, dict[str, object]] = {
        "supervisord": {
            "logfile": logs_folder() / "fleet.log",
            "logfile_maxbytes": _LOG_BYTES,
            "logfile_backups": _LOGS_KEPT,
            "pidfile": _pid_file(),
            "directory": settings.BASE_DIR,
            "identifier": "trafficmon",
            **({"user": "root"} if os.geteuid() == 0 else {}),
        },
        "unix_http_server": {"file": _control_socket(), "chmod": "0700"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    sections = {name: {key: _escaped(value) for key, value in told.items()} for name, told in head.items()}
    for place, kind in enumerate(sizes.kinds()):
        sections |= _section_of(kind, sizes, priority=10 * (place + 1))
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in told.items()) for name, told in sections.items()
    )


def _section_of(kind: Kind, sizes: Sizes, *, priority: int) -> dict[str, dict[str, str]]:
    """All processes of one kind. Those of the web side accept from one socket, which stays open while they change."""
    command = command_of(kind, sizes)
    sharing: dict[str, str] = {}
    if kind is Kind.WEB:
        command = web_command("--fd", "0", "--unix-socket", str(web_socket(0)).replace("-0.", f"-{NUMBER}."))
        sharing["socket"] = f"tcp://{settings.ENVIRONMENT.server_host}:{settings.ENVIRONMENT.server_port}"
    told = {
        "command": _numbered(shlex.join([*_BIND, *command])),
        "process_name": _numbered(f"{kind}-{NUMBER}"),
        "numprocs": str(sizes.count(kind)),
        "numprocs_start": "1",
        "priority": str(priority),
        "directory": _escaped(settings.BASE_DIR),
        "autorestart": "true",
        "startsecs": str(STEADY_SECONDS),
        "startretries": "1000000",
        "stopwaitsecs": str(stop_seconds(kind)),
        "redirect_stderr": "true",
        "stdout_logfile": _numbered(str(logs_folder() / f"{kind}-{NUMBER}.log")),
        "stdout_logfile_maxbytes": str(_LOG_BYTES),
        "stdout_logfile_backups": str(_LOGS_KEPT),
    }
    return {f"{'fcgi-program' if sharing else 'program'}:{kind}": told | sharing}


def _escaped(value: object) -> str:
    return str(value).replace("%", "%%")


def _numbered(template: str) -> str:
    return _escaped(template).replace(NUMBER, "%(process_num)d")


def remember(asked: Sizes) -> Sizes:
    """Write down what is to run, for supervisor, and what of that was asked for, for the next restart; the former."""
    for each in (folder(), logs_folder()):
        each.mkdir(parents=True, exist_ok=True, mode=0o700)
    longest = max(len(str(path)) for path in (_control_socket(), web_socket(10)))
    if longest > LONGEST_SOCKET_PATH:
        message = f"The path {_control_socket()} is too long for a socket: set ALGO_RUN_DIR to a shorter one."
        raise CannotStartError(message)
    sizes = effective(asked)
    _configuration_file().write_text(configuration(sizes), encoding="utf-8")
    kept = {"processes": dict(asked.processes), "threads": dict(asked.threads)}
    _asked_file().write_text(json.dumps(kept), encoding="utf-8")
    return sizes


def remembered() -> Sizes:
    """What was last asked for."""
    try:
        kept = json.loads(_asked_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Sizes()
    processes, threads = (
        {Kind(kind): count for kind, count in kept[name].items()} for name in ("processes", "threads")
    )
    return Sizes(processes, threads)


def is_running() -> bool:
    try:
        Supervisor().pid()
    except NotRunningError:
        return False
    return True


def prepared_environment() -> dict[str, str]:
    """What the fleet's processes are told beyond our own environment; what others counted before them is forgotten."""
    metrics = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR") or settings.RUN_DIR / "metrics")
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(parents=True)
    return {"PROMETHEUS_MULTIPROC_DIR": str(metrics), "PYTHONUNBUFFERED": "1"}


def launch(*, foreground: bool) -> None:
    """Start supervisor, which starts the fleet: in the background, or in this process's place."""
    environment = os.environ | prepared_environment()
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(_configuration_file())]
    os.chdir(settings.BASE_DIR)
    if foreground:
        os.execve(command[0], [*command, "--nodaemon"], environment)  # noqa: S606  # without a shell, as is meant
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"The fleet did not start: {(done.stderr or done.stdout).strip()}"
        raise CannotStartError(message)


def seen_here() -> list[Seen]:
    """The processes of the fleet of this run directory; none where it is not running."""
    if not _control_socket().exists():
        return []
    try:
        return Supervisor().seen()
    except NotRunningError:
        return []


class Supervisor:
    """The running supervisor of this run directory; every method raises NotRunningError where there is none.

    CannotStartError where it cannot be: on Windows, where it is not even installed.
    """

    def __init__(self) -> None:
        try:
            from supervisor.xmlrpc import SupervisorTransport
        except ModuleNotFoundError:
            message = "On Windows the fleet runs in the foreground: windows\\start.bat starts it, Ctrl-C there ends it."
            raise CannotStartError(message) from None

        transport = SupervisorTransport(None, None, f"unix://{_control_socket()}")
        self._server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)

    def _call(self, method: str, *arguments: object) -> Any:
        try:
            return getattr(self._server.supervisor, method)(*arguments)
        except (OSError, xmlrpc.client.ProtocolError):
            raise NotRunningError("The fleet is not running: python manage.py fleet start") from None

    def pid(self) -> int:
        return int(self._call("getPID"))

    def seen(self) -> list[Seen]:
        """All processes, in the order of their start."""
        order = list(Kind)
        found = [_seen(each) for each in self._call("getAllProcessInfo")]
        return sorted(found, key=lambda seen: (order.index(seen.kind), seen.number))

    def stop_all(self) -> None:
        """End the fleet, kind by kind, and then supervisor itself; returns once all of it is gone."""
        pid = self.pid()
        self._call("shutdown")
        # Where nobody reaps it, it stays there as a number.
        while _pid_file().exists() and is_alive(pid):
            time.sleep(0.1)

    def stop(self, seen: Seen) -> None:
        """Ask one process to end, and wait until it has."""
        try:
            self._call("stopProcess", f"{seen.kind}:{seen.name}", _WAIT)
        except xmlrpc.client.Fault as fault:
            if "NOT_RUNNING" not in fault.faultString:
                raise

    def start(self, seen: Seen) -> None:
        self._call("startProcess", f"{seen.kind}:{seen.name}", _WITHOUT_WAIT)

    def read_again(self) -> frozenset[Kind]:
        """Read the configuration; the kinds of which it now says something else."""
        [[added, changed, removed]] = self._call("reloadConfig")
        return frozenset(map(Kind, (*added, *changed, *removed)))

    def remove(self, kind: Kind) -> None:
        """End all processes of a kind."""
        if any(seen.kind is kind for seen in self.seen()):
            self._call("stopProcessGroup", kind.value, _WAIT)
            self._call("removeProcessGroup", kind.value)

    def add(self, kind: Kind) -> None:
        """Start as many of a kind as the configuration has by now."""
        self._call("addProcessGroup", kind.value)


def _seen(told: dict[str, Any]) -> Seen:
    """One process as supervisor tells it, which has no words for one that has just been started."""
    number = int(told["name"].rpartition("-")[2])
    said = told["description"] or (f"pid {told['pid']}, just started" if told["pid"] else "")
    return Seen(Kind(told["group"]), number, told["statename"], said)


def is_alive(pid: int) -> bool:
    """Whether a process of this number is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
