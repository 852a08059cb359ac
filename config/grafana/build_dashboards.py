"""Write the dashboards as the files that Grafana is provisioned with; with --check, only compare.

What is counted is added up over hosts with `sum`; the state of the whole fleet is the same from everybody: `max`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 24


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture of queries, each with what its lines are called."""

    title: str
    queries: dict[str, str]
    """The legend of each query; `{{label}}` stands for a label's value."""
    unit: str = "short"
    says: str = ""
    kind: str = "timeseries"
    most: float | None = None
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Panels under a name; the variables can be chosen above them."""

    uid: str
    title: str
    panels: list[Panel]
    variables: dict[str, str] = field(default_factory=dict)
    """Each with the query that finds its values."""


def rate(metric: str, by: str = "", where: str = "") -> str:
    """How many a second, over all hosts."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{where}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "") -> str:
    """What so large a share of a histogram's values does not exceed."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"


def fleet(figure: str, by: str = "") -> str:
    """A state of the whole fleet, whoever tells it."""
    return f"max by ({by}) ({figure})" if by else f"max({figure})"


def percentiles(metric: str) -> dict[str, str]:
    return {"half": quantile(0.5, metric), "P95": quantile(0.95, metric), "P99": quantile(0.99, metric)}


CAMERA = '{camera_id=~"$camera"}'

DASHBOARDS = [
    Dashboard(
        "trafficmon-throughput",
        "Throughput",
        [
            Panel(
                "Frames",
                {
                    "captured": rate("frames_captured_total"),
                    "detected": rate("detection_total"),
                    "dropped": rate("frames_dropped_total"),
                },
                "ops",
            ),
            Panel("Frames dropped", {"{{reason}}": rate("frames_dropped_total", "reason")}, "ops", stacked=True),
            Panel("Objects", {"{{object_class}}": rate("detected_objects_total", "object_class")}, "ops", stacked=True),
            Panel(
                "Traffic groups, and what became of them",
                {
                    "formed": rate("traffic_groups_total"),
                    "{{outcome}}": rate("gate_groups_total", "outcome"),
                },
                "ops",
            ),
            Panel(
                "Messages",
                {
                    "sent to {{queue}}": rate("queue_messages_sent_total", "queue"),
                    "received from {{queue}}": rate("queue_messages_received_total", "queue"),
                    "not sent to {{queue}}": rate("queue_send_errors_total", "queue"),
                },
                "ops",
            ),
            Panel(
                "Tasks",
                {
                    "sent: {{task}}": rate("tasks_generated_total", "task"),
                    "{{state}}: {{task}}": rate("tasks_processed_total", "task, state"),
                },
                "ops",
            ),
            Panel("Messages waiting", {"{{queue}}": fleet("task_queue_size", "queue")}),
            Panel("Age of the oldest work", {"{{queue}}": fleet("queue_consumer_lag", "queue")}, "s"),
            Panel("Stretch of intervals", {"times": fleet("frame_interval_stretch")}),
            Panel("Failures by stage", {"{{stage}}": rate("pipeline_errors_total", "stage")}, "ops", stacked=True),
            Panel(
                "Web requests",
                {"{{status}}": rate("django_http_responses_total_by_status_total", "status")},
                "reqps",
            ),
            Panel("Database queries", {"{{vendor}}": rate("django_db_execute_total", "vendor")}, "ops"),
            Panel("Work that somebody does", {"{{worker}}": fleet("worker_seen", "worker")}, kind="stat"),
            Panel("Version", {"{{version}}": "max by (version) (system_info)"}, kind="stat"),
        ],
    ),
    Dashboard(
        "trafficmon-latency",
        "Latency by stage",
        [
            Panel(
                "Capture to detection on screen",
                percentiles("detection_send_latency_seconds"),
                "s",
                "Objective: 1 s. Sent to the first browser that shows it; nothing where nobody looks.",
            ),
            Panel("Capture to detection stored", percentiles("detection_latency_seconds"), "s"),
            Panel(
                "Capture to verdict, without the model's own time",
                percentiles("verdict_overhead_seconds"),
                "s",
                "Objective: 2 s.",
            ),
            Panel("Capture to verdict", percentiles("verdict_latency_seconds"), "s"),
            Panel("The model's own time, P95", {"{{model}}": quantile(0.95, "llm_latency_seconds", "model")}, "s"),
            Panel("Each stage, half", {"{{stage}}": quantile(0.5, "stage_seconds", "stage")}, "s"),
            Panel("Each stage, P95", {"{{stage}}": quantile(0.95, "stage_seconds", "stage")}, "s"),
            Panel(
                "Share that missed its objective",
                {
                    "detection, 5 min": "trafficmon:detection_late:ratio_rate5m",
                    "detection, 1 h": "trafficmon:detection_late:ratio_rate1h",
                    "verdict, 5 min": "trafficmon:verdict_late:ratio_rate5m",
                    "verdict, 1 h": "trafficmon:verdict_late:ratio_rate1h",
                },
                "percentunit",
                most=1,
            ),
            Panel("Database query, P95", {"seconds": quantile(0.95, "django_db_query_duration_seconds")}, "s"),
        ],
    ),
    Dashboard(
        "trafficmon-keys",
        "Key pool",
        [
            Panel(
                "Keys",
                {
                    "configured": fleet("api_key_pool_size"),
                    "usable": "count(max by (key_id) (api_key_status) >= 2) or vector(0)",
                },
                kind="stat",
            ),
            Panel(
                "State",
                {"{{key_id}}": fleet("api_key_status", "key_id")},
                says="0 disabled, 1 cooling, 2 in use, 3 available.",
                most=3,
            ),
            Panel("Calls by status", {"{{status}}": rate("llm_requests_total", "status")}, "ops", stacked=True),
            Panel("Calls by key", {"{{key_id}}": rate("llm_requests_total", "key_id")}, "ops", stacked=True),
            Panel("Calls in flight", {"calls": "sum(llm_concurrent_tasks)"}),
            Panel("Cooldown left", {"{{key_id}}": fleet("api_key_cooldown_seconds", "key_id")}, "s"),
            Panel(
                "Share of calls that succeeded",
                {"{{key_id}}": fleet("api_key_success_rate", "key_id")},
                "percentunit",
                most=1,
            ),
            Panel("Calls since the fleet's start", {"{{key_id}}": "sum by (key_id) (api_key_total_calls)"}),
            Panel("Outcomes", {"{{status}} {{reason}}": rate("assessments_total", "status, reason")}, "ops"),
            Panel(
                "Work done twice",
                {
                    "taken over from dead workers": rate("assessments_taken_over_total"),
                    "answers unused": rate("answers_unused_total"),
                },
                "ops",
            ),
        ],
    ),
    Dashboard(
        "trafficmon-cost",
        "Cost",
        [
            Panel("Spent today", {"{{account}}": fleet("llm_spent_today", "account")}, stacked=True),
            Panel(
                "Of the day's budget", {"used": fleet("llm_budget_spent_share")}, "percentunit", kind="gauge", most=1
            ),
            Panel(
                "Cost an hour",
                {"{{model}}, {{account}}": "sum by (model, account) (rate(llm_cost_total[1h])) * 3600"},
                stacked=True,
            ),
            Panel(
                "Tokens",
                {"{{direction}}, {{model}}": rate("llm_token_usage_total", "direction, model")},
                "ops",
                stacked=True,
            ),
            Panel(
                "Cost of a question",
                {"mean of an hour": 'sum(rate(llm_cost_total[1h])) / sum(rate(assessments_total{status="done"}[1h]))'},
            ),
            Panel("Calls of models without a price", {"{{model}}": rate("llm_unpriced_calls_total", "model")}, "ops"),
        ],
    ),
    Dashboard(
        "trafficmon-risks",
        "Risks",
        [
            Panel("Alerts opened an hour", {"{{risk_level}}": "sum by (risk_level) (increase(risk_alerts_total[1h]))"}),
            Panel(
                "Risky verdicts an hour",
                {"{{risk_type}}": "sum by (risk_type) (increase(risk_types_detected_total[1h]))"},
                stacked=True,
            ),
            Panel(
                "Questions without an answer",
                {
                    "share": 'sum(rate(assessments_total{status=~"failed|expired"}[5m]))'
                    " / sum(rate(assessments_total[5m]))"
                },
                "percentunit",
                most=1,
            ),
            Panel("Samples of what the gate left out", {"{{outcome}}": rate("gate_samples_total", "outcome")}, "ops"),
            Panel("Notifications", {"{{kind}}: {{outcome}}": rate("notifications_total", "kind, outcome")}, "ops"),
        ],
    ),
    Dashboard(
        "trafficmon-cameras",
        "Cameras",
        [
            Panel(
                "Cameras",
                {
                    "to run": "count(max by (camera_id) (camera_up))",
                    "online": "sum(max by (camera_id) (camera_up))",
                    "open streams": "sum(active_cameras)",
                },
                kind="stat",
            ),
            Panel(
                "Silent for",
                {
                    "{{camera}}": f"max by (camera_id) (camera_silent_seconds{CAMERA}) * on (camera_id) "
                    "group_left (camera) max by (camera_id, camera) (camera_info)"
                },
                "s",
            ),
            Panel("Captured", {"{{camera_id}}": rate("frames_captured_total", "camera_id", CAMERA)}, "ops"),
            Panel("Detected", {"{{camera_id}}": rate("detection_total", "camera_id", CAMERA)}, "ops"),
            Panel("Decoded", {"{{camera_id}}": rate("frames_decoded_total", "camera_id", CAMERA)}, "ops"),
            Panel(
                "Share of a core for decoding",
                {"{{camera_id}}": rate("decode_seconds_total", "camera_id", CAMERA)},
                "percentunit",
            ),
            Panel(
                "Crossed lines an hour",
                {"{{line}} {{direction}}": f"sum by (line, direction) (increase(line_crossings_total{CAMERA}[1h]))"},
            ),
        ],
        {"camera": "label_values(camera_info, camera_id)"},
    ),
    Dashboard(
        "trafficmon-ladder",
        "What is judged",
        [
            Panel(
                "Level",
                {"level": fleet("assessment_ladder_level")},
                says="0 all is judged, 1 only the urgent, 2 by a cheaper model, 3 geometry only, 4 nothing.",
                most=4,
            ),
            Panel("What became of groups", {"{{outcome}}": rate("gate_groups_total", "outcome")}, "ops", stacked=True),
            Panel(
                "What moves it: age of the oldest question",
                {"{{queue}}": 'max by (queue) (queue_consumer_lag{queue=~"assess.*"})'},
                "s",
            ),
            Panel("What moves it: outcomes", {"{{status}}": rate("assessments_total", "status")}, "ops", stacked=True),
            Panel("What moves it: usable keys", {"keys": "count(max by (key_id) (api_key_status) >= 2) or vector(0)"}),
            Panel("What moves it: budget used", {"share": fleet("llm_budget_spent_share")}, "percentunit"),
        ],
    ),
]


def rendered(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["trafficmon"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [
            {"title": "trafficmon", "type": "dashboards", "tags": ["trafficmon"], "asDropdown": True, "keepTime": True}
        ],
        "templating": {"list": [_variable(name, query) for name, query in dashboard.variables.items()]},
        "panels": [_panel(number, panel) for number, panel in enumerate(dashboard.panels)],
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 3,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    per_row = _COLUMNS // _WIDTH
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.stacked:
        defaults["custom"] = {"fillOpacity": 30, "stacking": {"mode": "normal", "group": "A"}}
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": {"x": number % per_row * _WIDTH, "y": number // per_row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel.kind),
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for place, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _options(kind: str) -> dict[str, Any]:
    if kind == "timeseries":
        return {
            "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}


def main() -> None:
    files = {
        FOLDER / f"{each.uid.removeprefix('trafficmon-')}.json": json.dumps(rendered(each), indent=2) + "\n"
        for each in DASHBOARDS
    }
    if sys.argv[1:] != ["--check"]:
        FOLDER.mkdir(exist_ok=True)
        for file, text in files.items():
            file.write_text(text, encoding="utf-8")
    differing = [file.name for file, text in files.items() if not file.exists() or file.read_text("utf-8") != text]
    if differing or set(FOLDER.glob("*.json")) != set(files):
        sys.exit(f"Not as written here: {', '.join(differing) or 'there are others'}. Run make dashboards.")


if __name__ == "__main__":
    main()
