"""Colours, sizes and the matplotlib settings of every figure.

One accent stands for the drug side, one for the placebo side, greys for everything else. The accents come from
the palette of Okabe and Ito, told apart with any common kind of colour blindness and in grey print.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import matplotlib as mpl

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Width = Literal["wide", "narrow"]

INK: Final = "#1b1f24"
MUTED: Final = "#5b6570"
FAINT: Final = "#9aa3ad"
RULE: Final = "#c9ced4"
GRID: Final = "#e8ebee"
BAND: Final = "#f4f6f8"
PAPER: Final = "#ffffff"
DRUG: Final = "#0072b2"
PLACEBO: Final = "#c2571a"
ROW: Final = "#33414f"

GROUP_COLORS: Final = ("#0072b2", "#c2571a", "#00805f", "#8d4a83", "#a07800", "#33414f", "#2f9fd0", "#7a1f1f")

FONTS: Final = Path(mpl.get_data_path()) / "fonts" / "ttf"  # shipped with matplotlib, hence always there


@dataclass(frozen=True, slots=True)
class Sizes:
    """Lengths in inches, type in points.

    Attributes
    ----------
    width, margin
        Of the figure.
    title, base, small
        Type sizes; ``small`` is the smallest used anywhere.
    """

    width: float
    margin: float
    title: float
    base: float
    small: float


SIZES: Final[dict[Width, Sizes]] = {
    "wide": Sizes(width=8.6, margin=0.14, title=10.5, base=8.5, small=7.5),
    "narrow": Sizes(width=3.6, margin=0.10, title=9.5, base=8.0, small=7.5),
}


def settings() -> AbstractContextManager[None]:
    """Return the context in which a figure is written; restores the caller's settings afterwards."""
    return mpl.rc_context({"path.simplify": False, "path.snap": True, "agg.path.chunksize": 0, "figure.dpi": 100.0})


def sizes(width: Width) -> Sizes:
    """Return the sizes of one variant; ``ValueError`` when there is no such variant."""
    if width not in SIZES:
        raise ValueError(f"width must be one of {', '.join(SIZES)}; given {width!r}")
    return SIZES[width]


def mix(color: str, share: float) -> str:
    """Return the colour thinned with white: ``share`` of the colour, the rest paper, no transparency."""
    channels = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(share * c + (1 - share) * 255):02x}" for c in channels)


def number(value: float, digits: int = 2) -> str:
    """Return a number with a true minus sign, and the sign of infinity in words of typography."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "−").replace("inf", "∞")


def with_interval(estimate: float, low: float, high: float, *, digits: int = 2) -> str:
    """Return ``0.35 (−0.10 to 0.80)``, the form of every estimate printed in a figure."""
    return f"{number(estimate, digits)} ({number(low, digits)} to {number(high, digits)})"
