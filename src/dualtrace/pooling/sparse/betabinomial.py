"""Beta-binomial models of sparse counts: risks that vary by a beta law, in closed form, empty cells included.

P(x | n, μ, ρ) = C(n, x) Π_{i<x}(μ + iw) Π_{i<n−x}(1 − μ + iw) / Π_{i<n}(1 + iw) with w = ρ/(1 − ρ) >= 0, the
binomial law at w = 0. The likelihood is searched globally over w, so a boundary answer is found and not feared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from scipy import special

from dualtrace.errors import FitError, InputError, row_name
from dualtrace.pooling.contract import require_choice, require_level
from dualtrace.pooling.likelihood import Slope
from dualtrace.pooling.search import maximise
from dualtrace.pooling.sparse.common import usable
from dualtrace.pooling.sparse.contract import MixedPooled, boundary, wald
from dualtrace.pooling.sparse.families import log_choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.effects.measures import Columns
    from dualtrace.pooling.likelihood import Array, Ints

BetaMeasure = Literal["OR", "RR", "PLO"]
"""Two arms with logit link (OR) or log link (RR); single proportions with logit link (PLO)."""


WIDEST = 1e4
"""Values of w beyond this (rho above .9999) say that none is large enough."""


class Groups(NamedTuple):
    """Arms as rows: events x and sizes n, (r,), design (r, p), and whether the link is log instead of logit."""

    x: Array
    n: Array
    X: Array
    log: bool


class Point(NamedTuple):
    """Coefficients (p,), w, log-likelihood, gradient and observed information of (β, w)."""

    beta: Array
    w: float
    value: float
    gradient: Array
    information: Array


def beta_binomial(
    measure: BetaMeasure,
    columns: Columns,
    *,
    level: float = 0.95,
    slab: Sequence[Any] | None = None,
) -> MixedPooled:
    """Fit a beta-binomial model by maximum likelihood.

    Two arms: link(μ) = α + β·[arm 1], one intra-row correlation ρ, arms independent; ``beta`` is β, the log odds
    ratio (OR) or log risk ratio (RR) of the mean risks. Single proportions: logit of the mean risk.

    Parameters
    ----------
    measure
        OR, RR (columns ``ai, n1i, ci, n2i``) or PLO (``xi, ni``).
    columns
        A table or a mapping from names to arrays of whole counts.
    level, slab
        Confidence level; labels of the rows.

    Raises
    ------
    InputError
        If a count cannot be used.
    FitError
        If an arm has no events in any row, or nothing but events.

    Notes
    -----
    Sources: Kuss 2015, doi:10.1002/sim.6383; Skellam 1948, doi:10.1111/j.2517-6161.1948.tb00014.x.

    Examples
    --------
    >>> found = beta_binomial("PLO", {"xi": [1, 5, 9], "ni": [20, 20, 20]})
    >>> print(round(found.rho, 3))
    0.108
    """
    require_choice("measure", measure, get_args(BetaMeasure))
    require_level(level)
    values, rows, notes = usable("OR" if measure == "RR" else measure, columns, slab)
    for name, value in zip(("ai", "n1i", "ci", "n2i") if len(values) == 4 else ("xi", "ni"), values, strict=True):
        if (value != np.round(value)).any():
            i = int(np.argmax(value != np.round(value)))
            raise InputError(f"{name} must be a whole number; given {value[i]:g} in {row_name(rows[i])}.")
    groups = _groups(measure, values)
    equal = _climb(groups, _start(groups), 0.0)
    w = _search(groups, equal)
    best = equal if w == 0.0 else _climb(groups, equal.beta, w)
    return _label(measure, (equal, best), rows, notes, level)


def _groups(measure: BetaMeasure, values: list[Array]) -> Groups:
    """Arms as rows, the coefficient asked for first.

    Raises
    ------
    FitError
        If all arms of one kind have no events or nothing but events.
    """
    if measure == "PLO":
        x, n = values
        groups = Groups(x, n, np.ones((x.size, 1)), log=False)
    else:
        x1, n1, x2, n2 = values
        arm = np.repeat([1.0, 0.0], x1.size)
        X = np.stack([arm, np.ones_like(arm)], axis=1)
        groups = Groups(np.concatenate([x1, x2]), np.concatenate([n1, n2]), X, log=measure == "RR")
    for kind in (True, False):
        members = groups.X[:, 0] == float(kind)
        events, total = groups.x[members].sum(), groups.n[members].sum()
        if members.any() and not 0.0 < events < total:
            raise FitError(
                f"An arm has {events:g} events among {total:g} participants over all rows, so its mean risk is "
                f"estimated as {events / total:g} and a ratio is infinite. Report the counts, or use Peto's method."
            )
    return groups


def _start(groups: Groups) -> Array:
    """Coefficients at the raw mean risks."""
    first = groups.X[:, 0] == 1.0
    link = np.log if groups.log else special.logit
    one = link(groups.x[first].sum() / groups.n[first].sum())
    if groups.X.shape[1] == 1:
        return np.array([one])
    two = link(groups.x[~first].sum() / groups.n[~first].sum())
    return np.array([one - two, two])


def evaluate(groups: Groups, beta: Array, w: float) -> Point:
    """Log-likelihood with gradient and observed information in (β, w); −inf where a risk leaves (0, 1)."""
    eta = groups.X @ beta
    p = groups.X.shape[1]
    if groups.log:
        mu, slope, bend = np.exp(eta), np.exp(eta), np.exp(eta)
    else:
        mu = special.expit(eta)
        slope = mu * (1.0 - mu)
        bend = slope * (1.0 - 2.0 * mu)
    if not np.all((mu > 0.0) & (mu < 1.0)):
        return Point(beta, w, -np.inf, np.zeros(p + 1), np.eye(p + 1))
    up, down, all_ = _rises(mu, groups.x, w), _rises(1.0 - mu, groups.n - groups.x, w), _rises(1.0, groups.n, w)
    value = (log_choose(groups.n, groups.x) + up[0] + down[0] - all_[0]).sum()
    d_mu, d_w = up[1] - down[1], up[2] + down[2] - all_[2]
    d_mu2, d_mu_w, d_w2 = up[3] + down[3], up[4] - down[4], up[5] + down[5] - all_[5]
    gradient = np.append(groups.X.T @ (d_mu * slope), d_w.sum())
    information = np.zeros((p + 1, p + 1))
    information[:p, :p] = -(groups.X.T * (d_mu2 * slope**2 + d_mu * bend)) @ groups.X
    information[:p, p] = information[p, :p] = -(groups.X.T @ (d_mu_w * slope))
    information[p, p] = -d_w2.sum()
    return Point(beta, w, float(value), gradient, information)


def _rises(base: Array | float, count: Array, w: float) -> tuple[Array, ...]:
    """Σ_{i<count} log(base + iw) and its derivatives in base, w, base², base·w, w², (r,) each."""
    i = np.arange(int(count.max(initial=0.0)), dtype=float)
    used = i < count[:, None]
    inverse = np.where(used, 1.0, 0.0) / (np.broadcast_to(base, count.shape)[:, None] + i * w)
    log = np.where(used, np.log(np.broadcast_to(base, count.shape)[:, None] + i * w), 0.0)
    weighted = inverse * i
    return (
        log.sum(-1),
        inverse.sum(-1),
        weighted.sum(-1),
        -(inverse**2).sum(-1),
        -(inverse * weighted).sum(-1),
        -(weighted**2).sum(-1),
    )


def _climb(groups: Groups, beta: Array, w: float) -> Point:
    """Maximum over β at fixed w by Newton's method with halving.

    Raises
    ------
    FitError
        If it is not reached.
    """
    here = evaluate(groups, beta, w)
    for _ in range(200):
        p = here.beta.size
        values, vectors = np.linalg.eigh(here.information[:p, :p])
        values = np.maximum(np.abs(values), 1e-10 * np.abs(values).max())
        move = vectors @ ((vectors.T @ here.gradient[:p]) / values)
        if move @ here.gradient[:p] < 1e-20 * (1.0 + abs(here.value)):
            return here
        size = 1.0
        ahead = evaluate(groups, here.beta + move, w)
        while not ahead.value >= here.value - 1e-12 * (1.0 + abs(here.value)) and size > 1e-12:
            size *= 0.5
            ahead = evaluate(groups, here.beta + size * move, w)
        here = ahead
    raise FitError(
        "The beta-binomial likelihood of these counts has no maximum inside its limits; report the counts."
    )


def _search(groups: Groups, equal: Point) -> float:
    """Return w = ρ/(1 − ρ) at the global maximum of the profile likelihood.

    Raises
    ------
    FitError
        If the likelihood keeps rising as ρ goes to 1.
    """
    start = equal.beta

    def objective(_: Ints, w: Array) -> Slope:
        if w.max() > WIDEST:
            raise FitError("The likelihood keeps rising as rho goes to 1: every arm has all events or none.")
        parts = []
        for each in w:
            found = _climb(groups, start, float(each))
            across = np.linalg.solve(found.information[:-1, :-1], found.information[:-1, -1])
            bend = -(found.information[-1, -1] - found.information[-1, :-1] @ across)
            parts.append((found.value, found.gradient[-1], bend))
        return Slope(*np.array(parts).T)

    scale = min(1.0, 1.0 / float(groups.n.max()))
    return float(maximise(objective, scale=np.array([scale]), high=np.array([1.0]))[0])


def _label(
    measure: BetaMeasure, fits: tuple[Point, Point], rows: tuple[str, ...], notes: tuple[str, ...], level: float
) -> MixedPooled:
    """Attach names, tests and intervals to a fit; the first of the fits is the binomial one, ρ = 0."""
    equal, best = fits
    inside = best.information if best.w > 0.0 else best.information[:-1, :-1]
    vb = np.asarray(np.linalg.inv(inside)[:1, :1], dtype=np.float64)
    gain = max(0.0, 2.0 * (best.value - equal.value))
    table = wald(best.beta[:1], vb, level)
    return MixedPooled(
        measure=measure,
        model="BB",
        method="ML",
        names=("intercept",),
        **table,
        vb=vb,
        tau2=np.nan,
        sigma2=np.nan,
        rho=best.w / (1.0 + best.w),
        ll=best.value,
        QE_Wld=np.nan,
        QE_LRT=np.nan,
        QE_df=0,
        QEp_Wld=np.nan,
        QEp_LRT=np.nan,
        LRT=gain,
        LRTp=boundary(gain),
        QM=float(table["zval"][0] ** 2),
        QM_df=1,
        QMp=float(table["pval"][0]),
        k=len(rows),
        p=1,
        nodes=0,
        level=level,
        slab=rows,
        notes=notes,
    )
