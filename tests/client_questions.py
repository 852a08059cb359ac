"""A question as clients are asked it, and what becomes of it where the simulator fails: the same in both protocols."""

from __future__ import annotations

from datetime import UTC, datetime

from assessment.clients import (
    BurstLimited,
    ContentBlocked,
    EmptyResponse,
    KeyRevoked,
    ModelForbidden,
    ModelOverloaded,
    ModelTimedOut,
    ProviderFailed,
    ProviderUnreachable,
    Question,
    QuestionRejected,
    RateLimited,
    TokenLimited,
    UnableToAssess,
    Unpaid,
)
from assessment.clients.failures import UnknownModel
from assessment.prompt import GroupFacts, GroupOutline, ObjectFacts, build_question
from assessment.simulator import FaultKind
from tests.simulator_requests import JPEG
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

KEY = "sk-0123456789abcdef"
FACTS = GroupFacts(
    640,
    360,
    datetime(2026, 11, 21, tzinfo=UTC),
    (
        ObjectFacts(0, ObjectClass.PERSON, Box(100, 100, 120, 160), 0.9, 4),
        ObjectFacts(1, ObjectClass.CAR, Box(110, 90, 220, 165), 0.8),
    ),
    (GroupOutline(1, Box(100, 90, 220, 165), (0, 1)),),
    asked=1,
)


def question(*, model: str = "qwen-vl-plus", text: str | None = None) -> Question:
    asked = build_question(FACTS, [JPEG], model=model, language="en", template="default-v3")
    return asked if text is None else Question(model, asked.system, text, (JPEG,), asked.prompt_version)


FAILURES: list[tuple[FaultKind, type[UnableToAssess], str]] = [
    (FaultKind.RATE_LIMIT, RateLimited, "rate_limited"),
    (FaultKind.BURST_LIMIT, BurstLimited, "burst_limited"),
    (FaultKind.TOKEN_LIMIT, TokenLimited, "token_limited"),
    (FaultKind.QUOTA_USED_UP, Unpaid, "billing"),
    (FaultKind.OVERDUE, Unpaid, "billing"),
    (FaultKind.ARREARAGE, Unpaid, "billing"),
    (FaultKind.REVOKED, KeyRevoked, "revoked"),
    (FaultKind.FORBIDDEN, ModelForbidden, "forbidden"),
    (FaultKind.BLOCKED, ContentBlocked, "blocked"),
    (FaultKind.OK_WITHOUT_OUTPUT, ContentBlocked, "blocked"),
    (FaultKind.BAD_REQUEST, QuestionRejected, "bad_request"),
    (FaultKind.MODEL_NOT_FOUND, UnknownModel, "bad_request"),
    (FaultKind.ERROR, ProviderFailed, "provider_error"),
    (FaultKind.BAD_GATEWAY, ProviderFailed, "provider_error"),
    (FaultKind.OVERLOADED, ModelOverloaded, "overloaded"),
    (FaultKind.SERVER_TIMEOUT, ModelTimedOut, "timeout"),
    (FaultKind.HANG, ModelTimedOut, "timeout"),
    (FaultKind.TRICKLE, ModelTimedOut, "timeout"),
    (FaultKind.DROP, ProviderUnreachable, "unreachable"),
    (FaultKind.DIE, ProviderUnreachable, "unreachable"),
    (FaultKind.EMPTY, EmptyResponse, "empty_response"),
]
