"""Letters as outlines: measured, laid out and drawn from the same cached shapes, so that text is where planned.

The typeface ships with matplotlib; a character it lacks is drawn as its empty box.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.ft2font import Kerning, LoadFlags
from matplotlib.path import Path

from dualtrace.report.figures.style import FONTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.ft2font import FT2Font
    from numpy.typing import NDArray

_FACES: Final = {False: str(FONTS / "DejaVuSans.ttf"), True: str(FONTS / "DejaVuSans-Bold.ttf")}
_GRID: Final = 1000.0  # type size at which outlines are read; large, so that rounding to 1/64 does not show
ASCENT: Final = 0.76  # of the type size
DESCENT: Final = 0.24


@dataclass(frozen=True, slots=True)
class Glyph:
    """One letter, in units of the type size.

    Attributes
    ----------
    index
        Its number in the typeface.
    advance
        From its origin to that of the next letter.
    vertices, codes
        Outline as matplotlib's paths hold it, (points, 2) and (points,); y upwards, origin on the baseline.
    """

    index: int
    advance: float
    vertices: NDArray[np.float64]
    codes: NDArray[np.uint8]

    @property
    def path(self) -> Path:
        """The outline as a matplotlib path."""
        return Path(self.vertices, self.codes)

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to draw, as for a space."""
        return not len(self.vertices)


@lru_cache(maxsize=256)
def font(size: float, bold: bool = False) -> FontProperties:
    """Return the typeface at a size in points."""
    return FontProperties(fname=_FACES[bold], size=size)


def is_bold(properties: FontProperties) -> bool:
    """Whether properties made by :func:`font` name the bold face."""
    return properties.get_file() == _FACES[True]


def _face(bold: bool) -> FT2Font:
    face = get_font(_FACES[bold])
    face.set_size(_GRID, 72.0)
    return face


@lru_cache(maxsize=4096)
def glyph(character: str, bold: bool = False) -> Glyph:
    """Return the outline of one character."""
    face = _face(bold)
    metrics = face.load_char(ord(character), flags=LoadFlags.NO_HINTING)
    vertices, codes = face.get_path()
    return Glyph(
        index=face.get_char_index(ord(character)),
        advance=metrics.linearHoriAdvance / 65536.0 / _GRID,
        vertices=np.asarray(vertices, dtype=np.float64).reshape(-1, 2) / _GRID,
        codes=np.asarray(codes, dtype=np.uint8),
    )


@lru_cache(maxsize=16384)
def _kerning(first: str, second: str, bold: bool) -> float:
    face = _face(bold)
    indices = (face.get_char_index(ord(first)), face.get_char_index(ord(second)))
    return float(face.get_kerning(*indices, Kerning.UNFITTED)) / 64.0 / _GRID


def letters(text: str, bold: bool = False) -> Iterator[tuple[float, Glyph]]:
    """Yield each letter of a line with its place, in units of the type size."""
    x, before = 0.0, ""
    for character in text:
        x += _kerning(before, character, bold) if before else 0.0
        shape = glyph(character, bold)
        yield x, shape
        x, before = x + shape.advance, character


@lru_cache(maxsize=16384)
def advance(text: str, bold: bool = False) -> float:
    """Return the width of a line in units of the type size."""
    end = 0.0
    for x, shape in letters(text, bold):
        end = x + shape.advance
    return end


@lru_cache(maxsize=4096)
def outline(text: str, bold: bool = False) -> Path:
    """Return a line of text as one shape, in units of the type size."""
    shapes = [(x, shape) for x, shape in letters(text, bold) if not shape.is_blank]
    if not shapes:
        return Path(np.empty((0, 2)))
    vertices = np.concatenate([shape.vertices + np.array([x, 0.0]) for x, shape in shapes])
    return Path(vertices, np.concatenate([shape.codes for _, shape in shapes]))
