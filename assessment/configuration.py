"""The `llm` part of model_config.yaml and the provider settings that come from the environment."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Confidence = Annotated[float, Field(gt=0, lt=1)]


class Strict(BaseModel):
    """Unknown keys are mistakes; a configuration never changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RiskThresholds(Strict):
    """Confidence from which an answer without a usable risk level counts as that level."""

    low: Confidence = 0.45
    medium: Confidence = 0.65
    high: Confidence = 0.80

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if not self.low < self.medium < self.high:
            raise ValueError("risk_threshold must rise: low < medium < high")
        return self


class LlmConfiguration(Strict):
    """Whether, how often and with which prompt groups are judged."""

    enabled: bool = True
    cooldown_seconds: float = Field(default=3.0, ge=0, le=3600)
    """Between two assessed frames of one camera."""
    prompt_template: str = "default-v2"
    """A folder of assessment/prompts, or the path of one with `zh-hans.txt` and `en.txt`."""
    risk_threshold: RiskThresholds = RiskThresholds()
