"""Metrics of all processes of a host, which share a folder: kept apart while they live, added up, tidied afterwards.

The folder is PROMETHEUS_MULTIPROC_DIR. Each process holds a lock there for as long as it lives, so whoever can take the
lock knows that it is gone, however it ended and in whichever container of the host it was. Its gauges go with it; its
counters are added to those of all that went before, so that neither sums nor the number of files depend on how often
something is started.
"""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

if sys.platform != "win32":
    import fcntl

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_ALIVE, _GONE = ".alive", "departed"
_held: list[IO[str]] = []
"""The locks of this process, until it ends."""


def shared_folder() -> Path | None:
    """Where this host's processes keep their metrics; None where this process keeps its own to itself."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def join_shared() -> None:
    """Keep this process's metrics in the shared folder, where there is one; before the first of them is made."""
    if shared_folder():
        values.ValueClass = values.MultiProcessValue(lambda: _name_of(os.getpid()))  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped


@functools.cache
def _name_of(pid: int) -> str:
    """What the files of this process are named by, taken by nobody else at any time; its lock is held from now on."""
    name = f"{socket.gethostname()}-{pid}-{secrets.token_hex(4)}"
    folder = shared_folder()
    if folder and sys.platform != "win32":
        # Nobody is to find it before it is held.
        made = folder / f"{name}.new"
        lock = made.open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.rename(folder / f"{name}{_ALIVE}")
        _held.append(lock)
    return name


def read_host() -> bytes:
    """The metrics of all processes of this host, as text; of this process where it shares no folder."""
    folder = shared_folder()
    if folder is None:
        return generate_latest(REGISTRY)
    with _alone(folder):
        settle_departed(folder)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]  # likewise
        return generate_latest(registry)


def settle_departed(folder: Path) -> None:
    """Forget the gauges of processes that are gone, and add their counters to those of all that went before."""
    for lock in folder.glob(f"*{_ALIVE}"):
        if _is_free(lock):
            name = lock.name.removesuffix(_ALIVE)
            for file in sorted(folder.glob(f"*_{name}.db")):
                _settle(file, kind=file.name.removesuffix(f"_{name}.db"))
            lock.unlink()


def _is_free(lock: Path) -> bool:
    if sys.platform == "win32":
        return False
    with lock.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _settle(file: Path, *, kind: str) -> None:
    """What tells a state says nothing any more; what was counted stays counted."""
    if not kind.startswith("gauge_") or kind == "gauge_sum":
        total = file.with_name(f"{kind}_{_GONE}.db")
        following = total.with_suffix(".new")
        if total.exists():
            shutil.copyfile(total, following)
        _add(file, following)
        following.replace(total)
    file.unlink()


def _add(file: Path, total: Path) -> None:
    kept = MmapedDict(str(total))  # type: ignore[no-untyped-call]  # likewise
    for key, value, timestamp, _place in MmapedDict.read_all_values_from_file(str(file)):  # type: ignore[no-untyped-call]  # likewise
        kept.write_value(key, kept.read_value(key)[0] + value, timestamp)  # type: ignore[no-untyped-call]  # likewise
    kept.close()  # type: ignore[no-untyped-call]  # likewise


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One reader at a time: nobody is to see what is being added up twice or not at all."""
    with (folder / "reading.lock").open("w") as lock:
        if sys.platform != "win32":
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
