"""Symbols that tell groups and directions apart by shape as well as by colour."""

from __future__ import annotations

from math import cos, pi, sin
from typing import TYPE_CHECKING, Final, Literal

from dualtrace.report.figures.style import DRUG, GROUP_COLORS, MUTED, PAPER, PLACEBO, mix

if TYPE_CHECKING:
    from dualtrace.report.figures.canvas import Canvas, Point

Direction = Literal["drug", "placebo", "neither"]
Strength = Literal["significant", "not_significant", "unstated"]

DIRECTION_COLORS: Final[dict[Direction, str]] = {"drug": DRUG, "placebo": PLACEBO, "neither": MUTED}
_CORNERS: Final = (0, 4, 3, 40, 31, 5, 6, 41)  # 0: disc; 3, 31: triangle up, down; 4, 40: square, diamond; 41: cross


def group_color(index: int) -> str:
    """Return the colour of the group of that number."""
    return GROUP_COLORS[index % len(GROUP_COLORS)]


def group_symbol(canvas: Canvas, x: float, y: float, *, index: int, radius: float, hollow: bool = False) -> None:
    """Draw the symbol of a group; hollow ones have the paper inside."""
    color = group_color(index)
    face, kind = (PAPER if hollow else color), _CORNERS[index % len(_CORNERS)]
    if kind == 0:
        canvas.disc(x, y, radius, face=face, edge=color, width=1.1, z=4)
        return
    canvas.polygon(_corners(kind, x, y, radius), face=face, edge=color, width=1.1, z=4)


def _corners(kind: int, x: float, y: float, r: float) -> list[Point]:
    if kind == 41:
        a, b = 0.38 * r, 1.05 * r
        arm = [
            (-a, -b),
            (a, -b),
            (a, -a),
            (b, -a),
            (b, a),
            (a, a),
            (a, b),
            (-a, b),
            (-a, a),
            (-b, a),
            (-b, -a),
            (-a, -a),
        ]
        return [(x + dx, y + dy) for dx, dy in arm]
    count, turn, grow = {4: (4, pi / 4, 1.2), 40: (4, 0.0, 1.25), 3: (3, 0.0, 1.3), 31: (3, pi, 1.3)}.get(
        kind, (kind, 0.0, 1.1)
    )
    angles = (turn + 2 * pi * i / count for i in range(count))
    return [(x + grow * r * sin(a), y - grow * r * cos(a)) for a in angles]


def direction_symbol(
    canvas: Canvas, x: float, y: float, *, direction: Direction, strength: Strength, radius: float
) -> None:
    """Draw an effect direction: up for the drug, down for placebo, both sideways for neither.

    Filled: statistically significant; hollow: not; pale inside: not stated.
    """
    color = DIRECTION_COLORS[direction]
    face = {"significant": color, "not_significant": PAPER, "unstated": mix(color, 0.28)}[strength]
    r = radius
    if direction == "neither":
        gap = 0.16 * r
        for side in (-1, 1):
            tip, back = x + side * 1.1 * r, x + side * gap
            canvas.polygon(
                [(tip, y), (back, y - 0.72 * r), (back, y + 0.72 * r)], face=face, edge=color, width=1.0, z=4
            )
        return
    up = 1 if direction == "drug" else -1
    corners = [(x, y - up * r), (x - r, y + up * 0.78 * r), (x + r, y + up * 0.78 * r)]
    canvas.polygon(corners, face=face, edge=color, width=1.0, z=4)
