"""Generalised linear mixed models of counts: no continuity correction, empty cells count as what they are.

Odds ratios and rate ratios unconditionally, with a fixed or a random level per row, or conditionally on a row's
events; proportions and rates of single groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy import special

from dualtrace.effects.binary import TwoByTwo
from dualtrace.effects.measures import MEASURES, effect_sizes
from dualtrace.errors import FitError, InputError, row_name
from dualtrace.pooling import check
from dualtrace.pooling.contract import require_choice, require_level
from dualtrace.pooling.likelihood import data, wls
from dualtrace.pooling.sparse import mixed
from dualtrace.pooling.sparse.common import usable
from dualtrace.pooling.sparse.contract import MixedPooled, boundary, upper, wald
from dualtrace.pooling.sparse.families import Binomial, Hypergeometric, Poisson, hypergeometric
from dualtrace.pooling.sparse.mixed import Found, Model, Peak
from dualtrace.pooling.sparse.mixed_two import random_two

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.effects.measures import Columns
    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.sparse.families import Family

GlmmMeasure = Literal["OR", "IRR", "PLO", "IRLN"]
GlmmModel = Literal["UM.FS", "UM.RS", "CM.EL", "CM.AL"]
"""Unconditional with fixed or random row levels; conditional on a row's events, exactly or approximately."""

GlmmMethod = Literal["ML", "EE"]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Checked counts and design of the rows that say something.

    Attributes
    ----------
    measure
        Short name.
    values
        Columns of the measure, (k,) each.
    X, names
        Design, (k, p), and names of its columns.
    slab, notes
        Labels, and sentences on rows left out.
    """

    measure: GlmmMeasure
    values: tuple[Array, ...]
    X: Array
    names: tuple[str, ...]
    slab: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def tested(self) -> list[int]:
        """Columns of the omnibus test: all but the intercept, or all when it stands alone."""
        p = len(self.names)
        ones = np.flatnonzero((self.X == 1.0).all(axis=0))
        return [j for j in range(p) if p == 1 or j not in ones[:1]]


def glmm(
    measure: GlmmMeasure,
    columns: Columns,
    *,
    model: GlmmModel = "UM.FS",
    method: GlmmMethod = "ML",
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    coding: float = 0.5,
    level: float = 0.95,
    slab: Sequence[Any] | None = None,
) -> MixedPooled:
    """Fit a mixed model of counts by maximum likelihood.

    With true effects θ_i = x_i'β + u_i, u_i ~ N(0, τ²) and arms coded c and c − 1:

    - UM.FS: logit (or log-rate) of an arm is α_i ± coded effect, every α_i free;
    - UM.RS: the same with α_i ~ N(α, σ²), independent of u_i;
    - CM.EL: arm 1's events given all events, non-central hypergeometric (rates: binomial);
    - CM.AL: that law's binomial approximation for rare events;
    - PLO, IRLN: logit of a proportion, log of a rate, ~ N(x_i'β, τ²) given the counts' own law.

    Parameters
    ----------
    measure
        OR (columns ``ai, n1i, ci, n2i``), IRR (``x1i, t1i, x2i, t2i``), PLO (``xi, ni``), IRLN (``xi, ti``).
    columns
        A table or a mapping from names to arrays; rows with a missing value are left out.
    model
        For OR and IRR; ignored for single groups.
    method
        ML, or EE for τ² = 0.
    X, names
        Design matrix with its intercept column, one row per row given, and names of its columns.
    coding
        c, code of arm 1 in the random effect; arm 2 has c − 1. At ½ the answer does not depend on which arm is
        called the first.
    level
        Confidence level.
    slab
        Labels of the rows.

    Raises
    ------
    InputError
        If an option or a count cannot be used.
    FitError
        If the counts do not determine the model, for example under perfect separation.

    Notes
    -----
    The integrals are solved to a stability of 1e-9 standard errors (``mixed.polish``); standard errors come from
    the observed information of all parameters.

    Sources: Stijnen, Hamza & Özdemir 2010, doi:10.1002/sim.4040; Jackson, Law, Stijnen, Viechtbauer & White 2018,
    doi:10.1002/sim.7588; van Houwelingen, Zwinderman & Stijnen 1993, doi:10.1002/sim.4780122405.

    Examples
    --------
    >>> counts = {"xi": [2, 7, 4], "ni": [20, 25, 30]}
    >>> print(round(float(glmm("PLO", counts).beta[0]), 3))
    -1.562
    """
    require_choice("measure", measure, get_args(GlmmMeasure))
    require_choice("model", model, get_args(GlmmModel))
    require_choice("method", method, get_args(GlmmMethod))
    require_level(level)
    if not 0.0 <= coding <= 1.0:
        raise InputError(f"coding, the code of arm 1, must lie between 0 and 1; given {coding:g}.")
    given = counts(measure, columns, X=X, names=names, slab=slab)
    if model == "CM.AL" and measure == "IRR":
        raise InputError("CM.AL is for odds ratios; for rate ratios CM.EL is exact and as fast.")
    used = model if measure in {"OR", "IRR"} else ""
    equal, best = _solve(given, used, method, coding)
    return _label(given, used, method, equal, best, level)


def counts(
    measure: GlmmMeasure,
    columns: Columns,
    *,
    X: Any | None,  # noqa: ANN401
    names: Sequence[str] | None,
    slab: Sequence[Any] | None,
) -> Counts:
    """Check columns and design; leave out rows that say nothing of an effect.

    Raises
    ------
    FitError
        If nothing is left, or the design is singular.
    """
    values, rows, notes = usable(measure, columns, slab)
    size = np.broadcast_arrays(*(np.atleast_1d(columns[n]) for n in MEASURES[measure].columns))[0].size
    matrix, columns_of_x = check.design(X, names, size)
    matrix = matrix[[int(place) - 1 for place in usable(measure, columns, None)[1]]]
    silent = np.zeros(len(rows), dtype=bool)
    if measure == "OR":
        silent = np.asarray(TwoByTwo(*values).is_uninformative)
    elif measure == "IRR":
        silent = values[0] + values[2] == 0
    if silent.all():
        raise FitError("No row has both events and others (for rates: events), so nothing can be said of an effect.")
    if silent.any():
        left = ", ".join(label for label, quiet in zip(rows, silent, strict=True) if quiet)
        notes = (*notes, f"Left out, no events or nothing but events in both arms: row {left}.")
    kept = tuple(label for label, quiet in zip(rows, silent, strict=True) if not quiet)
    matrix = matrix[~silent]
    check.basis(matrix, columns_of_x)
    return Counts(measure, tuple(v[~silent] for v in values), matrix, columns_of_x, kept, notes)


def build(given: Counts, model: str, coding: float) -> Model:
    """Model with one random effect, that of the true effects."""
    k, p = given.X.shape
    one, zero = np.ones((1, 1)), np.zeros((k, 1))
    if given.measure in {"PLO", "IRLN"}:
        x, size = (v[:, None] for v in given.values)
        family: Family = Binomial(x, size) if given.measure == "PLO" else Poisson(x, size)
        return Model(family, given.X[:, None, :], zero, one, free_level=False)
    x1, n1, x2, n2 = given.values
    if model == "UM.FS":
        x, size = np.stack([x1, x2], axis=1), np.stack([n1, n2], axis=1)
        family = Binomial(x, size) if given.measure == "OR" else Poisson(x, size)
        halves = np.array([0.5, -0.5])[None, :, None] * given.X[:, None, :]
        loads = np.array([[coding], [coding - 1.0]])
        return Model(family, halves.reshape(k, 2, p), np.zeros((k, 2)), loads, free_level=True)
    if model == "CM.EL" and given.measure == "OR":
        _require_whole(given)
        return Model(hypergeometric(x1, n1, x2, n2), given.X[:, None, :], zero, one, free_level=False)
    approximate = Binomial(x1[:, None], (x1 + x2)[:, None])
    return Model(approximate, given.X[:, None, :], np.log(n1 / n2)[:, None], one, free_level=False)


def build_two(given: Counts, coding: float) -> Model:
    """Model UM.RS: the intercept of the levels comes first among its coefficients, their random effect first too."""
    k, p = given.X.shape
    x1, n1, x2, n2 = given.values
    x, size = np.stack([x1, x2], axis=1), np.stack([n1, n2], axis=1)
    family = Binomial(x, size) if given.measure == "OR" else Poisson(x, size)
    halves = np.array([0.5, -0.5])[None, :, None] * given.X[:, None, :]
    X = np.concatenate([np.ones((k, 2, 1)), halves.reshape(k, 2, p)], axis=2)
    loads = np.array([[1.0, coding], [1.0, coding - 1.0]])
    return Model(family, X, np.zeros((k, 2)), loads, free_level=False)


def _solve(given: Counts, model: str, method: GlmmMethod, coding: float) -> tuple[Found, Found]:
    """Equal-effects fit, and the fit asked for."""
    if model == "UM.RS":
        both = build_two(given, coding)
        levels = both._replace(loads=both.loads[:, :1])
        equal = mixed.random(levels, mixed.fixed(levels))
        return equal, random_two(both, equal) if method == "ML" else equal
    one = build(given, model, coding)
    start = mixed.fixed(one)
    equal = Found(start, 1)
    if method == "EE" or len(given.slab) == 1:
        return equal, equal
    return equal, mixed.random(one, start)


def saturated(given: Counts, model: str) -> tuple[float, float]:
    """Log-likelihood with one effect per row (its least upper bound), and the Wald statistic of their equality.

    NaN for the Wald statistic where a row's own estimate is infinite, and for both under UM.RS.
    """
    if model == "UM.RS":
        return np.nan, np.nan
    family = build(given, model, 0.5).family
    if isinstance(family, Hypergeometric):
        return _saturated_exact(given, family)
    if isinstance(family, Binomial):
        rate = family.y / family.n
        top = special.xlogy(family.y, rate) + special.xlogy(family.n - family.y, 1.0 - rate)
        best = (top + Binomial(family.y, family.n)(np.zeros_like(rate)).value + family.n * np.log(2.0)).sum()
    else:
        best = (special.xlogy(family.y, family.y) - family.y - special.gammaln(family.y + 1.0)).sum()
    own = effect_sizes(
        given.measure, dict(zip(MEASURES[given.measure].columns, given.values, strict=True)), to="none"
    )
    yi, vi = own
    if model == "CM.AL":
        x1, n1, x2, n2 = given.values
        with np.errstate(divide="ignore"):
            yi, vi = np.log(x1 / n1) - np.log(x2 / n2), 1.0 / x1 + 1.0 / x2
    return float(best), _wald(yi, vi, given.X)


def _saturated_exact(given: Counts, family: Hypergeometric) -> tuple[float, float]:
    """As :func:`saturated`, for the non-central hypergeometric law: rows at an end of their support reach 0."""
    high = np.where(np.isfinite(family.weight), family.support, -1.0).max(axis=1)
    inner = (family.y[:, 0] > family.support[:, 0]) & (family.y[:, 0] < high)
    k = int(inner.sum())
    if k == 0:
        return 0.0, np.nan
    part = Hypergeometric(family.y[inner], family.support[inner], family.weight[inner])
    model = Model(part, np.zeros((k, 1, 0)), np.zeros((k, 1)), np.ones((1, 1)), free_level=True)
    peak = mixed.fixed(model)
    theta = peak.state.level[0]
    vi = -1.0 / part(theta[:, None]).second[:, 0]
    return float(peak.value[0]), _wald(theta, vi, given.X) if inner.all() else np.nan


def _wald(yi: Array, vi: Array, X: Array) -> float:
    """Residual sum of squares of the rows' own estimates, weighted by 1/v."""
    if not (np.isfinite(yi) & np.isfinite(vi)).all():
        return np.nan
    fit = wls(data(yi, vi, np.linalg.qr(X)[0]), np.zeros(1))
    return float(fit.rss[0])


def _require_whole(given: Counts) -> None:
    """Whole counts, as the exact law needs.

    Raises
    ------
    InputError
        Naming the first that is not.
    """
    for name, values in zip(MEASURES[given.measure].columns, given.values, strict=True):
        broken = values != np.round(values)
        if broken.any():
            i = int(np.argmax(broken))
            raise InputError(
                f"{name} must be a whole number for CM.EL; given {values[i]:g} in {row_name(given.slab[i])}."
            )


def _label(given: Counts, model: str, method: GlmmMethod, equal: Found, best: Found, level: float) -> MixedPooled:
    """Attach names, tests and intervals to a fit."""
    k, p = given.X.shape
    skip = best.peak.state.beta.shape[1] - p  # the intercept of the levels, UM.RS
    vb = covariance(best.peak)[skip : skip + p, skip : skip + p]
    beta, sigma = best.peak.state.beta[0, skip:], best.peak.state.sigma[0]
    ll, ll_equal = float(best.peak.value[0]), float(equal.peak.value[0])
    gain = max(0.0, 2.0 * (ll - ll_equal)) if method == "ML" else np.nan
    top, own = saturated(given, model) if k > p else (np.nan, np.nan)
    ratio = float(np.maximum(0.0, 2.0 * (top - ll_equal)))
    tested = given.tested
    qm = float(beta[tested] @ np.linalg.solve(vb[np.ix_(tested, tested)], beta[tested]))
    alone = ("Only one row: the heterogeneity cannot be estimated and is taken as 0.",)
    return MixedPooled(
        measure=given.measure,
        model=model,
        method=method,
        names=given.names,
        **wald(beta, vb, level),
        vb=vb,
        tau2=float(sigma[-1] ** 2) if method == "ML" else 0.0,
        sigma2=float(sigma[0] ** 2) if model == "UM.RS" else np.nan,
        rho=np.nan,
        ll=ll,
        QE_Wld=own,
        QE_LRT=ratio,
        QE_df=k - p,
        QEp_Wld=upper(k - p, own),
        QEp_LRT=upper(k - p, ratio),
        LRT=gain,
        LRTp=boundary(gain),
        QM=qm,
        QM_df=len(tested),
        QMp=upper(len(tested), qm),
        k=k,
        p=p,
        nodes=best.nodes,
        level=level,
        slab=given.slab,
        notes=(*given.notes, *(alone if k == 1 and method == "ML" else ())),
    )


def covariance(peak: Peak) -> Array:
    """Inverse observed information of (β, σ); a σ at 0 is on the boundary and takes no part."""
    p = peak.state.beta.shape[1]
    inside = np.concatenate([np.ones(p, dtype=bool), peak.state.sigma[0] > 0.0])
    full = np.zeros(peak.information.shape[1:])
    full[np.ix_(inside, inside)] = np.linalg.inv(peak.information[0][np.ix_(inside, inside)])
    return full
