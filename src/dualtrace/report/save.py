"""A figure to SVG and PNG, byte for byte the same on every run."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG

from dualtrace.report.style import settings

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

PNG_DPI: Final = 200


def svg(figure: Figure, *, title: str = "", description: str = "") -> bytes:
    """Return the figure as SVG with outlined letters; title and description go into it for screen readers."""
    stream = BytesIO()
    words = {"Title": title, "Description": description}
    metadata = {"Date": None, "Creator": None, **{name: text for name, text in words.items() if text}}
    with settings():
        FigureCanvasSVG(figure).print_svg(stream, metadata=metadata)
    return stream.getvalue()


def png(figure: Figure, *, dpi: int = PNG_DPI) -> bytes:
    """Return the figure as PNG."""
    stream = BytesIO()
    before = figure.dpi
    with settings():
        try:
            figure.dpi = dpi
            FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})
        finally:
            figure.dpi = before
    return stream.getvalue()


def save(figure: Figure, path: Path, *, title: str = "", description: str = "", dpi: int = PNG_DPI) -> Path:
    """Write the figure in the format its suffix names, ``.svg`` or ``.png``; return the path.

    Raises
    ------
    ValueError
        For any other suffix.
    """
    if path.suffix == ".svg":
        data = svg(figure, title=title, description=description)
    elif path.suffix == ".png":
        data = png(figure, dpi=dpi)
    else:
        raise ValueError(f"a figure is written as .svg or .png; given {path.name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
