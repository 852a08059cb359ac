"""Health check of a container: whether the web side says that somebody does this work. Light, as it is run often.

python config/is_up.py capture
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request

ADDRESS = os.environ.get("TRAFFICMON_WEB_ADDRESS", "http://web:5000")


def main() -> None:
    with urllib.request.urlopen(f"{ADDRESS}/health/health_check", timeout=5) as answer:  # noqa: S310  # our own
        seen = json.load(answer)["workers"][sys.argv[1]]
    sys.exit(0 if seen == "UP" else f"{sys.argv[1]} is {seen}")


if __name__ == "__main__":
    main()
