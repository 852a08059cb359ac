"""The nginx and the Prometheus of a test's own, with the configuration that is shipped."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trafficmon.core.lifetime import end_with_parent
from workers.runtime import free_port

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
NOT_INSTALLED = "needs nginx and Prometheus: apt-get install nginx-light prometheus"

_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/trafficmon.conf;
}}
"""


def are_installed() -> bool:
    return all(shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin") for name in ("nginx", "prometheus"))


def make_secrets(folder: Path) -> Path:
    """What the compose file's secrets are made with; the folder."""
    subprocess.run([str(CONFIG / "make_secrets.sh"), "localhost", str(folder)], check=True)
    return folder


def rendered(**values: str) -> str:
    """The shipped configuration of nginx, filled in as its image does."""
    template = (CONFIG / "nginx" / "trafficmon.conf.template").read_text(encoding="utf-8")
    return re.sub(r"\$\{TRAFFICMON_(\w+)\}", lambda found: values[found[1].lower()], template)


@contextmanager
def running_nginx(folder: Path, *, web: str, tls: Path) -> Iterator[str]:
    """The proxy in front of `web`, HOST:PORT; its address."""
    folder.mkdir()
    https = free_port()
    told = rendered(http_port=str(free_port()), https_port=str(https), web_servers=f"server {web};", tls=str(tls))
    (folder / "trafficmon.conf").write_text(told, encoding="utf-8")
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder), encoding="utf-8")
    command = ["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log")]
    with _running(command, folder / "nginx.out"):
        yield f"https://localhost:{https}"


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running one."""

    address: str

    def ask(self, path: str, **parameters: str) -> Any:
        """What its API answers."""
        address = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310  # our own
            return json.load(answer)["data"]

    def query(self, query: str) -> dict[str, float]:
        """The values of an instant query, by their labels."""
        found = self.ask("query", query=query)["result"]
        return {json.dumps(each["metric"], sort_keys=True): float(each["value"][1]) for each in found}

    def value(self, query: str) -> float:
        """The only value of a query; 0 where there is none."""
        return sum(self.query(query).values())

    def targets(self) -> dict[str, str]:
        """How each job's target is: `up`, `down` or `unknown`."""
        try:
            return {each["labels"]["job"]: each["health"] for each in self.ask("targets")["activeTargets"]}
        except (OSError, urllib.error.URLError):
            return {}


@contextmanager
def running_prometheus(folder: Path, *, host: str, web: str, token: Path) -> Iterator[Prometheus]:
    """One with the shipped configuration and rules, for one host's metrics and the fleet's; it looks every second."""
    folder.mkdir()
    port = free_port()
    told = yaml.safe_load((CONFIG / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    told["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    told["rule_files"] = [str(CONFIG / "prometheus" / "rules.yml")]
    hosts, fleet, itself = told["scrape_configs"]
    (folder / "hosts.yml").write_text(yaml.safe_dump([{"targets": [host]}]), encoding="utf-8")
    hosts["file_sd_configs"] = [{"files": [str(folder / "hosts.yml")]}]
    fleet["static_configs"] = [{"targets": [web]}]
    itself["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    for job in (hosts, fleet):
        job["authorization"]["credentials_file"] = str(token)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(told), encoding="utf-8")
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command = ["prometheus", *options, f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with _running(command, folder / "prometheus.log"):
        yield Prometheus(f"http://127.0.0.1:{port}")


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            preexec_fn=end_with_parent,  # noqa: PLW1509  # one system call
        )
    time.sleep(0.2)
    assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)
