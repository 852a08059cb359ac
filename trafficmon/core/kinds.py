"""The kinds of processes that make up a fleet."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a process of the fleet does, in the order in which a fleet starts; it stops in the opposite order."""

    WEB = "web"
    FLOWER = "flower"
    METRICS = "metrics"
    RESULTS = "results"
    ASSESSMENT = "assessment"
    DETECTION = "detection"
    BEAT = "beat"
    CAPTURE = "capture"


WITH_THREADS = frozenset({Kind.RESULTS, Kind.ASSESSMENT, Kind.DETECTION})
ONE_AT_MOST = frozenset({Kind.BEAT, Kind.FLOWER, Kind.METRICS})
MOST_PROCESSES, MOST_THREADS = 64, 1000


class UnusableCountError(ValueError):
    """A count of processes or threads cannot be; the message says which and why."""


def read_counts(text: str) -> dict[str, str]:
    """What `detection=2, web=2` names, still unchecked; raises UnusableCountError where it is no such list."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(equals for _kind, equals, _count in pairs):
        raise UnusableCountError("name counts as in detection=2,assessment=4")
    return {kind.strip(): count.strip() for kind, _equals, count in pairs}


def check_processes(counts: dict[Kind, int]) -> dict[Kind, int]:
    """The counts themselves; raises UnusableCountError where so many of a kind cannot be."""
    for kind, count in counts.items():
        most = 1 if kind in ONE_AT_MOST else MOST_PROCESSES
        if not 0 <= count <= most:
            message = f"{kind} may be 0 to {most}"
            raise UnusableCountError(message)
    return counts


def check_threads(counts: dict[Kind, int]) -> dict[Kind, int]:
    """The counts themselves; raises UnusableCountError where a kind cannot have so many threads."""
    for kind, count in counts.items():
        if kind not in WITH_THREADS:
            message = f"{kind} has no threads to count: {', '.join(sorted(WITH_THREADS))} have"
            raise UnusableCountError(message)
        if not 1 <= count <= MOST_THREADS:
            message = f"{kind} may have 1 to {MOST_THREADS}"
            raise UnusableCountError(message)
    return counts
