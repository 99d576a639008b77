"""From a value to a place on the horizontal axis: linear or logarithmic, with limits and round ticks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, exp, floor, inf, isfinite, log, log10
from typing import TYPE_CHECKING, Literal

from dualtrace.report.figures.canvas import text_width
from dualtrace.report.figures.style import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ScaleKind = Literal["linear", "log"]

_RATIO_TICKS: tuple[tuple[float, ...], ...] = (
    (0.001, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 10, 20, 50, 100, 1000),
    (0.001, 0.01, 0.1, 0.25, 0.5, 1, 2, 4, 10, 100, 1000),
    (0.001, 0.01, 0.1, 0.5, 1, 2, 10, 100, 1000),
    (0.001, 0.01, 0.1, 1, 10, 100, 1000),
)
_FINE_RATIO_TICKS: tuple[tuple[float, ...], ...] = (
    (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4),
    (0.3, 0.4, 0.5, 0.7, 1, 1.4, 2, 3, 4),
)
_STEPS = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    20.0,
    50.0,
    100.0,
    200.0,
    500.0,
    1000.0,
    5000.0,
)


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis, horizontal unless said otherwise.

    Attributes
    ----------
    kind
        ``linear``, or ``log`` for ratios (values are the ratios, not their logarithms).
    low, high
        Limits in values; low < high, positive on the log scale.
    left, right
        Their places in inches; for an axis that runs upwards, bottom and top.
    whole
        Whether ticks stand at whole numbers only, as on an axis of sessions.
    """

    kind: ScaleKind
    low: float
    high: float
    left: float
    right: float
    whole: bool = False

    def __post_init__(self) -> None:
        """Refuse limits that cannot be drawn."""
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise ValueError(f"limits must be finite and rising; given {self.low} and {self.high}")
        if self.kind == "log" and self.low <= 0:
            raise ValueError(f"limits of a ratio must be positive; given {self.low}")

    @property
    def null(self) -> float:
        """The value of no effect."""
        return no_effect(self.kind)

    def covers(self, value: float) -> bool:
        """Whether the value lies within the limits."""
        return self.low <= value <= self.high

    def x(self, value: float) -> float:
        """Return the place of a value in inches; a value beyond a limit is put on that limit."""
        low, high = _inner(self.low, self.kind), _inner(self.high, self.kind)
        share = (min(max(_inner(value, self.kind), low), high) - low) / (high - low)
        return self.left + share * (self.right - self.left)

    def ticks(self, size: float) -> tuple[tuple[float, str], ...]:
        """Return values and labels of as many round ticks as fit side by side in that type size."""
        for candidate in self._tick_sets():
            marks = tuple((value, label) for value, label in candidate if self.covers(value))
            if self._fit(marks, size):
                return marks
        return ((self.null, number(self.null, 0)),) if self.covers(self.null) else ()

    def ticks_upright(self, size: float) -> tuple[tuple[float, str], ...]:
        """Return values and labels of as many round ticks as fit above each other, for an axis that runs upwards."""
        for candidate in self._tick_sets():
            marks = tuple((value, label) for value, label in candidate if self.covers(value))
            places = [self.x(value) for value, _ in marks]
            if marks and all(abs(b - a) >= 2.0 * size / 72.0 for a, b in pairwise(places)):
                return marks
        return ()

    def _tick_sets(self) -> Iterable[tuple[tuple[float, str], ...]]:
        if self.kind == "log":
            fine = _FINE_RATIO_TICKS if self.high / self.low < 4 else ()
            for values in (*fine, *_RATIO_TICKS):
                yield tuple((value, f"{value:g}") for value in values)
            return
        for step in _STEPS:
            if (self.high - self.low) / step > 9 or (self.whole and step < 1.0):
                continue
            first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
            digits = max(0, -floor(log10(step) + 1e-9))
            yield tuple((i * step, number(i * step, digits)) for i in range(first, last + 1))

    def _fit(self, marks: Sequence[tuple[float, str]], size: float) -> bool:
        edge, gap = -inf, 0.09
        for value, label in marks:
            half = text_width(label, size) / 2
            if self.x(value) - half < edge + gap:
                return False
            edge = self.x(value) + half
        return bool(marks)


def no_effect(kind: ScaleKind) -> float:
    """Return 0 for differences, 1 for ratios."""
    return 1.0 if kind == "log" else 0.0


def limits(kind: ScaleKind, *, core: Iterable[float], outer: Iterable[float]) -> tuple[float, float]:
    """Return limits that show every core value, and as much of the outer ones as leaves the core readable.

    Parameters
    ----------
    kind
        Of the axis.
    core
        Estimates and pooled intervals: always shown.
    outer
        Ends of the trials' intervals; infinite ones are ignored, distant ones cut (and drawn with arrowheads).
    """
    null = _inner(no_effect(kind), kind)
    inside = [null, *(v for v in (_inner(value, kind) for value in core) if isfinite(v))]
    ends = [v for v in (_inner(value, kind) for value in outer) if isfinite(v)]
    low, high = min(inside), max(inside)
    reach = max(log(8.0) if kind == "log" else 1.0, 0.9 * (high - low))
    low = min(low, max(min(ends, default=low), low - reach))
    high = max(high, min(max(ends, default=high), high + reach))
    if low == high:
        low, high = null - 1.0, null + 1.0
    span = high - low
    low = min(low, null - 0.22 * span) - 0.03 * span  # both sides of no effect must be seen
    high = max(high, null + 0.22 * span) + 0.03 * span
    return _outer(low, kind), _outer(high, kind)


def _inner(value: float, kind: ScaleKind) -> float:
    if kind == "linear":
        return value
    if value <= 0:
        return -inf
    return log(value) if value < inf else inf


def _outer(value: float, kind: ScaleKind) -> float:
    return value if kind == "linear" else exp(value)
