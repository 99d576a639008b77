"""The key under a figure: small drawings with a few words each, flowing over as many lines as they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualtrace.report.canvas import pitch, text_width, wrap
from dualtrace.report.style import MUTED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualtrace.report.canvas import Canvas
    from dualtrace.report.style import Sizes

_GAP, _SPACE = 0.06, 0.22  # inches between drawing and words, and between entries


@dataclass(frozen=True, slots=True)
class Key:
    """One entry.

    Attributes
    ----------
    draw
        Draws the symbol between ``left`` and ``left + width`` around the height ``y``.
    width
        Of the drawing, inches.
    words
        What it means.
    """

    draw: Callable[[Canvas, float, float], None]
    width: float
    words: str


def legend(canvas: Canvas, top: float, keys: Sequence[Key], *, look: Sizes) -> float:
    """Draw the entries from left to right, downwards from ``top``; return where they end."""
    size, first, last = look.small, look.margin, canvas.width - look.margin
    line = pitch(size) + 0.035
    left, y = first, top + line / 2
    for key in keys:
        needed = key.width + _GAP + text_width(key.words, size)
        if left > first and left + needed > last:
            left, y = first, y + line
        key.draw(canvas, left, y)
        start = left + key.width + _GAP
        lines = wrap(key.words, width=last - start, size=size)
        bottom = canvas.lines_of_text(start, y - pitch(size) / 2, lines, size=size, color=MUTED)
        y = bottom - pitch(size) / 2
        left = start + max(text_width(text, size) for text in lines) + _SPACE
    return y + line / 2 if keys else top


def footnote(canvas: Canvas, top: float, text: str, *, look: Sizes) -> float:
    """Write the small print over the full width; return where it ends."""
    lines = wrap(text, width=canvas.width - 2 * look.margin, size=look.small)
    return canvas.lines_of_text(look.margin, top, lines, size=look.small, color=MUTED)


def heading(canvas: Canvas, top: float, text: str, *, look: Sizes) -> float:
    """Write the title of a figure; return where it ends."""
    lines = wrap(text, width=canvas.width - 2 * look.margin, size=look.title, bold=True)
    bottom = canvas.lines_of_text(look.margin, top, lines, size=look.title, bold=True)
    return bottom + 0.06 if lines else top
