"""All that is configured, read at once: whatever is wrong anywhere is told together, before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trafficmon.settings.database import database_settings
from trafficmon.settings.environment import ConfigurationError, Environment, given, read_environment
from trafficmon.settings.model_file import ModelFile, read_model_file


@dataclass(frozen=True, slots=True)
class Configuration:
    """What holds for the life of this process."""

    environment: Environment
    database: dict[str, Any]
    model_file: ModelFile


def read_configuration(*, keeps_secrets: bool = True) -> Configuration:
    """Environment, database and model file; raises ConfigurationError with a line for each mistake in any of them."""
    mistakes: list[str] = []
    environment, database, model_file = None, None, None
    try:
        environment = read_environment(keeps_secrets=keeps_secrets)
    except ConfigurationError as error:
        mistakes.append(str(error))
    try:
        database = _database(environment)
    except ConfigurationError as error:
        mistakes.append(str(error))
    try:
        model_file = _model_file(environment)
    except ConfigurationError as error:
        mistakes.append(str(error))
    if mistakes or not (environment and database and model_file):
        raise ConfigurationError("\n".join(mistakes))
    return Configuration(environment, database, model_file)


def _database(environment: Environment | None) -> dict[str, Any]:
    run_dir = Path(given("ALGO_RUN_DIR") or "var").resolve()
    if environment is None:
        return database_settings(given("DATABASE_URL"), run_dir)
    password = environment.database_password.get_secret_value()
    return database_settings(environment.database_url, run_dir, password=password)


def _model_file(environment: Environment | None) -> ModelFile:
    """As the environment says; where that is wrong, as far as it can be checked without it."""
    if environment is None:
        return read_model_file(Path(given("ALGO_MODEL_CONFIG_PATH") or "model_config.yaml"))
    path, allowed = environment.model_config_path, environment.allowed_classes
    return read_model_file(path, allowed=allowed, language=environment.language)
