"""How several processes share the suite (`make unit`), and which of its tests are tried once more."""

from __future__ import annotations

from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent
BROWSED, FAULTS, INTEGRATED = (TESTS / name for name in ("e2e", "faults", "integration"))
IN_REAL_TIME = {
    BROWSED / "test_demo.py",
    *FAULTS.glob("test_*.py"),
    *(
        INTEGRATED / f"test_{name}.py"
        for name in ("capture_killed", "detection_workers", "fleet", "leaving", "rtsp", "rtsp_capture", "rtsp_server")
    ),
}
"""Those that start fleets, or read cameras as time goes by."""


class Shares(LoadScopeScheduling):  # type: ignore[misc]  # xdist leaves it untyped
    """Hands a process all that is in real time, which so runs one after another, and all else file by file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "real time" if TESTS.parent / file in IN_REAL_TIME else file


def is_tried_again(path: Path) -> bool:
    """Whether the tests of this file start processes, or drive a browser: what a noisy machine may stall.

    Such a stall may outlast any limit, so they are tried once more, and the summary says so. What is really wrong fails
    twice. All other tests are never tried again.
    """
    return path in IN_REAL_TIME or path.parent == BROWSED


def place(path: Path) -> tuple[bool, bool]:
    """By which files are sorted: what takes longest begins first."""
    return path not in IN_REAL_TIME, path.parent != BROWSED
