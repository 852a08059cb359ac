"""The systemd units: accepted by systemd, closed as they should be, and starting what is documented."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.commands import documented
from trafficmon.core.kinds import Kind
from trafficmon.settings.environment import Environment, variable_of
from workers.fleet import stop_seconds

UNITS = Path(__file__).resolve().parents[2] / "config" / "systemd"
PROGRAMS = "/srv/trafficmon/.venv/bin/"

has_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")


def services() -> dict[str, str]:
    """Each unit's kind and text."""
    found = sorted(UNITS.glob("*.service"))
    return {re.sub(r"trafficmon-|@?\.service", "", file.name): file.read_text(encoding="utf-8") for file in found}


def started_by(unit: str) -> str:
    [command] = re.findall(r"^ExecStart=(.*)$", unit, re.M)
    return str(command)


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """The units as they would be installed, of each template one, with programs that are there."""
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    programs = f"{Path(sys.executable).parent}/"
    for file in [*tmp_path.glob("*.service")]:
        text = file.read_text(encoding="utf-8").replace(PROGRAMS, programs)
        file.write_text(text, encoding="utf-8")
        if "@" in file.name:
            file.with_name(file.name.replace("@", "@1")).write_text(text, encoding="utf-8")
    return sorted(file for file in tmp_path.glob("trafficmon*.*") if file.is_file() and "@." not in file.name)


def analyze(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_COLORS": "0", "LANG": "C.UTF-8"}
    command = ["systemd-analyze", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@has_systemd
def test_systemd_accepts_the_units(installed: list[Path]) -> None:
    done = analyze(installed[0].parent, "verify", "--man=no", "--recursive-errors=no", *map(str, installed))
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "trafficmon" in line]
    assert ours == []


@has_systemd
def test_systemd_finds_them_well_closed(installed: list[Path]) -> None:
    for file in installed:
        if file.suffix == ".service":
            said = analyze(file.parent, "security", "--offline=true", "--no-pager", file.name).stdout
            [level] = re.findall(r"exposure level for \S+: ([\d.]+)", said)
            assert float(level) <= 2.0, file.name


def test_there_is_a_unit_for_each_kind_of_process() -> None:
    assert set(services()) == {kind.value for kind in Kind}
    assert {file.name for file in UNITS.glob("*@.service")} == {
        f"trafficmon-{kind}@.service" for kind in ("web", "capture", "detection", "assessment", "results")
    }


def test_units_start_what_is_documented() -> None:
    def as_usual(command: str) -> str:
        bare = command.replace(PROGRAMS, "").replace("%%h", "%h").replace("-%i@", "@")
        return bare.replace("-b 127.0.0.1 -p 500%i", "-b 0.0.0.0 -p 5000")

    assert {as_usual(started_by(unit)) for unit in services().values()} - documented() == set()


def test_processes_are_given_the_time_to_finish() -> None:
    common = (UNITS / "trafficmon-.service.d" / "common.conf").read_text(encoding="utf-8")
    for name, unit in services().items():
        seconds = [int(each) for each in re.findall(r"^TimeoutStopSec=(\d+)", f"{unit}\n{common}", re.M)]
        assert seconds[0] >= stop_seconds(Kind(name)), name


def test_units_name_only_settings_that_there_are() -> None:
    common = (UNITS / "trafficmon-.service.d" / "common.conf").read_text(encoding="utf-8")
    named = set(re.findall(r"\b((?:ALGO|DASHSCOPE)_[A-Z_]+)=", common))
    known = {variable_of(field) for field in Environment.model_fields}
    assert {name.removesuffix("_FILE") for name in named} - known == set()
    loaded = set(re.findall(r"^LoadCredential=(\w+):", common, re.M))
    assert loaded == set(re.findall(r"=%d/(\w+)", common))
