"""Names of points on a plot: beside the point where there is room, else a number there and the name below."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from dualtrace.report.figures.canvas import text_width, wrap
from dualtrace.report.figures.placement import place
from dualtrace.report.figures.style import INK, MUTED, PAPER, mix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dualtrace.report.figures.canvas import Canvas, Point
    from dualtrace.report.figures.placement import Box
    from dualtrace.report.figures.style import Sizes


def names(
    canvas: Canvas,
    centres: Sequence[Point],
    labels: Sequence[str],
    *,
    look: Sizes,
    radius: float,
    inside: Box,
    taken: Iterable[Box] = (),
) -> tuple[tuple[int, str], ...]:
    """Write a label beside each point; return those that got a number only, with their numbers.

    Parameters
    ----------
    canvas, centres, labels, look
        Where, and what.
    radius
        Of the symbols.
    inside, taken
        Where labels may go, and what they must not cover besides the symbols.
    """
    placed = place(
        centres,
        full=[text_width(label, look.small) for label in labels],
        short=[text_width("0" * len(str(len(centres))), look.small)] * len(centres),
        height=look.small / 72.0,
        radius=radius,
        inside=inside,
        taken=taken,
    )
    numbered: list[tuple[int, str]] = []
    for i in sorted(range(len(centres)), key=lambda i: (centres[i][1], centres[i][0])):  # numbers run down the page
        spot = placed[i]
        if spot is None or spot.short:
            numbered.append((len(numbered) + 1, labels[i]))
        if spot is None:
            continue
        x, y = (spot.box.left + spot.box.right) / 2, (spot.box.top + spot.box.bottom) / 2
        if spot.leader:
            canvas.line([centres[i], (x, y)], color=mix(MUTED, 0.5), width=0.5, z=1.9)
        canvas.rectangle(spot.box.left, spot.box.top, spot.box.right, spot.box.bottom, face=PAPER, z=2.6)
        text = str(numbered[-1][0]) if spot.short else labels[i]
        canvas.text(x, y, text, size=look.small, color=INK, align="center")
    return tuple(numbered)


def numbers(canvas: Canvas, top: float, numbered: Sequence[tuple[int, str]], *, look: Sizes) -> float:
    """Write the names of the points that got a number, in columns; return where they end."""
    if not numbered:
        return top
    entries = [f"{number}  {label}" for number, label in numbered]
    room = canvas.width - 2 * look.margin
    wanted = min(max(text_width(entry, look.small) for entry in entries) + 0.2, room)
    columns = max(1, int((room + 0.1) / wanted))
    rows = ceil(len(entries) / columns)
    end = top
    for column in range(columns):
        y = top
        for entry in entries[column * rows : (column + 1) * rows]:
            lines = wrap(entry, width=wanted, size=look.small)
            y = canvas.lines_of_text(look.margin + column * wanted, y, lines, size=look.small, color=MUTED)
        end = max(end, y)
    return end
