"""Processes that end with the one that started them, even when that one had no time to tell them.

`python -m trafficmon.core.lifetime COMMAND ...` runs a command so, in its own place.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with_parent(with_signal: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send this process `with_signal` when its parent is gone (prctl(2)); Linux only, else nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(with_signal))


if __name__ == "__main__":
    # Asked to end in order, a worker would say so to whoever read its output, who is gone, and stay.
    end_with_parent(signal.SIGKILL)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # without a shell, as is meant
