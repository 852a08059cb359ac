"""`model_config.yaml`: read once, checked wholly, every mistake named by its path."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from assessment.configuration import LlmConfiguration
from detection.configuration import DetectionConfiguration
from trafficmon.settings.environment import ConfigurationError, explain


class ModelFile(DetectionConfiguration):
    """The whole of model_config.yaml."""

    llm: LlmConfiguration = LlmConfiguration()


def read_model_file(path: Path) -> ModelFile:
    """The configuration in `path`; raises ConfigurationError when it is missing, not YAML, or wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        message = f"{path} does not exist: copy model_config.yaml there or set ALGO_MODEL_CONFIG_PATH"
        raise ConfigurationError(message) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"{path} cannot be read: {error}"
        raise ConfigurationError(message) from None
    try:
        return ModelFile.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError("\n".join(explain(error, where=f"{path}: "))) from None
