"""``dualtrace bias``: small-study effects and selective reporting, method by method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click
import numpy as np

from dualtrace.cli import pictures
from dualtrace.cli.answer import Part, attempt, show
from dualtrace.cli.asked import rows_options
from dualtrace.cli.options import json_option, level_option, method_option
from dualtrace.cli.rows import Rows, read_rows
from dualtrace.errors import InputError
from dualtrace.pooling import univariate
from dualtrace.pooling.small_study.asymmetry import pet_peese, rank_test, regression_test
from dualtrace.pooling.small_study.fail_safe import FailSafeKind, fail_safe_n
from dualtrace.pooling.small_study.funnel import contour_funnel
from dualtrace.pooling.small_study.limit import limit_meta_analysis
from dualtrace.pooling.small_study.p_curve import p_curve
from dualtrace.pooling.small_study.p_uniform import p_uniform, p_uniform_star
from dualtrace.pooling.small_study.selection import selection_model
from dualtrace.pooling.small_study.selection_contract import Alternative
from dualtrace.pooling.small_study.significance import excess_significance
from dualtrace.pooling.small_study.trim_and_fill import Estimator, TrimAndFill, trim_and_fill

if TYPE_CHECKING:
    from pathlib import Path

    from dualtrace.cli.asked import Asked
    from dualtrace.pooling.contract import Tau2Method
    from dualtrace.pooling.likelihood import Array

FEW = 10
"""Rows below which tests of funnel asymmetry have next to no power (Sterne et al. 2011, doi:10.1136/bmj.d4002)."""

ALIKE = 2.0
"""Ratio of largest to smallest standard error below which size can hardly be told from chance (the same source)."""


@click.command()
@rows_options
@method_option
@click.option("--steps", metavar="P,P", default="0.025", show_default=True, help="Steps of the selection model.")
@click.option(
    "--alternative",
    type=click.Choice(get_args(Alternative)),
    default="greater",
    show_default=True,
    help="Which results are thought to be reported more often.",
)
@click.option(
    "--fill", type=click.Choice(get_args(Estimator)), default="L0", show_default=True, help="Trim and fill."
)
@click.option("--fail-safe", type=click.Choice(get_args(FailSafeKind)), default="Rosenthal", show_default=True)
@click.option("--ni", metavar="COLUMN", help="Sample sizes: asymmetry tested without the rows' standard errors too.")
@pictures.figures_option
@level_option
@json_option
def bias(
    asked: Asked,
    method: Tau2Method,
    steps: str,
    alternative: Alternative,
    fill: Estimator,
    fail_safe: FailSafeKind,
    ni: str | None,
    figures: Path | None,
    level: float,
    as_json: bool,
) -> None:
    """Test and correct for small-study effects and selective reporting.

    Each method assumes something else and none proves bias: small trials may differ for good reasons, and trials that
    published nothing leave no trace here. Only rows with an effect take part.

    \b
    Examples:
      dualtrace bias --outcome severity_mixed
      dualtrace bias --outcome severity_mixed --ni n --figures figures
      dualtrace bias --csv effects.csv --steps 0.025,0.5 --alternative two.sided
    """
    rows = read_rows(asked).exact("This analysis")
    cuts = _steps(steps)
    sizes = None if ni is None else rows.numbers(ni, "--ni")
    common: dict[str, Any] = {"slab": list(rows.slab)}
    pooled = univariate.fit(rows.yi, rows.vi, method=method, test=rows.test, level=level, **common)
    parts = [
        Part("fit", "To compare: the mean as reported", pooled),
        *_asymmetry(rows, method, level, common, sizes),
        *_adjusted(rows, method, level, common, fill),
        *_selection(rows, level, common, cuts, alternative),
        attempt(
            "fail_safe",
            f"Fail-safe N ({fail_safe})",
            lambda: fail_safe_n(rows.yi, rows.vi, kind=fail_safe, method=method, **common),
        ),
    ]
    drawn = [] if figures is None else _draw(rows, parts, method, figures)
    show(rows, parts, as_json=as_json, notes=[*_notes(rows), *drawn])


def _draw(rows: Rows, parts: list[Part], method: Tau2Method, folder: Path) -> list[str]:
    """Write the funnel and say where it is."""
    found = contour_funnel(rows.yi, rows.vi, slab=list(rows.slab), method=method)
    filled = next((part.result for part in parts if isinstance(part.result, TrimAndFill)), None)
    return pictures.write(pictures.bias(rows, found, filled), folder)


def _asymmetry(
    rows: Rows, method: Tau2Method, level: float, common: dict[str, Any], sizes: Array | None
) -> list[Part]:
    """Tests of the funnel plot."""
    parts = [
        attempt(
            "egger",
            "Egger's test (weighted regression on the standard error)",
            lambda: regression_test(rows.yi, rows.vi, model="lm", level=level, **common),
        ),
        attempt(
            "regression",
            "Regression test in the random-effects model",
            lambda: regression_test(rows.yi, rows.vi, model="rma", method=method, level=level, **common),
        ),
        attempt("rank", "Rank correlation test", lambda: rank_test(rows.yi, rows.vi, **common)),
    ]
    if sizes is not None:
        options: dict[str, Any] = {"predictor": "sqrtninv", "ni": sizes, "method": method, "level": level} | common
        by_size = attempt(
            "regression_by_size",
            "Regression test on sample size",
            lambda: regression_test(rows.yi, rows.vi, **options),
        )
        parts.append(by_size)
    return parts


def _adjusted(rows: Rows, method: Tau2Method, level: float, common: dict[str, Any], fill: Estimator) -> list[Part]:
    """Estimates that allow for small-study effects."""
    fitting: dict[str, Any] = {"method": method, "level": level} | common
    return [
        attempt(
            "trim_and_fill",
            f"Trim and fill ({fill})",
            lambda: trim_and_fill(rows.yi, rows.vi, estimator=fill, **fitting),
        ),
        attempt("pet_peese", "PET-PEESE", lambda: pet_peese(rows.yi, rows.vi, **fitting)),
        attempt("limit", "Limit meta-analysis", lambda: limit_meta_analysis(rows.yi, rows.vi, **fitting)),
    ]


def _selection(
    rows: Rows, level: float, common: dict[str, Any], steps: tuple[float, ...], alternative: Alternative
) -> list[Part]:
    """Models of what was reported given its p value, and tests built on significance."""
    side: dict[str, Any] = {"alternative": alternative, "level": level} | common
    towards: dict[str, Any] = {"side": "left" if alternative == "less" else "right", "level": level} | common
    return [
        attempt(
            "step_selection",
            "Step selection model",
            lambda: selection_model(rows.yi, rows.vi, kind="stepfun", steps=steps, **side),
        ),
        attempt(
            "beta_selection",
            "Beta selection model",
            lambda: selection_model(rows.yi, rows.vi, kind="beta", **side),
        ),
        attempt("p_uniform", "p-uniform", lambda: p_uniform(rows.yi, rows.vi, **towards)),
        attempt("p_uniform_star", "p-uniform*", lambda: p_uniform_star(rows.yi, rows.vi, **towards)),
        attempt("p_curve", "p-curve", lambda: p_curve(rows.yi, rows.vi, **common)),
        attempt(
            "excess_significance",
            "Excess of significant results",
            lambda: excess_significance(rows.yi, rows.vi, **common),
        ),
    ]


def _steps(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--steps must be p values with commas between them, for example 0.025,0.5; given {text!r}"
        ) from None


def _notes(rows: Rows) -> list[str]:
    notes = []
    if len(rows.slab) < FEW:
        notes.append(
            f"With {len(rows.slab)} rows these methods have next to no power, and their estimates are unstable: a "
            f"test that finds nothing says nothing. At least {FEW} rows are usually asked for."
        )
    ratio = float(np.sqrt(rows.vi.max() / rows.vi.min()))
    if len(rows.slab) > 1 and ratio < ALIKE:
        notes.append(
            f"The largest standard error is only {ratio:.1f} times the smallest: rows so alike in size cannot show "
            "whether small trials differ."
        )
    if rows.left_out:
        notes.append(
            f"{len(rows.left_out)} rows without an estimate take no part; results not reported as numbers are seldom "
            "the striking ones, so what is seen here may be selected already."
        )
    return notes
