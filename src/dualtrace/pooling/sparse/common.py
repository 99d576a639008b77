"""Sparse counts without a model of heterogeneity: Mantel-Haenszel and Peto, checked, tested and labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from dualtrace.effects.binary import TwoByTwo
from dualtrace.effects.measures import MEASURES, effect_sizes
from dualtrace.errors import FitError
from dualtrace.pooling import check
from dualtrace.pooling.contract import require_choice, require_level
from dualtrace.pooling.sparse import strata
from dualtrace.pooling.sparse.contract import TITLES, CommonEffect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dualtrace.effects.continuity import Continuity
    from dualtrace.effects.measures import Columns
    from dualtrace.pooling.likelihood import Array

TABLE_ESTIMATORS = {"OR": strata.odds_ratio, "RR": strata.risk_ratio, "RD": strata.risk_difference}
RATE_ESTIMATORS = {"IRR": strata.rate_ratio, "IRD": strata.rate_difference}


def mantel_haenszel(
    measure: str,
    columns: Columns,
    *,
    add: float = 0.5,
    to: Continuity = "only0",
    correct: bool = True,
    level: float = 0.95,
    slab: Sequence[Any] | None = None,
) -> CommonEffect:
    """Pool two-by-two tables or rates by the method of Mantel and Haenszel.

    Parameters
    ----------
    measure
        OR, RR, RD (columns ``ai, n1i, ci, n2i``), IRR, IRD (columns ``x1i, t1i, x2i, t2i``).
    columns
        A table, or a mapping from names to one-dimensional arrays; rows with a missing value are left out.
    add, to
        Continuity correction of the tables' own estimates in the heterogeneity test QE; the common effect itself
        needs none.
    correct
        Whether the Cochran-Mantel-Haenszel statistic takes off ½.
    level
        Confidence level.
    slab
        Labels of the rows.

    Raises
    ------
    InputError
        If an option or a count cannot be used.
    FitError
        If the tables do not determine the effect, for example when all events are in one arm.

    Examples
    --------
    >>> counts = {"ai": [4, 6], "n1i": [119, 306], "ci": [11, 29], "n2i": [128, 303]}
    >>> print(round(mantel_haenszel("OR", counts).beta, 3))
    -1.441
    """
    require_choice("measure", measure, (*TABLE_ESTIMATORS, *RATE_ESTIMATORS))
    values, rows, notes = usable(measure, columns, slab)
    nothing = strata.chi_squared(np.array(np.nan), np.array(0.0))
    odds = (nothing, nothing)
    if measure in TABLE_ESTIMATORS:
        table = TwoByTwo(*values)
        found = TABLE_ESTIMATORS[measure](table)
        score = strata.cochran_mantel_haenszel(table, correct=correct)
        informed = ~table.is_uninformative
        if measure == "OR":
            odds = strata.breslow_day(table, found.beta)
    else:
        rates = strata.Rates(*values)
        found = RATE_ESTIMATORS[measure](rates)
        score = strata.rate_score(rates, correct=correct)
        informed = rates.x1 + rates.x2 > 0
    _require_determined(found, measure)
    own = effect_sizes(measure, dict(zip(MEASURES[measure].columns, values, strict=True)), add=add, to=to)
    spread = _heterogeneity(own.yi[informed], own.vi[informed], float(found.beta))
    return _label((measure, "MH"), found, (spread, score, *odds), informed, level, rows, notes)


def peto(
    columns: Columns, *, correct: bool = False, level: float = 0.95, slab: Sequence[Any] | None = None
) -> CommonEffect:
    """Pool two-by-two tables by Peto's method: the odds ratio from observed less expected events.

    It is close to the common odds ratio when effects are small, arms balanced and events rare, and defined when
    one arm has no event at all. Parameters and errors as in :func:`mantel_haenszel`.
    """
    values, rows, notes = usable("OR", columns, slab)
    table = TwoByTwo(*values)
    found, spread = strata.peto(table)
    _require_determined(found, "PETO")
    nothing = strata.chi_squared(np.array(np.nan), np.array(0.0))
    score = strata.cochran_mantel_haenszel(table, correct=correct)
    informed = ~table.is_uninformative
    return _label(("OR", "PETO"), found, (spread, score, nothing, nothing), informed, level, rows, notes)


def usable(
    measure: str, columns: Columns, slab: Sequence[Any] | None
) -> tuple[list[Array], tuple[str, ...], tuple[str, ...]]:
    """Checked columns of a measure with incomplete rows left out, their labels, and a note on those left out.

    Raises
    ------
    InputError
        If a column is missing or a count impossible.
    FitError
        If no row is complete.
    """
    effect_sizes(measure, columns, slab=slab)  # refuses what is impossible, naming the row
    needed = [np.atleast_1d(np.asarray(columns[name], dtype=float)) for name in MEASURES[measure].columns]
    values = [value.copy() for value in np.broadcast_arrays(*needed)]
    if values[0].ndim != 1:
        raise FitError(f"Columns must have one number per row; given an array of shape {values[0].shape}.")
    rows = check.labels(slab, values[0].size)
    complete = np.isfinite(np.stack(values)).all(axis=0)
    if not complete.any():
        raise FitError(f"No row has all of {', '.join(MEASURES[measure].columns)}; there is nothing to pool.")
    kept = tuple(label for label, whole in zip(rows, complete, strict=True) if whole)
    left = [label for label, whole in zip(rows, complete, strict=True) if not whole]
    notes = (f"Left out for a missing value: row {', '.join(left)}.",) if left else ()
    return [value[complete] for value in values], kept, notes


def _require_determined(found: strata.Common, measure: str) -> None:
    """An estimate and a positive standard error.

    Raises
    ------
    FitError
        Saying why there is none.
    """
    if np.isfinite(found.beta) and found.se > 0.0:
        return
    if measure == "PETO":
        raise FitError("No table has both events and others in its two arms, so they say nothing of the odds ratio.")
    if measure in {"RD", "IRD"}:
        raise FitError(f"No table has an event, so the {TITLES[measure]} has no standard error.")
    raise FitError(
        f"The Mantel-Haenszel {TITLES[measure]} is not finite: over all tables, the events (or for odds ratios the "
        f"others) are missing in one arm. Use Peto's method, inverse variance with a continuity correction, or "
        f"report the counts."
    )


def _heterogeneity(yi: Array, vi: Array, beta: float) -> strata.Test:
    """Q = Σ (y − b)²/v over rows whose own estimate is defined, one degree of freedom fewer."""
    known = np.isfinite(yi) & (vi > 0.0)
    q = ((yi[known] - beta) ** 2 / vi[known]).sum()
    return strata.chi_squared(q, np.array(known.sum() - 1))


def _label(
    kind: tuple[str, Any],
    found: strata.Common,
    tests: tuple[strata.Test, strata.Test, strata.Test, strata.Test],
    informed: NDArray[np.bool_],
    level: float,
    rows: tuple[str, ...],
    notes: tuple[str, ...],
) -> CommonEffect:
    """Attach names, interval and tests (heterogeneity, score, Breslow-Day, Tarone) to a common effect."""
    require_level(level)
    beta, se = float(found.beta), float(found.se)
    half = float(special.ndtri(0.5 * (1.0 + level))) * se
    spread, score, day, tarone = tests
    return CommonEffect(
        measure=kind[0],
        method=kind[1],
        beta=beta,
        se=se,
        zval=beta / se,
        pval=float(2.0 * special.ndtr(-abs(beta / se))),
        ci_lb=beta - half,
        ci_ub=beta + half,
        QE=float(spread.Q),
        QE_df=max(int(spread.df), 0),
        QEp=float(spread.p),
        CMH=float(score.Q),
        CMHp=float(score.p),
        BD=float(day.Q),
        BD_df=max(int(day.df), 0),
        BDp=float(day.p),
        TA=float(tarone.Q),
        TAp=float(tarone.p),
        k=len(rows),
        informed=int(informed.sum()),
        level=level,
        slab=rows,
        notes=notes,
    )
