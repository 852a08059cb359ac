"""What can be asked of the simulator while it runs: to be slow, to refuse, to answer rubbish, to hang, to die."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assessment.simulator.credentials import Credential
from assessment.simulator.exchange import Refusal


class FaultKind(StrEnum):
    """Everything that can go wrong with a request."""

    RATE_LIMIT = "rate_limit"
    BURST_LIMIT = "burst_limit"
    TOKEN_LIMIT = "token_limit"  # noqa: S105  # a kind of refusal
    QUOTA_USED_UP = "quota_used_up"
    OVERDUE = "overdue"
    ARREARAGE = "arrearage"
    REVOKED = "revoked"
    FORBIDDEN = "forbidden"
    BLOCKED = "blocked"
    BAD_REQUEST = "bad_request"
    MODEL_NOT_FOUND = "model_not_found"
    ERROR = "error"
    SERVER_TIMEOUT = "server_timeout"
    OVERLOADED = "overloaded"
    BAD_GATEWAY = "bad_gateway"
    OK_WITHOUT_OUTPUT = "ok_without_output"
    FENCED = "fenced"
    WRAPPED = "wrapped"
    COMMENTED = "commented"
    BROKEN_JSON = "broken_json"
    RUBBISH = "rubbish"
    EMPTY = "empty"
    HANG = "hang"
    TRICKLE = "trickle"
    DROP = "drop"
    DIE = "die"


REFUSALS: dict[FaultKind, tuple[int, str, str]] = {
    FaultKind.RATE_LIMIT: (429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."),
    FaultKind.BURST_LIMIT: (429, "Throttling.BurstRate", "Request rate increased too quickly."),
    FaultKind.TOKEN_LIMIT: (429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your limit."),
    FaultKind.QUOTA_USED_UP: (429, "Throttling.AllocationQuota", "Free allocated quota exceeded."),
    FaultKind.OVERDUE: (429, "PostpaidBillOverdue", "The postpaid bill is overdue."),
    FaultKind.ARREARAGE: (400, "Arrearage", "Access denied, please make sure your account is in good standing."),
    FaultKind.REVOKED: (401, "InvalidApiKey", "Invalid API-key provided."),
    FaultKind.FORBIDDEN: (403, "Model.AccessDenied", "Model access denied."),
    FaultKind.BLOCKED: (400, "DataInspectionFailed", "Input data may contain inappropriate content."),
    FaultKind.BAD_REQUEST: (400, "InvalidParameter", "Required parameter is missing or invalid."),
    FaultKind.MODEL_NOT_FOUND: (404, "ModelNotFound", "The model does not exist."),
    FaultKind.ERROR: (500, "InternalError", "An internal error has occurred, please try again later."),
    FaultKind.SERVER_TIMEOUT: (500, "RequestTimeOut", "Request timed out, please try again later."),
    FaultKind.OVERLOADED: (503, "ModelServingError", "The request is too busy, please try again later."),
}
"""Status, code and words of each refusal, as the provider documents them."""


class Latency(BaseModel):
    """How long an answer takes: always `median_seconds`, or lognormal about it where `sigma` is not 0."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    median_seconds: float = Field(default=0.8, ge=0, le=600)
    sigma: float = Field(default=0.0, ge=0, le=3)

    def draw(self, rng: random.Random) -> float:
        """Seconds for one answer."""
        return self.median_seconds * math.exp(rng.gauss(0.0, self.sigma)) if self.sigma else self.median_seconds


class Fault(BaseModel):
    """A fault for the next `count` requests, or with `probability`, for `seconds`, on requests whose key ends so, of
    this account (as the counts name it) and to this model; empty is any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    count: Annotated[int, Field(ge=1)] | None = None
    probability: float = Field(default=1.0, gt=0, le=1)
    seconds: Annotated[float, Field(gt=0)] | None = None
    key_ending: str = ""
    account: str = ""
    model: str = ""

    def concerns(self, credential: Credential, model: str) -> bool:
        """Whether a request with this key to this model may meet it."""
        same_account = self.account in {"", credential.told_account}
        return same_account and self.model in {"", model} and credential.key.endswith(self.key_ending)


class Control(BaseModel):
    """The body of `POST /_control`: all of it optional, faults added to those in force unless `reset`.

    Keys with an ending in `revoke` are unknown from then on, until an ending in `restore` covers it ("" covers all).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reset: bool = False
    latency: Latency | None = None
    faults: tuple[Fault, ...] = ()
    revoke: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def one_fault_alone(cls, value: object) -> object:
        """`{"kind": "rate_limit", "count": 3}` is short for a list of that one fault."""
        return {"faults": [value]} if isinstance(value, dict) and "kind" in value else value


@dataclass(slots=True)
class _InForce:
    fault: Fault
    since: float
    left: int | None


@dataclass(slots=True)
class Faults:
    """The latency, the revoked keys and the faults in force; a request meets the first fault that fits it."""

    latency: Latency
    rng: random.Random
    _in_force: list[_InForce] = field(default_factory=list)
    _revoked: frozenset[str] = frozenset()

    def apply(self, control: Control) -> None:
        """Put an order in force: first its reset, which ends all faults and revocations, then restored keys, revoked
        keys and latency, then its faults after those already there."""
        if control.reset:
            self._in_force.clear()
            self._revoked = frozenset()
        kept = {each for each in self._revoked if not each.endswith(control.restore)}
        self._revoked = frozenset(kept | set(control.revoke))
        if control.latency:
            self.latency = control.latency
        self._in_force += [_InForce(fault, time.monotonic(), fault.count) for fault in control.faults]

    def is_revoked(self, key: str) -> bool:
        """Whether the key was revoked and not restored."""
        return key.endswith(tuple(self._revoked))

    def meet(self, credential: Credential, model: str) -> FaultKind | None:
        """The fault that a request with this key to this model meets now, counted as met; None for most."""
        now = time.monotonic()
        self._in_force = [each for each in self._in_force if not _is_over(each, now)]
        for each in self._in_force:
            if each.fault.concerns(credential, model) and self.rng.random() < each.fault.probability:
                if each.left is not None:
                    each.left -= 1
                return each.fault.kind
        return None


def _is_over(each: _InForce, now: float) -> bool:
    timed_out = each.fault.seconds is not None and now - each.since > each.fault.seconds
    return timed_out or each.left == 0


def refusal_of(kind: FaultKind) -> Refusal | None:
    """The refusal that is this fault, or None where it is a fault of another sort."""
    return Refusal(*REFUSALS[kind]) if kind in REFUSALS else None


_SPOILED: dict[FaultKind, Callable[[str], str]] = {
    FaultKind.FENCED: lambda answer: f"```json\n{answer}\n```",
    FaultKind.WRAPPED: lambda answer: f"Here is my assessment:\n\n{answer}\n\nLet me know if you need more.",
    FaultKind.COMMENTED: lambda answer: f"// judged from the boxes\n{answer[:-1]}, /* done */ }}",
    FaultKind.BROKEN_JSON: lambda answer: answer[: max(1, len(answer) * 4 // 5)].replace('"', "'"),
    FaultKind.RUBBISH: lambda _answer: "I am sorry, I cannot help with that.",
    FaultKind.EMPTY: lambda _answer: "",
}


def spoil(answer: str, kind: FaultKind) -> str:
    """`answer` as models really spoil it; unchanged for faults of another sort."""
    return _SPOILED[kind](answer) if kind in _SPOILED else answer
