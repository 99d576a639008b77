"""``dualtrace pool``: pool the evidence, a user's trials, or any table of effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from dualtrace.cli import grouped
from dualtrace.cli.answer import Part, attempt, in_words, methods
from dualtrace.cli.asked import OUTCOME, TIMEPOINT, rows_options
from dualtrace.cli.factor import pairwise
from dualtrace.cli.options import (
    formula_option,
    json_option,
    level_option,
    method_option,
    print_json,
    test_option,
)
from dualtrace.cli.rows import Designed, designed, read_rows, select
from dualtrace.errors import InputError
from dualtrace.pooling import partial, univariate
from dualtrace.pooling.formula import design
from dualtrace.pooling.hypotheses import Adjustment
from dualtrace.pooling.location_scale import fit_location_scale
from dualtrace.pooling.synthesis import by_disorder
from dualtrace.pooling.tau2_interval import IntervalKind, tau2_interval

if TYPE_CHECKING:
    from dualtrace.cli.asked import Asked
    from dualtrace.cli.rows import Rows
    from dualtrace.pooling.contract import Pooled, Tau2Method, TestName


@click.command()
@rows_options
@formula_option
@method_option
@test_option
@level_option
@click.option("--weights", metavar="COLUMN", help="Weights of the rows, in place of 1/(vi + tau²).")
@click.option("--tau2-interval", "tau2_kind", type=click.Choice(get_args(IntervalKind)), help="Interval of tau².")
@click.option("--scale", metavar="FORMULA", help="Location-scale model: moderators of log tau².")
@click.option("--contrast", metavar="COLUMN", help="Compare all levels of this factor with each other.")
@click.option(
    "--adjust",
    type=click.Choice(get_args(Adjustment)),
    default="single-step",
    show_default=True,
    help="Allowance for many contrasts.",
)
@json_option
def pool(
    asked: Asked,
    moderators: str | None,
    method: Tau2Method,
    test: TestName | None,
    level: float,
    weights: str | None,
    tau2_kind: IntervalKind | None,
    scale: str | None,
    contrast: str | None,
    adjust: Adjustment,
    as_json: bool,
) -> None:
    """Pool effects by random effects, beside a fit that also uses what was reported only in words.

    Positive effects of the evidence favour the drug. Names in --json are those of R's metafor. Tables with
    columns yi and vi (or sei) need no column named; see also `dualtrace effects`.

    \b
    Examples:
      dualtrace pool
      dualtrace pool --outcome remission --ratio RR --json
      dualtrace pool --outcome severity_mixed --moderators year
      dualtrace pool --outcome severity_mixed --contrast disorder
      dualtrace pool --csv effects.csv --yi g --sei se --slab study --moderators "dose + C(site)"
      dualtrace pool --csv counts.csv --measure OR --method PM --tau2-interval QP
      dualtrace pool --csv effects.csv --scale dose
    """
    if contrast is not None and scale is not None:
        raise InputError("--contrast compares means and --scale models tau²; ask for one of them")
    if asked.table is None and not (moderators or weights or tau2_kind or scale or contrast):
        selection, _ = select(asked)
        found = by_disorder(selection, method=method, test=test or "knha", level=level)
        words = asked.outcome or OUTCOME, asked.timepoint or TIMEPOINT
        print_json(grouped.as_dict(found)) if as_json else click.echo(grouped.as_text(found, *words))
        return
    rows = read_rows(asked)
    options: dict[str, Any] = {"method": method, "test": test or rows.test, "level": level}
    if scale is not None:
        _scale(rows, moderators, scale, options, (weights, tau2_kind), as_json=as_json)
        return
    formula = moderators if moderators or contrast is None else f"C({contrast})"
    everything = designed(rows, formula)
    chosen = designed(rows.exact("A fit by inverse variance"), formula)
    a = None if weights is None else chosen.rows.numbers(weights, "--weights")
    fitted = univariate.fit(**chosen.data, weights=a, **options)
    parts = []
    if tau2_kind is not None:
        del options["test"]
        spread = tau2_interval(**chosen.data, weights=a, kind=tau2_kind, **options)
        parts.append(Part("tau2_interval", "", spread))
    if contrast is not None:
        parts.append(Part("contrasts", f"Levels of {contrast}", pairwise(fitted, contrast, chosen.rows, adjust)))
    if not everything.rows.all_exact:
        parts.append(_information(everything, level))
    _print(chosen.rows, fitted, parts, as_json=as_json)


def _print(rows: Rows, fitted: Pooled, parts: list[Part], *, as_json: bool) -> None:
    """A fit under metafor's names, the other parts beside them."""
    results = [fitted, *(part.result for part in parts if part.result is not None)]
    if as_json:
        extra = {part.key: part.for_json() for part in parts}
        print_json(fitted.to_dict() | extra | {"rows": rows.to_dict(), "methods": methods(results)})
        return
    click.echo("\n\n".join([rows.heading, str(fitted), *map(str, parts), *in_words(results)]))


def _information(everything: Designed, level: float) -> Part:
    """Rows known only by bounds, used beside the exact ones."""
    bounds: dict[str, Any] = {"lo": everything.rows.lo, "hi": everything.rows.hi}
    return attempt(
        "all_information",
        "Beside all information",
        lambda: partial.compare(**everything.data, **bounds, level=level),
    )


def _scale(
    rows: Rows,
    formula: str | None,
    scale: str,
    options: dict[str, Any],
    refused: tuple[str | None, str | None],
    *,
    as_json: bool,
) -> None:
    """Print a location-scale model."""
    for name, given in zip(("--weights", "--tau2-interval"), refused, strict=True):
        if given is not None:
            raise InputError(f"{name} does not apply to a location-scale model, whose tau² differs between rows")
    spread = designed(rows.exact("A location-scale model"), scale)
    chosen = designed(spread.rows, formula)
    Z = design(scale, chosen.rows.table)
    found = fit_location_scale(**chosen.data, Z=Z.X, scale_names=Z.names, **options)
    if as_json:
        print_json(found.to_dict() | {"rows": chosen.rows.to_dict(), "methods": methods([found])})
        return
    click.echo("\n\n".join([chosen.rows.heading, str(found), *in_words([found])]))
