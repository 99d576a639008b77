"""The document as one HTML file that needs nothing else: style, figures and data inside."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from dualtrace.report.document import Bullets, Callout, Cite, Folded, Link, Paragraph, Picture, Strong, Table

if TYPE_CHECKING:
    from dualtrace.report.document import Block, Document, Inline, Line


def render(document: Document) -> str:
    """Return the page."""
    numbers = {entry.key: i for i, entry in enumerate(document.references, 1)}
    environment = Environment(
        loader=PackageLoader("dualtrace.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["line"] = partial(_line, numbers=numbers)
    environment.filters["data_uri"] = _data_uri
    environment.filters["block_kind"] = _kind
    return environment.get_template("page.html").render(document=document, numbers=numbers)


def _kind(block: Block) -> str:
    names = {Paragraph: "paragraph", Bullets: "bullets", Callout: "callout", Table: "table", Picture: "picture"}
    return names.get(type(block), "folded" if isinstance(block, Folded) else "unknown")


def _line(line: Line, numbers: dict[str, int]) -> Markup:
    return Markup("").join(_inline(part, numbers) for part in line)


def _inline(part: Inline, numbers: dict[str, int]) -> Markup:
    match part:
        case Link(text, url):
            return Markup('<a href="{}">{}</a>').format(url, text)
        case Strong(text):
            return Markup("<strong>{}</strong>").format(text)
        case Cite(key):
            return Markup('<a class="cite" href="#ref-{}">[{}]</a>').format(key, numbers[key])
        case str():
            return escape(part)


def _data_uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")
