"""Scoreboard: one row per experiment, one column per memory model, a symbol for what the model does with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from dualtrace.experiments.record import Strength
from dualtrace.experiments.score import Outcome
from dualtrace.report.figures.canvas import Canvas, text_width, wrap
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.style import BAND, DRUG, FAINT, INK, MUTED, PLACEBO, RULE, Width, sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from dualtrace.experiments.board import Board
    from dualtrace.experiments.score import Scored

_ROW = 0.165  # inches
_RADIUS = 0.05


class Mark(StrEnum):
    """What a model does with the findings of one experiment."""

    ALL = "every finding holds"
    SOME = "some hold (the core shows the share)"
    NONE = "none holds"
    OPPOSITE = "at least one comes out the other way round"


@dataclass(frozen=True, slots=True)
class Line:
    """One experiment: its name, the group it stands in, and per model a mark and the share of findings that hold."""

    name: str
    title: str
    group: str
    held_out: bool
    contested: bool
    marks: tuple[Mark, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ScoreboardSpec:
    """What a scoreboard shows."""

    title: str
    models: tuple[str, ...]
    lines: tuple[Line, ...]
    footnote: str = ""

    def __post_init__(self) -> None:
        """Refuse nothing, and lines that do not fit the models."""
        if not self.lines or any(len(line.marks) != len(self.models) for line in self.lines):
            raise ValueError(f"every line needs {len(self.models)} marks, and there must be a line")


def scoreboard_spec(board: Board, *, title: str, footnote: str = "") -> ScoreboardSpec:
    """Return the figure of a board; experiments of which nothing can be simulated are left out."""
    lines = []
    for experiment in board.experiments:
        found = [[s for s in board.scored[m.name] if s.experiment.id == experiment.id] for m in board.models]
        if not found[0]:
            continue
        lines.append(
            Line(
                experiment.id,
                experiment.title,
                experiment.family.partition("/")[0].replace("_", " "),
                experiment.split == "held_out",
                experiment.strength is Strength.CONTESTED,
                tuple(_mark(group) for group in found),
                tuple(sum(s.outcome is Outcome.PASS for s in group) / len(group) for group in found),
            )
        )
    order = list(dict.fromkeys(line.group for line in lines))
    lines.sort(key=lambda line: order.index(line.group))
    return ScoreboardSpec(title, tuple(model.title for model in board.models), tuple(lines), footnote)


def _mark(group: Sequence[Scored]) -> Mark:
    outcomes = [scored.outcome for scored in group]
    if Outcome.OPPOSITE in outcomes:
        return Mark.OPPOSITE
    held = outcomes.count(Outcome.PASS)
    return Mark.ALL if held == len(outcomes) else Mark.SOME if held else Mark.NONE


def scoreboard(spec: ScoreboardSpec, *, width: Width = "wide") -> Figure:
    """Draw the matrix; the narrow one names experiments by their number only."""
    look = sizes(width)
    canvas = Canvas(look.width)
    top = heading(canvas, look.margin, spec.title, look=look)
    column = 0.2 if width == "narrow" else 0.3
    first = look.width - look.margin - column * (len(spec.models) - 0.5)
    xs = [first + column * i for i in range(len(spec.models))]
    y = top + max(text_width(name, look.small) for name in spec.models) + 0.05
    for x, name in zip(xs, spec.models, strict=True):
        canvas.text(x, y, name, size=look.small, color=MUTED, upright=True)
    y += 0.06
    group = ""
    for number, line in enumerate(spec.lines):
        if line.group != group:
            group = line.group
            y += 0.07
            canvas.text(look.margin, y + _ROW / 2, group.capitalize(), size=look.small, bold=True)
            canvas.line([(look.margin, y + _ROW), (look.width - look.margin, y + _ROW)], color=RULE)
            y += _ROW
        if number % 2:
            canvas.rectangle(look.margin, y, look.width - look.margin, y + _ROW, face=BAND, z=0.5)
        _line(canvas, line, xs, y + _ROW / 2, look.margin, first - 0.15, look.small, narrow=width == "narrow")
        y += _ROW
    y = legend(canvas, y + 0.1, tuple(_keys()), look=look)
    return canvas.finish(footnote(canvas, y + 0.02, spec.footnote, look=look) + look.margin)


def _line(
    canvas: Canvas, line: Line, xs: Sequence[float], y: float, left: float, right: float, size: float, *, narrow: bool
) -> None:
    color = MUTED if line.contested else INK
    canvas.text(left, y, line.name, size=size, color=color, bold=not line.held_out)
    if not narrow:
        title = wrap(line.title, width=right - left - 0.75, size=size)
        canvas.text(left + 0.7, y, title[0] + ("…" if len(title) > 1 else ""), size=size, color=color)
    for x, mark, share in zip(xs, line.marks, line.shares, strict=True):
        _DRAW[mark](canvas, x, y, share)


def _filled(canvas: Canvas, x: float, y: float, share: float) -> None:  # noqa: ARG001
    canvas.disc(x, y, _RADIUS, face=DRUG)


def _partly(canvas: Canvas, x: float, y: float, share: float) -> None:
    canvas.disc(x, y, _RADIUS, face=None, edge=DRUG, width=0.9)
    canvas.disc(x, y, _RADIUS * 0.72 * share**0.5, face=DRUG)


def _empty(canvas: Canvas, x: float, y: float, share: float) -> None:  # noqa: ARG001
    canvas.disc(x, y, _RADIUS, face=None, edge=FAINT, width=0.9)


def _cross(canvas: Canvas, x: float, y: float, share: float) -> None:  # noqa: ARG001
    r = _RADIUS * 0.85
    for up in (r, -r):
        canvas.line([(x - r, y - up), (x + r, y + up)], color=PLACEBO, width=1.5)


_DRAW = {Mark.ALL: _filled, Mark.SOME: _partly, Mark.NONE: _empty, Mark.OPPOSITE: _cross}


def _keys() -> list[Key]:
    def symbol(canvas: Canvas, left: float, y: float, mark: Mark) -> None:
        _DRAW[mark](canvas, left + _RADIUS, y, 0.5)

    return [Key(partial(symbol, mark=mark), 2 * _RADIUS, mark.value) for mark in Mark]


def scoreboard_alt(spec: ScoreboardSpec) -> str:
    """Return what the figure shows in words."""
    parts = []
    for i, model in enumerate(spec.models):
        whole = sum(line.marks[i] is Mark.ALL for line in spec.lines)
        other = sum(line.marks[i] is Mark.OPPOSITE for line in spec.lines)
        parts.append(f"{model}: all findings of {whole} experiments, the opposite of one or more in {other}")
    return (
        f"Scoreboard of {len(spec.models)} memory models on {len(spec.lines)} experiments. " + "; ".join(parts) + "."
    )
