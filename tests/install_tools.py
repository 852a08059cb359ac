"""Install the tools that tests need and pip cannot give: Chromium, gettext, Mosquitto, Prometheus, nginx, and
docker-compose, and the servers of GStreamer and PostgreSQL. On Debian, as root.

Elsewhere it says what is missing; the tests that need it then skip, saying so. Those of servers fail where CI=true.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "gstreamer1.0-plugins-ugly": "/usr/lib/*/gstreamer-1.0/libgstx264.so",
    "chromium": "/usr/bin/chromium",
    "gettext": "/usr/bin/xgettext",
    "gir1.2-gst-rtsp-server-1.0": "/usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib",
    "python3-gi": "/usr/lib/python3/dist-packages/gi",
    "gstreamer1.0-plugins-good": "/usr/lib/*/gstreamer-1.0/libgstrtp.so",
    "mosquitto": "/usr/sbin/mosquitto",
    "postgresql": "/usr/lib/postgresql/*/bin/initdb",
    "prometheus": "/usr/bin/promtool",
    "nginx-light": "/usr/sbin/nginx",
    "docker-compose": "/usr/bin/docker-compose",
    "gstreamer1.0-plugins-bad": "/usr/lib/*/gstreamer-1.0/libgstvideoparsersbad.so",
}
"""Each package with a file that it brings."""


def main() -> None:
    missing = [package for package, brought in PACKAGES.items() if not any(Path("/").glob(brought.lstrip("/")))]
    if not missing:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        print(f"Not installed here, so some tests will skip: {', '.join(missing)}", file=sys.stderr)
        return
    print(f"Installing {', '.join(missing)} ...")
    # Tests start servers of their own; in this run level the packages start none.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    subprocess.run(install, check=True, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
