"""Calling through the pool of keys: one request for one reserved slot, and what a refusal means for whom.

A request is made ready first and leaves only once its slot has begun (`Departure`). Nothing below sends again by
itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from http import HTTPStatus

import structlog

from assessment import keys, ledger
from assessment.clients import (
    Answer,
    KeyRevoked,
    ModelForbidden,
    ModelTimedOut,
    ProviderFailed,
    ProviderUnreachable,
    Question,
    Scope,
    Throttled,
    UnableToAssess,
    Unpaid,
)
from assessment.keys import Access
from assessment.limiter import GUARD_SECONDS, Limiter, LimiterUnreachable, PoolOutdated, SlotLost
from assessment.limits import BASE_COOLDOWN_SECONDS, Pool, Slot, Wish
from trafficmon.core import metrics, tracing
from trafficmon.core.clock import utc_now

log = structlog.get_logger()

LONGEST_WAIT_SECONDS = 5.0
"""For a slot. What cannot be had within it is waited for in the database, where others may be more pressing."""
LEASE_MARGIN_SECONDS = 10.0
"""By which a slot is held longer than its call may take; it counts as in flight so long where a worker dies."""
LEAST_CALL_SECONDS = 1.0
UNTOLD_SECONDS = 0.005
"""From a slot's beginning to its request's leaving: the limiter's guard bears so much, and is told of more."""
MOST_BEGINS = 3
"""Of a slot whose beginning is learnt of too late for the guard each time; then its request leaves all the same."""


class OutOfTime(UnableToAssess):
    """There is too little time left for an answer."""

    reason = "deadline"
    charged = False


@dataclass(frozen=True, slots=True)
class Reserved:
    """A slot of a pool, and when it begins by the monotonic clock."""

    pool: Pool
    slot: Slot
    at: float


@dataclass(slots=True)
class Departure:
    """A request's way to the wire: it is made ready first, and leaves at its slot's time, `at` by the monotonic clock.

    So nothing lies between the slot's beginning and the request but the network. Its answer must be there by `until`.
    """

    limiter: Limiter
    slot: Slot
    at: float
    until: float
    cancelled: bool = False
    """The slot was lost or came too late, or the limiter could not be asked: nothing was sent."""
    begun: bool = False
    """The request may have left; before, nothing of it has, whatever failed."""
    _begun_at: float = 0.0
    _sent: bool = False

    def await_slot(self) -> None:
        """Sleep to the slot's time."""
        with tracing.span("assess.wait"):
            time.sleep(max(0.0, self.at - time.monotonic()))

    def begin(self) -> float:
        """Have the slot begin; sleep on while the limiter says that it is too early after all. The seconds left.

        Where that is learnt so late that others may have counted on its having left, it begins once more.
        """
        try:
            for _again in range(MOST_BEGINS):
                while wait := self._begin():
                    self._check_time(wait)
                    time.sleep(wait)
                self._check_time(0.0)
                if time.monotonic() - self._begun_at <= GUARD_SECONDS:
                    break
        except UnableToAssess:
            self.cancelled = True
            raise
        self.begun = True
        return self.until - time.monotonic()

    def _begin(self) -> float:
        self._begun_at = time.monotonic()
        return self.limiter.begin(self.slot)

    def _check_time(self, wait: float) -> None:
        if time.monotonic() + wait + LEAST_CALL_SECONDS > self.until:
            self.limiter.give_back(self.slot)
            raise OutOfTime("The slot came too late for an answer in time.")

    def note_sent(self) -> None:
        """Where this thread had to wait for its turn to run, the limiter counts the call from now instead."""
        if time.monotonic() - self._begun_at > UNTOLD_SECONDS:
            self.limiter.note_sent(self.slot)
        self._sent = True
        metrics.api_key_calls.labels(self.slot.key_id).inc()
        metrics.llm_concurrent.inc()

    def end(self) -> None:
        """The call is over, whatever became of it."""
        if self._sent:
            metrics.llm_concurrent.dec()


@dataclass(slots=True)
class Caller:
    """Makes the calls of one claim until a moment (of the monotonic clock), and remembers them."""

    camera_id: int | None
    limiter: Limiter
    until: float
    call_seconds: float
    pin: Wish = field(default_factory=Wish)
    """Where the camera's questions must go, and which account failed last."""
    made: list[ledger.Call] = field(default_factory=list)
    refusals: list[UnableToAssess] = field(default_factory=list)
    """Of keys that were left for others."""
    _ahead: Reserved | None = None

    def reserve(self, model: str, *, tokens: int) -> None:
        """Reserve for the next question, which is made while its slot is waited for; raises UnableToAssess.

        So a question that finds no slot costs no more than its claim.
        """
        self._ahead = self._reserve(model, tokens)

    def give_back(self) -> None:
        """The question came to nothing: the slot that was reserved for it is another's."""
        if self._ahead:
            self.limiter.give_back(self._ahead.slot)
            self._ahead = None

    def ask(self, question: Question, *, tokens: int) -> Answer:
        """The answer to `question`, which will cost about `tokens`; raises UnableToAssess.

        A key that is refused as such, or throttled, is left for another at once, and so is a slot that was lost; every
        other failure is the caller's to retry later.
        """
        while True:
            reserved, self._ahead = self._ahead or self._reserve(question.model, tokens), None
            slot = reserved.slot
            try:
                return self._call(question, reserved)
            except SlotLost as error:
                log.info("call.slot_lost", key_id=slot.key_id, account=slot.account_id, reason=error.reason)
            except (Throttled, Unpaid, KeyRevoked) as error:
                self.refusals.append(error)
                self.pin = replace(self.pin, not_accounts=self.pin.not_accounts | {slot.account_id})
                log.warning("call.refused", key_id=slot.key_id, account=slot.account_id, reason=error.reason)

    def _reserve(self, model: str, tokens: int) -> Reserved:
        """A slot within the time left; raises NoSlot, or OutOfTime where it would come too late."""
        left = self.until - time.monotonic() - LEAST_CALL_SECONDS
        if left <= 0:
            raise OutOfTime("There is too little time left for an answer.")
        patience = min(LONGEST_WAIT_SECONDS, left)
        wish = replace(self.pin, tokens=tokens)
        lease = patience + self.call_seconds + LEASE_MARGIN_SECONDS
        while True:
            pool = keys.load_pool(model)
            try:
                slot = self.limiter.reserve(pool, wish, patience_seconds=patience, lease_seconds=lease)
                return Reserved(pool, slot, time.monotonic() + slot.wait_seconds)
            except PoolOutdated:
                keys.forget_pool()

    def _access(self, slot: Slot) -> Access:
        try:
            return keys.access_of(slot.key_id)
        except UnableToAssess:
            self.limiter.give_back(slot)
            raise

    def _call(self, question: Question, reserved: Reserved) -> Answer:
        pool, slot = reserved.pool, reserved.slot
        access, departure = self._access(slot), Departure(self.limiter, slot, reserved.at, self.until)
        try:
            with tracing.span("assess.call", model=question.model, key_id=slot.key_id):
                answer = self._send(question, access, departure)
        except UnableToAssess as error:
            if departure.cancelled:
                raise
            metrics.llm_requests.labels(question.model, slot.key_id, error.reason).inc()
            _draw_consequence(error, pool, slot, self.limiter)
            if departure.begun:
                self._note(question, slot, error.tokens_used, failed=True)
                works = error.scope is Scope.QUESTION
                self.limiter.settle(slot, tokens=_tokens_of(error), succeeded=False, works=works)
            else:
                self.limiter.give_back(slot, failed=True)
            raise
        tokens = (answer.input_tokens, answer.output_tokens)
        self.limiter.settle(slot, tokens=sum(tokens), succeeded=True)
        self._note(question, slot, tokens)
        _count(question, slot, answer)
        return answer

    def _send(self, question: Question, access: Access, departure: Departure) -> Answer:
        key, seconds = access.secret, self.call_seconds
        try:
            return access.client.ask(question, api_key=key, timeout_seconds=seconds, departure=departure)
        finally:
            departure.end()

    def _note(self, question: Question, slot: Slot, tokens: tuple[int, int], *, failed: bool = False) -> None:
        via = (self.camera_id, slot.account_id, slot.key_id)
        self.made.append(ledger.Call(*via, question.prompt_version, question.model, *tokens, failed=failed))


def _count(question: Question, slot: Slot, answer: Answer) -> None:
    metrics.llm_requests.labels(question.model, slot.key_id, "success").inc()
    metrics.llm_latency.labels(question.model).observe(answer.seconds)
    metrics.llm_tokens.labels(question.model, "input").inc(answer.input_tokens)
    metrics.llm_tokens.labels(question.model, "output").inc(answer.output_tokens)


def _tokens_of(error: UnableToAssess) -> int | None:
    """A refusal costs none. What a call took that was not answered within its protocol nobody knows."""
    is_unknown = isinstance(error, ModelTimedOut | ProviderUnreachable) or (
        isinstance(error, ProviderFailed) and error.status < HTTPStatus.BAD_REQUEST
    )
    return None if is_unknown else sum(error.tokens_used)


def _draw_consequence(error: UnableToAssess, pool: Pool, slot: Slot, limiter: Limiter) -> None:
    """Pause or take out whom the failure concerns, as the provider's documentation of its codes suggests.

    A question's own failure concerns nobody else.
    """
    if isinstance(error, Unpaid | KeyRevoked):
        if not _take_out(error, slot):
            _leave_alone(error, pool, slot, limiter)
    elif error.scope is not Scope.QUESTION:
        # A key that fails rests as the policy says; a provider that does not answer may be back at any moment.
        seconds = BASE_COOLDOWN_SECONDS if isinstance(error, ProviderUnreachable | ModelTimedOut) else None
        _cool(limiter, pool, error.scope, slot, error, seconds=seconds)


def _leave_alone(error: UnableToAssess, pool: Pool, slot: Slot, limiter: Limiter) -> None:
    """Of a key that could not be taken out: to ask again at once would be refused again."""
    if keys.is_kept(slot.key_id):
        keys.forget_pool()  # somebody was sooner, and may not have said so yet
    else:
        _cool(limiter, pool, Scope.KEY, slot, error)


def _take_out(error: Unpaid | KeyRevoked, slot: Slot) -> bool:
    """Whether the refused key or account was taken out by this."""
    reason = str(error) or error.reason
    if isinstance(error, Unpaid):
        return keys.take_out_account(slot.account_id, reason, now=utc_now())
    if isinstance(error, ModelForbidden):
        return keys.refuse_model(slot.key_id, slot.model)
    return keys.take_out_key(slot.key_id, reason, now=utc_now())


def _cool(
    limiter: Limiter, pool: Pool, scope: Scope, slot: Slot, error: UnableToAssess, *, seconds: float | None = None
) -> None:
    after = error.retry_after_seconds
    try:
        limiter.cool(pool, scope, slot, reason=error.reason, seconds=seconds, retry_after_seconds=after)
    except LimiterUnreachable as unreachable:
        # Nothing is sent without Redis, so nobody need be left alone either.
        log.warning("limiter.not_cooled", key_id=slot.key_id, error=str(unreachable))
