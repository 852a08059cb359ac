"""`ALGO_LOG_FORMAT=json`: whatever a process says is one JSON object a line."""

from __future__ import annotations

import json
import subprocess
import sys

SAYING = """
import logging, logging.config, threading, warnings
import structlog
from trafficmon.core.logging import catch_what_is_not_logged, configure_structlog, logging_settings

logging.config.dictConfig(logging_settings("INFO", "json"))
configure_structlog()
catch_what_is_not_logged()
structlog.get_logger().info("frame.detected", camera_id=3, 描述="行人")
logging.getLogger("some.library").warning("two\\nlines of %s", "rtsp://me:secret@camera/1")
warnings.warn("old habits", DeprecationWarning, stacklevel=1)
warnings.simplefilter("always")
warnings.warn("heed this", stacklevel=1)
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("round.failed")
thread = threading.Thread(target=lambda: [][0])
thread.start()
thread.join()
raise RuntimeError("nobody catches this")
"""


def test_each_line_is_one_object_whoever_said_it() -> None:
    ended = subprocess.run([sys.executable, "-c", SAYING], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.returncode, ended.stdout) == (1, "")
    assert [list(each)[:3] for each in lines] == [["timestamp", "level", "event"]] * len(lines)
    said = [(each["level"], each["event"]) for each in lines if each.get("logger") != "py.warnings"]
    assert said == [
        ("info", "frame.detected"),
        ("warning", "two\nlines of rtsp://***@camera/1"),
        ("error", "round.failed"),
        ("critical", "thread.broke"),
        ("critical", "process.broke"),
    ]
    assert [each["exception"].splitlines()[-1].split(":")[0] for each in lines if "exception" in each] == [
        "ZeroDivisionError",
        "IndexError",
        "RuntimeError",
    ]
    assert (lines[0]["camera_id"], lines[0]["描述"]) == (3, "行人")
    assert "heed this" in "".join(each["event"] for each in lines if each.get("logger") == "py.warnings")
