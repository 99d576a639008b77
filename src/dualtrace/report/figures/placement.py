"""Labels beside points, none on another: a greedy search over places around each point."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, pi, sin
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dualtrace.report.figures.canvas import Point

_ANGLES: Final = (0.0, 180.0, 30.0, -30.0, 150.0, -150.0, 90.0, -90.0, 60.0, -60.0, 120.0, -120.0)
_NEAR: Final = (0.02, 0.05)  # inches from the symbol: needs no line to it
_FAR: Final = (0.12, 0.2, 0.3, 0.42, 0.56, 0.72, 0.9, 1.1)
_AIR: Final = 0.012


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in inches, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap or nearly touch."""
        return (
            self.left < other.right + _AIR
            and other.left < self.right + _AIR
            and self.top < other.bottom + _AIR
            and other.top < self.bottom + _AIR
        )

    def within(self, other: Box) -> bool:
        """Whether the box lies inside the other."""
        inside_x = other.left <= self.left and self.right <= other.right
        return inside_x and other.top <= self.top and self.bottom <= other.bottom


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the label of a point went.

    Attributes
    ----------
    box
        Where it is written.
    short
        Whether only its number is written.
    leader
        Whether it is so far off that a line to the point is needed.
    """

    box: Box
    short: bool
    leader: bool


def place(
    points: Sequence[Point],
    *,
    full: Sequence[float],
    short: Sequence[float],
    height: float,
    radius: float,
    inside: Box,
    taken: Iterable[Box] = (),
) -> tuple[Placed | None, ...]:
    """Return a place for each label, the full one where it fits, else its number, else None.

    Parameters
    ----------
    points
        Centres of the symbols.
    full, short, height
        Widths of each label and of its number; height of a line.
    radius
        Of the symbols.
    inside
        Where labels may go.
    taken
        What they must not cover besides the symbols.
    """
    busy = [*taken, *(Box(x - radius, y - radius, x + radius, y + radius) for x, y in points)]
    answer: list[Placed | None] = [None] * len(points)
    for i in sorted(range(len(points)), key=lambda i: (_crowding(points, i), i)):
        for width, is_short, distances in ((full[i], False, _NEAR), (short[i], True, _NEAR + _FAR)):
            found = _free(
                points[i], width=width, height=height, radius=radius, distances=distances, inside=inside, busy=busy
            )
            if found is not None:
                box, distance = found
                answer[i] = Placed(box, is_short, distance in _FAR)
                busy.append(box)
                break
    return tuple(answer)


def _crowding(points: Sequence[Point], i: int) -> float:
    """Count the points within an inch: the free-standing ones choose last, the crowded ones first."""
    x, y = points[i]
    return -sum(hypot(x - u, y - v) < 0.5 for u, v in points)


def _free(
    point: Point,
    *,
    width: float,
    height: float,
    radius: float,
    distances: Sequence[float],
    inside: Box,
    busy: Sequence[Box],
) -> tuple[Box, float] | None:
    for distance in distances:
        for angle in _ANGLES:
            box = _beside(point, width=width, height=height, reach=radius + distance, angle=angle)
            if box.within(inside) and not any(box.meets(other) for other in busy):
                return box, distance
    return None


def _beside(point: Point, *, width: float, height: float, reach: float, angle: float) -> Box:
    dx, dy = cos(angle * pi / 180), -sin(angle * pi / 180)
    x = point[0] + dx * (reach + width / 2)
    y = point[1] + dy * (reach + height / 2)
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
