"""Whether this process was asked to end."""

from __future__ import annotations

import threading

STOPPING = threading.Event()
"""Once it is set, what has begun is finished, and nothing more is begun."""
