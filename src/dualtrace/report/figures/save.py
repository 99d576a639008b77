"""A figure to SVG and PNG, byte for byte the same on every run."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final, cast

from PIL import Image

from dualtrace.report.figures.renderers import Raster, Vector
from dualtrace.report.figures.style import settings

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure

PNG_DPI: Final = 200
_POINTS: Final = 72.0


def svg(figure: Figure, *, title: str = "", description: str = "") -> bytes:
    """Return the figure as SVG, letters as outlines; title and description go into it for screen readers."""
    width, height = figure.get_size_inches()
    renderer = Vector(float(width) * _POINTS, float(height) * _POINTS)
    _draw(figure, renderer, dpi=_POINTS)
    return renderer.document(title=title, description=description).encode()


def png(figure: Figure, *, dpi: int = PNG_DPI) -> bytes:
    """Return the figure as PNG, ``dpi`` pixels per inch."""
    width, height = figure.get_size_inches()
    renderer = Raster(round(float(width) * dpi), round(float(height) * dpi), dpi)
    _draw(figure, renderer, dpi=dpi)
    stream = BytesIO()
    image = Image.fromarray(renderer.pixels()).convert("RGB")
    _indexed(image).save(stream, format="png", dpi=(dpi, dpi), compress_level=3)
    return stream.getvalue()


def _indexed(image: Image.Image) -> Image.Image:
    """Return the picture on a palette of its commonest colours: half the bytes and the time of full colour.

    Pillow matches colours in steps of four, so it is given the lower ends of the steps and handed the true colours
    afterwards: the paper stays white.
    """
    counted = cast("list[tuple[int, tuple[int, int, int]]] | None", image.getcolors(maxcolors=1 << 20))
    if counted is None:
        return image
    kept: dict[tuple[int, ...], tuple[int, ...]] = {}
    for _, color in sorted(counted, reverse=True):
        kept.setdefault(tuple(channel & ~3 for channel in color), color)
    steps = Image.new("P", (1, 1))
    steps.putpalette([channel for step in list(kept)[:256] for channel in step])
    flat = image.quantize(palette=steps, dither=Image.Dither.NONE)
    flat.putpalette([channel for color in list(kept.values())[:256] for channel in color])
    return flat


def _draw(figure: Figure, renderer: RendererBase, *, dpi: float) -> None:
    before = figure.dpi
    with settings():
        try:
            figure.dpi = dpi
            figure.draw(renderer)
        finally:
            figure.dpi = before


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
