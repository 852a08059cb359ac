"""Why a question has no answer. Each failure says what to count it as, whom it concerns, and whether to ask again."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Scope(StrEnum):
    """Whom a failure concerns, and so what should pause."""

    QUESTION = "question"
    KEY = "key"
    ACCOUNT = "account"
    MODEL = "model"
    PROVIDER = "provider"


class UnableToAssess(Exception):
    """A question has no usable answer. That is a failed assessment, never one without risk.

    `reason` is a stable code for rows and metrics; `retryable` says whether the same question may succeed later;
    `scope` says what else the failure will hit (a failure of a key or account leaves other accounts); `charged` whether
    it uses up one of the question's attempts; `tokens_used`, in and out, what it costs all the same;
    `can_be_sent_again` whether a person may put the question anew when it has ended so.
    """

    reason: str = "provider_error"
    retryable: ClassVar[bool] = True
    scope: ClassVar[Scope] = Scope.PROVIDER
    charged: ClassVar[bool] = True
    can_be_sent_again: ClassVar[bool] = True

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        code: str = "",
        request_id: str = "",
        retry_after_seconds: float | None = None,
        tokens_used: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds
        self.tokens_used = tokens_used


class Throttled(UnableToAssess):
    """The account sends more than it may; other accounts are free."""

    scope = Scope.ACCOUNT
    charged = False


class RateLimited(Throttled):
    """Too many requests a second or a minute, or too many at once."""

    reason = "rate_limited"


class BurstLimited(Throttled):
    """The request rate grew too quickly: pause briefly and ramp up."""

    reason = "burst_limited"


class TokenLimited(Throttled):
    """Too many tokens a second or a minute."""

    reason = "token_limited"


class Unpaid(UnableToAssess):
    """The account is in arrears, has no such product, or its free allowance is used up: somebody must pay."""

    reason = "billing"
    scope = Scope.ACCOUNT
    charged = False


class KeyRevoked(UnableToAssess):
    """The key is unknown, of another region, or has no right to this model: somebody must replace it."""

    reason = "revoked"
    scope = Scope.KEY
    charged = False


class ModelForbidden(KeyRevoked):
    """The key has no right to this model, but may have to others."""

    reason = "forbidden"


class NoKey(UnableToAssess):
    """There is no key to ask with, or its secret cannot be had."""

    reason = "no_key"
    charged = False


class ContentBlocked(UnableToAssess):
    """The provider's inspection refuses this content, and will again."""

    reason = "blocked"
    retryable = False
    can_be_sent_again = False
    scope = Scope.QUESTION


class QuestionRejected(UnableToAssess):
    """The request is wrong in itself: a mistake of ours or of the configuration."""

    reason = "bad_request"
    retryable = False
    scope = Scope.QUESTION


class UnknownModel(QuestionRejected):
    """The provider has no model of that name: correct ALGO_LLM_MODEL."""

    scope = Scope.MODEL


class ModelOverloaded(UnableToAssess):
    """The model is saturated for everyone; another key does not help."""

    reason = "overloaded"
    scope = Scope.MODEL


class ServerBusy(Throttled):
    """The account is a server of its own that has too much to do; other accounts are other servers."""

    reason = "overloaded"


class ModelTimedOut(UnableToAssess):
    """No whole answer within the time allowed."""

    reason = "timeout"


class ProviderUnreachable(UnableToAssess):
    """No connection, or it was lost before the whole answer came."""

    reason = "unreachable"


class ProviderFailed(UnableToAssess):
    """The provider failed, or answered outside its own protocol."""

    reason = "provider_error"


class EmptyResponse(UnableToAssess):
    """The model answered with no text."""

    reason = "empty_response"
    scope = Scope.QUESTION


class UnreadableAnswer(UnableToAssess):
    """Nothing can be made of the model's words."""

    reason = "unreadable_answer"
    scope = Scope.QUESTION


_BY_CODE: dict[str, type[UnableToAssess]] = {
    "throttling": RateLimited,
    "throttling.ratequota": RateLimited,
    "throttling.concurrency": RateLimited,
    "throttling.user": RateLimited,
    "limit_requests": RateLimited,
    "rate_limit_exceeded": RateLimited,
    "throttling.burstrate": BurstLimited,
    "limit_burst_rate": BurstLimited,
    "throttling.allocationquota": TokenLimited,
    "insufficient_quota": TokenLimited,
    "commoditynotpurchased": Unpaid,
    "prepaidbilloverdue": Unpaid,
    "postpaidbilloverdue": Unpaid,
    "arrearage": Unpaid,
    "allocationquota.freetieronly": Unpaid,
    "accessdenied.unpurchased": Unpaid,
    "billing_hard_limit_reached": Unpaid,
    "billing_not_active": Unpaid,
    "datainspectionfailed": ContentBlocked,
    "data_inspection_failed": ContentBlocked,
    "content_filter": ContentBlocked,
    "content_policy_violation": ContentBlocked,
    "invalidapikey": KeyRevoked,
    "invalid_api_key": KeyRevoked,
    "not authorized": KeyRevoked,
    "accessdenied": KeyRevoked,
    "access_denied": KeyRevoked,
    "model.accessdenied": ModelForbidden,
    "workspace.accessdenied": KeyRevoked,
    "modelnotfound": UnknownModel,
    "model_not_found": UnknownModel,
    "requesttimeout": ModelTimedOut,
    "internalerror.timeout": ModelTimedOut,
    "modelservingerror": ModelOverloaded,
    "modelunavailable": ModelOverloaded,
    "overloaded_error": ModelOverloaded,
    "invalidparameter": QuestionRejected,
    "invalid_parameter_error": QuestionRejected,
    "invalidurl": QuestionRejected,
    "context_length_exceeded": QuestionRejected,
}
"""Codes in lower case: those of DashScope's native and its compatible interface, and those of OpenAI that say more
than their HTTP status. (`invalid_request_error` does not: it comes with 400, 401 and 404.)"""

_BY_STATUS: dict[int, type[UnableToAssess]] = {
    401: KeyRevoked,
    402: Unpaid,
    403: KeyRevoked,
    404: UnknownModel,
    407: ProviderFailed,
    408: ModelTimedOut,
    429: RateLimited,
    503: ModelOverloaded,
    504: ModelTimedOut,
}

_ONLY_WHERE_MEANT = (KeyRevoked, Unpaid, UnknownModel)
"""What takes out a key or an account, or refuses a model."""

_NO_CODES = ("", "unknown")
"""`Unknown` is the word of DashScope's SDK for a refusal in which it found no code."""

_ALLOWANCE_USED_UP = ("free allocated quota", "free tier", "free quota")
"""In the message of a quota code: not a moment's throttle but the end of a free allowance."""

_OF_TOKENS = ("tokens per min", "tokens per day")
"""In the message of OpenAI's one code for all throttles."""


def failure_of(status: int, code: str, message: str, *, is_meant: bool | None = None) -> type[UnableToAssess]:
    """Which failure a refusal is, by its code, its words where the code has two meanings, then its HTTP status.

    `is_meant` is whether it came in the provider's protocol; unless told otherwise, where it has a code. A bare status
    that says so may be that of a proxy in between, which must not take out one key after the other, nor stop the model
    for all accounts.
    """
    said = code.strip().lower()
    failure = _BY_CODE.get(said) or _BY_STATUS.get(status)
    if failure is None:
        return QuestionRejected if 300 <= status < 500 else ProviderFailed
    if not _is_believed(failure, said, is_meant):
        return ProviderFailed
    return _throttle(failure, message.lower()) if failure in {TokenLimited, RateLimited} else failure


def _is_believed(failure: type[UnableToAssess], said: str, is_meant: bool | None) -> bool:
    """Whether a failure that concerns more than its question is sure to be the provider's own word."""
    if failure is ModelOverloaded:
        return has_code(said)
    if failure in _ONLY_WHERE_MEANT and said not in _BY_CODE:
        return has_code(said) if is_meant is None else is_meant
    return True


def has_code(code: str) -> bool:
    """Whether a refusal's code is one, which only the provider itself gives."""
    said = code.strip().lower()
    return said not in _NO_CODES and not said.isdigit()


def _throttle(failure: type[UnableToAssess], message: str) -> type[UnableToAssess]:
    if any(words in message for words in _ALLOWANCE_USED_UP):
        return Unpaid
    return TokenLimited if any(words in message for words in _OF_TOKENS) else failure
