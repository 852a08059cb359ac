"""Vehicles: they follow lanes, keep their distance, obey signals, and some of them play a part in the script.

Car following is the Intelligent Driver Model (Treiber, Hennecke and Helbing, "Congested traffic states in empirical
observations and microscopic simulations", Physical Review E 62, 2000).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cameras.street.layout import Aspect, Lane, SignalPlan
from cameras.street.paths import Path
from trafficmon.core.objects import ObjectClass

STEP_SECONDS = 0.1
_LOOK_AHEAD_M = 70.0
_COMFORTABLE = 2.5
_HARDEST = 8.0
_STOP_BEFORE_LINE_M = 0.6
_OVER_THE_LINE_M = 0.9
_PARTED_M = 8.0
_FIRST_COMERS = (-16.0, 3.5)


@dataclass(frozen=True, slots=True)
class Build:
    """Length and width in metres, greatest acceleration (m/s2) and share of the speed limit that is driven."""

    length: float
    width: float
    pull: float
    haste: float


BUILDS: Mapping[ObjectClass, Build] = {
    ObjectClass.CAR: Build(4.4, 1.82, 2.5, 1.0),
    ObjectClass.BUS: Build(11.4, 2.5, 1.5, 0.85),
    ObjectClass.TRUCK: Build(8.4, 2.45, 1.4, 0.85),
    ObjectClass.MOTORCYCLE: Build(2.1, 0.8, 2.6, 1.05),
    ObjectClass.BICYCLE: Build(1.75, 0.6, 1.2, 1.0),
}


@dataclass(frozen=True, slots=True)
class Part:
    """What a scripted driver does differently. `hold_at` is metres along its first lane, left at `hold_until`."""

    runs_signals: bool = False
    headway: float = 1.15
    standstill_gap: float = 2.2
    hold_leg: int = 0
    hold_at: float | None = None
    hold_until: float = 0.0
    braking: float = 5.0
    shows_hazards: bool = False


LAWFUL = Part()


@dataclass(slots=True, eq=False)
class Vehicle:
    """`metres` is how far its middle has come on its present lane; `offset` is metres right of the lane's middle."""

    number: int
    object_class: ObjectClass
    route: tuple[str, ...]
    speed: float
    wanted_speed: float
    offset: float
    look: int
    part: Part = LAWFUL
    leg: int = 0
    metres: float = 0.0
    acceleration: float = 0.0
    travelled: float = 0.0
    length: float = 4.4
    pull: float = 2.0

    @property
    def lane(self) -> str:
        return self.route[self.leg]


class Network:
    """The lanes by name, with their lengths, and for each scripted wrong-way drive the lane run backwards (`~name`)."""

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self.lanes = {lane.name: lane for lane in lanes}
        for lane in list(self.lanes.values()):
            self.lanes[f"~{lane.name}"] = Lane(f"~{lane.name}", lane.points[::-1], lane.speed)
        self.paths = {name: Path(lane.points) for name, lane in self.lanes.items()}
        self.lengths = {name: path.length for name, path in self.paths.items()}
        self.beside: dict[str, tuple[str, ...]] = dict.fromkeys(self.lanes, ())
        for lane in list(self.lanes.values()):
            for name in lane.following:
                self.beside[name] = tuple(other for other in lane.following if other != name)

    def place(self, route: tuple[str, ...], metres: float) -> tuple[int, float]:
        """(leg, metres on that leg) of a place `metres` along a whole route."""
        for leg, name in enumerate(route):
            if metres <= self.lengths[name] or leg == len(route) - 1:
                return leg, metres
            metres -= self.lengths[name]
        raise ValueError("a route has at least one lane")

    def random_route(self, start: str, rng: np.random.Generator, *, turns: bool) -> tuple[str, ...]:
        """From lane `start` on; the first of `following` is straight on, the others are turns taken by one in four."""
        route = [start]
        while following := self.lanes[route[-1]].following:
            turn = turns and len(following) > 1 and rng.random() < 0.25
            route.append(following[int(rng.integers(1, len(following)))] if turn else following[0])
        return tuple(route)


class Traffic:
    """All vehicles. `step` moves them by STEP_SECONDS."""

    def __init__(self, network: Network, plan: SignalPlan) -> None:
        self.network = network
        self.plan = plan
        self.vehicles: list[Vehicle] = []
        self._by_lane: dict[str, list[Vehicle]] = {name: [] for name in network.lanes}

    def add(self, vehicle: Vehicle) -> None:
        """Put a vehicle on its lane, with the length and pull of its class."""
        build = BUILDS[vehicle.object_class]
        vehicle.length, vehicle.pull = build.length, build.pull
        self.vehicles.append(vehicle)
        self._by_lane[vehicle.lane].append(vehicle)

    def room_at_start(self, lane: str) -> float:
        """Free metres at the start of `lane`."""
        return min((one.metres - one.length / 2 for one in self._by_lane[lane]), default=math.inf)

    def speed_at_start(self, lane: str) -> float:
        """The speed of the last vehicle that entered `lane`; infinite when it is empty."""
        last = min(self._by_lane[lane], key=lambda one: one.metres, default=None)
        return math.inf if last is None else last.speed

    def step(self, now: float) -> None:
        """All decide by where the others are at `now`, then all move; who has come to the end of its route is gone."""
        for queue in self._by_lane.values():
            queue.sort(key=_progress)
        for vehicle in self.vehicles:
            vehicle.acceleration = self._acceleration(vehicle, now)
        for vehicle in self.vehicles:
            self._move(vehicle)
        if any(vehicle.leg < 0 for vehicle in self.vehicles):
            self.vehicles = [vehicle for vehicle in self.vehicles if vehicle.leg >= 0]

    def _move(self, vehicle: Vehicle) -> None:
        before = vehicle.speed
        vehicle.speed = max(0.0, before + vehicle.acceleration * STEP_SECONDS)
        moved = (before + vehicle.speed) / 2 * STEP_SECONDS
        vehicle.metres += moved
        vehicle.travelled += moved
        length = self.network.lengths[vehicle.lane]
        if vehicle.metres < length:
            return
        self._by_lane[vehicle.lane].remove(vehicle)
        vehicle.metres -= length
        if vehicle.leg + 1 == len(vehicle.route):
            vehicle.leg = -1
            return
        vehicle.leg += 1
        self._by_lane[vehicle.lane].append(vehicle)

    def _acceleration(self, vehicle: Vehicle, now: float) -> float:
        pull = _free_road(vehicle, self._speed_ahead(vehicle))
        leader = self._leader(vehicle)
        if leader is not None:
            gap, speed = leader
            pull = min(pull, _following(vehicle, gap, speed))
        line = self._stop_line(vehicle, now)
        if line is not None:
            pull = min(pull, _following(vehicle, line, 0.0, standstill_gap=_STOP_BEFORE_LINE_M))
        crossing = self._way_given(vehicle)
        if crossing is not None:
            pull = min(pull, _following(vehicle, crossing, 0.0, standstill_gap=_STOP_BEFORE_LINE_M))
        if vehicle.part.hold_at is not None and now < vehicle.part.hold_until:
            pull = min(pull, _late_braking(vehicle, vehicle.part.hold_at))
        return max(pull, -_HARDEST)

    def _speed_ahead(self, vehicle: Vehicle) -> float:
        """The speed wanted now: the lane's, and slower in time for a slower lane next."""
        wanted = min(vehicle.wanted_speed, self.network.lanes[vehicle.lane].speed * 1.15)
        if vehicle.leg + 1 < len(vehicle.route):
            ahead = self.network.lanes[vehicle.route[vehicle.leg + 1]].speed
            distance = self.network.lengths[vehicle.lane] - vehicle.metres
            wanted = min(wanted, math.sqrt(ahead * ahead + 2 * 1.5 * max(distance, 0.0)))
        return wanted

    def _leader(self, vehicle: Vehicle) -> tuple[float, float] | None:
        """(free gap in metres, speed) of the next vehicle in its way; None when it is far off."""
        beside = self._leader_beside(vehicle)
        ahead = self._leader_ahead(vehicle)
        if beside is None or ahead is None:
            return beside or ahead
        return min(beside, ahead)

    def _leader_beside(self, vehicle: Vehicle) -> tuple[float, float] | None:
        """The next one among those that left the same lane another way and still stand in its way with their tail."""
        base = -vehicle.metres
        gaps: list[tuple[float, float]] = []
        for name in vehicle.route[vehicle.leg : vehicle.leg + 2]:
            for other in self.network.beside[name]:
                gaps.extend(
                    (base + one.metres - (one.length + vehicle.length) / 2, one.speed)
                    for one in self._by_lane[other]
                    if one.metres - one.length / 2 < _PARTED_M and base + one.metres > 0
                )
            base += self.network.lengths[name]
        return min(gaps, default=None)

    def _leader_ahead(self, vehicle: Vehicle) -> tuple[float, float] | None:
        """The next one on its own lanes."""
        own = self._by_lane[vehicle.lane]
        place = own.index(vehicle)
        if place + 1 < len(own):
            leader = own[place + 1]
            return leader.metres - vehicle.metres - (leader.length + vehicle.length) / 2, leader.speed
        distance = self.network.lengths[vehicle.lane] - vehicle.metres
        for name in vehicle.route[vehicle.leg + 1 :]:
            if distance > _LOOK_AHEAD_M:
                return None
            if queue := self._by_lane[name]:
                leader = queue[0]
                return distance + leader.metres - (leader.length + vehicle.length) / 2, leader.speed
            distance += self.network.lengths[name]
        return None

    def _stop_line(self, vehicle: Vehicle, now: float) -> float | None:
        """Metres from the front to a stop line at which it has to stop; None when it may go on."""
        signal = self.network.lanes[vehicle.lane].signal
        if signal is None or vehicle.part.runs_signals:
            return None
        distance = self.network.lengths[vehicle.lane] - vehicle.metres - vehicle.length / 2
        if not _faces_line(vehicle, distance) or self._may_cross(vehicle, signal, now):
            return None
        can_stop = vehicle.speed * vehicle.speed / (2 * 3.2) <= distance
        return distance if can_stop or self.plan.aspect(signal, now) is Aspect.RED else None

    def _may_cross(self, vehicle: Vehicle, signal: str, now: float) -> bool:
        """It has green; cyclists do not start across at the end of it."""
        if self.plan.aspect(signal, now) is not Aspect.GREEN:
            return False
        return vehicle.object_class is not ObjectClass.BICYCLE or self.plan.green_left(signal, now) >= 4.5

    def _way_given(self, vehicle: Vehicle) -> float | None:
        """Metres from the front to where bicycles cross the turn it takes; None when none is coming."""
        legs = vehicle.route[vehicle.leg : vehicle.leg + 2]
        before = 0.0
        for name in legs:
            rule = self.network.lanes[name].gives_way
            if rule is None:
                before += self.network.lengths[name]
                continue
            own, other, theirs = rule
            distance = before + own - vehicle.metres - vehicle.length / 2
            return distance if -1.0 < distance < 25 and self._is_taken(other, theirs) else None
        return None

    def _is_taken(self, lane: str, metres: float) -> bool:
        """Whether somebody moves towards, or is on, the place `metres` along `lane` or along the lane before it."""
        early, late = _FIRST_COMERS
        before = lane.replace("-out", "-in")
        return any(early < one.metres - metres < late for one in self._by_lane[lane]) or any(
            one.metres - self.network.lengths[before] - metres > early and one.speed > 0.5
            for one in self._by_lane[before]
        )


def _progress(vehicle: Vehicle) -> float:
    return vehicle.metres


def _faces_line(vehicle: Vehicle, distance: float) -> bool:
    """Whether a stop line `distance` metres before its front concerns it: near, and crossed by a creep at most."""
    if distance < 0 and vehicle.speed > 2.0:
        return False
    return -_OVER_THE_LINE_M <= distance <= _LOOK_AHEAD_M


def _free_road(vehicle: Vehicle, wanted: float) -> float:
    share = vehicle.speed / max(wanted, 0.1)
    return vehicle.pull * (1 - share**4) if share <= 1 else -_COMFORTABLE * min(1.0, (share - 1) * 4)


def _following(vehicle: Vehicle, gap: float, leader_speed: float, standstill_gap: float | None = None) -> float:
    part = vehicle.part
    closing = vehicle.speed * (vehicle.speed - leader_speed) / (2 * math.sqrt(vehicle.pull * _COMFORTABLE))
    nearest = part.standstill_gap if standstill_gap is None else standstill_gap
    wanted_gap = nearest + max(0.0, vehicle.speed * part.headway + closing)
    share = vehicle.speed / max(vehicle.wanted_speed, 0.1)
    return vehicle.pull * (1 - share**4 - (wanted_gap / max(gap, 0.1)) ** 2)


def _late_braking(vehicle: Vehicle, hold_at: float) -> float:
    """Constant hard braking from the last moment that still stops the vehicle's middle at `hold_at`."""
    if vehicle.leg != vehicle.part.hold_leg:
        return math.inf if vehicle.leg < vehicle.part.hold_leg else -_HARDEST
    distance = hold_at - vehicle.metres
    needed = vehicle.speed * vehicle.speed / (2 * max(distance, 0.05))
    return -needed if needed >= vehicle.part.braking * 0.97 or distance < 0.3 else math.inf
