"""The systemd units: accepted by systemd, closed as they should be, and starting what is documented."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
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


def loaded(unit: Path) -> dict[str, str]:
    """What systemd makes of a unit and its drop-ins, by each setting's name."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # where whoever it runs as may read it
        places = shutil.copytree(unit.parent, Path(folder) / "units"), Path(folder) / "run"
        places[1].mkdir(mode=0o777)
        for path in (Path(folder), places[1]):
            path.chmod(0o777)
        environment = {"SYSTEMD_UNIT_PATH": f"{places[0]}:", "XDG_RUNTIME_DIR": str(places[1]), "HOME": str(places[1])}
        command = ["/lib/systemd/systemd", "--test", "--user", f"--unit={unit.name}"]
        somebody = "nobody" if os.geteuid() == 0 else None  # root has no units of its own
        done = subprocess.run(command, env=environment, user=somebody, capture_output=True, text=True, check=True)
    [told] = re.findall(rf"-> Unit {re.escape(unit.name)}:\n(.*?)(?=\n\t-> |\Z)", done.stdout, re.S)
    return dict(re.findall(r"^\t\t(\w+): (.*)$", told, re.M))


def seconds(told: str) -> int:
    """`1min 30s` in seconds."""
    return sum(int(number) * {"min": 60, "s": 1}[unit] for number, unit in re.findall(r"(\d+)(min|s)", told))


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


@has_systemd
def test_processes_are_given_the_time_to_finish(installed: list[Path]) -> None:
    for file in installed:
        if file.suffix == ".service":
            kind = Kind(re.split(r"[-@.]", file.name)[1])
            assert seconds(loaded(file)["TimeoutStopSec"]) >= stop_seconds(kind), file.name


@has_systemd
def test_command_of_manage_is_run_once_with_what_all_have_in_common(installed: list[Path]) -> None:
    """As `config/manage.sh` has systemd do it, with a unit of this name that is in no file."""
    script = (UNITS.parent / "manage.sh").read_text(encoding="utf-8")
    [name] = re.findall(r"--unit=(\S+)", script)
    [command] = re.findall(r"^  (.*)$", script, re.M)
    file = installed[0].with_name(f"{name}.service")
    file.write_text(f"[Service]\nExecStart={sys.executable} manage.py check\n", encoding="utf-8")
    read = loaded(file)
    assert (read["Restart"], read["User"]) == ("no", "trafficmon")
    assert command == f'{PROGRAMS}python manage.py "$@"'


def test_units_name_only_settings_that_there_are() -> None:
    common = (UNITS / "trafficmon-.service.d" / "common.conf").read_text(encoding="utf-8")
    named = set(re.findall(r"\b((?:ALGO|DASHSCOPE)_[A-Z_]+)=", common))
    known = {variable_of(field) for field in Environment.model_fields}
    assert {name.removesuffix("_FILE") for name in named} - known == set()
    loaded = set(re.findall(r"^LoadCredential=(\w+):", common, re.M))
    assert loaded == set(re.findall(r"=%d/(\w+)", common))
