"""`model_config.yaml`: read once, checked wholly, every mistake named by its path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from assessment.configuration import LlmConfiguration
from assessment.prompt import UnusablePrompt, load_template
from detection.configuration import ClassesConfiguration, DetectionConfiguration
from trafficmon.core.objects import ObjectClass
from trafficmon.settings.environment import ConfigurationError, explain


class ModelFile(DetectionConfiguration):
    """The whole of model_config.yaml."""

    llm: LlmConfiguration = LlmConfiguration()


def read_model_file(
    path: Path, *, allowed: Sequence[ObjectClass] = tuple(ObjectClass), language: str = "en"
) -> ModelFile:
    """The configuration in `path`, only `allowed` classes kept; raises ConfigurationError when it is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        message = f"{path} does not exist: copy model_config.yaml there or set ALGO_MODEL_CONFIG_PATH"
        raise ConfigurationError(message) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"{path} cannot be read: {error}"
        raise ConfigurationError(message) from None
    try:
        read = ModelFile.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError("\n".join(explain(error, where=f"{path}: "))) from None
    try:
        load_template(read.llm.prompt_template, language)
    except UnusablePrompt as error:
        message = f"{path}: llm.prompt_template: {error}"
        raise ConfigurationError(message) from None
    kept = tuple(each for each in read.classes.include if each in allowed)
    if not kept:
        message = f"{path}: classes.include and ALGO_ALLOWED_CLASSES have no class in common"
        raise ConfigurationError(message)
    return read.model_copy(update={"classes": ClassesConfiguration(include=kept)})
