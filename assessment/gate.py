"""Which traffic groups of a frame are worth a call, and why the others are not. Pure.

In this order: left out is what hardly looks dangerous, and what comes before the camera's cooldown has passed, be it
ever so urgent; what looks as it did when it was judged a moment ago keeps that verdict; of the others the ladder says
which are asked about. A random few of what hardly looks dangerous, or looks as before, are asked about all the same:
so it is known what the gate misses. These wait for no turn and take none, lest a real question wait for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from assessment.ladder import LadderLevel
from assessment.priors import Closing, Prior, prior_of, stands_out
from assessment.repeats import JudgedGroup, Repeat, find_repeat
from assessment.risk import WHOLE_FRAME, RiskLevel, SkipReason
from detection.detections import DetectedFrame, Detection, TrafficGroup
from trafficmon.core.objects import ROAD_USERS, VEHICLES, ObjectClass

NO_PRIOR = Prior()


@dataclass(frozen=True, slots=True)
class Question:
    """One group (or, with index 0, the whole frame) that the model is to judge.

    `sampled_from` is why it would have been left out, had it not been drawn to know what the gate misses.
    """

    group_index: int
    urgent: bool
    prior: Prior = NO_PRIOR
    sampled_from: SkipReason | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """One group that nobody is asked about; without a prior where none was looked for."""

    group_index: int
    reason: SkipReason
    prior: Prior | None = None


@dataclass(frozen=True, slots=True)
class Guess:
    """What geometry alone says of one group. Its `level` is medium at the most and never none: nobody looked."""

    group_index: int
    level: RiskLevel
    prior: Prior


@dataclass(frozen=True, slots=True)
class Gated:
    """What becomes of each group of a frame; and, where nothing of it is asked or judged, why."""

    questions: tuple[Question, ...] = ()
    reason: str = ""
    repeats: tuple[Repeat, ...] = ()
    guesses: tuple[Guess, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def is_judged(self) -> bool:
        """Whether anything of the frame has or will have a verdict."""
        return bool(self.questions or self.repeats or self.guesses)

    @property
    def is_partial(self) -> bool:
        """Whether something that looks dangerous enough is left out beside what is judged, which alone says little."""
        return self.is_judged and any(each.reason is not SkipReason.LOW_PRIOR for each in self.skipped)


@dataclass(frozen=True, slots=True)
class GateRules:
    """How strict the gate is: priors to ask from, and to guess `medium` from where geometry alone judges."""

    enabled: bool = True
    level: LadderLevel = LadderLevel.ALL
    ask_from: float = 0.0
    medium_from: float = 1.0
    sample_share: float = 0.0
    reuse_overlap: float = 1.0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the gate looks up, each only where it matters."""

    is_due: Callable[[], bool]
    """Whether the camera's cooldown has passed."""
    take_turn: Callable[[], bool]
    """Whether it has passed; if so, it begins anew."""
    judged_lately: Callable[[], Sequence[JudgedGroup]] = tuple
    """What models said of the camera's groups within the last seconds, newest first."""
    has_room: Callable[[], bool] = bool
    """Whether a key is free and nothing waits for one, so that a question more would take nobody's turn."""
    roll: Callable[[], float] = lambda: 1.0
    """A random number from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One group (or, with index 0, the whole frame) to decide on; places are those among the frame's detections."""

    group_index: int
    members: tuple[int, ...]
    urgent: bool
    prior: Prior

    def question(self, sampled_from: SkipReason | None = None) -> Question:
        return Question(self.group_index, self.urgent and sampled_from is None, self.prior, sampled_from)

    def skipped(self, reason: SkipReason) -> Skipped:
        return Skipped(self.group_index, reason, self.prior)


REASONS = {
    SkipReason.SWITCHED_OFF: "assessment is switched off",
    SkipReason.TOO_FEW: "fewer than two road users",
    SkipReason.LOW_PRIOR: "nothing looks dangerous enough to ask",
    SkipReason.COOLDOWN: "the camera's cooldown has not passed",
    SkipReason.DUPLICATE: "judged a moment ago",
    SkipReason.URGENT_ONLY: "assessment is reduced: only urgent groups are asked about",
    SkipReason.NO_MODEL: "assessment is reduced: no model is asked",
}
"""As a frame and its messages tell it."""


def gate(frame: DetectedFrame, rules: GateRules, circumstances: Circumstances) -> Gated:
    """What becomes of this frame's groups; the camera's turn is taken only when there is something to judge."""
    if not rules.enabled:
        return _none_of(frame, SkipReason.SWITCHED_OFF)
    candidates = candidates_of(frame)
    if not candidates:
        return Gated(reason=_too_few(frame))
    if rules.level is LadderLevel.DETECTION_ONLY:
        return _none_of(frame, SkipReason.NO_MODEL)
    likely = [each for each in candidates if each.prior.score >= rules.ask_from]
    gated = _admit(frame, likely, rules, circumstances) if likely else Gated()
    unlikely = [each for each in candidates if each.prior.score < rules.ask_from]
    gated = _with_samples(gated, unlikely, SkipReason.LOW_PRIOR, rules, circumstances)
    return gated if gated.is_judged else replace(gated, reason=_gravest(gated.skipped))


def candidates_of(frame: DetectedFrame) -> tuple[Candidate, ...]:
    """Those of `places_of`, with how dangerous they look."""
    closing = {group.index: _closing_of(group) for group in frame.groups}
    return tuple(_candidate(frame, index, places, closing.get(index)) for index, places in places_of(frame).items())


def places_of(frame: DetectedFrame) -> dict[int, tuple[int, ...]]:
    """The members of each group by its index, and of the whole frame where there is no group but two road users, or
    where somebody by itself stands out.

    What is parked counts for nothing there: a person beside a parked car is not yet a pair.
    """
    groups = {group.index: group.members for group in frame.groups}
    alone = _alone(frame)
    if groups or len(alone) < 2:
        alone = tuple(place for place in alone if stands_out(frame.detections[place]).score > 0)
    return {WHOLE_FRAME: alone, **groups} if alone else groups


def _alone(frame: DetectedFrame) -> tuple[int, ...]:
    """Those who move and are in no group."""
    grouped = {place for group in frame.groups for place in group.members}
    return tuple(place for place in _moving_users(frame) if place not in grouped)


def is_urgent(members: Sequence[Detection]) -> bool:
    """Whether a person and a vehicle are in it together, or somebody is where nobody may go: those cannot wait."""
    classes = {member.object_class for member in members}
    mixed = ObjectClass.PERSON in classes and bool(classes & VEHICLES)
    return mixed or any(member.against_lane or _is_in_the_way(member) for member in members)


def _is_in_the_way(seen: Detection) -> bool:
    kinds = {zone.kind for zone in seen.zones}
    return (
        seen.object_class is ObjectClass.PERSON and bool(kinds & {"lane", "emergency_lane"}) and "crossing" not in kinds
    )


def _moving_users(frame: DetectedFrame) -> list[int]:
    users = enumerate(frame.detections)
    return [place for place, each in users if each.object_class in ROAD_USERS and not each.parked]


def _closing_of(group: TrafficGroup) -> Closing | None:
    kmh, deviation = group.closing_speed_kmh, group.closing_speed_deviation_kmh
    return None if kmh is None or deviation is None else Closing(kmh, deviation)


def _candidate(frame: DetectedFrame, group_index: int, places: tuple[int, ...], closing: Closing | None) -> Candidate:
    members = [frame.detections[place] for place in places]
    prior = prior_of(members, closing)
    prior = replace(prior, places=tuple(places[each] for each in prior.places))
    return Candidate(group_index, places, is_urgent(members), prior)


def _admit(frame: DetectedFrame, likely: Sequence[Candidate], rules: GateRules, circumstances: Circumstances) -> Gated:
    """What becomes of those that look dangerous enough."""
    if not circumstances.is_due():
        return _skip(likely, SkipReason.COOLDOWN)
    repeated = _repeated(frame, likely, rules, circumstances)
    fresh = [each for each in likely if each.group_index not in repeated]
    gated = _ask(fresh, rules, circumstances)
    sampled = {each.group_index for each in likely if each.group_index in repeated and _is_drawn(rules, circumstances)}
    samples = tuple(each.question(SkipReason.DUPLICATE) for each in likely if each.group_index in sampled)
    repeats = tuple(each for index, each in repeated.items() if index not in sampled)
    return replace(gated, questions=gated.questions + samples, repeats=repeats)


def _repeated(
    frame: DetectedFrame, likely: Sequence[Candidate], rules: GateRules, circumstances: Circumstances
) -> dict[int, Repeat]:
    """Those that look as they did when they were judged, by their group's index."""
    judged = circumstances.judged_lately()
    found = (
        find_repeat(frame, each.group_index, each.members, each.prior, judged, overlap=rules.reuse_overlap)
        for each in likely
    )
    return {each.group_index: each for each in found if each}


def _ask(fresh: Sequence[Candidate], rules: GateRules, circumstances: Circumstances) -> Gated:
    """The questions and guesses about those of which nothing is known yet, and the others as the ladder says."""
    if rules.level is LadderLevel.GEOMETRY_ONLY:
        return _guess_all(fresh, rules, circumstances)
    wanted = [each for each in fresh if each.urgent or rules.level is LadderLevel.ALL]
    left = _skip((each for each in fresh if each not in wanted), SkipReason.URGENT_ONLY)
    if not wanted or circumstances.take_turn():
        return replace(left, questions=tuple(each.question() for each in wanted))
    return replace(left, skipped=left.skipped + _skip(wanted, SkipReason.COOLDOWN).skipped)


def _guess_all(fresh: Sequence[Candidate], rules: GateRules, circumstances: Circumstances) -> Gated:
    if fresh and not circumstances.take_turn():
        return _skip(fresh, SkipReason.COOLDOWN)
    return Gated(guesses=tuple(_guess(each, rules) for each in fresh))


def _guess(candidate: Candidate, rules: GateRules) -> Guess:
    level = RiskLevel.MEDIUM if candidate.prior.score >= rules.medium_from else RiskLevel.LOW
    return Guess(candidate.group_index, level, candidate.prior)


def _with_samples(
    gated: Gated, left_out: Iterable[Candidate], reason: SkipReason, rules: GateRules, circumstances: Circumstances
) -> Gated:
    """`gated` with those left out, a random few of them asked about all the same."""
    questions, skipped = list(gated.questions), list(gated.skipped)
    for each in left_out:
        if _is_drawn(rules, circumstances):
            questions.append(each.question(reason))
        else:
            skipped.append(each.skipped(reason))
    return replace(gated, questions=tuple(questions), skipped=tuple(skipped))


def _is_drawn(rules: GateRules, circumstances: Circumstances) -> bool:
    drawn = rules.level is LadderLevel.ALL and circumstances.roll() < rules.sample_share
    return drawn and circumstances.has_room()


def _skip(candidates: Iterable[Candidate], reason: SkipReason) -> Gated:
    return Gated(skipped=tuple(each.skipped(reason) for each in candidates))


def _none_of(frame: DetectedFrame, reason: SkipReason) -> Gated:
    return Gated(reason=REASONS[reason], skipped=tuple(Skipped(group.index, reason) for group in frame.groups))


def _gravest(skipped: Iterable[Skipped]) -> str:
    """Why the one that looks most dangerous was left out."""
    gravest = max(skipped, key=lambda each: each.prior.score if each.prior else 0.0)
    return REASONS[gravest.reason]


def _too_few(frame: DetectedFrame) -> str:
    parked = any(each.parked for each in frame.detections)
    return f"{REASONS[SkipReason.TOO_FEW]}{' that are not parked' if parked else ''}"
