"""Two small matplotlib renderers that draw text from the cached outlines of :mod:`dualtrace.report.figures.outline`.

The stock ones shape every string anew and, in SVG, write several times the bytes.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final, final
from xml.sax.saxutils import escape

import numpy as np
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_hex
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from dualtrace.report.figures.outline import ASCENT, DESCENT, Glyph, advance, is_bold, letters, outline

if TYPE_CHECKING:
    from matplotlib.backend_bases import GraphicsContextBase
    from matplotlib.font_manager import FontProperties
    from matplotlib.text import Text
    from matplotlib.transforms import Transform
    from matplotlib.typing import ColorType
    from numpy.typing import NDArray

_EM: Final = 1000.0  # units of a letter's coordinates in the SVG, per type size
_LETTERS: Final = {
    int(code): letter
    for code, letter in (
        (Path.MOVETO, "M"),
        (Path.LINETO, "L"),
        (Path.CURVE3, "Q"),
        (Path.CURVE4, "C"),
        (Path.CLOSEPOLY, "Z"),
    )
}


class _FromOutlines(RendererBase):
    """What both renderers know of text (abstract): matplotlib's calls, less what outlines do not need."""

    _scale = 1.0  # pixels per point

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: bool | str
    ) -> tuple[float, float, float]:
        """Return the extent of a line in pixels: width, height, and how far it reaches below its foot."""
        del ismath
        size = prop.get_size_in_points() * self._scale
        return advance(s, is_bold(prop)) * size, (ASCENT + DESCENT) * size, DESCENT * size

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: bool | str = False,
        mtext: Text | None = None,
    ) -> None:
        """Draw a line of text."""
        del ismath, mtext
        self._draw_line(gc, (x, y), s, prop, angle)

    @abstractmethod
    def _draw_line(
        self, gc: GraphicsContextBase, at: tuple[float, float], line: str, prop: FontProperties, angle: float
    ) -> None:
        """Draw a line of text whose foot begins at a place of the sheet, turned by an angle in degrees."""


@final
class Raster(_FromOutlines, RendererAgg):
    """Pixels, text from outlines.

    Parameters
    ----------
    width, height
        Of the sheet, in pixels.
    dpi
        Pixels per inch.
    """

    def __init__(self, width: int, height: int, dpi: float) -> None:
        RendererAgg.__init__(self, width, height, dpi)  # type: ignore[no-untyped-call]  # matplotlib has no types here
        self._scale = dpi / 72.0

    def pixels(self) -> NDArray[np.uint8]:
        """Return what was drawn, (height, width, 4)."""
        return np.asarray(self.buffer_rgba())  # type: ignore[no-untyped-call]  # matplotlib has no types here

    def _draw_line(
        self, gc: GraphicsContextBase, at: tuple[float, float], line: str, prop: FontProperties, angle: float
    ) -> None:
        size = prop.get_size_in_points() * self._scale
        place = Affine2D().scale(size).rotate_deg(angle).translate(at[0], self.height - at[1])
        gc.set_linewidth(0.0)
        shape = outline(line, is_bold(prop))
        self.draw_path(gc, shape, place, gc.get_rgb())  # type: ignore[no-untyped-call]  # matplotlib has no types here


@final
class Vector(_FromOutlines):
    """SVG: every letter defined once and used by reference; no dates, no random names.

    Parameters
    ----------
    width, height
        Of the sheet, in points.
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__()
        self._size = (width, height)
        self._glyphs: dict[str, str] = {}
        self._parts: list[str] = []

    def document(self, *, title: str, description: str) -> str:
        """Return the finished SVG."""
        width, height = (_short(length) for length in self._size)
        words = "".join(
            f"<{tag}>{escape(text)}</{tag}>\n" for tag, text in (("title", title), ("desc", description)) if text
        )
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}pt" height="{height}pt" '
            f'viewBox="0 0 {width} {height}">\n'
        )
        shapes = "".join(f'<path id="{name}" d="{path}"/>\n' for name, path in self._glyphs.items())
        return f"{head}{words}<defs>\n{shapes}</defs>\n{''.join(self._parts)}</svg>\n"

    def get_canvas_width_height(self) -> tuple[float, float]:
        """Return the size of the sheet in points."""
        return self._size

    def draw_path(
        self, gc: GraphicsContextBase, path: Path, transform: Transform, rgbFace: ColorType | None = None
    ) -> None:
        """Write a shape."""
        upright = transform + Affine2D().scale(1.0, -1.0).translate(0.0, self._size[1])
        style = f' fill="{to_hex(rgbFace)}"' if rgbFace is not None else ' fill="none"'
        if gc.get_linewidth() > 0:
            style += f' stroke="{to_hex(gc.get_rgb())}" stroke-width="{_short(gc.get_linewidth())}"'
            _, dashes = gc.get_dashes()
            if dashes is not None:
                lengths = np.asarray(dashes, dtype=np.float64).tolist()
                style += f' stroke-dasharray="{" ".join(_short(length) for length in lengths)}"'
        self._parts.append(f'<path d="{_data(path.transformed(upright), 2)}"{style}/>\n')

    def _draw_line(
        self, gc: GraphicsContextBase, at: tuple[float, float], line: str, prop: FontProperties, angle: float
    ) -> None:
        bold, size = is_bold(prop), prop.get_size_in_points() / _EM
        uses = "".join(
            f'<use href="#{self._name(shape, bold)}" x="{_short(_EM * place, 0)}"/>'
            for place, shape in letters(line, bold)
            if not shape.is_blank
        )
        turn = f"rotate({_short(-angle)})" if angle else ""
        place = f"translate({_short(at[0])} {_short(at[1])}){turn}scale({_short(size, 5)})"
        self._parts.append(f'<g fill="{to_hex(gc.get_rgb())}" transform="{place}">{uses}</g>\n')

    def _name(self, shape: Glyph, bold: bool) -> str:
        name = f"{'b' if bold else 'r'}{shape.index}"
        if name not in _OUTLINES:
            _OUTLINES[name] = _data(shape.path.transformed(Affine2D().scale(_EM, -_EM)), 0)
        self._glyphs[name] = _OUTLINES[name]
        return name


_OUTLINES: Final[dict[str, str]] = {}  # letters met so far: the same in every figure


def _short(value: float, digits: int = 2) -> str:
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if digits else text
    return "0" if text in ("-0", "") else text


def _data(path: Path, digits: int) -> str:
    pieces: list[str] = []
    for points, code in path.iter_segments(simplify=False, curves=True):
        numbers = [] if code == Path.CLOSEPOLY else np.asarray(points, dtype=np.float64).tolist()
        pieces.append(_LETTERS[int(code)] + " ".join(_short(value, digits) for value in numbers))
    return "".join(pieces)
