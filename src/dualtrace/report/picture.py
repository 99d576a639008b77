"""A figure as a block of the document: drawn wide and narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dualtrace.report.document import Picture
from dualtrace.report.figures.save import png, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dualtrace.report.document import Line
    from dualtrace.report.figures.style import Width


class Draw(Protocol):
    """A drawing whose specification is given, waiting for the width."""

    def __call__(self, *, width: Width) -> Figure:
        """Return the figure."""
        ...


def picture(key: str, caption: Line, alt: str, draw: Draw) -> Picture:
    """Return the block; ``draw`` is called for the wide and for the narrow page."""
    wide = draw(width="wide")
    return Picture(key, caption, alt, wide=svg(wide), narrow=svg(draw(width="narrow")), png=png(wide))
