"""``dualtrace bayes``: pooling with priors, by quadrature where one mean is asked for, else by sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dualtrace.cli.answer import Part, show
from dualtrace.cli.asked import rows_options
from dualtrace.cli.options import formula_option, json_option, level_option
from dualtrace.cli.prior import TAU_HELP, mean_prior, tau_prior, usual
from dualtrace.cli.rows import designed, read_rows
from dualtrace.errors import InputError
from dualtrace.pooling.bayesian import nuts
from dualtrace.pooling.bayesian.fit import fit, sensitivity
from dualtrace.pooling.bayesian.model import load

if TYPE_CHECKING:
    from dualtrace.cli.asked import Asked
    from dualtrace.cli.rows import Rows
    from dualtrace.pooling.bayesian.priors import MeanPrior, TauPrior


@click.command()
@rows_options
@click.option("--tau-prior", "tau", multiple=True, metavar="PRIOR", help=f"{TAU_HELP}.  [default: half-normal(0.5)]")
@click.option(
    "--mean-prior", "mean", metavar="PRIOR", help="flat or normal(MEAN, SD).  [default: flat; samples: normal(0, 2)]"
)
@click.option("--sensitivity", "compare", is_flag=True, help="The answer under several priors of tau.")
@formula_option
@click.option("--groups", metavar="COLUMN", help="Groups partially pooled towards a common mean (samples).")
@click.option("--cluster", metavar="COLUMN", help="Rows of one cluster share an effect (samples).")
@click.option("--t-df", type=float, help="True effects follow a t distribution: 4 is robust (samples).")
@click.option("--draws", type=click.IntRange(min=1), default=1000, show_default=True, help="Per chain, of four.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@level_option
@json_option
def bayes(
    asked: Asked,
    tau: tuple[str, ...],
    mean: str | None,
    compare: bool,
    moderators: str | None,
    groups: str | None,
    cluster: str | None,
    t_df: float | None,
    draws: int,
    seed: int,
    level: float,
    as_json: bool,
) -> None:
    """Pool with priors; rows known only as intervals or directions take part.

    One mean is computed exactly, by quadrature. --moderators, --groups, --cluster and --t-df are sampled by NUTS and
    need the extra `bayes`: pip install 'dualtrace[bayes]'. A --tau-prior given several times, or --sensitivity,
    compares priors.

    \b
    Examples:
      dualtrace bayes --outcome severity_mixed --tau-prior "rhodes(mental_health)"
      dualtrace bayes --csv effects.csv --tau-prior "half-cauchy(0.5)" --mean-prior "normal(0, 1)"
      dualtrace bayes --sensitivity
      dualtrace bayes --outcome severity_mixed --groups disorder
    """
    rows = read_rows(asked)
    priors = tuple(tau_prior(text) for text in tau)
    belief = None if mean is None else mean_prior(mean)
    if compare and not priors:
        priors = usual(_metric(asked, rows))
    elif compare and len(priors) == 1:
        raise InputError("--sensitivity compares priors: give several --tau-prior, or none for the usual ones")
    if moderators or groups or cluster or t_df is not None:
        load("numpyro")  # refuses in a sentence before anything is computed
        options: dict[str, Any] = {"draws": draws, "seed": seed, "level": level, "mean_prior": belief}
        if t_df is not None:
            options["t_df"] = t_df
        _sample(rows, moderators, (groups, cluster), priors, options, as_json=as_json)
        return
    _exact(rows, priors, belief, level, as_json=as_json)


def _exact(
    rows: Rows, priors: tuple[TauPrior, ...], belief: MeanPrior | None, level: float, *, as_json: bool
) -> None:
    """By quadrature."""
    data: dict[str, Any] = {"yi": rows.yi, "vi": rows.vi, "lo": rows.lo, "hi": rows.hi}
    options: dict[str, Any] = {"mean_prior": belief, "level": level}
    if len(priors) > 1:
        part = Part("sensitivity", "", sensitivity(**data, tau_priors=priors, **options))
    else:
        prior = priors[0] if priors else None
        part = Part("fit", "", fit(**data, tau_prior=prior, slab=list(rows.slab), **options))
    show(rows, [part], as_json=as_json)


def _sample(
    rows: Rows,
    formula: str | None,
    structure: tuple[str | None, str | None],
    priors: tuple[TauPrior, ...],
    options: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """By NUTS."""
    chosen = designed(rows, formula)
    for name, option, column in zip(("groups", "clusters"), ("--groups", "--cluster"), structure, strict=True):
        if column is not None:
            options[name] = chosen.rows.column(column, option)
    data = chosen.data | {"lo": chosen.rows.lo, "hi": chosen.rows.hi}
    if len(priors) > 1:
        part = Part("sensitivity", "", nuts.sensitivity(**data, tau_priors=priors, **options))
    else:
        part = Part("fit", "", nuts.sample(**data, tau_prior=priors[0] if priors else None, **options))
    show(chosen.rows, [part], as_json=as_json)


def _metric(asked: Asked, rows: Rows) -> str:
    """Metric of the effects, as far as it is known."""
    if asked.table is not None:
        return asked.measure or ""
    return "SMD" if ", SMD;" in rows.title else asked.ratio or "OR"
