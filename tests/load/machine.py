"""What processes take of the machine, read from /proc (Linux)."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """Processor seconds so far, resident memory and open files of a process and all that it started."""

    cpu_seconds: float = 0.0
    rss_mb: float = 0.0
    files: int = 0

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.cpu_seconds + other.cpu_seconds, self.rss_mb + other.rss_mb, self.files + other.files)


def family_of(pid: int) -> Iterable[int]:
    """The process and all that came of it and still lives."""
    yield pid
    try:
        children = [
            int(each)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for each in (task / "children").read_text().split()
        ]
    except OSError:  # it ended meanwhile
        return
    for child in children:
        yield from family_of(child)


def taken_by(pids: Iterable[int]) -> Taken:
    """What these processes and their children take together, with what children that have ended took of processors."""
    return sum((_taken(pid) for parent in pids for pid in family_of(parent)), Taken())


def _taken(pid: int) -> Taken:
    folder = Path("/proc", str(pid))
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        pages = int((folder / "statm").read_text().split()[1])
        files = sum(1 for _file in (folder / "fd").iterdir())
    except OSError:  # it ended meanwhile
        return Taken()
    own_and_ended_childrens = sum(map(int, fields[11:15]))
    return Taken(own_and_ended_childrens / TICKS, pages * PAGE_MB, files)


@dataclass(slots=True)
class Record:
    """Looks at several kinds of processes over time; `pids` by kind."""

    pids: Mapping[str, list[int]]
    moments: list[float] = field(default_factory=list)
    looks: dict[str, list[Taken]] = field(default_factory=dict)

    def look(self, now: float) -> None:
        """Add a look at the moment `now`, seconds of any steady clock."""
        self.moments.append(now)
        for kind, pids in self.pids.items():
            self.looks.setdefault(kind, []).append(taken_by(pids))

    def cpu_cores(self) -> dict[str, float]:
        """Cores taken by each kind from the first look to the last."""
        seconds = self.moments[-1] - self.moments[0]
        return {kind: round((at[-1].cpu_seconds - at[0].cpu_seconds) / seconds, 3) for kind, at in self.looks.items()}

    def memory(self) -> dict[str, dict[str, float]]:
        """Resident memory of each kind at the end, and the slope of the line that fits all looks best."""
        return {
            kind: {"rss_mb": round(at[-1].rss_mb, 1), "slope_mb_per_minute": self._slope([each.rss_mb for each in at])}
            for kind, at in self.looks.items()
        }

    def files(self) -> dict[str, list[int]]:
        """Open files of each kind at the first look, the most, and at the last."""
        return {kind: [at[0].files, max(each.files for each in at), at[-1].files] for kind, at in self.looks.items()}

    def _slope(self, values: list[float]) -> float:
        if len(values) < 2:
            return 0.0
        return round(60 * statistics.linear_regression(self.moments, values).slope, 3)
