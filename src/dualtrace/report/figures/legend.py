"""The key under a figure: small drawings with a few words each, flowing over as many lines as they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualtrace.report.figures.canvas import pitch, text_width, wrap
from dualtrace.report.figures.style import MUTED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualtrace.report.figures.canvas import Canvas
    from dualtrace.report.figures.style import Sizes

_GAP, _SPACE = 0.06, 0.22  # inches between drawing and words, and between entries


@dataclass(frozen=True, slots=True)
class Key:
    """One entry.

    Attributes
    ----------
    draw
        Draws the symbol between ``left`` and ``left + width`` around the height ``y``.
    width, height
        Of the drawing, inches.
    words
        What it means.
    """

    draw: Callable[[Canvas, float, float], None]
    width: float
    words: str
    height: float = 0.0


def legend(canvas: Canvas, top: float, keys: Sequence[Key], *, look: Sizes) -> float:
    """Draw the entries from left to right, downwards from ``top``; return where they end."""
    room = canvas.width - 2 * look.margin
    for line in _lines(keys, room=room, look=look):
        height = max([pitch(look.small), *(key.height for key in line)]) + 0.035
        left, bottom = look.margin, top + height
        for key in line:
            key.draw(canvas, left, top + height / 2)
            start = left + key.width + _GAP
            words = wrap(key.words, width=canvas.width - look.margin - start, size=look.small)
            first = top + (height - pitch(look.small)) / 2
            bottom = max(bottom, canvas.lines_of_text(start, first, words, size=look.small, color=MUTED))
            left += _needed(key, look) + _SPACE
        top = bottom
    return top


def _needed(key: Key, look: Sizes) -> float:
    return key.width + _GAP + text_width(key.words, look.small)


def _lines(keys: Sequence[Key], *, room: float, look: Sizes) -> list[list[Key]]:
    lines: list[list[Key]] = []
    left = 0.0
    for key in keys:
        needed = _needed(key, look)
        if not lines or left + needed > room:
            lines.append([])
            left = 0.0
        lines[-1].append(key)
        left += needed + _SPACE
    return lines


def footnote(canvas: Canvas, top: float, text: str, *, look: Sizes) -> float:
    """Write the small print over the full width; return where it ends."""
    lines = wrap(text, width=canvas.width - 2 * look.margin, size=look.small)
    return canvas.lines_of_text(look.margin, top, lines, size=look.small, color=MUTED)


def heading(canvas: Canvas, top: float, text: str, *, look: Sizes) -> float:
    """Write the title of a figure; return where it ends."""
    lines = wrap(text, width=canvas.width - 2 * look.margin, size=look.title, bold=True)
    bottom = canvas.lines_of_text(look.margin, top, lines, size=look.title, bold=True)
    return bottom + 0.06 if lines else top
