"""Where events are exported to: the part of the environment that says so, and what has to be installed for it."""

from __future__ import annotations

import importlib.util
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from trafficmon.core.topics import Topic
from trafficmon.settings.addresses import address, check_address

_NEEDED = {"kafka": "confluent_kafka", "mqtt": "paho.mqtt"}
INSTALL = "pip install -r requirements/export.txt"


class ExportSettings(BaseSettings):
    """Which other systems get events, and which ones. None where no address is set."""

    export_kafka_servers: str = Field(default="", pattern=r"^([^\s,/]+:\d+(,[^\s,/]+:\d+)*)?$")
    export_kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    export_kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    export_kafka_user: str = ""
    export_kafka_password: SecretStr = SecretStr("")
    export_mqtt_url: Annotated[str, address("mqtt", "mqtts", example="mqtt://host:1883", without="?#@")] = Field(
        default="", pattern=r"^(\w+://[^/]+/?)?$"
    )
    export_mqtt_user: str = ""
    export_mqtt_password: SecretStr = SecretStr("")
    export_webhook_url: Annotated[str, address("http", "https", example="https://host/path", without="#")] = ""
    export_webhook_secret: SecretStr = SecretStr("")
    export_topics: Annotated[tuple[Topic, ...], NoDecode] = tuple(Topic)
    export_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._/-]*$")
    """Before the name of each topic: where several installations share a broker."""
    export_backlog_hours: float = Field(default=24, gt=0)
    """What waits for longer is dropped and counted: an outage does not fill the disk."""
    export_retention_hours: float = Field(default=24, gt=0)
    """Of what was delivered."""

    @field_validator("export_kafka_servers")
    @classmethod
    def possible_ports(cls, value: str) -> str:
        for server in filter(None, value.split(",")):
            check_address(f"kafka://{server}", "kafka", example="host:9092,host2:9092")
        return value

    @field_validator("export_topics", mode="before")
    @classmethod
    def split_topics(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @property
    def export_sinks(self) -> tuple[str, ...]:
        """The names of those that are configured."""
        told = {
            "kafka": self.export_kafka_servers,
            "mqtt": self.export_mqtt_url,
            "webhook": self.export_webhook_url,
        }
        return tuple(name for name, address in told.items() if address)


def export_mistakes(told: ExportSettings) -> list[str]:
    """What does not go together, or is not installed; one line each."""
    mistakes = []
    if told.export_webhook_url and not told.export_webhook_secret.get_secret_value():
        mistakes.append("ALGO_EXPORT_WEBHOOK_SECRET is required: it is what the receiver knows our events by")
    if told.export_kafka_servers:
        mistakes += _kafka_mistakes(told)
    missing = [name for name in told.export_sinks if name in _NEEDED and not _is_installed(_NEEDED[name])]
    addresses = {"kafka": "ALGO_EXPORT_KAFKA_SERVERS", "mqtt": "ALGO_EXPORT_MQTT_URL"}
    return [*mistakes, *(f"{addresses[each]} needs the extra `export`, not installed: {INSTALL}" for each in missing)]


def _kafka_mistakes(told: ExportSettings) -> list[str]:
    mistakes = []
    knows_user = told.export_kafka_user and told.export_kafka_password.get_secret_value()
    if told.export_kafka_security.startswith("sasl") and not knows_user:
        mistakes.append("ALGO_EXPORT_KAFKA_USER and ALGO_EXPORT_KAFKA_PASSWORD are required with SASL")
    if "/" in told.export_prefix:
        mistakes.append("ALGO_EXPORT_PREFIX: topics of Kafka have no slash in their names")
    return mistakes


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
