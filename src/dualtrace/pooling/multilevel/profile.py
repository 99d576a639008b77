"""Profile-likelihood intervals of variances and correlations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import special

from dualtrace.errors import InputError
from dualtrace.pooling.contract import freeze
from dualtrace.pooling.multilevel.likelihood import slope
from dualtrace.pooling.multilevel.search import maximise
from dualtrace.pooling.multilevel.structures import Held
from dualtrace.pooling.profile import crossing
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number
from dualtrace.printed import table

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array, Ints
    from dualtrace.pooling.multilevel.contract import Multilevel
    from dualtrace.pooling.multilevel.search import Model

NUDGE = 1e-6
"""Relative change of a held component for the slope of Ψ in it; the slope steers the search, nothing else."""


@dataclass(frozen=True, slots=True, eq=False)
class ProfileIntervals(Result):
    """Intervals {c : 2[ℓ_max - ℓ_profile(c)] <= χ²₁(level)} of components c.

    Attributes
    ----------
    labels, value, ci_lb, ci_ub
        Components, estimates, ends. An end on the boundary (0, or a limit of a correlation) is that boundary; an
        end that does not exist is infinite; both are NaN for a component that is fixed or not determined.
    level
        Confidence level.
    """

    INDEX: ClassVar[str] = "labels"
    COLUMNS: ClassVar[tuple[str, ...]] = ("value", "ci_lb", "ci_ub")
    SOURCES: ClassVar[tuple[str, ...]] = ("venzon1988",)

    labels: tuple[str, ...]
    value: Array
    ci_lb: Array
    ci_ub: Array
    level: float

    def __post_init__(self) -> None:
        freeze(self)

    def __str__(self) -> str:
        """One line per component; variances with their square roots."""
        rows = (
            (label, number(value), interval(low, high))
            for label, value, low, high in zip(self.labels, self.value, self.ci_lb, self.ci_ub, strict=True)
        )
        return table(("", "estimate", f"{100.0 * self.level:g}% CI"), rows)


def profile_intervals(found: Multilevel, *, level: float | None = None) -> ProfileIntervals:
    """Profile-likelihood interval of every variance and correlation, under the likelihood the fit maximised.

    Source: Venzon & Moolgavkar 1988, doi:10.2307/2347496.

    Parameters
    ----------
    found
        A fit.
    level
        Confidence level; that of the fit when absent.
    """
    wanted = found.level if level is None else level
    if not 0.0 < wanted < 1.0:
        raise InputError(f"level must lie between 0 and 1, for example 0.95; given {wanted:g}.")
    target = float(special.chdtri(1.0, 1.0 - wanted))
    place = [(t, c) for t, term in enumerate(found.source.coded.terms) for c in range(len(term.shape.components))]
    ends = np.full((len(place), 2), np.nan)
    for row, ((t, c), part) in enumerate(zip(place, found.components, strict=True)):
        if np.isfinite(part.value) and not part.fixed:
            ends[row] = _Profile(found, t, c).interval(target)
    labels = tuple(part.label for part in found.components)
    values = np.array([part.value for part in found.components])
    return ProfileIntervals(labels, values, ends[:, 0], ends[:, 1], wanted)


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """A component on an axis on which the deviance is nearly a parabola: log(1 + variance), asin of a correlation."""

    variance: bool
    unit2: float
    low: float
    high: float

    def place(self, value: float) -> float:
        if self.variance:
            return float(np.log1p(value / self.unit2))
        return float(np.arcsin(np.clip(2.0 * (value - self.low) / (self.high - self.low) - 1.0, -1.0, 1.0)))

    def value(self, x: float) -> tuple[float, float]:
        """The component in units, and its derivative along the axis."""
        if self.variance:
            return float(np.expm1(x)), float(np.exp(x))
        half = 0.5 * (self.high - self.low)
        return self.low + half * (1.0 + float(np.sin(x))), half * float(np.cos(x))


class _Profile:
    """The deviance of one component, the others at their best."""

    def __init__(self, found: Multilevel, t: int, c: int) -> None:
        self._found, self._t, self._c = found, t, c
        shape = found.source.coded.terms[t].shape
        variance = shape.components[c].kind == "variance"
        self._axis = _Axis(variance, found.source.unit**2, shape.low, shape.high)
        self._psi = list(found.source.psi)
        k, p = found.k, found.p
        count = k - p if found.method == "REML" else k
        self._top = found.ll + count * float(np.log(found.source.unit))

    def _model(self, value: float) -> Model:
        held = ((self._t, Held(self._c, value)),)
        return self._found.source.model(restricted=self._found.method == "REML", held=held)

    def deviance(self, x: float) -> tuple[float, float]:
        """2[ℓ_max - ℓ_profile] and its derivative along the axis, by the envelope theorem."""
        value, stretch = self._axis.value(x)
        model = self._model(value)
        source = self._found.source
        peak = maximise(model, source.sets, model.start(self._psi)[None])
        g = model.entries(peak.theta)
        step = NUDGE * max(abs(value), NUDGE)
        above, below = (
            self._model(value + s * step).entries(peak.theta) for s in (1.0, -1.0 if value > step else 0.0)
        )
        gradient = slope(model.where, source.sets, g, restricted=model.restricted).first
        width = step * (2.0 if value > step else 1.0)
        tilt = float(np.einsum("sa,sa->", gradient, above - below)) / width
        return 2.0 * (self._top - float(peak.value[0])), -2.0 * tilt * stretch

    def interval(self, target: float) -> tuple[float, float]:
        """Both ends."""
        axis = self._axis
        part = self._found.components[_position(self._found, self._t, self._c)]
        start = axis.place(part.value)
        limits = (0.0, np.inf) if axis.variance else (-0.5 * np.pi, 0.5 * np.pi)
        ends = []
        for sign, limit in zip((-1.0, 1.0), limits, strict=True):
            if abs(limit - start) < 1e-12 or (np.isfinite(limit) and self.deviance(limit)[0] <= target):
                ends.append(limit)
                continue
            bound = None if np.isinf(limit) else np.array([limit])
            x = crossing(
                self._curve, start=np.array([start]), step=np.array([0.5 * sign]), target=target, limit=bound
            )
            ends.append(float(x[0]))
        return self._natural(ends[0]), self._natural(ends[1])

    def _natural(self, x: float) -> float:
        if np.isinf(x):
            return float("inf")
        return self._axis.value(x)[0] * (self._axis.unit2 if self._axis.variance else 1.0)

    def _curve(self, _: Ints, x: Array) -> tuple[Array, Array]:
        found = [self.deviance(float(place)) for place in x]
        return np.array([f[0] for f in found]), np.array([f[1] for f in found])


def _position(found: Multilevel, t: int, c: int) -> int:
    """Place of a component among all."""
    return sum(len(term.shape.components) for term in found.source.coded.terms[:t]) + c
