"""All that is configured, read at once: whatever is wrong anywhere is told together, before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from trafficmon.core import tracing
from trafficmon.settings.database import database_settings
from trafficmon.settings.environment import ConfigurationError, Environment, look_at_environment
from trafficmon.settings.model_file import ModelFile, read_model_file

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What holds for the life of this process."""

    environment: Environment
    database: dict[str, Any]
    model_file: ModelFile
    is_traced: bool


def read_configuration(*, keeps_secrets: bool = True) -> Configuration:
    """Environment, database, model file and tracing; ConfigurationError has a line for each mistake in any of them."""
    environment, mistakes = look_at_environment(keeps_secrets=keeps_secrets)

    def attempt(read: Callable[[Environment], Read]) -> Read | None:
        try:
            return read(environment)
        except (ConfigurationError, tracing.UnableToTrace) as error:
            mistakes.append(str(error))
            return None

    database, model_file, is_traced = attempt(_database), attempt(_model_file), attempt(_is_traced)
    if mistakes or database is None or model_file is None:
        raise ConfigurationError("\n".join(mistakes))
    return Configuration(environment, database, model_file, bool(is_traced))


def _database(environment: Environment) -> dict[str, Any]:
    password = environment.database_password.get_secret_value()
    return database_settings(environment.database_url, environment.run_dir.resolve(), password=password)


def _model_file(environment: Environment) -> ModelFile:
    path, allowed = environment.model_config_path, environment.allowed_classes
    return read_model_file(path, allowed=allowed, language=environment.language)


def _is_traced(environment: Environment) -> bool:
    return tracing.is_wanted(environment.tracing)
