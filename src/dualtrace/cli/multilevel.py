"""``dualtrace multilevel``: several rows per trial, by variances on several levels and cluster-robust tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import click

from dualtrace.cli.answer import Part, attempt, show
from dualtrace.cli.asked import many_rows_options
from dualtrace.cli.options import formula_option, json_option, level_option
from dualtrace.cli.rows import Designed, Rows, designed, read_rows
from dualtrace.errors import InputError
from dualtrace.pooling import partial_nested
from dualtrace.pooling.multilevel import Level, Structured, assumed, fit, nested, profile_intervals, robust
from dualtrace.pooling.multilevel.influence import cluster_influence
from dualtrace.pooling.multilevel.structures import Struct

if TYPE_CHECKING:
    from dualtrace.cli.asked import Asked
    from dualtrace.pooling.multilevel.contract import Method, Test
    from dualtrace.pooling.multilevel.terms import RandomTerm

ROW = "row"
"""Stands for the row itself where a column of groups is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Random terms as typed: clusters, nested levels, and a structured covariance matrix."""

    cluster: str | None
    nested: tuple[str, ...]
    struct: Struct | None
    inner: str | None
    outer: str | None


@click.command()
@many_rows_options
@formula_option
@click.option("--cluster", metavar="COLUMN", help="Rows of one cluster depend on each other; gives CR2 tests too.")
@click.option(
    "--nested", "levels", metavar="A/B", multiple=True, help="Levels inside one another; `row` is the row itself."
)
@click.option("--struct", type=click.Choice(get_args(Struct)), help="Covariance of --inner levels within --outer.")
@click.option("--inner", metavar="COLUMN", help="With --struct: outcome or time of each row.")
@click.option("--outer", metavar="COLUMN", help="With --struct: group of each row.  [default: the cluster]")
@click.option("--rho", type=float, help="Assumed correlation of sampling errors within a cluster.")
@click.option("--method", type=click.Choice(["REML", "ML"]), default="REML", show_default=True)
@click.option("--test", type=click.Choice(["z", "t"]), default="t", show_default=True)
@click.option("--profile", is_flag=True, help="Profile-likelihood intervals of variances and correlations.")
@click.option("--influence", is_flag=True, help="The model without each cluster.")
@level_option
@json_option
def multilevel(
    asked: Asked,
    moderators: str | None,
    cluster: str | None,
    levels: tuple[str, ...],
    struct: Struct | None,
    inner: str | None,
    outer: str | None,
    rho: float | None,
    method: Method,
    test: Test,
    profile: bool,
    influence: bool,
    level: float,
    as_json: bool,
) -> None:
    """Pool rows that depend on each other: several outcomes, times or comparisons per trial.

    With --cluster alone, rows vary within clusters and clusters vary (three levels). Coefficients are also tested
    robustly (CR2, Satterthwaite), which holds up when the assumed dependence is wrong.

    \b
    Examples:
      dualtrace multilevel --every --outcome severity_mixed --cluster trial --rho 0.6
      dualtrace multilevel --csv effects.csv --nested district/row --cluster district
      dualtrace multilevel --csv effects.csv --struct UN --inner outcome --outer trial --cluster trial --rho 0.5
    """
    terms = Terms(cluster=cluster, nested=levels, struct=struct, inner=inner, outer=outer)
    rows = read_rows(asked)
    chosen = designed(rows.exact("A multilevel model"), moderators)
    groups = None if cluster is None else _groups(chosen.rows, cluster, "--cluster")
    data = {key: value for key, value in chosen.data.items() if key != "vi"}
    V = _known(chosen.rows, groups, rho)
    found = fit(V=V, random=_random(chosen.rows, terms), method=method, test=test, level=level, **data)
    parts = [Part("fit", "", found)]
    if groups is not None:
        parts.append(attempt("robust", "Cluster-robust", lambda: robust(found, groups, level=level)))
    if profile:
        parts.append(attempt("profile", "Profile-likelihood intervals", lambda: profile_intervals(found)))
    if influence:
        parts.append(_influence(found, groups))
    if cluster is not None and not rows.all_exact:
        parts.append(_information(designed(rows, moderators), cluster, level))
    show(chosen.rows, parts, as_json=as_json, notes=_notes(groups, rho))


def _groups(rows: Rows, column: str, option: str) -> list[Any]:
    if column == ROW and ROW not in rows.table.columns:
        return list(rows.slab)
    return rows.column(column, option)


def _known(rows: Rows, groups: list[Any] | None, rho: float | None) -> Any:  # noqa: ANN401
    """Known covariances of the sampling errors."""
    if rho is None:
        return rows.vi
    if groups is None:
        raise InputError("--rho, the correlation of sampling errors within a cluster, needs --cluster COLUMN")
    return assumed(rows.vi, groups, obs=list(range(len(rows.vi))), rho=rho)


def _random(rows: Rows, terms: Terms) -> list[RandomTerm]:
    """Random terms of the model, three levels where only clusters are named."""
    found: list[RandomTerm] = []
    for text in terms.nested:
        names = [name.strip() for name in text.split("/")]
        found += nested("/".join(names), *(_groups(rows, name, "--nested") for name in names))
    if terms.struct is not None:
        found.append(_structured(rows, terms, terms.struct))
    elif terms.inner is not None or terms.outer is not None:
        raise InputError("--inner and --outer describe a structure; say which with --struct, for example CS")
    if found:
        return found
    if terms.cluster is None:
        raise InputError(
            "say how rows depend on each other: --cluster COLUMN, --nested A/B, or --struct with --inner"
        )
    groups = _groups(rows, terms.cluster, "--cluster")
    if len({str(group) for group in groups}) == len(groups):
        return [Level(terms.cluster, groups)]
    return list(nested(f"{terms.cluster}/{ROW}", groups, list(rows.slab)))


def _structured(rows: Rows, terms: Terms, struct: Struct) -> Structured:
    outer = terms.outer or terms.cluster
    if terms.inner is None or outer is None:
        raise InputError("--struct needs --inner COLUMN, and --outer COLUMN or --cluster COLUMN")
    inner = _groups(rows, terms.inner, "--inner")
    return Structured(struct, inner, _groups(rows, outer, "--outer"), name=outer)


def _influence(found: Any, groups: list[Any] | None) -> Part:  # noqa: ANN401
    if groups is None:
        raise InputError("--influence leaves out clusters; say which with --cluster COLUMN")
    return attempt("influence", "Without each cluster", lambda: cluster_influence(found, groups))


def _information(everything: Designed, cluster: str, level: float) -> Part:
    """Rows known only by bounds too, clusters and rows varying."""
    rows = everything.rows
    groups = _groups(rows, cluster, "--cluster")
    return attempt(
        "all_information",
        "All information, clusters varying (sampling errors taken as independent)",
        lambda: partial_nested.fit(cluster=groups, lo=rows.lo, hi=rows.hi, level=level, **everything.data),
    )


def _notes(groups: list[Any] | None, rho: float | None) -> list[str]:
    if groups is None or rho is not None or len({str(group) for group in groups}) == len(groups):
        return []
    return ["Sampling errors within a cluster are taken as independent. Where rows share participants, try --rho."]
