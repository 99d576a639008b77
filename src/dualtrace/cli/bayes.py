"""``dualtrace bayes``: pooling with priors, by quadrature for one mean and by sampling for larger models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from dualtrace.cli import pictures
from dualtrace.cli.answer import Part, show
from dualtrace.cli.asked import many_rows_options
from dualtrace.cli.options import formula_option, json_option, level_option
from dualtrace.cli.rows import designed, read_rows
from dualtrace.errors import InputError
from dualtrace.pooling import bayesian
from dualtrace.pooling.bayesian import nuts
from dualtrace.pooling.bayesian.contract import Posterior
from dualtrace.pooling.bayesian.priors import MeanPrior

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dualtrace.cli.asked import Asked
    from dualtrace.cli.rows import Designed
    from dualtrace.pooling.bayesian.priors import TauPrior

TAU_PRIORS: dict[str, tuple[Callable[..., TauPrior], int]] = {
    "half-normal": (bayesian.half_normal, 1),
    "half-cauchy": (bayesian.half_cauchy, 1),
    "half-t": (bayesian.half_t, 2),
    "log-normal": (bayesian.log_normal, 2),
    "log-t": (bayesian.log_t, 3),
}
"""Prior of tau by name, with how many numbers it takes; log-normal and log-t are those of tau²."""

EMPIRICAL: dict[str, Callable[..., TauPrior]] = {"turner": bayesian.turner, "rhodes": bayesian.rhodes}
"""Priors from published meta-analyses; an outcome and a comparison may follow in brackets."""

SENSITIVITY = ("half-normal(0.25)", "half-normal(0.5)", "half-normal(1)", "half-cauchy(0.5)")
"""Priors to compare with; the empirical one for the scale of the effects joins them."""

EMPIRICAL_OF = {"SMD": "rhodes(mental_health)", "OR": "turner(mental_health)"}
"""Empirical prior of tau, mental health, drug against placebo, by scale of the effects."""


@click.command()
@many_rows_options
@formula_option
@click.option(
    "--tau-prior", "tau", default="half-normal(0.5)", show_default=True, help="half-normal(s), half-cauchy(s), ..."
)
@click.option("--mean-prior", "mean", metavar="MEAN,SD", help="Normal prior of the mean effect.  [default: flat]")
@click.option("--sensitivity", is_flag=True, help="Repeat with other priors of tau.")
@click.option("--groups", metavar="COLUMN", help="Groups partially pooled, for example disorder (needs sampling).")
@click.option("--cluster", metavar="COLUMN", help="Cluster of each row: three levels (needs sampling).")
@click.option("--t-df", type=float, help="Robust t distribution of true effects (needs sampling).")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the sampler.")
@pictures.figures_option
@level_option
@json_option
def bayes(
    asked: Asked,
    moderators: str | None,
    tau: str,
    mean: str | None,
    sensitivity: bool,
    groups: str | None,
    cluster: str | None,
    t_df: float | None,
    seed: int,
    figures: Path | None,
    level: float,
    as_json: bool,
) -> None:
    """Pool effects with priors; rows known only as intervals or directions take part.

    One mean is computed by quadrature, without sampling. Moderators, groups, clusters and t effects are sampled by
    NUTS, which needs the extra: pip install "dualtrace[bayes]". Priors of tau: half-normal(scale),
    half-cauchy(scale), half-t(df,scale), log-normal(location,scale) and log-t(location,scale,df) of tau², and
    turner(outcome,comparison) for log odds ratios or rhodes(outcome,comparison) for standardised differences.

    \b
    Examples:
      dualtrace bayes
      dualtrace bayes --tau-prior "rhodes(mental_health,drug_placebo)" --sensitivity
      dualtrace bayes --groups disorder
      dualtrace bayes --csv effects.csv --mean-prior 0,1 --tau-prior "half-cauchy(0.5)"
    """
    prior, centre = tau_prior(tau), mean_prior(mean)
    chosen = designed(read_rows(asked), moderators)
    others = _others(asked, prior) if sensitivity else []
    sampled = moderators is not None or groups is not None or cluster is not None or t_df is not None
    if sampled and figures is not None:
        raise InputError("--figures draws the model with one mean; leave out --moderators, --groups and the like")
    if sampled:
        extra = {"groups": groups, "clusters": cluster}
        columns = {key: chosen.rows.column(name, f"--{key}") for key, name in extra.items() if name is not None}
        model: dict[str, Any] = columns | ({} if t_df is None else {"t_df": t_df})
        model |= {"mean_prior": centre, "seed": seed, "level": level}
        parts = _sampled(chosen, prior, others, model)
    else:
        parts = _exact(chosen, prior, others, centre, level)
    found = parts[0].result
    drawn: list[str] = []
    if figures is not None and isinstance(found, Posterior):
        drawn = pictures.write(pictures.bayes(chosen.rows, found), figures)
    show(chosen.rows, parts, as_json=as_json, notes=drawn)


def _others(asked: Asked, prior: TauPrior) -> list[TauPrior]:
    """The prior asked for, and the usual ones beside it."""
    empirical = EMPIRICAL_OF.get(asked.metric)
    texts = SENSITIVITY if empirical is None else (*SENSITIVITY, empirical)
    return [prior, *(other for other in map(tau_prior, texts) if str(other) != str(prior))]


def _exact(
    chosen: Designed, prior: TauPrior, others: list[TauPrior], centre: MeanPrior | None, level: float
) -> list[Part]:
    rows = chosen.rows
    bounds: dict[str, Any] = {"lo": rows.lo, "hi": rows.hi, "mean_prior": centre, "level": level}
    found = bayesian.fit(rows.yi, rows.vi, tau_prior=prior, slab=list(rows.slab), **bounds)
    parts = [Part("fit", "", found)]
    if others:
        found_too = bayesian.sensitivity(rows.yi, rows.vi, tau_priors=others, **bounds)
        parts.append(Part("sensitivity", "Other priors of tau", found_too))
    return parts


def _sampled(chosen: Designed, prior: TauPrior, others: list[TauPrior], model: dict[str, Any]) -> list[Part]:
    model |= chosen.data | {"lo": chosen.rows.lo, "hi": chosen.rows.hi}
    parts = [Part("fit", "", nuts.sample(tau_prior=prior, **model))]
    if others:
        found_too = nuts.sensitivity(tau_priors=others, **model)
        parts.append(Part("sensitivity", "Other priors of tau", found_too))
    return parts


def tau_prior(text: str) -> TauPrior:
    """Return the prior that a text such as ``half-normal(0.5)`` names.

    Raises
    ------
    InputError
        When it names none.
    """
    known = ", ".join([*TAU_PRIORS, *EMPIRICAL])
    match = re.fullmatch(r"\s*([a-z-]+)\s*(?:\(([^()]*)\))?\s*", text)
    if match is None or match[1] not in {*TAU_PRIORS, *EMPIRICAL}:
        raise InputError(f"--tau-prior must be one of {known}, its numbers in brackets; given {text!r}")
    name, inside = match[1], [part.strip() for part in (match[2] or "").split(",") if part.strip()]
    if name in EMPIRICAL:
        if len(inside) > 2:
            raise InputError(f"--tau-prior {name} takes an outcome and a comparison at most; given {text!r}")
        return EMPIRICAL[name](*inside)
    make, count = TAU_PRIORS[name]
    numbers = [_number(part, text) for part in inside]
    if len(numbers) != count:
        raise InputError(f"--tau-prior {name} takes {count} numbers in brackets; given {text!r}")
    return make(*numbers)


def mean_prior(text: str | None) -> MeanPrior | None:
    """Return the normal prior that a text such as ``0,1`` names; None without one.

    Raises
    ------
    InputError
        When it is not two numbers.
    """
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2:
        raise InputError(f"--mean-prior must be a mean and a standard deviation, for example 0,1; given {text!r}")
    return MeanPrior(*(_number(part, text) for part in parts))


def _number(part: str, text: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise InputError(f"a number is needed; given {part!r} in {text!r}") from None
