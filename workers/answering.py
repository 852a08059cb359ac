"""A question's way through a worker: claimed, asked through the pool of keys, stored, paid for."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import redis
import structlog
from django.conf import settings
from django.db import IntegrityError, transaction

from assessment import assess, keys, ledger, results
from assessment.alert_policy import ALERTING
from assessment.assess import Asked, Claim, RetryPolicy, WorkerLost
from assessment.calling import LONGEST_WAIT_SECONDS, Caller
from assessment.clients import Answer, Question, UnableToAssess
from assessment.evidence import Pictures, keep_evidence, kept_picture, picture_keys, pictures_of
from assessment.judge import Judgement, judge
from assessment.latency import least_seconds, note_answer
from assessment.limiter import LimiterUnreachable, NoSlot
from assessment.service_level import asked_model
from assessment.tokens import estimate_tokens, expect_tokens
from cameras.frames import FrameStore, connect_redis
from detection.detections import DetectedFrame
from trafficmon.core import metrics, tracing
from trafficmon.core.clock import utc_now
from trafficmon.core.remembered import Remembered
from workers.database import lend_connection
from workers.stopping import STOPPING

log = structlog.get_logger()

AWAKE_SECONDS = 60.0
REST_SECONDS = 0.5


@dataclass(slots=True)
class Rest:
    """Of all threads of this process, once none of the keys has a slot in time: each would only learn the same."""

    until: float = 0.0

    def begin(self) -> None:
        self.until = time.monotonic() + REST_SECONDS

    def end(self) -> None:
        """Return when it is over, for each thread at another moment."""
        left = self.until - time.monotonic()
        if left > 0:
            lend_connection()
            STOPPING.wait(left + random.random() * REST_SECONDS)


_rest = Rest()


def _look_up_least_seconds() -> float:
    return least_seconds(connect_redis(), asked_model())


_least_seconds = Remembered(_look_up_least_seconds, seconds=1.0)


def answer_waiting(store: FrameStore) -> Iterator[int]:
    """Answer one question after the other; the frame of each that has ended.

    A message that wakes a worker costs more than its part of an answer: so a worker that is awake goes on while
    questions wait, for so long that its message is not yet delivered again.
    """
    until = time.monotonic() + AWAKE_SECONDS
    since = tracing.now()
    while (claim := _claim()) is not None:
        structlog.contextvars.bind_contextvars(assessment_id=claim.assessment_id, camera_id=claim.camera_id)
        about = {"assessment_id": claim.assessment_id, "camera_id": claim.camera_id}
        with tracing.span("assess", parent=claim.traceparent, since=since, **about) as span:
            tracing.past("assess.claim", since=since)
            ended = _answer_claimed(claim, store)
            span.note(ended=ended, attempts=claim.attempts)
        if ended:
            yield claim.frame_result_id
        if time.monotonic() > until:
            return
        since = tracing.now()


def _claim() -> Claim | None:
    """The next question; none for a worker that was told to end, though it rested until then."""
    _rest.end()
    if STOPPING.is_set():
        return None
    call_seconds = settings.ENVIRONMENT.llm_timeout
    return assess.claim_next(
        now=utc_now(),
        seconds=call_seconds + LONGEST_WAIT_SECONDS,
        urgent_first=random.random() < assess.URGENT_FIRST_SHARE,
        least_seconds=_least_seconds(),
    )


def _answer_claimed(claim: Claim, store: FrameStore) -> bool:
    call_seconds = settings.ENVIRONMENT.llm_timeout
    caller = Caller(claim.camera_id, keys.limiter(), time.monotonic() + claim.seconds, call_seconds)
    return _answer(claim, caller, store)


def _answer(claim: Claim, caller: Caller, store: FrameStore) -> bool:
    """Whether the question has ended."""
    pictures = None
    try:
        frame = results.load_frame(claim.frame_result_id)
        # Whoever reads the pool of keys for all needs a connection, which those that wait for it must not hold.
        lend_connection()
        caller.pin = keys.pin_of(claim.camera_id, last_account=claim.last_account)
        pictures = pictures_of(frame, claim.group_index, _kept_pictures(store, claim, frame))
        _refuse_deadly(claim)
        model = asked_model()
        lend_connection()
        with tracing.span("assess.reserve", model=model):
            caller.reserve(model, tokens=expect_tokens(frame, pictures))
        ask = functools.partial(_ask, caller, store)
        judgement = judge(frame, claim.group_index, pictures, ask=ask, model=model)
        return _store(claim, caller, judgement, pictures)
    except UnableToAssess as error:
        if isinstance(error, NoSlot) and not caller.pin.is_pinned:
            _rest.begin()
        return _fail(claim, caller, error, pictures)
    except redis.RedisError as error:
        # Given back at once, it need not wait until the claim has run out.
        return _fail(claim, caller, LimiterUnreachable(str(error)), pictures)
    finally:
        caller.give_back()


def _refuse_deadly(claim: Claim) -> None:
    """A question that outlives its workers must not kill them one by one."""
    if claim.takeovers > settings.ENVIRONMENT.llm_max_retry:
        message = f"{claim.takeovers} workers that took it died."
        raise WorkerLost(message)


def _kept_pictures(store: FrameStore, claim: Claim, frame: DetectedFrame) -> dict[str, bytes]:
    """The frame's pictures as long as the frame store keeps them, its own also from the kept evidence."""
    kept = store.get_all(picture_keys(frame))
    if kept.keys().isdisjoint({frame.frame_key, frame.evidence_key}):
        evidence = kept_picture(claim.assessment_id)
        return kept | ({frame.frame_key: evidence} if evidence else {})
    return kept


def _ask(caller: Caller, store: FrameStore, question: Question) -> Answer:
    lend_connection()
    answer = caller.ask(question, tokens=estimate_tokens(question))
    if question.pictures:  # without them it is a repair, which takes less
        note_answer(store.client, question.model, answer.seconds)
    return answer


def _store(claim: Claim, caller: Caller, judgement: Judgement, pictures: Pictures) -> bool:
    """Store the judgement and what it cost; whether the question was still this worker's."""
    if judgement.verdict.level in ALERTING:
        _keep(claim, pictures)
    with tracing.span("assess.store", outcome=judgement.verdict.level), transaction.atomic():
        stored = assess.store_verdict(claim, judgement, _asked(caller), now=utc_now())
        ledger.record_calls(caller.made, now=utc_now())
    if not stored:
        metrics.answers_unused.inc()
        log.warning("assessment.claim_lost")
    return stored


def _fail(claim: Claim, caller: Caller, error: UnableToAssess, pictures: Pictures | None) -> bool:
    retries = RetryPolicy(most=settings.ENVIRONMENT.llm_max_retry)
    is_last = assess.is_last_try(claim, error, retries)
    say = log.warning if error.charged or is_last else log.info
    say("assessment.failed", reason=error.reason, attempts=claim.attempts, error=str(error))
    if pictures and error.can_be_sent_again and is_last:
        # What its workers died of may be in the picture: that is kept as it is, and not read.
        _keep(claim, replace(pictures, place=None) if isinstance(error, WorkerLost) else pictures)
    with tracing.span("assess.store", outcome=error.reason), transaction.atomic():
        ended = assess.store_failure(claim, error, _asked(caller), now=utc_now(), retries=retries)
        ledger.record_calls(caller.made, now=utc_now())
    return ended


def _asked(caller: Caller) -> Asked:
    if not caller.made:
        return Asked()
    last = caller.made[-1]
    return Asked(last.account, last.key, len(caller.made))


def _keep(claim: Claim, pictures: Pictures) -> None:
    """Keep the evidence before the outcome, which a crash in between would leave unexplained."""
    try:
        keep_evidence(claim.assessment_id, pictures)
    except (OSError, IntegrityError) as error:
        # A full disk must not silence the verdict, and of a question that is gone meanwhile the answer cost its price.
        metrics.pipeline_errors.labels("evidence").inc()
        log.warning("evidence.not_kept", error=str(error))
