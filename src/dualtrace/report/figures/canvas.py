"""A sheet measured in inches from its upper left corner; it grows downwards and becomes a matplotlib figure.

Layout is computed from measured text, never by trial drawing, so that a figure costs one pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, final

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Polygon
from matplotlib.text import Text
from matplotlib.transforms import Affine2D

from dualtrace.report.figures.outline import advance, font
from dualtrace.report.figures.style import INK, PAPER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Point = tuple[float, float]
Align = Literal["left", "center", "right"]

POINTS: Final = 72.0
_CAP_MIDDLE = 0.35  # of the type size: from the baseline up to the middle of the capitals
_PITCH = 1.32  # line distance in units of the type size


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of one line of text in inches; ``size`` in points."""
    return advance(text, bold) * size / POINTS


def pitch(size: float) -> float:
    """Return the distance between two lines of text in inches; ``size`` in points."""
    return _PITCH * size / POINTS


def wrap(text: str, *, width: float, size: float, bold: bool = False) -> tuple[str, ...]:
    """Return the text broken into lines no wider than ``width`` inches; a word too long is cut."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(joined, size, bold) <= width:
            lines[-1] = joined
            continue
        rest = word
        while text_width(rest, size, bold) > width and len(rest) > 1:
            head = _longest_prefix(rest, width=width, size=size, bold=bold)
            lines.append(head)
            rest = rest[len(head) :]
        lines.append(rest)
    return tuple(lines)


def _longest_prefix(word: str, *, width: float, size: float, bold: bool) -> str:
    end = len(word) - 1
    while end > 1 and text_width(word[:end], size, bold) > width:
        end -= 1
    return word[: word.rfind("-", 0, end) + 1 or end]


@final
class Canvas:
    """Collects shapes and text, then hands them over as one figure of the height that was needed.

    Parameters
    ----------
    width
        Inches.
    """

    def __init__(self, width: float) -> None:
        self.width = width
        self._figure = Figure(figsize=(width, 1.0), facecolor=PAPER, edgecolor=PAPER)
        self._downwards = Affine2D().scale(1.0, -1.0)
        self._inches = self._downwards + self._figure.dpi_scale_trans

    def finish(self, height: float) -> Figure:
        """Return the figure, ``height`` inches tall; the canvas is used up."""
        self._figure.set_size_inches(self.width, height, forward=False)
        self._downwards.translate(0.0, height)
        return self._figure

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float,
        color: str = INK,
        bold: bool = False,
        align: Align = "left",
        upright: bool = False,
    ) -> None:
        """Write one line; ``y`` is the middle of its capitals. Upright text reads upwards and starts at ``y``."""
        if not text:
            return
        lift = _CAP_MIDDLE * size / POINTS
        place = (x + lift, y) if upright else (x, y + lift)
        artist = Text(
            *place,
            text,
            color=color,
            fontproperties=font(size, bold),
            horizontalalignment=align,
            verticalalignment="baseline",
            rotation=90.0 if upright else 0.0,
            rotation_mode="anchor",
            parse_math=False,
            usetex=False,
            transform=self._inches,
        )
        artist.set_zorder(5)
        self._figure.add_artist(artist)

    def lines_of_text(
        self,
        x: float,
        top: float,
        lines: Iterable[str],
        *,
        size: float,
        color: str = INK,
        bold: bool = False,
        align: Align = "left",
    ) -> float:
        """Write lines downwards from ``top``; return where the last one ends."""
        for line in lines:
            self.text(x, top + pitch(size) / 2, line, size=size, color=color, bold=bold, align=align)
            top += pitch(size)
        return top

    def line(
        self,
        points: Sequence[Point],
        *,
        color: str,
        width: float = 0.8,
        dashes: tuple[float, float] | None = None,
        z: float = 2,
    ) -> None:
        """Draw a line through the points; ``width`` and ``dashes`` in typographic points."""
        self.segments([points], colors=[color], width=width, dashes=dashes, z=z)

    def segments(
        self,
        segments: Sequence[Sequence[Point]],
        *,
        colors: Sequence[str],
        width: float = 0.8,
        dashes: tuple[float, float] | None = None,
        z: float = 2,
    ) -> None:
        """Draw several lines in one go."""
        if not segments:
            return
        artist = LineCollection(
            segments,
            colors=list(colors),
            linewidths=[width],
            linestyles=[(0, dashes)] if dashes else "solid",
            capstyle="butt",
            transform=self._inches,
            zorder=z,
        )
        self._figure.add_artist(artist)

    def polygon(
        self,
        points: Sequence[Point],
        *,
        face: str | None,
        edge: str | None = None,
        width: float = 0.8,
        z: float = 3,
        role: str = "",
    ) -> None:
        """Draw a closed shape; ``role`` names it for whoever inspects the figure."""
        artist = Polygon(
            points,
            closed=True,
            facecolor=face or "none",
            edgecolor=edge or "none",
            linewidth=width if edge else 0.0,
            joinstyle="miter",
            transform=self._inches,
            zorder=z,
            label=role,
        )
        self._figure.add_artist(artist)

    def disc(
        self,
        x: float,
        y: float,
        radius: float,
        *,
        face: str | None,
        edge: str | None = None,
        width: float = 0.8,
        z: float = 3,
    ) -> None:
        """Draw a circle."""
        artist = Ellipse(
            (x, y),
            2 * radius,
            2 * radius,
            facecolor=face or "none",
            edgecolor=edge or "none",
            linewidth=width if edge else 0.0,
            transform=self._inches,
            zorder=z,
        )
        self._figure.add_artist(artist)

    def rectangle(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        *,
        face: str | None,
        edge: str | None = None,
        z: float = 3,
    ) -> None:
        """Draw a box."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], face=face, edge=edge, z=z)
