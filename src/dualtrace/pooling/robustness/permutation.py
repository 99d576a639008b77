"""Permutation tests and intervals of pooled effects and of moderators.

Without moderators the signs of the effects are flipped, which is exchangeable when the true mean is 0; with
moderators the effects, each with its variance, are dealt to the rows of the design anew. The test statistics of all
permutations come from one batch.

Sources: Follmann & Proschan 1999, doi:10.1111/j.0006-341X.1999.00732.x; Higgins & Thompson 2004,
doi:10.1002/sim.1752; Viechtbauer, López-López, Sánchez-Meca & Marín-Martínez 2015, doi:10.1037/met0000023.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb, factorial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.contract import Tau2Method, TestName, freeze
from dualtrace.pooling.inference import Coefficients, Residual, between, centre, coefficients, omnibus
from dualtrace.pooling.likelihood import Array, Ints, data, wls
from dualtrace.pooling.result import Result
from dualtrace.pooling.robustness.leave_out import checked
from dualtrace.pooling.text import interval, number, p_value
from dualtrace.printed import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.univariate import Problem

TIE = 1e-9
"""Relative difference of statistics that counts as none, so that rounding does not break ties."""

REACH = 20
"""Doublings of a standard error after which an end of an interval is called infinite."""

HALVINGS = 30
"""Halvings of the bracket of an end; its width is then a billionth of a standard error or so."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Permutation(Result):
    """Permutation tests of one fit.

    Attributes
    ----------
    names
        Coefficients.
    beta, zval
        Estimates and their statistics with the data as given, (p,).
    pval
        Share of permutations whose statistic is at least as far from 0, (p,).
    QM, QMp
        Omnibus statistic with the data as given and the share at least as large.
    ci_lb, ci_ub
        Values not rejected at 1 - level, (p,); NaN unless asked for, ±∞ where even the smallest p value
        possible rejects nothing.
    iterations, exact
        Number of permutations, and whether those are all there are.
    zval_perm, QM_perm
        Statistics of the permutations, (m, p) and (m,); the data as given among them.
    """

    INDEX: ClassVar[str] = "names"
    COLUMNS: ClassVar[tuple[str, ...]] = ("beta", "zval", "pval", "ci_lb", "ci_ub")
    SOURCES: ClassVar[tuple[str, ...]] = ("follmann1999",)
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"zval_perm", "QM_perm"})

    names: tuple[str, ...]
    beta: Array
    zval: Array
    pval: Array
    QM: float
    QMp: float
    ci_lb: Array
    ci_ub: Array
    level: float
    iterations: int
    exact: bool
    zval_perm: Array
    QM_perm: Array

    def __post_init__(self) -> None:
        freeze(self)

    def __str__(self) -> str:
        """One line per coefficient."""
        kind = "all" if self.exact else "sampled"
        rows = (
            (name, number(b), number(z), p_value(p).removeprefix("= "), interval(low, high))
            for name, b, z, p, low, high in zip(
                self.names, self.beta, self.zval, self.pval, self.ci_lb, self.ci_ub, strict=True
            )
        )
        head = ("", "estimate", "statistic", "p", f"{100.0 * self.level:g}% CI")
        lines = [f"Permutation test, {self.iterations} permutations ({kind})", "", table(head, rows)]
        if len(self.names) > 1:
            lines.append(f"Moderators: QM = {number(self.QM)}, p {p_value(self.QMp)}")
        return "\n".join(lines)


class Shuffle(NamedTuple):
    """How the data are permuted: signs of the effects, or the row each effect is dealt to, (m, k)."""

    signs: Array | None
    order: Ints | None
    exact: bool

    def apply(self, y: Array, v: Array) -> tuple[Array, Array]:
        """Permuted effects and variances, (m, k) each."""
        if self.order is None:
            signs = np.ones((1, y.size)) if self.signs is None else self.signs
            return signs * y, np.broadcast_to(v, signs.shape)
        return y[self.order], v[self.order]


def permutation_test(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    test: TestName = "z",
    iterations: int = 1000,
    intervals: bool = False,
    level: float = 0.95,
    key: int = 0,
) -> Permutation:
    """Test coefficients by permutation.

    Parameters
    ----------
    yi, vi, X, names, slab, method, test, level
        As in ``univariate.fit``; method is not one that needs weights. ``test`` decides the statistic: z, or t
        with Knapp and Hartung's variance.
    iterations
        Permutations to draw, the data as given among them; where there are no more than that in all, each is
        used once and the test is exact.
    intervals
        Whether to invert the tests of the coefficients: b_j = m is not rejected when effects less m·x_j do not
        reject 0.
    key
        Key of the random numbers.

    Raises
    ------
    FitError
        If ``fit`` would refuse the rows, or there is only one.
    InputError
        If ``iterations`` is below 2 or another option is not there.
    """
    given = checked(yi, vi, X=X, names=names, slab=slab, options=(method, test, level))
    if len(given.y) == 1:
        raise FitError("A permutation test needs at least two rows; given one.")
    if iterations < 2:
        raise InputError(f"iterations must be at least 2; given {iterations}.")
    shuffle = _shuffle(given, iterations, key)
    observed = _statistics(given, given.y[None], given.v[None], method, test)
    permuted = _statistics(given, *shuffle.apply(given.y, given.v), method, test)
    q, q_perm = omnibus(observed, given.tested).QM, omnibus(permuted, given.tested).QM
    p = len(given.names)
    nothing = np.full(p, np.nan)
    low, high = _invert(given, shuffle, observed, method, test, 1.0 - level) if intervals else (nothing, nothing)
    return Permutation(
        names=given.names,
        beta=observed.beta[0],
        zval=observed.zval[0],
        pval=_share(np.abs(permuted.zval), np.abs(observed.zval)),
        QM=float(q[0]),
        QMp=float(_share(q_perm[:, None], q[:, None])[0]),
        ci_lb=low,
        ci_ub=high,
        level=level,
        iterations=len(q_perm),
        exact=shuffle.exact,
        zval_perm=permuted.zval,
        QM_perm=q_perm,
    )


def _share(permuted: Array, observed: Array) -> Array:
    """Share of permutations (m, p) at least as large as the observed (1, p)."""
    reached: Array = (permuted >= observed - TIE * np.maximum(1.0, np.abs(observed))).mean(axis=0)
    return reached


def _statistics(given: Problem, y: Array, v: Array, method: Tau2Method, test: TestName) -> Coefficients:
    """Coefficients with their statistics for data sets of shape (m, k)."""
    sets = data(y, v, given.basis)
    centred, offset = centre(sets, method)
    fit = wls(centred, between(centred, method))
    rest = Residual(fit.rss, np.einsum("nk,nk->n", fit.weight, y * y), sets.k - sets.p)
    return coefficients(fit.coef + offset, fit.cov, given.T, rest, test=test, level=0.95)


def _shuffle(given: Problem, iterations: int, key: int) -> Shuffle:
    """All permutations if there are no more than asked for, else the identity and random ones."""
    k, p = given.X.shape
    rng = np.random.default_rng(key)
    if p == 1 and given.intercept == 0:
        if k < 60 and 2**k <= iterations:
            bits = ((np.arange(2**k)[:, None] >> np.arange(k)) & 1).astype(np.float64)
            return Shuffle(1.0 - 2.0 * bits, None, exact=True)
        signs = rng.choice(np.array([-1.0, 1.0]), size=(iterations, k))
        signs[0] = 1.0
        return Shuffle(signs, None, exact=False)
    kinds = np.unique(given.X, axis=0, return_inverse=True)[1].ravel()
    counts = np.bincount(kinds)
    if _arrangements(counts) <= iterations:
        slots = np.argsort(kinds, kind="stable")
        order = np.empty((_arrangements(counts), k), dtype=np.intp)
        order[:, slots] = np.argsort(deal(counts), axis=1, kind="stable")
        return Shuffle(None, order, exact=True)
    order = rng.permuted(np.tile(np.arange(k), (iterations, 1)), axis=1)
    order[0] = np.arange(k)
    return Shuffle(None, order, exact=False)


def _arrangements(counts: Ints) -> int:
    """Number of ways to deal k things to rows of which some are alike."""
    ways = factorial(int(counts.sum()))
    for count in counts:
        ways //= factorial(int(count))
    return ways


def deal(counts: Ints) -> Ints:
    """Every sequence that holds kind c counts[c] times, (m, k)."""
    k = int(counts.sum())
    dealt = np.full((1, k), -1, dtype=np.intp)
    left = k
    for kind, count in enumerate(counts.tolist()):
        choices = np.array(list(combinations(range(left), count)), dtype=np.intp).reshape(comb(left, count), count)
        free = np.nonzero(dealt < 0)[1].reshape(len(dealt), left)
        place = free[:, choices].reshape(-1, count)
        dealt = np.repeat(dealt, len(choices), axis=0)
        np.put_along_axis(dealt, place, kind, axis=1)
        left -= count
    return dealt


def _invert(
    given: Problem, shuffle: Shuffle, observed: Coefficients, method: Tau2Method, test: TestName, alpha: float
) -> tuple[Array, Array]:
    """Outermost values of every coefficient that are not rejected at level alpha, (p,) each.

    From the estimate, where p is 1, each end is bracketed by doubling a standard error and then halved.
    """
    ends = np.empty((2, len(given.names)))
    for j in range(len(given.names)):
        for side, sign in enumerate((-1.0, 1.0)):

            def rejected(distance: float, j: int = j, sign: float = sign) -> bool:
                y = given.y - (observed.beta[0, j] + sign * distance) * given.X[:, j]
                now = _statistics(given, y[None], given.v[None], method, test).zval[:, j : j + 1]
                all_z = _statistics(given, *shuffle.apply(y, given.v), method, test).zval[:, j : j + 1]
                return bool(_share(np.abs(all_z), np.abs(now))[0] <= alpha)

            inside, outside = 0.0, float(observed.se[0, j])
            doublings = 0
            while doublings < REACH and not rejected(outside):
                inside, outside, doublings = outside, 2.0 * outside, doublings + 1
            if doublings == REACH:
                ends[side, j] = sign * np.inf
                continue
            for _ in range(HALVINGS):
                middle = 0.5 * (inside + outside)
                inside, outside = (inside, middle) if rejected(middle) else (middle, outside)
            ends[side, j] = observed.beta[0, j] + sign * inside
    return ends[0], ends[1]
