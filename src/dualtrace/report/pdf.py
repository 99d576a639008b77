"""The document as PDF, set by Typst from the same blocks as the page."""

from __future__ import annotations

import json
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import typst

from dualtrace.report.document import Bullets, Callout, Cite, Folded, Link, Paragraph, Picture, Strong, Table

if TYPE_CHECKING:
    from dualtrace.report.document import Block, Document, Inline, Line


def render(document: Document) -> bytes:
    """Return the PDF; the same document gives the same bytes."""
    numbers = {entry.key: i for i, entry in enumerate(document.references, 1)}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        template = files("dualtrace.report") / "templates" / "report.typ"
        (root / "report.typ").write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
        content = _document(document, numbers, root)
        (root / "content.json").write_text(json.dumps(content), encoding="utf-8")
        fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
        pdf = typst.compile(root / "report.typ", root=root, font_paths=[fonts], ignore_system_fonts=True, timestamp=0)
    return bytes(pdf)


def _document(document: Document, numbers: dict[str, int], root: Path) -> dict[str, Any]:
    return {
        "title": document.title,
        "subtitle": document.subtitle,
        "colophon": document.colophon,
        "sections": [
            {"title": s.title, "level": s.level, "blocks": _blocks(s.blocks, numbers, root)}
            for s in document.sections
        ],
        "references": [{"citation": e.citation, "url": e.url} for e in document.references],
    }


def _blocks(blocks: tuple[Block, ...], numbers: dict[str, int], root: Path) -> list[dict[str, Any]]:
    return [_block(block, numbers, root) for block in blocks if not isinstance(block, Folded) or block.on_paper]


def _block(block: Block, numbers: dict[str, int], root: Path) -> dict[str, Any]:
    match block:
        case Paragraph(line):
            return {"kind": "paragraph", "line": _line(line, numbers)}
        case Bullets(items):
            return {"kind": "bullets", "items": [_line(item, numbers) for item in items]}
        case Callout(title, items):
            return {"kind": "callout", "title": title, "items": [_line(item, numbers) for item in items]}
        case Table():
            return {
                "kind": "table",
                "caption": block.caption,
                "headers": list(block.headers),
                "numeric": list(block.numeric),
                "rows": [[_line(cell, numbers) for cell in row] for row in block.rows],
                "note": _line(block.note, numbers),
            }
        case Picture():
            (root / f"{block.key}.svg").write_bytes(block.wide)
            path = f"{block.key}.svg"
            return {"kind": "picture", "path": path, "alt": block.alt, "caption": _line(block.caption, numbers)}
        case Folded(title, inner):
            return {"kind": "folded", "title": title, "blocks": _blocks(inner, numbers, root)}


def _line(line: Line, numbers: dict[str, int]) -> list[dict[str, str]]:
    return [_inline(part, numbers) for part in line]


def _inline(part: Inline, numbers: dict[str, int]) -> dict[str, str]:
    match part:
        case Link(text, url):
            return {"kind": "link", "text": text, "url": url}
        case Strong(text):
            return {"kind": "strong", "text": text}
        case Cite(key):
            return {"kind": "text", "text": f"[{numbers[key]}]"}
        case str():
            return {"kind": "text", "text": part}
