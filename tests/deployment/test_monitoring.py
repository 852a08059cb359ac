"""What Prometheus and Grafana are given: rules that work, and dashboards of metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django_prometheus.middleware import Metrics
from prometheus_client import REGISTRY

from tests.integration.test_metrics import CONTRACT
from tests.rtsp_camera import is_continuous_integration
from trafficmon.core import metrics

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS, GRAFANA = ROOT / "config" / "prometheus", ROOT / "config" / "grafana"
RULES = PROMETHEUS / "rules.yml"

has_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None and not is_continuous_integration(),
    reason="needs promtool: apt-get install prometheus",
)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboards() -> list[dict[str, Any]]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(GRAFANA.glob("dashboards/*.json"))]


def promtool(*words: str) -> str:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@has_promtool
def test_rules_are_rules() -> None:
    assert f"SUCCESS: {len(rules())} rules found" in promtool("check", "rules", str(RULES))


@has_promtool
def test_every_rule_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    written = (Path(__file__).parent / "rules_test.yml").read_text(encoding="utf-8").replace("RULES", str(RULES))
    (tmp_path / "rules_test.yml").write_text(written, encoding="utf-8")
    promtool("test", "rules", str(tmp_path / "rules_test.yml"))
    tried = [each for test in yaml.safe_load(written)["tests"] for each in test.get("alert_rule_test", ())]
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert {each["alertname"] for each in tried if each["exp_alerts"]} == alerts
    assert {each["alertname"] for each in tried if not each["exp_alerts"]} == alerts


@has_promtool
def test_configuration_of_prometheus_is_one(tmp_path: Path) -> None:
    written = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
    here = written.replace("/etc/prometheus", str(PROMETHEUS)).replace("/run/secrets", str(tmp_path))
    (tmp_path / "metrics_token").write_text("token", encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(here, encoding="utf-8")
    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "prometheus.yml"))


def test_every_rule_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert set(rule["annotations"]) == {"summary", "description"}


KEYWORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "bool", "offset"}


def named_in(query: str) -> set[str]:
    """The metrics that a query names."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', "", query.replace("$__rate_interval", "5m"))
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"\b[a-zA-Z_][\w:]*\b(?!\s*\()", bare)) - KEYWORDS


def known_metrics() -> set[str]:
    """What is exposed, what is recorded, and what Prometheus itself adds."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    return set(REGISTRY._names_to_collectors) | {each.name for each in metrics.FIGURES} | recorded | {"up"}


def test_metrics_of_a_query_are_found() -> None:
    query = 'max by (queue) (rate(a_total{b="c_total"}[5m])) * on (d) group_left (e) f:g:h unless (i > bool 2)'
    assert named_in(query) == {"a_total", "f:g:h", "i"}


def test_rules_name_only_metrics_that_there_are() -> None:
    assert set[str]().union(*(named_in(rule["expr"]) for rule in rules())) - known_metrics() == set()


def test_dashboards_name_only_metrics_that_there_are_and_all_of_the_contract() -> None:
    Metrics.get_instance()  # those of requests are made with the first
    panels = [panel for dashboard in dashboards() for panel in dashboard["panels"]]
    shown = set[str]().union(*(named_in(target["expr"]) for panel in panels for target in panel["targets"]))
    assert shown - known_metrics() == set()
    assert {name for name in CONTRACT if not any(each.startswith(name) for each in shown)} == set()


def test_dashboards_are_as_they_are_written_in_the_script() -> None:
    subprocess.run([sys.executable, str(GRAFANA / "build_dashboards.py"), "--check"], check=True)


def test_dashboards_have_what_grafana_requires() -> None:
    found = dashboards()
    assert [each["title"] for each in found] == [
        "Cameras",
        "Cost",
        "Key pool",
        "What is judged",
        "Latency by stage",
        "Risks",
        "Throughput",
    ]
    assert len({each["uid"] for each in found}) == len(found)
    for dashboard in found:
        assert isinstance(dashboard["schemaVersion"], int)
        assert set(dashboard) >= {"uid", "title", "time", "templating", "annotations", "panels"}
        assert len(dashboard["uid"]) <= 40
        panels = dashboard["panels"]
        assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
        for panel in panels:
            check_panel(panel)


def check_panel(panel: dict[str, Any]) -> None:
    assert panel["type"] in {"timeseries", "stat", "gauge"}
    assert panel["title"]
    place = panel["gridPos"]
    assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
    assert set(panel["fieldConfig"]) == {"defaults", "overrides"}
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}


def test_dashboards_are_provisioned_from_where_they_are() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8"))
    assert [(each["type"], each["uid"]) for each in source["datasources"]] == [("prometheus", "prometheus")]
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "trafficmon.yml").read_text("utf-8"))
    [told] = provider["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert f"./config/grafana/dashboards:{told['options']['path']}:ro" in compose["services"]["grafana"]["volumes"]
