"""The configuration: defaults of the contract, and every mistake named at once."""

from __future__ import annotations

import json
import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from trafficmon.core.objects import ObjectClass
from trafficmon.settings.database import database_settings
from trafficmon.settings.demo_keys import demo_secrets
from trafficmon.settings.environment import ConfigurationError, read_environment
from trafficmon.settings.model_file import ModelFile, read_model_file
from trafficmon.settings.reading import read_configuration

SECRETS = {"ALGO_SECRET_KEY": "a", "ALGO_FIELD_KEY": "b"}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("ALGO_", "DASHSCOPE", "REDIS_URL", "DATABASE_URL"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_environment_has_the_defaults_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    read = read_environment()
    assert (read.server_host, read.server_port, read.frame_interval, read.alert_pause_seconds) == (
        "0.0.0.0",
        5000,
        1.8,
        3.0,
    )
    assert (read.max_concurrent_streams, read.ws_heartbeat_seconds) == (200, 30)
    assert read.allowed_classes == tuple(ObjectClass)
    assert (read.language, read.time_zone, read.log_level) == ("zh-hans", "Asia/Shanghai", "INFO")
    assert (read.llm_model, read.llm_timeout, read.llm_max_retry) == ("qwen-vl-plus", 30, 2)
    assert (str(read.model_config_path), str(read.weights_dir), str(read.media_root)) == (
        "model_config.yaml",
        "weights",
        "media",
    )


def test_environment_reads_comma_separated_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = {
        "ALGO_ALLOWED_CLASSES": "car, bus",
        "ALGO_CAMERA_NETWORKS": "10.0.0.0/8,192.168.1.0/24",
        "ALGO_CORS_ORIGINS": "",
    }
    for name, value in {**SECRETS, **lists}.items():
        monkeypatch.setenv(name, value)
    read = read_environment()
    assert read.allowed_classes == (ObjectClass.CAR, ObjectClass.BUS)
    assert read.camera_networks == (ip_network("10.0.0.0/8"), ip_network("192.168.1.0/24"))
    assert read.cors_origins == ()


def test_origins_are_spelled_as_browsers_spell_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ALGO_CORS_ORIGINS", "https://front.example/, http://10.0.0.5:8080, http://[::1]:3000")
    assert read_environment().cors_origins == ("https://front.example", "http://10.0.0.5:8080", "http://[::1]:3000")


@pytest.mark.parametrize("origin", ["front.example", "*", "https://front.example/page", "https://user@front.example"])
def test_what_is_no_origin_is_refused(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, "ALGO_CORS_ORIGINS": f"https://front.example,{origin}"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"^ALGO_CORS_ORIGINS: .*such as https://front\.example"):
        read_environment()


def test_every_wrong_variable_is_named_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALGO_SERVER_PORT", "ALGO_FRAME_INTERVAL", "ALGO_TIME_ZONE", "ALGO_CAMERA_NETWORKS"):
        monkeypatch.setenv(name, "s3cret")
    with pytest.raises(ConfigurationError) as refused:
        read_environment()
    lines = str(refused.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "ALGO_SERVER_PORT",
        "ALGO_FRAME_INTERVAL",
        "ALGO_CAMERA_NETWORKS",
        "ALGO_TIME_ZONE",
        "ALGO_SECRET_KEY is required",
        "ALGO_FIELD_KEY is required",
    ]
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("content", ["", "\n", "  \n"])
def test_file_without_a_secret_in_it_is_no_secret(
    content: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text(content, encoding="utf-8")
    for name in SECRETS:
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "empty"))
    with pytest.raises(ConfigurationError) as refused:
        read_environment()
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        "ALGO_SECRET_KEY is required",
        "ALGO_FIELD_KEY is required",
    ]


def test_no_kind_of_mistake_hides_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("trafficmon.core.tracing._is_installed", lambda: False)
    (tmp_path / "model.yaml").write_text("model: {confidence_threshold: 2}", encoding="utf-8")
    told = {
        "ALGO_SECRET_KEY_FILE": str(tmp_path / "missing"),
        "ALGO_SERVER_PORT": "99999",
        "REDIS_URL": "foo",
        "ALGO_DISK_FREE_MB": "0",
        "ALGO_DISK_FLOOR_MB": "5000",
        "ALGO_FRAME_INTERVALL": "2",
        "ALGO_EXPORT_WEBHOOK_URL": "https://front.example/events",
        "DATABASE_URL": "nonsense://x",
        "ALGO_MODEL_CONFIG_PATH": str(tmp_path / "model.yaml"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        read_configuration()
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        "ALGO_SECRET_KEY_FILE",
        "ALGO_SERVER_PORT",
        "ALGO_DISK_FREE_MB",
        "REDIS_URL",
        "ALGO_FRAME_INTERVALL is not a setting",
        "ALGO_FIELD_KEY is required",
        "ALGO_EXPORT_WEBHOOK_SECRET is required",
        "DATABASE_URL",
        str(tmp_path / "model.yaml"),
        "The OTEL_* variables ask for traces, but what sends them is not installed",
    ]


def test_missing_secrets_are_named_with_what_to_do() -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_environment()
    assert [line.split(" ")[0] for line in str(refused.value).splitlines()] == ["ALGO_SECRET_KEY", "ALGO_FIELD_KEY"]
    assert str(refused.value).count("openssl rand -hex 32") == 2


def test_misspelt_setting_is_named_with_what_was_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**SECRETS, "ALGO_FRAME_INTERVALL": "2"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".env").write_text("ALGO_XYZZY=1")
    with pytest.raises(ConfigurationError) as refused:
        read_environment()
    assert str(refused.value).splitlines() == [
        "ALGO_FRAME_INTERVALL is not a setting: did you mean ALGO_FRAME_INTERVAL?",
        "ALGO_XYZZY is not a setting: remove it",
    ]


def test_secret_under_a_name_of_its_own_is_read_from_the_environment_or_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEY_HERE", "sk-here")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".env").write_text("KEY_HERE=sk-not-this\nKEY_IN_FILE='sk-in-file'\nKEY_WITHOUT_VALUE\n")
    read = read_environment()
    names = ("KEY_HERE", "KEY_IN_FILE", "KEY_WITHOUT_VALUE", "KEY_NOWHERE")
    assert [read.secret_named(each) for each in names] == ["sk-here", "sk-in-file", "", ""]


def test_demo_makes_its_secrets_once_and_keeps_them_private(tmp_path: Path) -> None:
    made = demo_secrets(tmp_path / "run")
    assert demo_secrets(tmp_path / "run") == made
    path = tmp_path / "run" / "demo-secrets.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(json.loads(path.read_text())) == ["field_key", "operator_password", "secret_key"]


def test_shipped_model_file_spells_out_the_defaults() -> None:
    shipped = Path(__file__).parents[2] / "model_config.yaml"
    assert read_model_file(shipped) == ModelFile()


@pytest.mark.parametrize(
    ("content", "paths"),
    [
        ("model: {confidence: 0.3}", ["model.confidence"]),
        ("model: {confidence_threshold: 1.5, image_size: 641}", ["model.confidence_threshold", "model.image_size"]),
        ("model: {batch_size: 0, batch_wait_ms: -1}", ["model.batch_size", "model.batch_wait_ms"]),
        ("llm: {risk_threshold: {low: 0.9}}", ["llm.risk_threshold"]),
        ("llm: {prompt_template: nope}", ["llm.prompt_template"]),
        ("llm: {prior_threshold: {ask: 0.8, medium: 0.5}}", ["llm.prior_threshold"]),
        ("llm: {sample_share: 2, reuse_overlap: 1.0}", ["llm.sample_share", "llm.reuse_overlap"]),
        ("llm: {reuse_seconds: -1}", ["llm.reuse_seconds"]),
        ("classes: {include: [car, tractor]}", ["classes.include.1"]),
        (
            "tracking: {tracker: sort}\npost_processing: {min_group_size: 1}",
            ["tracking.tracker", "post_processing.min_group_size"],
        ),
    ],
)
def test_model_file_names_the_path_of_every_mistake(tmp_path: Path, content: str, paths: list[str]) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(content)
    with pytest.raises(ConfigurationError) as refused:
        read_model_file(path)
    assert [line.split(": ")[1] for line in str(refused.value).splitlines()] == paths


def test_classes_are_kept_only_where_environment_and_file_agree(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text("classes: {include: [car, person]}")
    assert read_model_file(path, allowed=(ObjectClass.CAR, ObjectClass.BUS)).classes.include == (ObjectClass.CAR,)
    with pytest.raises(ConfigurationError, match="no class in common"):
        read_model_file(path, allowed=(ObjectClass.BUS,))


@pytest.mark.parametrize(("content", "says"), [(None, "does not exist"), ("a: [", "cannot be read")])
def test_unreadable_model_file_says_what_to_do(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "model.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=says):
        read_model_file(path)


def test_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n", encoding="utf-8")
    for name in ("ALGO_SECRET_KEY", "ALGO_METRICS_TOKEN", "DASHSCOPE_API_KEY", "DATABASE_URL"):
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("ALGO_FIELD_KEY", "b")
    read = read_environment()
    secrets = (read.secret_key, read.metrics_token, read.dashscope_api_key)
    assert [each.get_secret_value() for each in secrets] == ["from a file"] * 3
    assert read.database_url == "from a file"


def test_secret_files_that_cannot_be_used_are_named_all_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "picture").write_bytes(b"\xff\xfe\x00")
    told = {
        **SECRETS,
        "ALGO_SECRET_KEY_FILE": str(tmp_path / "picture"),
        "ALGO_JWT_SECRET_FILE": str(tmp_path / "picture"),
        "DASHSCOPE_API_KEY_FILE": str(tmp_path / "missing"),
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        read_environment()
    assert sorted(str(refused.value).splitlines()) == [
        "ALGO_JWT_SECRET_FILE: the file cannot be read: it is no text",
        "ALGO_SECRET_KEY_FILE: ALGO_SECRET_KEY is set, too: set one of the two",
        "DASHSCOPE_API_KEY_FILE: the file cannot be read: No such file or directory",
    ]


def test_only_what_may_be_secret_is_read_from_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, "ALGO_SERVER_PORT_FILE": "somewhere"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"^ALGO_SERVER_PORT_FILE is not a setting"):
        read_environment()


def test_secret_of_the_operators_own_naming_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1\n", encoding="utf-8")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MY_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("LOST_KEY_FILE", str(tmp_path / "lost"))
    read = read_environment()
    assert [read.secret_named(name) for name in ("MY_KEY", "LOST_KEY", "NO_KEY")] == ["sk-1", "", ""]


def test_password_of_the_database_may_be_apart_from_its_address(tmp_path: Path) -> None:
    apart = database_settings("postgres://trafficmon@db/trafficmon", tmp_path, password="p@ss/word")
    assert (apart["USER"], apart["HOST"], apart["PASSWORD"]) == ("trafficmon", "db", "p@ss/word")
    assert apart["ENGINE"] == "django_prometheus.db.backends.postgresql"


def test_exports_that_cannot_be_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trafficmon.settings.exporting._is_installed", lambda _module: False)
    told = {
        "ALGO_EXPORT_KAFKA_SERVERS": "a:9092,b:9092",
        "ALGO_EXPORT_KAFKA_SECURITY": "sasl_ssl",
        "ALGO_EXPORT_MQTT_URL": "mqtts://broker",
        "ALGO_EXPORT_WEBHOOK_URL": "https://front.example/events",
        "ALGO_EXPORT_PREFIX": "site/",
    }
    for name, value in {**SECRETS, **told}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        read_environment()
    assert [line.split(" ")[0].strip(":") for line in str(refused.value).splitlines()] == [
        "ALGO_EXPORT_WEBHOOK_SECRET",
        "ALGO_EXPORT_KAFKA_USER",
        "ALGO_EXPORT_PREFIX",
        "ALGO_EXPORT_KAFKA_SERVERS",
        "ALGO_EXPORT_MQTT_URL",
    ]
    assert str(refused.value).count("pip install -r requirements/export.txt") == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALGO_EXPORT_KAFKA_SERVERS", "broker"),
        ("ALGO_EXPORT_MQTT_URL", "http://broker"),
        ("ALGO_EXPORT_TOPICS", "alerts,birds"),
        ("ALGO_EXPORT_KAFKA_SERVERS", "broker:99999"),
        ("ALGO_EXPORT_MQTT_URL", "mqtt://broker:99999"),
        ("ALGO_EXPORT_MQTT_URL", "mqtt://broker/topic"),
        ("ALGO_BROKER_URL", "redis://elsewhere"),
        ("ALGO_BROKER_URL", "amqp://"),
        ("REDIS_URL", "foo"),
        ("REDIS_URL", "redis://:6379/0"),
        ("REDIS_URL", "redis://host:port"),
        ("ALGO_LLM_BASE_URL", "nonsense"),
        ("ALGO_PUBLIC_URL", "https://traffic.example/?page=1"),
        ("ALGO_BACKEND_BASE_URL", "ftp://office/api"),
        ("ALGO_ALLOWED_HOSTS", "traffic.example,https://x"),
        ("ALGO_ALLOWED_HOSTS", "traffic.example:443"),
        ("ALGO_DISK_FLOOR_MB", "5000"),
        ("ALGO_RISK_RETENTION_BY_LEVEL", "low=0"),
        ("ALGO_RISK_RETENTION_BY_LEVEL", "none=3"),
    ],
)
def test_impossible_value_is_refused_by_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, told in {**SECRETS, name: value}.items():
        monkeypatch.setenv(variable, told)
    with pytest.raises(ConfigurationError, match=rf"^{name}"):
        read_environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "unix:///run/redis/redis.sock"),
        ("REDIS_URL", "rediss://user:p%40ss@host:6380/2"),
        ("REDIS_URL", "redis://[::1]:6379/0"),
        ("ALGO_BROKER_URL", "amqp://user:password@host:5672/vhost"),
        ("ALGO_LLM_BASE_URL", "http://127.0.0.1:8000/api/v1"),
        ("ALGO_EXPORT_MQTT_URL", "mqtts://broker:8883/"),
        ("ALGO_EXPORT_KAFKA_SERVERS", "a:9092,b:9092"),
        ("ALGO_ALLOWED_HOSTS", "traffic.example,.example,10.0.0.5,[::1],*"),
        ("ALGO_PUBLIC_URL", "https://traffic.example/roads"),
        ("ALGO_BACKEND_BASE_URL", ""),
    ],
)
def test_address_that_leads_somewhere_is_taken(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, told in {**SECRETS, name: value}.items():
        monkeypatch.setenv(variable, told)
    read_environment()


@pytest.mark.parametrize("in_file", [True, False])
def test_variable_that_says_nothing_leaves_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, in_file: bool
) -> None:
    names = ("FRAME_INTERVAL", "LLM_MODEL", "LLM_BASE_URL", "BACKEND_BASE_URL", "ALLOWED_CLASSES", "FLEET_PROCESSES")
    told = SECRETS | {f"ALGO_{name}": "" for name in names}
    if in_file:
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in told.items()))
    else:
        for variable, value in told.items():
            monkeypatch.setenv(variable, value)
    read = read_environment()
    assert (read.frame_interval, read.llm_model, read.has_back_office) == (1.8, "qwen-vl-plus", False)
    assert read.llm_base_url == "https://dashscope.aliyuncs.com/api/v1"
    assert (read.allowed_classes, read.fleet_processes) == (tuple(ObjectClass), {})


def test_days_are_kept_by_level(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, "ALGO_RISK_RETENTION_BY_LEVEL": "low=7, high=90"}.items():
        monkeypatch.setenv(name, value)
    read = read_environment()
    assert [read.risk_retention_of(level) for level in ("low", "medium", "high")] == [7, 30, 90]
