"""``dualtrace bias``: small-study effects and selective reporting, every method with what speaks against it here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click
import numpy as np

from dualtrace.cli.answer import Part, attempt, show
from dualtrace.cli.asked import rows_options
from dualtrace.cli.options import json_option, level_option, method_option
from dualtrace.cli.rows import read_rows
from dualtrace.errors import InputError
from dualtrace.pooling import univariate
from dualtrace.pooling.small_study.asymmetry import pet_peese, rank_test, regression_test
from dualtrace.pooling.small_study.fail_safe import fail_safe_n
from dualtrace.pooling.small_study.limit import limit_meta_analysis
from dualtrace.pooling.small_study.p_curve import p_curve
from dualtrace.pooling.small_study.p_uniform import p_uniform, p_uniform_star
from dualtrace.pooling.small_study.selection import selection_model
from dualtrace.pooling.small_study.significance import excess_significance
from dualtrace.pooling.small_study.trim_and_fill import trim_and_fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.cli.answer import Printable
    from dualtrace.cli.asked import Asked
    from dualtrace.cli.rows import Rows
    from dualtrace.pooling.contract import Tau2Method
    from dualtrace.pooling.small_study.selection_contract import Alternative

Side = Literal["right", "left"]
Method = tuple[str, str, "Callable[[], Printable]"]

FEW = 10
"""Below this many rows, tests of asymmetry say little (Sterne et al. 2011, doi:10.1136/bmj.d4002)."""


@click.command()
@rows_options
@method_option
@level_option
@click.option(
    "--side",
    type=click.Choice(["right", "left"]),
    default="right",
    show_default=True,
    help="Which results are thought more likely to be reported: large positive (right) or negative (left) ones.",
)
@click.option("--steps", metavar="P,P,...", help="Steps of the selection model, one-sided p.  [default: 0.025]")
@click.option("--ni", metavar="COLUMN", help="Sample sizes, for asymmetry tests that do not rest on standard errors.")
@json_option
def bias(
    asked: Asked, method: Tau2Method, level: float, side: Side, steps: str | None, ni: str | None, as_json: bool
) -> None:
    """Ask whether small studies find more, and what the answer would be if results were selected for reporting.

    No method can tell selective reporting from other reasons why small studies differ. A method that cannot be
    used on these rows says why in a sentence.

    \b
    Examples:
      dualtrace bias --outcome severity_mixed
      dualtrace bias --csv effects.csv --side left
      dualtrace bias --csv effects.csv --ni n --steps 0.025,0.5 --json
    """
    rows = read_rows(asked).exact("A look at small-study effects")
    data: dict[str, Any] = {"yi": rows.yi, "vi": rows.vi, "slab": list(rows.slab)}
    sizes = None if ni is None else rows.numbers(ni, "--ni")
    cuts = _steps(steps)
    pooled = univariate.fit(**data, method=method, test=rows.test, level=level)
    methods = [
        *_asymmetry(data, method, level, sizes),
        *_adjusted(data, method, level),
        *_selection(data, level, side, cuts),
        *_significance(data, method, side),
    ]
    parts = [Part("fit", "", pooled), *(attempt(*one).untitled() for one in methods)]
    show(rows, parts, as_json=as_json, notes=_notes(rows))


def _asymmetry(data: dict[str, Any], method: Tau2Method, level: float, sizes: Any | None) -> list[Method]:  # noqa: ANN401
    found: list[Method] = [
        ("egger", "Egger's test", lambda: regression_test(**data, model="lm", level=level)),
        ("egger_mixed", "The same, random effects", lambda: regression_test(**data, method=method, level=level)),
    ]
    if sizes is not None:

        def by_size() -> Printable:
            return regression_test(**data, predictor="sqrtninv", ni=sizes, method=method, level=level)

        found.append(("egger_size", "Asymmetry by sample size", by_size))
    return [*found, ("rank", "Rank test", lambda: rank_test(**data))]


def _adjusted(data: dict[str, Any], method: Tau2Method, level: float) -> list[Method]:
    return [
        ("trim_and_fill", "Trim and fill", lambda: trim_and_fill(**data, method=method, level=level)),
        ("pet_peese", "PET-PEESE", lambda: pet_peese(**data, level=level)),
        ("limit", "Limit meta-analysis", lambda: limit_meta_analysis(**data, method=method, level=level)),
    ]


def _selection(data: dict[str, Any], level: float, side: Side, cuts: list[float] | None) -> list[Method]:
    alternative: Alternative = "greater" if side == "right" else "less"

    def steps() -> Printable:
        return selection_model(**data, kind="stepfun", steps=cuts, alternative=alternative, level=level)

    def beta() -> Printable:
        return selection_model(**data, kind="beta", alternative=alternative, level=level)

    return [
        ("selection_steps", "Selection model, steps", steps),
        ("selection_beta", "Selection model, beta", beta),
        ("p_uniform", "p-uniform", lambda: p_uniform(**data, side=side, level=level)),
        ("p_uniform_star", "p-uniform*", lambda: p_uniform_star(**data, side=side, level=level)),
    ]


def _significance(data: dict[str, Any], method: Tau2Method, side: Side) -> list[Method]:
    def excess() -> Printable:
        return excess_significance(**data, alternative="greater" if side == "right" else "less", alpha=0.025)

    return [
        ("excess", "Excess of significant results", excess),
        ("p_curve", "p-curve", lambda: p_curve(**data)),
        ("fail_safe_rosenthal", "Fail-safe N", lambda: fail_safe_n(**data)),
        ("fail_safe_general", "Fail-safe N, general", lambda: fail_safe_n(**data, kind="General", method=method)),
    ]


def _steps(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--steps must be numbers between 0 and 1 with commas between; given {text!r}") from None


def _notes(rows: Rows) -> list[str]:
    """What speaks against reading much into these tests."""
    notes = []
    k = len(rows.yi)
    if k < FEW:
        notes.append(
            f"k = {k}: with fewer than {FEW} rows these tests miss most asymmetry, and adjusted estimates are "
            "unstable; an unremarkable result is no evidence against selective reporting."
        )
    if rows.vi.max() < 4.0 * rows.vi.min():
        ratio = float(np.sqrt(rows.vi.max() / rows.vi.min()))
        notes.append(f"The largest standard error is only {ratio:.1f} times the smallest, so size can hardly matter.")
    if rows.left_out:
        notes.append(
            f"{len(rows.left_out)} rows without an estimate are not used, and results that are not reported as "
            "numbers are seldom the striking ones."
        )
    return notes
