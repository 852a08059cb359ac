"""The street itself: one scene and seed, moved on in time, drawn, and known exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cameras.street.backdrop import Backdrop, paint_backdrop
from cameras.street.draw import Painter
from cameras.street.figures import Figure, Pose, stand
from cameras.street.incidents import Script
from cameras.street.layout import Aspect, Scene
from cameras.street.meshes import Material
from cameras.street.palettes import palette_of
from cameras.street.projection import Floats, Pinhole
from cameras.street.scenes import SCENES
from cameras.street.shapes import shape_of
from cameras.street.traffic import BUILDS, STEP_SECONDS, Network, Traffic, Vehicle
from cameras.street.truth import ScriptedIncident, TrueObject
from cameras.street.walkers import Walker, Walkers
from trafficmon.core.objects import ObjectClass

_WARM_UP_SECONDS = 40.0
_MOST_WAITING = 2
_FIRST_STANDING = 900_000
_SMALLEST_TRUE_PX = 3.0
_STEPS_PER_SECOND = round(1 / STEP_SECONDS)


class UnknownScene(ValueError):
    """There is no scene of this name: choose one of those listed in the message."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no street scene named {name!r}. Choose one of: {', '.join(sorted(SCENES))}.")


class Street:
    """A synthetic street, the same for the same scene, seed and moment however it was reached."""

    def __init__(self, scene: str, *, seed: int = 1, width: int = 1280, height: int = 720) -> None:
        """Raises UnknownScene. The street begins at 0 seconds, already busy."""
        if scene not in SCENES:
            raise UnknownScene(scene)
        self._scene = SCENES[scene]
        self._seed = seed
        self._seconds = 0.0
        self._pinhole = _hang_camera(self._scene, seed, width, height)
        self._painter: Painter | None = None
        self._backdrop: Backdrop | None = None
        self._network = Network(self._scene.lanes)
        self.traffic = Traffic(self._network, self._scene.plan)
        self.walkers = Walkers(self._scene.footways, self._scene.plan)
        self._script = Script(self._scene, seed, self._network, self.walkers)
        self._arrivals = np.random.default_rng([seed, 2])
        self._entries = [lane for lane in self._scene.lanes if lane.per_minute > 0]
        self._waiting = dict.fromkeys((lane.name for lane in self._entries), 0)
        self._numbers = 0
        self._steps = -round(_WARM_UP_SECONDS * _STEPS_PER_SECOND)
        self._walk_ons: set[int] = set()
        while self._steps < 0:
            self._step()

    @property
    def seconds(self) -> float:
        """Simulated seconds since the street began."""
        return self._seconds

    def advance_to(self, seconds: float) -> None:
        """Move on to `seconds` since the street began; never back."""
        self._seconds = max(seconds, self._seconds)
        while (self._steps + 1) * STEP_SECONDS <= self._seconds + 1e-9:
            self._step()

    def render(self) -> NDArray[np.uint8]:
        """The picture of this moment, (height, width, 3), blue-green-red."""
        minutes, seconds = divmod(self._seconds, 60)
        hour, minute = divmod(self._scene.light.hour * 60 + int(minutes), 60)
        caption = f"{self._scene.name}  {hour % 24:02d}:{minute:02d}:{seconds:04.1f}"
        return self._painted().paint(self._figures(), caption)

    def truth(self) -> tuple[TrueObject, ...]:
        """Everything of the eight classes that is in the picture now, also what others hide."""
        figures = self._figures()
        seen = np.bincount(self._painted().labels(figures).ravel(), minlength=len(figures) + 1)
        listed = (self._true_object(figure, int(seen[place])) for place, figure in enumerate(figures, start=1))
        return tuple(one for one in listed if one is not None)

    def on_ground(self, x: float, y: float) -> tuple[float, float]:
        """The place on the ground, in metres, that is seen at `x`, `y` pixels; raises ValueError above the horizon."""
        return self._pinhole.on_ground(x, y)

    def incidents(self, until: float) -> tuple[ScriptedIncident, ...]:
        """The script: every incident that starts before `until` seconds."""
        return tuple(one.described() for one in self._script.until(until))

    def _true_object(self, figure: Figure, seen_px: int) -> TrueObject | None:
        box = figure.box.clipped(self._pinhole.width, self._pinhole.height)
        if min(box.width, box.height) < _SMALLEST_TRUE_PX:
            return None
        whole = _filled_px(figure.outline)
        incident = self._script.incident_of(figure.number, self._seconds)
        pose = figure.pose
        return TrueObject(
            box=box,
            object_class=figure.object_class,
            track_id=figure.number,
            incident=incident,
            visible=min(seen_px / whole, 1.0),
            place=(pose.x, pose.y),
            velocity=(pose.speed * math.cos(pose.heading), pose.speed * math.sin(pose.heading)),
        )

    def _painted(self) -> Painter:
        if self._painter is None:
            backdrop = paint_backdrop(self._scene, self._pinhole, np.random.default_rng([self._seed, 3]))
            self._painter = Painter(self._scene.light, self._pinhole, backdrop)
        return self._painter

    def _step(self) -> None:
        now = self._steps * STEP_SECONDS
        self._bring_cast(now)
        self._let_in(now)
        self.traffic.step(now)
        self.walkers.step(now, STEP_SECONDS)
        self._steps += 1

    def _bring_cast(self, now: float) -> None:
        for occurrence in self._script.current(now):
            if occurrence.index not in self._walk_ons and occurrence.enters_at <= now:
                self._walk_ons.add(occurrence.index)
                for vehicle in self._script.cast(occurrence):
                    self.traffic.add(vehicle)
            extra = self._script.cast_walker(occurrence)
            if extra is not None and -1 - occurrence.index not in self._walk_ons and extra[0] <= now:
                self._walk_ons.add(-1 - occurrence.index)
                self.walkers.walkers.append(extra[1])

    def _let_in(self, now: float) -> None:
        draws = self._arrivals.random(len(self._entries) + len(self._scene.footways))
        for lane, draw in zip(self._entries, draws, strict=False):
            if draw < lane.per_minute / 60 * STEP_SECONDS:
                self._waiting[lane.name] = min(self._waiting[lane.name] + 1, _MOST_WAITING)
            if self._waiting[lane.name] and self._enter(lane.name, now):
                self._waiting[lane.name] -= 1
        for place, draw in enumerate(draws[len(self._entries) :]):
            if draw < self._scene.footways[place].per_minute / 60 * STEP_SECONDS:
                self._walk_on(place)

    def _enter(self, lane_name: str, now: float) -> bool:
        lane = self._network.lanes[lane_name]
        if self.traffic.room_at_start(lane_name) < 7.0 + lane.speed * 0.9 or self._script.is_quiet(lane_name, now):
            return False
        rng = np.random.default_rng([self._seed, 4, self._numbers])
        mix = lane.mix or {ObjectClass.CAR: 1.0}
        object_class = list(mix)[int(rng.choice(len(mix), p=np.array(list(mix.values())) / sum(mix.values())))]
        wanted = lane.speed * BUILDS[object_class].haste * float(rng.uniform(0.86, 1.08))
        vehicle = Vehicle(
            number=self._next_number(),
            object_class=object_class,
            route=self._network.random_route(lane_name, rng, turns=BUILDS[object_class].length < 5),
            speed=min(wanted, self.traffic.speed_at_start(lane_name)),
            wanted_speed=wanted,
            offset=float(rng.uniform(-0.25, 0.25)),
            look=int(rng.integers(1 << 30)),
        )
        self.traffic.add(vehicle)
        return True

    def _walk_on(self, footway: int) -> None:
        rng = np.random.default_rng([self._seed, 5, self._numbers])
        walker = Walker(
            number=self._next_number(),
            footway=footway,
            speed=float(rng.uniform(1.15, 1.6)),
            offset=float(rng.uniform(-1.1, 1.1)),
            wait_short=float(rng.uniform(0.2, 1.8)),
            reaction=float(rng.uniform(0.0, 1.6)),
            look=int(rng.integers(1 << 30)),
        )
        self.walkers.walkers.append(walker)

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _figures(self) -> list[Figure]:
        since = self._seconds - self._steps * STEP_SECONDS
        figures = [self._vehicle_figure(vehicle, since) for vehicle in self.traffic.vehicles]
        figures += [self._walker_figure(walker, since) for walker in self.walkers.walkers]
        figures += self._standing_figures()
        return [figure for figure in figures if figure is not None]

    def _vehicle_figure(self, vehicle: Vehicle, since: float) -> Figure | None:
        moved = vehicle.speed * since
        x, y, heading = self._network.paths[vehicle.lane].at(vehicle.metres + moved, vehicle.offset)
        pose = Pose(x, y, 0.0, heading, (vehicle.travelled + moved) * 2.2, vehicle.speed)
        subject = (vehicle.number, vehicle.object_class)
        shape = shape_of(vehicle.object_class, vehicle.look % 4)
        return stand(subject, shape, pose, self._vehicle_colours(vehicle), self._pinhole)

    def _vehicle_colours(self, vehicle: Vehicle) -> Floats:
        colours = palette_of(vehicle.object_class, vehicle.look)
        lamps: dict[Material, tuple[float, float, float]] = {}
        if self._scene.light.night:
            lamps = {Material.HEADLIGHT: (226, 246, 255), Material.TAIL_LIGHT: (50, 40, 210)}
        if vehicle.acceleration < -0.6 or vehicle.speed < 0.3:
            lamps[Material.TAIL_LIGHT] = (70, 60, 255)
        if vehicle.part.shows_hazards and vehicle.speed < 1.0 and self._seconds % 1.0 < 0.5:
            lamps[Material.TAIL_LIGHT] = lamps[Material.HEADLIGHT] = (40, 170, 255)
        return _recoloured(colours, lamps)

    def _walker_figure(self, walker: Walker, since: float) -> Figure | None:
        metres = walker.metres + walker.moving * since
        x, y, heading = self.walkers.paths[walker.footway].at(metres, walker.offset)
        gait = metres * 4.2 if walker.moving > 0 else 0.25
        shape = shape_of(ObjectClass.PERSON, walker.look % 2)
        pose = Pose(x, y, 0.0, heading, gait, walker.moving)
        colours = palette_of(ObjectClass.PERSON, walker.look)
        return stand((walker.number, ObjectClass.PERSON), shape, pose, colours, self._pinhole)

    def _standing_figures(self) -> Iterable[Figure | None]:
        number = _FIRST_STANDING
        for head in self._scene.heads:
            lamp, colour = _LAMP_OF[self._scene.plan.aspect(head.signal, self._seconds)]
            colours = _recoloured(palette_of(ObjectClass.TRAFFIC_LIGHT, 0), {lamp: colour})
            pose = Pose(*head.place, head.height, head.facing)
            number += 1
            subject = (number, ObjectClass.TRAFFIC_LIGHT)
            yield stand(subject, shape_of(ObjectClass.TRAFFIC_LIGHT, 0), pose, colours, self._pinhole)
        for sign in self._scene.signs:
            pose = Pose(*sign.place, 2.5, sign.facing)
            number += 1
            subject = (number, ObjectClass.STOP_SIGN)
            colours = palette_of(ObjectClass.STOP_SIGN, 0)
            yield stand(subject, shape_of(ObjectClass.STOP_SIGN, 0), pose, colours, self._pinhole)


_LAMP_OF = {
    Aspect.RED: (Material.RED_LAMP, (50, 50, 250)),
    Aspect.AMBER: (Material.AMBER_LAMP, (40, 190, 255)),
    Aspect.GREEN: (Material.GREEN_LAMP, (150, 240, 70)),
}


def _recoloured(colours: Floats, lamps: dict[Material, tuple[float, float, float]]) -> Floats:
    if not lamps:
        return colours
    table = colours.copy()
    for material, colour in lamps.items():
        table[material] = colour
    return table


def _hang_camera(scene: Scene, seed: int, width: int, height: int) -> Pinhole:
    """The scene's camera, hung a little differently for each seed."""
    rng = np.random.default_rng([seed, 1])
    position = np.array(scene.view.position) + rng.normal(0, 0.5, 3)
    target = np.array(scene.view.target) + rng.normal(0, 0.6, 3)
    focal = scene.view.focal * float(rng.uniform(0.96, 1.04))
    return Pinhole(position, target, focal=focal, width=width, height=height)


def _filled_px(outline: Floats) -> float:
    """How many pixels a filled polygon covers with its edge (after Pick's theorem), also outside the picture."""
    following = np.roll(outline, -1, axis=0)
    area = abs(float(np.sum(outline[:, 0] * following[:, 1] - following[:, 0] * outline[:, 1]))) / 2
    edge = float(np.abs(following - outline).max(axis=1).sum())
    return max(area + edge / 2 + 1, 1.0)
