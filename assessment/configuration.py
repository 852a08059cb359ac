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


class PriorThresholds(Strict):
    """How dangerous a group must look to be asked about, and to be called medium by geometry and motion alone."""

    ask: float = Field(default=0.1, ge=0, lt=1)
    medium: Confidence = 0.8

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if not self.ask < self.medium:
            raise ValueError("prior_threshold must rise: ask < medium")
        return self


class LlmConfiguration(Strict):
    """Whether, how often and with which prompt groups are judged."""

    enabled: bool = True
    cooldown_seconds: float = Field(default=3.0, ge=0, le=3600)
    """Between two assessed frames of one camera."""
    prompt_template: str = "default-v3"
    """A folder of assessment/prompts, or the path of one with `zh-hans.txt` and `en.txt`."""
    risk_threshold: RiskThresholds = RiskThresholds()
    prior_threshold: PriorThresholds = PriorThresholds()
    sample_share: float = Field(default=0.02, ge=0, le=1)
    """Of the groups that the gate leaves out, asked about all the same, to know what it misses."""
    reuse_seconds: float = Field(default=10.0, ge=0, le=600)
    """For which a calm verdict holds for a group that looks the same; 0 for none."""
    reuse_overlap: Confidence = 0.8
    """Of each road user's box then and now, from which it looks the same."""
