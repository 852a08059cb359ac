"""From a fresh clone to a running fleet, by the commands of docs/operations.md, and how long each takes.

`make rehearsal`. It installs from the package registry, and stands on a PostgreSQL and a Redis of its own.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.deployment.commands import steps
from tests.fleet_host import ROOT, running_host

FRESH_CLONE = "From a fresh clone to a running fleet"
STOP = (".venv/bin/python", "manage.py", "fleet", "stop")
OPERATOR = {
    "DJANGO_SUPERUSER_USERNAME": "operator",
    "DJANGO_SUPERUSER_EMAIL": "operator@localhost",
    "DJANGO_SUPERUSER_PASSWORD": "a long password of the rehearsal",
}
"""What Django asks for where somebody is there to answer."""


def rehearsed() -> list[list[str]]:
    """The steps of the page, with nobody there to answer."""
    found = [shlex.split(step, comments=True) for step in steps(FRESH_CLONE)]
    return [[*words, "--noinput"] if "createsuperuser" in words else words for words in found]


def to_set() -> list[str]:
    """The variables that the page says to set in `.env`."""
    [copying] = [step for step in steps(FRESH_CLONE) if step.startswith("cp ")]
    return re.findall(r"[A-Z_]{4,}", copying.partition("#")[2])


def fill_in(file: Path, values: Mapping[str, str]) -> None:
    """As somebody would in an editor: each variable has its line already."""
    lines = {line.partition("=")[0]: line for line in file.read_text(encoding="utf-8").splitlines()}
    assert values.keys() <= lines.keys(), f"{file.name} lacks one of {', '.join(values)}"
    for name, value in values.items():
        lines[name] = f"{name}={value}"
    file.write_text("\n".join(lines.values()), encoding="utf-8")


def main() -> None:
    with running_host(**OPERATOR) as host:
        clone = host.folder / "clone"
        told = {name: host.environment.pop(name) for name in to_set()}
        began = time.monotonic()

        def run(words: Sequence[str], folder: Path = clone) -> None:
            since = time.monotonic()
            subprocess.run(words, cwd=folder, env=host.environment, check=True)
            print(f"{time.monotonic() - since:6.1f} s  {shlex.join(words)}", flush=True)

        run(("git", "clone", "--quiet", str(ROOT), str(clone)), ROOT)
        try:
            for step in rehearsed():
                run(step)
                if step[0] == "cp":
                    fill_in(clone / step[-1], told)
            print(f"{time.monotonic() - began:6.1f} s  in all")
        finally:
            subprocess.run(STOP, cwd=clone, env=host.environment, check=False)


if __name__ == "__main__":
    main()
