"""What a multilevel fit says of rows and groups: random effects, fitted values, predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import special

from dualtrace.errors import FitError
from dualtrace.pooling.contract import freeze
from dualtrace.pooling.multilevel.likelihood import solve
from dualtrace.pooling.multilevel.rows import effect_sums, effect_weights, unstacked
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number
from dualtrace.pooling.univariate import Prediction
from dualtrace.printed import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.multilevel.contract import Multilevel


@dataclass(frozen=True, slots=True, eq=False)
class RandomEffects(Result):
    """Best linear unbiased predictions of one random term.

    Attributes
    ----------
    term
        Name of the term.
    labels
        Group, and inner level where there are several.
    u, se, pi_lb, pi_ub
        Prediction, standard error of prediction, interval.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("robinson1991",)

    term: str
    labels: tuple[str, ...]
    u: Array
    se: Array
    pi_lb: Array
    pi_ub: Array

    def __post_init__(self) -> None:
        freeze(self)

    def to_frame(self) -> DataFrame:
        """One row per random effect."""
        from pandas import DataFrame

        columns = {"u": self.u, "se": self.se, "pi_lb": self.pi_lb, "pi_ub": self.pi_ub}
        return DataFrame(columns, index=list(self.labels))

    def __str__(self) -> str:
        """One line per random effect."""
        rows = (
            (label, number(u), number(se), interval(low, high))
            for label, u, se, low, high in zip(self.labels, self.u, self.se, self.pi_lb, self.pi_ub, strict=True)
        )
        return table((self.term, "effect", "se", "interval"), rows)


def random_effects(found: Multilevel) -> tuple[RandomEffects, ...]:
    """Predict the random effects of every term.

    u = ΨZ'Py with Var(u - û) = Ψ - ΨZ'PZΨ, which includes the uncertainty of the coefficients; inner levels
    that a group did not report are predicted from those it did.

    Source: Robinson 1991, doi:10.1214/ss/1177011926.
    """
    src = found.source
    now = solve(src.where, src.sets, src.entries)
    e = unstacked(src.where, now.e)[0]
    critical = _critical(found)
    answers = []
    for t, (term, psi) in enumerate(zip(src.coded.terms, src.psi, strict=True)):
        u = (effect_sums(term, e) @ psi).ravel() * src.unit
        left = psi - psi @ effect_weights(src.where, term, now) @ psi
        se = np.sqrt(np.maximum(np.einsum("gjj->gj", left), 0.0)).ravel() * src.unit
        inner = src.coded.inner[t]
        labels = tuple(
            outer if len(inner) == 1 else f"{outer}: {level}" for outer in src.coded.outer[t] for level in inner
        )
        answers.append(RandomEffects(src.coded.names[t], labels, u, se, u - critical * se, u + critical * se))
    return tuple(answers)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Every row beside what the model makes of it.

    Attributes
    ----------
    slab
        Labels.
    fitted
        x'b, (k,).
    blup
        x'b and the row's random effects, (k,).
    resid
        y - x'b, (k,).
    """

    slab: tuple[str, ...]
    fitted: Array
    blup: Array
    resid: Array

    def __post_init__(self) -> None:
        freeze(self)


def fitted(found: Multilevel) -> Fitted:
    """Fitted values without and with random effects."""
    src = found.source
    mean = src.X @ found.beta
    blup = mean.copy()
    for effects, term in zip(random_effects(found), src.coded.terms, strict=True):
        blup += effects.u[term.effects]
    return Fitted(found.slab, mean, blup, src.y - mean)


def predict(found: Multilevel, rows: Any, *, inner: Sequence[Sequence[Any]] | None = None) -> Prediction:  # noqa: ANN401
    """Predict at rows of the design matrix.

    x'b ± c √(x'Var(b)x), and for the true effect of a row of new groups x'b ± c √(x'Var(b)x + Σψ), with Σψ the
    variances of all terms (of the row's inner level, where variances differ), c normal under z and t with
    k - p degrees of freedom under t.

    Parameters
    ----------
    found
        A fit.
    rows
        Values of its p columns, intercept included: (p,) for one row or (m, p).
    inner
        For each structured term with variances that differ by inner level, the inner level of each row; without
        it the prediction interval of such a model is NaN.

    Raises
    ------
    FitError
        If the number of columns differs from p, a value is not finite, or an inner level is not known.
    """
    x = np.atleast_2d(np.array(rows, dtype=float))
    if x.ndim != 2 or x.shape[1] != found.p or not np.isfinite(x).all():
        raise FitError(f"rows must hold one finite number for each of {', '.join(found.names)}; given {x.shape}.")
    pred, variance = x @ found.beta, np.einsum("mp,pq,mq->m", x, found.vb, x)
    critical = _critical(found)
    half = critical * np.sqrt(variance)
    wide = critical * np.sqrt(variance + _spread(found, len(x), inner))
    return Prediction(pred, np.sqrt(variance), pred - half, pred + half, pred - wide, pred + wide)


def _spread(found: Multilevel, m: int, inner: Sequence[Sequence[Any]] | None) -> Array:
    """Sum of the variances of all terms for m rows; NaN where their inner level is not given."""
    if not found.psi:
        return np.full(m, np.nan)
    total = np.zeros(m)
    given = iter(inner or ())
    for psi, labels in zip(found.psi, found.source.coded.inner, strict=True):
        variance = np.diag(psi)
        if np.ptp(variance) == 0.0:
            total += variance[0]
            continue
        named = next(given, None)
        if named is None:
            return np.full(m, np.nan)
        unknown = [str(level) for level in named if str(level) not in labels]
        if unknown or len(named) != m:
            raise FitError(
                f"inner must name one of {', '.join(labels)} for each of {m} rows; given "
                f"{', '.join(map(str, named))}."
            )
        total += variance[[labels.index(str(level)) for level in named]]
    return total


def _critical(found: Multilevel) -> float:
    df = np.inf if found.test == "z" else float(found.dfs)
    return float(special.stdtrit(df, 0.5 * (1.0 + found.level)))
