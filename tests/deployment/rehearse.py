"""From a fresh clone to a running fleet, by the commands of docs/operations.md, and how long each takes.

`make rehearsal`. It installs from the package registry, and stands on a PostgreSQL and a Redis of its own.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fleet_host import ROOT, running_host

PYTHON = ".venv/bin/python"
STEPS: Sequence[Sequence[str]] = (
    ("make", "install"),
    (PYTHON, "manage.py", "migrate", "--verbosity", "0"),
    (PYTHON, "manage.py", "createsuperuser", "--noinput", "--username", "operator", "--email", "operator@localhost"),
    (PYTHON, "manage.py", "fleet", "start"),
    (PYTHON, "manage.py", "e2e", "--seconds", "20", "--rate", "2"),
)
STOP = (PYTHON, "manage.py", "fleet", "stop")


def main() -> None:
    with running_host(DJANGO_SUPERUSER_PASSWORD="a long password of the rehearsal") as host:
        clone = host.folder / "clone"
        began = time.monotonic()

        def run(words: Sequence[str], folder: Path = clone) -> None:
            since = time.monotonic()
            subprocess.run(words, cwd=folder, env=host.environment, check=True)
            print(f"{time.monotonic() - since:6.1f} s  {' '.join(words)}", flush=True)

        run(("git", "clone", "--quiet", str(ROOT), str(clone)), ROOT)
        try:
            for step in STEPS:
                run(step)
            print(f"{time.monotonic() - began:6.1f} s  in all")
        finally:
            subprocess.run(STOP, cwd=clone, env=host.environment, check=False)


if __name__ == "__main__":
    main()
