"""Confidence intervals of the between-row variance τ²: by the Q-profile, the profile likelihood, or generalised Q."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
from scipy import special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling import quadform
from dualtrace.pooling import tau2 as variance
from dualtrace.pooling.contract import Tau2Method, require_choice, require_level, require_method
from dualtrace.pooling.inference import centre
from dualtrace.pooling.likelihood import Array, Data, Ints, data, slope, traces, wls
from dualtrace.pooling.profile import crossing
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number
from dualtrace.pooling.univariate import problem, row_weights
from dualtrace.printed import table

if TYPE_CHECKING:
    from collections.abc import Sequence

IntervalKind = Literal["QP", "PL", "GENQ"]
"""Q-profile, profile likelihood (ML, REML), generalised Q with fixed weights."""

KIND_NAMES: dict[IntervalKind, str] = {
    "QP": "Q-profile",
    "PL": "profile likelihood",
    "GENQ": "generalised Q",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tau2Interval(Result):
    """Estimate and interval of τ² and of what follows from it.

    Attributes
    ----------
    tau2, ci_lb, ci_ub
        Between-row variance; the interval of a quadratic form can lie wholly above or below the estimate.
    tau, I2, H2
        √τ², share of variability due to heterogeneity in percent, total over sampling variability; each as
        (estimate, low, high).
    kind, method, level
        How the interval was made, the estimator of τ², confidence level.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("viechtbauer2007", "jackson2014")

    tau2: float
    ci_lb: float
    ci_ub: float
    tau: tuple[float, float, float]
    I2: tuple[float, float, float]
    H2: tuple[float, float, float]
    kind: IntervalKind
    method: Tau2Method
    level: float

    def __str__(self) -> str:
        """One line per quantity."""
        percent = f"{100.0 * self.level:g}% CI ({KIND_NAMES[self.kind]})"
        rows = [("tau²", (self.tau2, self.ci_lb, self.ci_ub)), ("tau", self.tau), ("I²%", self.I2), ("H²", self.H2)]
        return table(("", "estimate", percent), ((name, number(v[0]), interval(v[1], v[2])) for name, v in rows))


def tau2_interval(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    weights: Any | None = None,  # noqa: ANN401
    method: Tau2Method = "REML",
    kind: IntervalKind = "QP",
    level: float = 0.95,
) -> Tau2Interval:
    """Estimate τ² with a confidence interval.

    Parameters
    ----------
    yi, vi, X, names, slab, weights, method, level
        As in ``univariate.fit``; ``weights`` also serve the interval of kind GENQ.
    kind
        ``QP``: Q-profile, exact under the model. ``PL``: {τ² : 2[ℓ_max - ℓ(τ²)] <= χ²₁}, for ML and REML.
        ``GENQ``: exact for the quadratic form with the weights given (1/vi when none are).

    Raises
    ------
    FitError
        If the rows given determine no answer.
    InputError
        If an option is not one there is or does not fit the method.

    Sources: Viechtbauer 2007, doi:10.1002/sim.2514; Hardy & Thompson 1996,
    doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A; Jackson 2013, doi:10.1002/jrsm.1081.
    """
    require_method(method, weights)
    require_choice("kind", kind, get_args(IntervalKind))
    require_level(level)
    if kind == "PL" and method not in {"ML", "REML"}:
        raise InputError(f"A profile-likelihood interval needs method ML or REML; given {method}. Use kind QP.")
    given = problem(yi, vi, X=X, names=names, slab=slab)
    if len(given.y) == 1:
        raise FitError("Heterogeneity cannot be estimated from one row; give at least two.")
    sets, _ = centre(data(given.y, given.v, given.basis), method)
    a = row_weights(weights, given)
    found = variance.estimate(sets, method, a)
    if kind == "PL":
        low, high = profile_likelihood(sets, found, level=level, restricted=method == "REML")
    elif kind == "QP":
        low, high = variance.q_profile(sets, level)
    else:
        low, high = generalised_interval(sets, 1.0 / given.v if a is None else a, level)
    typical = float((sets.k - sets.p)[0] / traces(sets, wls(sets, np.zeros(1)))[0][0])
    three = (float(found[0]), float(low[0]), float(high[0]))
    return Tau2Interval(
        tau2=three[0],
        ci_lb=three[1],
        ci_ub=three[2],
        tau=_map(three, np.sqrt),
        I2=_map(three, lambda t: 100.0 * t / (t + typical)),
        H2=_map(three, lambda t: 1.0 + t / typical),
        kind=kind,
        method=method,
        level=level,
    )


def _map(three: tuple[float, float, float], function: Any) -> tuple[float, float, float]:  # noqa: ANN401
    a, b, c = (float(function(value)) for value in three)
    return a, b, c


def profile_likelihood(sets: Data, tau2: Array, *, level: float, restricted: bool) -> tuple[Array, Array]:
    """Ends of {τ² >= 0 : 2[ℓ(τ̂²) - ℓ(τ²)] <= χ²₁(level)}, (n,) each; the lower end is 0 when 0 belongs to it.

    Parameters
    ----------
    sets
        Data sets.
    tau2
        Their maxima, (n,).
    level, restricted
        Confidence level; whether the likelihood is the restricted one.
    """
    target = float(special.chdtri(1.0, 1.0 - level))
    s = np.where(sets.use > 0.0, sets.v, np.inf).min(axis=-1)
    best = slope(sets, tau2, restricted=restricted).value

    def deviance(index: Ints, x: Array) -> tuple[Array, Array]:
        t = np.exp(x)
        here = slope(sets.pick(index), np.maximum(t - s[index], 0.0), restricted=restricted)
        return 2.0 * (best[index] - here.value), -2.0 * here.first * t

    start, rows = np.log(s + tau2), np.arange(tau2.size)
    high = crossing(deviance, start=start, step=np.full(tau2.size, 0.5), target=target)
    low = np.zeros(tau2.size)
    outside = np.flatnonzero(deviance(rows, np.log(s))[0] > target)
    if outside.size:
        found = crossing(
            lambda index, x: deviance(outside[index], x),
            start=start[outside],
            step=np.full(outside.size, -0.5),
            target=target,
            limit=np.log(s[outside]),
        )
        low[outside] = np.exp(found) - s[outside]
    return low, np.exp(high) - s


def generalised_interval(sets: Data, weights: Array, level: float) -> tuple[Array, Array]:
    """Ends of {τ² : α/2 <= P(y'Ay <= observed; τ²) <= 1 - α/2}, (n,) each; 0 where none is positive.

    Source: Jackson 2013, doi:10.1002/jrsm.1081.
    """
    tail = 0.5 * (1.0 - level)
    return quadform.solve(sets, weights, 1.0 - tail), quadform.solve(sets, weights, tail)
