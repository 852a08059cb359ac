"""Environment variables and `.env`: the only reader of either. Every mistake is reported at once."""

from __future__ import annotations

import difflib
import functools
import itertools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from tzlocal import get_localzone_name

from trafficmon.core.kinds import Kind, check_processes, check_threads, read_counts
from trafficmon.core.objects import ObjectClass
from trafficmon.settings.addresses import address, check_address, is_allowed_host
from trafficmon.settings.exporting import ExportSettings, export_mistakes

Listed = NoDecode  # comma separated rather than JSON
_IN_FILE = "_FILE"
"""Ends the variable that names a file in which the value is, as container secrets come."""
_OWN = ("ALGO_", "DATABASE_", "DJANGO_", "OTEL_", "PGPASS", "POSTGRES_", "REDIS_")
"""Begins what is the service's own, and no key of a provider."""
_ORIGIN = re.compile(r"https?://[\w.\-\[\]:]+/?")


class ConfigurationError(Exception):
    """The configuration is wrong; the message names every mistake and what to do."""


class Environment(ExportSettings):
    """Everything an operator may set, with the defaults of the outside contract."""

    # An empty line is as good as none: compose's own spelling of what is not set, and that of .env.example.
    model_config = SettingsConfigDict(
        env_prefix="ALGO_", env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    server_host: str = "0.0.0.0"  # noqa: S104  # the contract's default: reachable from the operators' desks
    server_port: int = Field(default=5000, ge=1, le=65535)
    frame_interval: float = Field(default=1.8, ge=0.04, le=3600)
    alert_pause_seconds: float = Field(default=3.0, ge=0, le=3600)
    camera_lost_seconds: float = Field(default=30, ge=1, le=86400)
    max_concurrent_streams: int = Field(default=200, ge=1)
    backend_base_url: Annotated[str, address("http", "https", example="https://host/api", without="?#")] = (
        "http://localhost:9090/api"
    )
    model_config_path: Path = Path("model_config.yaml")
    api_keys_path: Path = Path("config/api_keys.yaml")
    allowed_classes: Annotated[tuple[ObjectClass, ...], Listed] = tuple(ObjectClass)
    ws_heartbeat_seconds: float = Field(default=30, ge=1, le=3600)
    cors_origins: Annotated[tuple[str, ...], Listed] = ()
    allowed_hosts: Annotated[tuple[str, ...], Listed] = ()
    secret_key: SecretStr = SecretStr("")
    field_key: SecretStr = SecretStr("")
    camera_networks: Annotated[tuple[IPvAnyNetwork, ...], Listed] = ()
    camera_tls_verify: bool = True
    notification_networks: Annotated[tuple[IPvAnyNetwork, ...], Listed] = ()
    """Private networks that webhooks and messaging servers may be in."""
    public_url: Annotated[str, address("http", "https", example="https://traffic.example", without="?#")] = ""
    """By which people reach the pages; links in notifications begin with it."""
    email_host: str = ""
    email_port: int = Field(default=587, ge=1, le=65535)
    email_security: Literal["starttls", "tls", "none"] = "starttls"
    email_user: str = ""
    email_password: SecretStr = SecretStr("")
    email_from: str = Field(default="trafficmon@localhost", pattern=r"^[^@\s]+@[^@\s]+$")
    hardware_decoding: Literal["", "cuda", "vaapi", "qsv", "videotoolbox", "d3d11va"] = ""
    """What decodes the cameras' pictures instead of the processor, where it is there."""
    weights_dir: Path = Path("weights")
    media_root: Path = Path("media")
    run_dir: Path = Path("var")
    language: Literal["zh-hans", "en"] = "zh-hans"
    time_zone: str = "Asia/Shanghai"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"
    """json: each line of every process is one JSON object."""
    save_raw_frames: bool = False
    llm_model: str = "qwen-vl-plus"
    llm_cheaper_model: str = ""
    """Asked instead of the model when that cannot keep up or its budget runs out; none where it is empty."""
    llm_timeout: float = Field(default=30, gt=0, le=600)
    llm_max_retry: int = Field(default=2, ge=0, le=20)
    llm_base_url: str = "https://dashscope.aliyuncs.com/api/v1"
    llm_simulated: bool = False
    """The base URL is the bundled simulator's: pages and messages say that answers are simulated."""
    assessment_deadline_seconds: float = Field(default=60, gt=0, le=3600)
    disk_free_mb: int = Field(default=2000, ge=1)
    """With less on the disk of the pictures, evidence is given up: the least severe first, then the oldest."""
    disk_floor_mb: int = Field(default=500, ge=1)
    """With less, no picture is written."""
    frame_retention_hours: float = Field(default=24, gt=0)
    risk_retention_days: float = Field(default=30, gt=0)
    risk_retention_by_level: Annotated[dict[Literal["low", "medium", "high"], float], Listed] = {}
    """Other days for some of the levels."""
    alert_retention_days: float = Field(default=365, gt=0)
    count_retention_days: float = Field(default=365, gt=0)
    audit_retention_days: float = Field(default=365, gt=0)
    jwt_secret: SecretStr = SecretStr("")
    jwt_header: str = Field(default="Authorization", pattern=r"^[A-Za-z0-9-]+$")
    flower_port: int = Field(default=5555, ge=1, le=65535)
    """Of the task monitoring, on the loopback address."""
    flower_password: SecretStr = SecretStr("")
    """Of the task monitoring's user `flower`; a fleet does not start it without one."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=9464, ge=1, le=65535)
    """Where a host's metrics are served by themselves, beside `/metrics` of its web processes."""
    metrics_token: SecretStr = SecretStr("")
    """Whoever sends it as a bearer token may read metrics; without one only this machine may."""
    fleet_processes: Annotated[dict[Kind, int], Listed] = {}
    """How many processes of a kind `manage.py fleet` starts, where that is not one."""
    fleet_threads: Annotated[dict[Kind, int], Listed] = {}
    demo: bool = False
    """Set by `make demo` only: cookies over plain HTTP on this machine, generated keys, simulated answers."""
    behind_tls: bool = False
    """Cookies are sent over HTTPS only, and the proxy's X-Forwarded-Proto is believed."""

    dashscope_api_key: SecretStr = Field(default=SecretStr(""), validation_alias="DASHSCOPE_API_KEY")
    database_password: SecretStr = SecretStr("")
    """Of the user in DATABASE_URL, where that names none."""
    database_url: str = Field(default="", validation_alias="DATABASE_URL")
    redis_url: Annotated[str, address("redis", "rediss", "unix", example="redis://host:6379/0")] = Field(
        default="", validation_alias="REDIS_URL"
    )
    broker_url: SecretStr = SecretStr("")
    """RabbitMQ, where the queues are not to be in Redis."""

    @property
    def tracing(self) -> dict[str, str]:
        """OpenTelemetry's own variables, here or in `.env`: where traces are sent, and how many."""
        written = _written_in(Path(".env").resolve())
        given = {name: value for name, value in {**written, **os.environ}.items() if name.startswith("OTEL_")}
        return {name: value for name, value in given.items() if value}

    @staticmethod
    def is_own(variable: str) -> bool:
        """Whether what it holds is the service's own, and not to be sent to anybody as a key."""
        return variable.upper().startswith(_OWN)

    def secret_named(self, variable: str) -> str:
        """What a variable of the operator's own naming holds, here or else in `.env`; "" where it is in neither.

        It may be in the file that the variable of this name with _FILE at its end names. Of settings of the service
        nothing is told: who may name a variable is not thereby one who may know them.
        """
        if self.is_own(variable):
            return ""
        file = given(f"{variable}{_IN_FILE}")
        try:
            return given(variable) or (_read_secret(Path(file)) if file else "")
        except (OSError, UnicodeDecodeError):
            return ""  # as where nobody has set it: its key is out of the pool, and says so

    @property
    def has_back_office(self) -> bool:
        """Whether somebody named one: nothing is sent to the default address by itself."""
        return bool(self.backend_base_url) and "backend_base_url" in self.model_fields_set

    @field_validator(
        "allowed_classes", "cors_origins", "allowed_hosts", "camera_networks", "notification_networks", mode="before"
    )
    @classmethod
    def split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    def risk_retention_of(self, level: str) -> float:
        """For how many days frames that showed a risk of this level are kept."""
        return {str(name): days for name, days in self.risk_retention_by_level.items()}.get(
            level, self.risk_retention_days
        )

    @field_validator("risk_retention_by_level")
    @classmethod
    def possible_days(cls, value: dict[str, float]) -> dict[str, float]:
        if not all(days > 0 for days in value.values()):
            message = "name days above 0 as in low=7,medium=30,high=90"
            raise ValueError(message)
        return value

    @field_validator("fleet_processes", "fleet_threads", "risk_retention_by_level", mode="before")
    @classmethod
    def split_counts(cls, value: object) -> object:
        return read_counts(value) if isinstance(value, str) else value

    @field_validator("fleet_processes")
    @classmethod
    def possible_processes(cls, value: dict[Kind, int]) -> dict[Kind, int]:
        return check_processes(value)

    @field_validator("fleet_threads")
    @classmethod
    def possible_threads(cls, value: dict[Kind, int]) -> dict[Kind, int]:
        return check_threads(value)

    @field_validator("cors_origins")
    @classmethod
    def whole_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(each) for each in value):
            message = "name each origin as a browser does, such as https://front.example or http://front.example:8080"
            raise ValueError(message)
        return tuple(each.rstrip("/") for each in value)

    @field_validator("allowed_hosts")
    @classmethod
    def bare_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(is_allowed_host(each) for each in value):
            message = "name each host without scheme, port and path, such as traffic.example"
            raise ValueError(message)
        return value

    @field_validator("broker_url")
    @classmethod
    def known_broker(cls, value: SecretStr) -> SecretStr:
        if written := value.get_secret_value():
            check_address(written, "amqp", "amqps", example="amqp://user:password@host:5672/vhost, or leave it empty")
        return value

    @field_validator("llm_base_url")
    @classmethod
    def known_provider(cls, value: str) -> str:
        return check_address(value, "http", "https", example=str(cls.model_fields["llm_base_url"].default))

    @field_validator("time_zone")
    @classmethod
    def known_time_zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            message = "no such time zone; use a name such as Asia/Shanghai"
            raise ValueError(message) from error
        return value


def _read_secret(path: Path) -> str:
    """What a file holds, without the line's end; raises OSError or UnicodeDecodeError."""
    return path.read_text(encoding="utf-8").strip()


@functools.cache
def _written_in(path: Path) -> dict[str, str | None]:
    """As all that is set, it is read once in the life of a process."""
    return dotenv_values(path)


def variable_of(field: str) -> str:
    """The environment variable that sets `field`."""
    alias = Environment.model_fields[field].validation_alias if field in Environment.model_fields else field
    return alias if isinstance(alias, str) else f"ALGO_{field.upper()}"


def explain(error: ValidationError, *, where: str = "") -> list[str]:
    """One line for each mistake: its path and what is wrong. The value given is never shown: it may be a secret."""
    return [f"{where}{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]


def read_environment(*, keeps_secrets: bool = True) -> Environment:
    """The environment, or ConfigurationError naming everything that is wrong with it; see `look_at_environment`."""
    environment, mistakes = look_at_environment(keeps_secrets=keeps_secrets)
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    return environment


def look_at_environment(*, keeps_secrets: bool = True) -> tuple[Environment, list[str]]:
    """The environment, with the default of each field that is wrong, and a line for each mistake.

    Without `keeps_secrets` (a command that stores and signs nothing) the keys may be missing. There and in the demo
    language and time zone are the machine's, unless they are set. Raises ConfigurationError where `.env` is no text.
    """
    try:
        found, unreadable = _from_files()
        environment, invalid = _validated(found)
        unknown = _unknown_names()
    except (OSError, UnicodeDecodeError) as error:
        message = f".env cannot be read: {error}"
        raise ConfigurationError(message) from None
    at_home = environment.demo or not keeps_secrets
    together = [*([] if at_home else _missing_secrets(environment)), *_at_odds(environment)]
    # What is wrong by itself says nothing about the rest.
    alone = {variable_of(field) for field in (*unreadable, *invalid)}
    others = [line for line in together if not alone & set(re.findall(r"\w+", line))]
    mistakes = [*unreadable.values(), *itertools.chain(*invalid.values()), *unknown, *others]
    return (_as_the_machine_speaks(environment) if at_home else environment), mistakes


def _validated(found: Mapping[str, Any]) -> tuple[Environment, dict[str, list[str]]]:
    """The environment, and of each field that is wrong what is wrong about it; there it has its default."""
    try:
        return Environment(**found), {}
    except ValidationError as error:
        wrong: dict[str, list[str]] = {}
        for each in error.errors():
            field = _field_of(str(each["loc"][0]))
            wrong.setdefault(field, []).append(f"{variable_of(field)}: {each['msg']}")
        defaults = {field: Environment.model_fields[field].default for field in wrong}
        return Environment(**{**found, **defaults}), wrong


def _field_of(name: str) -> str:
    """The field that pydantic names, by its own name or by its variable's."""
    return next((field for field in Environment.model_fields if variable_of(field) == name), name)


def _at_odds(environment: Environment) -> list[str]:
    """What is right by itself, but not together."""
    mistakes = export_mistakes(environment)
    if environment.disk_floor_mb > environment.disk_free_mb:
        mistakes.append("ALGO_DISK_FLOOR_MB must not be above ALGO_DISK_FREE_MB: space is freed before writing stops")
    return mistakes


def _may_be_in_file() -> dict[str, str]:
    """The fields that may be given as a file, secrets and what may hold one, by the variable that names it."""
    secret = [name for name, field in Environment.model_fields.items() if field.annotation is SecretStr]
    return {f"{variable_of(name)}{_IN_FILE}": name for name in (*secret, "database_url", "redis_url")}


def _from_files() -> tuple[dict[str, Any], dict[str, str]]:
    """What is given as files, by field, and of each file that cannot be used why not, by field, too."""
    given = dotenv_values(".env") | os.environ
    found, wrong = dict[str, Any](), dict[str, str]()
    for variable, name in _may_be_in_file().items():
        path = given.get(variable)
        if not path:
            continue
        if given.get(variable_of(name)):
            wrong[name] = f"{variable}: {variable_of(name)} is set, too: set one of the two"
            continue
        try:
            found[name] = _read_secret(Path(path))
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            wrong[name] = f"{variable}: the file cannot be read: {why}"
    return found, wrong


def _as_the_machine_speaks(environment: Environment) -> Environment:
    spoken = os.environ.get("LC_ALL") or os.environ.get("LANG", "")
    own = {"language": "zh-hans" if spoken.startswith("zh") else "en", "time_zone": get_localzone_name() or "UTC"}
    unset = {name: value for name, value in own.items() if name not in environment.model_fields_set}
    return environment.model_copy(update=unset)


def _unknown_names() -> list[str]:
    """What is set under our prefix, here or in `.env`, and means nothing: most likely misspelt."""
    known = {variable_of(field) for field in Environment.model_fields} | set(_may_be_in_file())
    given = {name.upper() for name in (*os.environ, *dotenv_values(".env")) if name.upper().startswith("ALGO_")}
    return [f"{name} is not a setting{_suggestion(name, known)}" for name in sorted(given - known)]


def _suggestion(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {near[0]}?" if near else ": remove it"


def given(variable: str) -> str:
    """What a variable is set to, here or else in `.env`; "" where it is in neither."""
    return os.environ.get(variable) or _written_in(Path(".env").resolve()).get(variable) or ""


def _missing_secrets(environment: Environment) -> list[str]:
    """Also where there is a file, with nothing in it."""
    hint = "set it to a long random text, for example from: openssl rand -hex 32"
    required = {"ALGO_SECRET_KEY": environment.secret_key, "ALGO_FIELD_KEY": environment.field_key}
    return [f"{name} is required: {hint}" for name, value in required.items() if not value.get_secret_value().strip()]
