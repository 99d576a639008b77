"""A figure as a block of the document: drawn wide and narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.report.document import Picture
from dualtrace.report.save import png, svg

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from dualtrace.report.document import Line
    from dualtrace.report.style import Width


def picture(key: str, caption: Line, alt: str, draw: Callable[[Width], Figure]) -> Picture:
    """Return the block; ``draw`` is called for the wide and for the narrow page."""
    wide = draw("wide")
    return Picture(key, caption, alt, wide=svg(wide), narrow=svg(draw("narrow")), png=png(wide))
