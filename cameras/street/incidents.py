"""The script: which incident happens when, and who plays it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cameras.street.layout import Scene, Slot
from cameras.street.traffic import BUILDS, Network, Part, Vehicle
from cameras.street.truth import Incident, ScriptedIncident
from cameras.street.walkers import Walker, Walkers
from trafficmon.core.objects import ObjectClass

_FIRST_SCRIPTED = 1_000_000
_NUMBERS_PER_INCIDENT = 4
_WALKER = 3
_CONFLICT_STANDS_AFTER = 1.2
_LEAD_IN = 120.0
_QUEUE_CLEARS = 60.0
_BRAKING = {Incident.PEDESTRIAN_CONFLICT: 6.5, Incident.STOPPED_VEHICLE: 3.0}
_QUIET_BEFORE = {
    Incident.FOLLOWING_TOO_CLOSELY: 14.0,
    Incident.RED_LIGHT: 22.0,
    Incident.WRONG_WAY: 20.0,
    Incident.PEDESTRIAN_CONFLICT: 24.0,
    Incident.STOPPED_VEHICLE: 12.0,
}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One incident of the script, with the moment its cast comes on (all in seconds since the street began)."""

    index: int
    slot: Slot
    starts_at: float
    enters_at: float
    leaves_at: float
    quiet_from: float

    @property
    def ends_at(self) -> float:
        return self.starts_at + self.slot.lasting

    @property
    def first_number(self) -> int:
        """The number of the first of its cast; those of the others follow."""
        return _FIRST_SCRIPTED + self.index * _NUMBERS_PER_INCIDENT

    @property
    def quiet_until(self) -> float:
        """Nobody else comes onto its first lane from `quiet_from` up to this moment."""
        return self.leaves_at if self.slot.kind is Incident.WRONG_WAY else self.enters_at + 1.5

    def described(self) -> ScriptedIncident:
        """What the street tells of it as truth."""
        return ScriptedIncident(self.slot.kind, self.starts_at, self.ends_at)


class Script:
    """The incidents of one scene and seed: the seed turns the order of the cycles and picks the cast."""

    def __init__(self, scene: Scene, seed: int, network: Network, walkers: Walkers) -> None:
        self._scene = scene
        self._seed = seed
        self._network = network
        self._walkers = walkers
        self._known: list[Occurrence] = []
        self._cycles = 0

    def until(self, seconds: float) -> tuple[Occurrence, ...]:
        """Everything that starts before `seconds`, in order."""
        while self._cycles * self._scene.plan.cycle < seconds:
            self._add_cycle()
        return tuple(one for one in self._known if one.starts_at < seconds)

    def current(self, now: float) -> Iterator[Occurrence]:
        """Those whose cast may be on the street or about to come."""
        return (one for one in self.until(now + _LEAD_IN) if one.ends_at > now - _LEAD_IN)

    def incident_of(self, number: int, now: float) -> Incident | None:
        """The incident in which road user `number` takes part now."""
        if number < _FIRST_SCRIPTED:
            return None
        index = (number - _FIRST_SCRIPTED) // _NUMBERS_PER_INCIDENT
        occurrence = self._known[index]
        return occurrence.slot.kind if occurrence.starts_at <= now < occurrence.ends_at else None

    def is_quiet(self, lane: str, now: float) -> bool:
        """Whether nobody else may enter `lane`, so that the cast finds its road free."""
        return any(one.slot.route[0] == lane and one.quiet_from <= now < one.quiet_until for one in self.current(now))

    def cast(self, occurrence: Occurrence) -> list[Vehicle]:
        """The vehicles that play `occurrence`, placed at the start of their way."""
        slot = occurrence.slot
        rng = np.random.default_rng([self._seed, occurrence.index])
        route = slot.route
        if slot.kind is Incident.WRONG_WAY:
            route = tuple(f"~{name}" for name in reversed(route))
        first = Vehicle(
            number=occurrence.first_number,
            object_class=_cast_class(slot.kind, rng),
            route=route,
            speed=slot.speed,
            wanted_speed=slot.speed,
            offset=0.0,
            look=int(rng.integers(1 << 30)),
            part=self._part(occurrence),
        )
        if slot.kind is not Incident.FOLLOWING_TOO_CLOSELY:
            return [first]
        return [first, _follower(first, slot, rng)]

    def cast_walker(self, occurrence: Occurrence) -> tuple[float, Walker] | None:
        """(moment, person) of the one who is nearly run over; None where nobody is."""
        slot = occurrence.slot
        if slot.footway is None:
            return None
        leg, metres = self._network.place(slot.route, slot.metres)
        x, y, _ = self._network.paths[slot.route[leg]].at(metres + 3.0)
        path = self._walkers.paths[slot.footway]
        target = path.nearest((x, y))
        walker = Walker(
            number=occurrence.first_number + _WALKER,
            footway=slot.footway,
            speed=1.35,
            offset=-0.5,
            wait_short=0.0,
            reaction=0.0,
            look=occurrence.index * 7919 + self._seed,
            ignores_signal=True,
        )
        return occurrence.starts_at + _CONFLICT_STANDS_AFTER + 0.2 - target / walker.speed, walker

    def _part(self, occurrence: Occurrence) -> Part:
        slot = occurrence.slot
        if slot.kind not in _BRAKING:
            return Part(runs_signals=slot.kind in (Incident.RED_LIGHT, Incident.WRONG_WAY))
        leg, metres = self._network.place(slot.route, slot.metres)
        return Part(
            runs_signals=slot.kind is Incident.PEDESTRIAN_CONFLICT,
            hold_leg=leg,
            hold_at=metres,
            hold_until=self._released_at(occurrence),
            braking=_BRAKING[slot.kind],
            shows_hazards=slot.kind is Incident.STOPPED_VEHICLE,
        )

    def _released_at(self, occurrence: Occurrence) -> float:
        """After a conflict it stays until its next green, when nobody is on the crossing any more."""
        if occurrence.slot.kind is Incident.STOPPED_VEHICLE:
            return occurrence.ends_at - 1.0
        cycle = self._scene.plan.cycle
        return math.ceil(occurrence.starts_at / cycle) * cycle

    def _add_cycle(self) -> None:
        cycle = self._cycles
        for slot in self._scene.script[(cycle + self._seed) % len(self._scene.script)]:
            starts_at = cycle * self._scene.plan.cycle + slot.at
            enters_at = starts_at - slot.metres / slot.speed
            if slot.kind in _BRAKING:
                enters_at -= slot.speed / (2 * _BRAKING[slot.kind])
            if slot.kind is Incident.PEDESTRIAN_CONFLICT:
                enters_at += _CONFLICT_STANDS_AFTER
            length = sum(self._network.lengths[name] for name in slot.route)
            leaves_at = enters_at + length / slot.speed
            quiet_from = enters_at - _QUIET_BEFORE[slot.kind]
            if slot.kind is Incident.WRONG_WAY and self._network.lanes[slot.route[0]].signal is not None:
                quiet_from -= _QUEUE_CLEARS
            self._known.append(Occurrence(len(self._known), slot, starts_at, enters_at, leaves_at, quiet_from))
        self._cycles += 1


def _cast_class(kind: Incident, rng: np.random.Generator) -> ObjectClass:
    if kind is Incident.STOPPED_VEHICLE and rng.random() < 0.3:
        return ObjectClass.TRUCK
    return ObjectClass.CAR


def _follower(leader: Vehicle, slot: Slot, rng: np.random.Generator) -> Vehicle:
    gap = BUILDS[leader.object_class].length + 3.0
    return Vehicle(
        number=leader.number + 1,
        object_class=ObjectClass.CAR,
        route=leader.route,
        speed=slot.speed,
        wanted_speed=slot.speed * 1.3,
        offset=0.15,
        look=int(rng.integers(1 << 30)),
        part=Part(headway=0.15, standstill_gap=1.0),
        metres=-gap,
    )
