"""Asking a vision language model: the question, the answer, and whoever can be asked.

Vendors are one module each behind `ModelClient`. No Django here: what to load is said by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from assessment.clients.failures import (
    BurstLimited,
    ContentBlocked,
    EmptyResponse,
    KeyRevoked,
    ModelForbidden,
    ModelOverloaded,
    ModelTimedOut,
    NoKey,
    ProviderFailed,
    ProviderUnreachable,
    QuestionRejected,
    RateLimited,
    Scope,
    Throttled,
    TokenLimited,
    UnableToAssess,
    Unpaid,
    UnreadableAnswer,
)

__all__ = [
    "Answer",
    "BurstLimited",
    "ContentBlocked",
    "EmptyResponse",
    "KeyRevoked",
    "ModelClient",
    "ModelForbidden",
    "ModelOverloaded",
    "ModelTimedOut",
    "NoKey",
    "ProviderFailed",
    "ProviderUnreachable",
    "Question",
    "QuestionRejected",
    "RateLimited",
    "Scope",
    "Throttled",
    "TokenLimited",
    "UnableToAssess",
    "Unpaid",
    "UnreadableAnswer",
    "load_client",
]

Vendor = Literal["dashscope", "openai"]


@dataclass(frozen=True, slots=True)
class Question:
    """One call's worth of asking; `pictures` are JPEG or PNG files in time order."""

    model: str
    system: str
    text: str
    pictures: tuple[bytes, ...]
    prompt_version: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, unparsed; `seconds` is the time from sending to the whole reply."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int
    request_id: str
    seconds: float


class Departing(Protocol):
    """What a request waits for once it lies ready on an open connection."""

    def await_slot(self) -> None:
        """Sleep until the request's time is near."""

    def begin(self) -> float:
        """Return when it may leave, at once: the seconds that its answer may take at the most. What this raises comes
        from `ask`, and nothing is sent."""

    def note_sent(self) -> None:
        """It has left."""


class ModelClient(Protocol):
    """Whoever can be asked. One `ask` is exactly one HTTP request, whatever happens to it; safe to use from many
    threads."""

    def ask(
        self, question: Question, *, api_key: str, timeout_seconds: float, departure: Departing | None = None
    ) -> Answer:
        """The answer within `timeout_seconds` of sending, or a subclass of UnableToAssess.

        The request lies ready before its `departure` is waited for; only the network comes after it.
        """
        ...


def load_client(vendor: Vendor, *, base_url: str, connections: int = 256, json_mode: bool = True) -> ModelClient:
    """The client of `vendor`, talking to `base_url` over at most `connections` kept-open connections.

    `json_mode` asks for answers in JSON only of models that can; without it, only the prompt does.
    One per process is enough: it is shared by all threads. Vendors' packages are imported here and not before, for
    they are slow to import.
    """
    match vendor:
        case "dashscope":
            from assessment.clients.dashscope import DashScopeClient

            return DashScopeClient(base_url=base_url, connections=connections, json_mode=json_mode)
        case "openai":
            from assessment.clients.openai_compatible import OpenAICompatibleClient

            return OpenAICompatibleClient(base_url=base_url, connections=connections, json_mode=json_mode)
