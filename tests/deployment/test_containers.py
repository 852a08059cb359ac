"""The compose file and the Dockerfile: no engine is there to run them, so all that can be said of them without one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.commands import documented
from tests.deployment.servers import NOT_INSTALLED, are_installed, make_secrets, running_nginx
from tests.rtsp_camera import is_continuous_integration
from trafficmon.settings.environment import Environment, variable_of
from workers.fleet import QUEUES
from workers.queues import Queue

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
OURS = {
    *("web", "capture", "detection", "detection-gpu", "assessment", "results", "beat", "metrics", "flower"),
    "migrate",
}
PINNED = {
    *("DATABASE_URL", "REDIS_URL", "ALGO_ALLOWED_HOSTS", "ALGO_BEHIND_TLS", "ALGO_PUBLIC_URL"),
    *("ALGO_MODEL_CONFIG_PATH", "ALGO_API_KEYS_PATH", "ALGO_MEDIA_ROOT", "ALGO_WEIGHTS_DIR", "ALGO_RUN_DIR"),
    *("ALGO_METRICS_PORT", "ALGO_FLOWER_PORT"),
}
"""What is no choice in containers: addresses and places there."""


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """As they are written, with what they share filled in."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def test_file_is_what_the_compose_specification_says() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    shutil.which("docker-compose") is None and not is_continuous_integration(),
    reason="needs docker-compose: apt-get install docker-compose",
)
def test_docker_compose_reads_it(services: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """And all that is set in `.env` reaches each of our processes, but for what is different in containers."""
    variables = {variable_of(field) for field in Environment.model_fields}
    told = {"COMPOSE_PROFILES": "cpu,gpu", "TRAFFICMON_HOST": "traffic.example", "OTEL_TRACES_SAMPLER_ARG": "0.05"}
    told |= {"MY_KEY": "sk-1"} | {name: f"of {name.lower()}" for name in variables}
    shutil.copy(COMPOSE, tmp_path)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in told.items()), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in told}
    command = ["docker-compose", "config"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)["services"]
    assert set(read) == set(services)
    for name in OURS:
        given = read[name]["environment"]
        own = {*PINNED, "ALGO_METRICS_HOST"} if name == "metrics" else PINNED
        assert {variable for variable in told if given[variable] != told[variable]} == own, name
    assert read["web"]["environment"]["ALGO_ALLOWED_HOSTS"] == "web,traffic.example,of algo_allowed_hosts"
    profiles = {name: service["profiles"] for name, service in read.items() if "profiles" in service}
    assert profiles == {"detection": ["cpu"], "detection-gpu": ["gpu"]}


@pytest.mark.skipif(sys.platform == "win32", reason="hadolint comes for Linux and macOS")
def test_dockerfile_has_nothing_to_complain_of() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(hadolint), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


def test_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        image = service["image"]
        own = {"trafficmon:light": "light", "trafficmon:detection": "detection"}
        assert image in own or re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?[\w.-]*", image), name
        if "build" in service:
            assert service["build"]["target"] == own[image]
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M)
    names = {name for _origin, name in stages}
    assert {origin for origin, _name in stages} - names == {"python:3.12.12-slim-trixie"}
    assert {"light", "detection"} <= names


def test_image_can_copy_the_database_of_its_server(services: dict[str, dict[str, Any]]) -> None:
    """PostgreSQL's programs refuse servers that are newer than they are."""
    [client] = re.findall(r" postgresql-client-(\d+)\b", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    [server] = re.findall(r"^postgres:(\d+)", services["postgres"]["image"])
    assert client == server


def test_image_has_what_settings_may_ask_for() -> None:
    installed = set(re.findall(r" -r requirements/(\w+)\.txt", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    assert installed == {"base", "export", "tracing", "detection"}


def test_proxy_finds_web_processes_that_were_replaced(services: dict[str, dict[str, Any]]) -> None:
    proxy = services["proxy"]
    version = tuple(map(int, re.findall(r"\d+", proxy["image"])))
    assert version >= (1, 27, 3), "the first whose open part knows `resolve`"
    told = proxy["environment"]["TRAFFICMON_WEB_SERVERS"]
    assert re.fullmatch(r"zone \w+ 64k; resolver 127\.0\.0\.11 valid=5s; server web:5000 resolve;", told)


@pytest.mark.skipif(not are_installed() and not is_continuous_integration(), reason=NOT_INSTALLED)
def test_nginx_takes_the_template(tmp_path: Path) -> None:
    with running_nginx(tmp_path / "nginx", web="127.0.0.1:1", tls=make_secrets(tmp_path / "secrets")) as address:
        assert address.startswith("https://localhost:")


def test_keys_in_a_file_reach_our_processes(services: dict[str, dict[str, Any]]) -> None:
    for name in OURS:
        assert "./config:/srv/trafficmon/config:ro" in services[name]["volumes"], name


def test_services_may_do_no_more_than_they_need(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert "privileged" not in service
    # Those of others that would begin as root are told not to; Prometheus and Grafana do not, nor does our image.
    assert {name for name, service in services.items() if "user" in service} == {"proxy", "postgres", "redis"}
    assert re.findall(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M) == ["10001"] * 2


def test_every_service_that_stays_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"migrate"}
    assert services["migrate"]["restart"] == "no"
    waiting = {name for name in services if name in OURS - {"migrate"}}
    for name in waiting:
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_secrets_are_files_that_the_script_makes(services: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    told = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["secrets"]
    script = str(ROOT / "config" / "make_secrets.sh")
    subprocess.run([script, "traffic.example", str(tmp_path / "secrets")], check=True)
    made = {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "secrets").iterdir()}
    assert {f"./secrets/{name}" for name in made} == {each["file"] for each in told.values()}
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()} == {0o444}
    subprocess.run([script, "traffic.example", str(tmp_path / "secrets")], check=True)
    assert {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "secrets").iterdir()} == made
    assert len(set(made.values())) == len(made)
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if str(value).startswith("/run/secrets/"):
                assert value.removeprefix("/run/secrets/") in service["secrets"], f"{name}: {variable}"


def test_settings_are_settings(services: dict[str, dict[str, Any]]) -> None:
    known = {variable_of(field) for field in Environment.model_fields}
    for name in OURS:
        assert services[name]["env_file"] == [".env"]
        given = {each.removesuffix("_FILE") for each in services[name]["environment"]}
        assert given - known - {"YOLO_CONFIG_DIR"} == set(), name


def test_commands_are_those_that_are_documented(services: dict[str, dict[str, Any]]) -> None:
    for name in OURS - {"migrate"}:
        said = shlex.join(services[name]["command"]).removesuffix(" --address=0.0.0.0")
        as_usual = re.sub(r"--concurrency \d+", "--concurrency N", said)
        assert as_usual in {re.sub(r"--concurrency \d+", "--concurrency N", each) for each in documented()}, name


def test_every_queue_is_consumed_as_by_the_fleet(services: dict[str, dict[str, Any]]) -> None:
    workers = {name: service["command"] for name, service in services.items() if "worker" in service.get("command", ())}
    consumed = {
        frozenset(command[command.index("--queues") + 1].split(","))
        for name, command in workers.items()
        if name != "detection-gpu"
    }
    assert consumed == {frozenset(queues) for queues in QUEUES.values()}
    assert frozenset[str]().union(*consumed) == set(Queue)


def test_redis_keeps_what_it_has_and_evicts_nothing(services: dict[str, dict[str, Any]]) -> None:
    command = services["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_only_the_proxy_is_reached_from_elsewhere(services: dict[str, dict[str, Any]]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert [name for name, ports in published.items() if not all(str(p).startswith("127.0.0.1:") for p in ports)] == [
        "proxy"
    ]
    assert {name for name, service in services.items() if service.get("networks") == ["data"]} == {"postgres", "redis"}


def test_files_that_are_mounted_are_there(services: dict[str, dict[str, Any]]) -> None:
    mounted = {
        volume.partition(":")[0]
        for service in services.values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    }
    assert {path for path in mounted if not (ROOT / path).exists()} <= {"./weights"}
