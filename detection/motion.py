"""How a box moves: position and velocity of its centre and size, and how sure they are, in real seconds.

A Kalman filter (Kalman, J. Basic Eng. 82, 1960) of constant velocity, disturbed by random acceleration. The four axes
do not influence each other, so each is a filter of two numbers; noise is in shares of the box's size, because that is
what distance does to pixels. Frames may come at any interval.
"""

from __future__ import annotations

from dataclasses import dataclass

from trafficmon.core.geometry import Box

MEASURED_SHARE = 0.05
"""Standard deviation of a detected edge, in box heights: the detector's jitter."""
ACCELERATION_SHARE = 2.0
"""Standard deviation of acceleration, in box heights per second squared: about 3 m/s² for a car."""
FIRST_SPEED_SHARE = 5.0
"""Standard deviation of the unknown speed of something just seen, in box heights per second: about 30 km/h."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Position (px) and velocity (px/s) along one axis with their variances and covariance."""

    position: float
    velocity: float
    position_variance: float
    covariance: float
    velocity_variance: float

    def after(self, seconds: float, *, acceleration: float) -> Axis:
        """As expected `seconds` later, with a random acceleration of this standard deviation (px/s²) all the while."""
        disturbed = (acceleration * seconds) ** 2
        return Axis(
            self.position + self.velocity * seconds,
            self.velocity,
            self.position_variance
            + seconds * (2 * self.covariance + seconds * self.velocity_variance)
            + disturbed * seconds**2 / 4,
            self.covariance + seconds * self.velocity_variance + disturbed * seconds / 2,
            self.velocity_variance + disturbed,
        )

    def given(self, measured: float, *, deviation: float) -> Axis:
        """After seeing it at `measured` px, give or take `deviation` px."""
        total = self.position_variance + deviation**2
        gain, velocity_gain = self.position_variance / total, self.covariance / total
        surprise = measured - self.position
        return Axis(
            self.position + gain * surprise,
            self.velocity + velocity_gain * surprise,
            self.position_variance * (1 - gain),
            self.covariance * (1 - gain),
            self.velocity_variance - velocity_gain * self.covariance,
        )


@dataclass(frozen=True, slots=True)
class Motion:
    """A box's centre and size as four axes."""

    x: Axis
    y: Axis
    width: Axis
    height: Axis

    @property
    def box(self) -> Box:
        """In pixels, at least 1 wide and high."""
        half_width, half_height = max(self.width.position, 1.0) / 2, max(self.height.position, 1.0) / 2
        x, y = self.x.position, self.y.position
        return Box(x - half_width, y - half_height, x + half_width, y + half_height)

    @property
    def axes(self) -> tuple[Axis, Axis, Axis, Axis]:
        return self.x, self.y, self.width, self.height

    def after(self, seconds: float) -> Motion:
        """The motion as expected `seconds` later, unseen in between."""
        acceleration = ACCELERATION_SHARE * max(self.height.position, 1.0)
        return Motion(*(axis.after(seconds, acceleration=acceleration) for axis in self.axes))

    def given(self, box: Box) -> Motion:
        """The motion after `box` was seen, at the moment it already stands for."""
        deviation = _deviation(box)
        pairs = zip(self.axes, _measures(box), strict=True)
        return Motion(*(axis.given(measured, deviation=deviation) for axis, measured in pairs))


def first_motion(box: Box) -> Motion:
    """The motion of something seen once: where it is, and no idea how fast."""
    speed_variance = (FIRST_SPEED_SHARE * max(box.height, 1.0)) ** 2
    return Motion(*(Axis(each, 0.0, _deviation(box) ** 2, 0.0, speed_variance) for each in _measures(box)))


def _measures(box: Box) -> tuple[float, float, float, float]:
    return (*box.centre, box.width, box.height)


def _deviation(box: Box) -> float:
    return MEASURED_SHARE * max(box.height, 1.0)
