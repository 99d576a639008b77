"""Forest plots of refits: the answer without each trial or disorder, and how it grew year by year."""

from __future__ import annotations

from math import exp, isfinite
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.report.figures.forest import ForestGroup, ForestRow, ForestSpec, ForestSummary
from dualtrace.report.figures.scale import limits
from dualtrace.report.figures.style import number, with_interval
from dualtrace.report.words import count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualtrace.pooling.contract import Pooled
    from dualtrace.pooling.partial_contract import PartialPooled
    from dualtrace.pooling.robustness.leave_out import Refits
    from dualtrace.pooling.robustness.partial_leave_out import PartialRefits

UNDETERMINED = "not determined"


def refit_spec(
    groups: Sequence[tuple[str, Refits | PartialRefits]],
    overall: Pooled | PartialPooled | None,
    *,
    title: str,
    header: str,
    axis_label: str = "Standardised mean difference (Hedges' g)",
    ratio: bool = False,
    rename: Callable[[str], str] = str,
    footnote: str = "",
) -> ForestSpec:
    """Return a forest plot whose rows are fits, not trials.

    Parameters
    ----------
    groups
        Title (may be empty) and fits of each group; the first coefficient is drawn.
    overall
        The fit of all rows, drawn below and as a dashed line; None for none.
    title, header, axis_label, footnote
        Words; ``header`` stands over the labels of the fits.
    ratio
        Whether effects are logarithms of ratios, to be printed as ratios.
    rename
        From a label of a fit to what is printed.
    """
    shown: Callable[[float], float] = exp if ratio else float
    drawn = tuple(ForestGroup(title=name, rows=_rows(fits, shown, rename)) for name, fits in groups)
    pooled = () if overall is None else (_summary(overall, shown),)
    rows = [row for group in drawn for row in group.rows if row.estimate is not None]
    core = [row.estimate for row in rows if row.estimate is not None]
    core += [end for fit in pooled for end in (fit.estimate, fit.low, fit.high)]
    ends = [end for row in rows for end in (row.low, row.high)]
    scale = "log" if ratio else "linear"
    return ForestSpec(
        title=title,
        groups=drawn,
        overall=pooled,
        scale="log" if ratio else "linear",
        axis_label=axis_label,
        label_header=header,
        column_headers=("k", "τ²", "pooled (95% CI)"),
        key_column=2,
        limits=limits("log" if scale == "log" else "linear", core=core, outer=ends),
        footnote=footnote,
    )


def refit_alt(spec: ForestSpec) -> str:
    """Return one or two sentences that carry what a forest plot of refits shows."""
    fits = [row for row in spec.rows if row.estimate is not None]
    if not fits:
        return f"{spec.title}: no fit is determined. Left {spec.left_label}, right {spec.right_label}."
    least, most = (pick(fits, key=lambda row: row.estimate or 0.0) for pick in (min, max))
    ends = " to ".join(
        f"{with_interval(row.estimate or 0.0, row.low, row.high)} ({row.label})" for row in (least, most)
    )
    pooled = "".join(f" {s.label}: {with_interval(s.estimate, s.low, s.high)}." for s in spec.overall)
    return (
        f"Forest plot of {count(len(fits), 'fit')}, {spec.title}: the pooled effect ranges from {ends}.{pooled} "
        f"Left {spec.left_label}, right {spec.right_label}."
    )


def _rows(
    fits: Refits | PartialRefits, shown: Callable[[float], float], rename: Callable[[str], str]
) -> tuple[ForestRow, ...]:
    first = [np.reshape(part, (len(fits.slab), -1))[:, 0].tolist() for part in (fits.beta, fits.ci_lb, fits.ci_ub)]
    rows = []
    for label, k, tau2, b, low, high in zip(fits.slab, fits.k, fits.tau2, *first, strict=True):
        spread = number(float(tau2)) if isfinite(tau2) else "–"
        if not isfinite(b):
            rows.append(ForestRow(label=rename(label), kind="none", columns=(str(k), spread, UNDETERMINED)))
            continue
        values = shown(b), _end(low, shown), _end(high, shown)
        rows.append(
            ForestRow(
                label=rename(label),
                kind="exact",
                estimate=values[0],
                low=values[1],
                high=values[2],
                columns=(str(k), spread, with_interval(*values)),
            )
        )
    return tuple(rows)


def _end(value: float, shown: Callable[[float], float]) -> float:
    return shown(value) if isfinite(value) else value


def _summary(fit: Pooled | PartialPooled, shown: Callable[[float], float]) -> ForestSummary:
    values = [_end(float(part[0]), shown) for part in (fit.beta, fit.ci_lb, fit.ci_ub)]
    return ForestSummary(
        label="All trials",
        estimate=values[0],
        low=values[1],
        high=values[2],
        columns=(str(fit.k), number(fit.tau2) if isfinite(fit.tau2) else "–", with_interval(*values)),
    )
