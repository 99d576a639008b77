"""``dualtrace pool``: pool the evidence, a user's trials, or any table of effects."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from dualtrace.cli.options import json_option, load_trials, print_json, trial_options
from dualtrace.cli.table import pool_table
from dualtrace.effects.select import OUTCOMES, Selection, between_arms
from dualtrace.effects.table import moderator_row
from dualtrace.errors import FitError, InputError
from dualtrace.evidence.record import Disorder
from dualtrace.pooling.contract import Tau2Method, TestName
from dualtrace.pooling.synthesis import GroupedSynthesis, by_disorder, regress

if TYPE_CHECKING:
    from dualtrace.evidence.record import Trial
    from dualtrace.pooling.contract import Pooled


@click.command()
@click.option("--csv", "table", type=click.Path(path_type=Path), help="Pool this table instead of the evidence.")
@click.option("--yi", help="With --csv: column of effects.")
@click.option("--vi", help="With --csv: column of sampling variances.")
@click.option("--slab", help="With --csv: column of labels.")
@click.option(
    "--outcome", type=click.Choice(list(OUTCOMES)), default="severity", show_default=True, help="What to pool."
)
@click.option(
    "--timepoint", type=click.Choice(["mid", "post", "followup"]), default="post", show_default=True, help="When."
)
@click.option("--disorder", type=click.Choice([d.value for d in Disorder]), help="Only this disorder.")
@click.option(
    "--ratio", type=click.Choice(["OR", "RR", "RD"]), default="OR", show_default=True, help="Scale of counts."
)
@click.option("--moderators", metavar="FORMULA", help='Meta-regression, for example "dose_mg + disorder".')
@click.option("--method", type=click.Choice(get_args(Tau2Method)), default="REML", show_default=True)
@click.option("--test", type=click.Choice(get_args(TestName)), help="Default: knha for the evidence, z for --csv.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence level.")
@trial_options
@json_option
def pool(
    table: Path | None,
    yi: str | None,
    vi: str | None,
    slab: str | None,
    outcome: str,
    timepoint: str,
    disorder: str | None,
    ratio: str,
    moderators: str | None,
    method: Tau2Method,
    test: TestName | None,
    level: float,
    folder: Path | None,
    alone: bool,
    as_json: bool,
) -> None:
    """Pool effects by random effects, beside a fit that also uses what was reported only in words.

    Positive effects favour the drug. Names in --json are those of R's metafor.

    \b
    Examples:
      dualtrace pool
      dualtrace pool --outcome remission --ratio RR --json
      dualtrace pool --outcome severity_mixed --moderators year
      dualtrace pool --csv effects.csv --yi yi --vi vi --slab study --moderators "dose + C(site)"
    """
    if table is not None:
        fitted = pool_table(table, yi, vi, slab, moderators, method, test or "z", level)
        print_json(fitted.to_dict()) if as_json else click.echo(str(fitted))
        return
    if yi or vi or slab:
        raise InputError("--yi, --vi and --slab name columns of a table; give the table with --csv FILE")
    trials = load_trials(folder, alone)
    kept = [t for t in trials if disorder is None or t.disorder == disorder]
    selection = between_arms(kept, outcome=outcome, timepoint=timepoint, ratio=ratio)
    _refuse_nothing(selection, outcome, timepoint, disorder)
    if moderators is not None:
        regression = _regression(selection, trials, moderators, method, test or "knha", level)
        print_json(regression.to_dict()) if as_json else click.echo(str(regression))
        return
    grouped = by_disorder(selection, method=method, test=test or "knha", level=level)
    print_json(_as_dict(grouped)) if as_json else click.echo(_as_text(grouped, outcome, timepoint))


def _refuse_nothing(selection: Selection, outcome: str, timepoint: str, disorder: str | None) -> None:
    if not selection.effects:
        who = f" in {disorder}" if disorder else ""
        raise FitError(
            f"no trial{who} reports {outcome} at {timepoint}; nothing to pool. Try --outcome severity_mixed."
        )


def _regression(
    selection: Selection,
    trials: tuple[Trial, ...],
    formula: str,
    method: Tau2Method,
    test: TestName,
    level: float,
) -> Pooled:
    from pandas import DataFrame

    if not selection.exact:
        raise FitError("a meta-regression needs effects with a point estimate; none of these trials reports one")
    by_id = {trial.id: trial for trial in trials}
    rows = [moderator_row(by_id[effect.trial], effect) for effect in selection.exact]
    frame = DataFrame(rows, index=[effect.label for effect in selection.exact])
    return regress(selection.exact, frame, formula, method=method, test=test, level=level)


def _as_dict(grouped: GroupedSynthesis) -> dict[str, Any]:
    def one(synthesis: Any) -> dict[str, Any]:  # noqa: ANN401
        return {
            "classical": None if synthesis.classical is None else synthesis.classical.to_dict(),
            "all_information": None if synthesis.information is None else synthesis.information.to_dict(),
            "refused": list(synthesis.refused),
        }

    selection = grouped.selection
    return {
        "metric": selection.effects[0].metric.value,
        "mixed": selection.mixed,
        "effects": [_effect(effect) for effect in selection.effects],
        "left_out": [{"trial": x.trial, "reason": x.reason} for x in selection.left_out],
        "overall": one(grouped.overall),
        "by_disorder": {d.value: one(s) for d, s in grouped.by_disorder.items()},
        "between_exact": None if grouped.between_exact is None else asdict(grouped.between_exact),
        "between_all": None if grouped.between_all is None else asdict(grouped.between_all),
    }


def _effect(effect: Any) -> dict[str, Any]:  # noqa: ANN401
    from dualtrace.effects.table import effect_row

    row = effect_row(effect, pooled=True)
    return row | {"steps": list(effect.steps), "assumptions": list(effect.assumptions)}


def _as_text(grouped: GroupedSynthesis, outcome: str, timepoint: str) -> str:
    selection = grouped.selection
    metric = selection.effects[0].metric
    scale = f"ln {metric}" if metric.is_ratio else metric.value
    lines = [f"{outcome} at {timepoint}, {scale}; positive favours the drug", ""]
    lines += [f"  {effect}  [{effect.information.value}]" for effect in selection.effects]
    if selection.mixed:
        lines += ["", "Mixed kinds of effect stand side by side here because a mixture was asked for."]
    overall = grouped.overall
    if overall.classical is not None:
        lines += ["", "Exact effects only, all disorders", str(overall.classical)]
    if overall.information is not None:
        lines += ["", "Beside all information", str(overall.information)]
    lines += [f"({sentence})" for sentence in overall.refused]
    lines += ["", "By disorder, all information:"]
    for disorder, synthesis in grouped.by_disorder.items():
        fit = synthesis.everything
        answer = (
            f"{fit.beta[0]:.2f} ({fit.ci_lb[0]:.2f} to {fit.ci_ub[0]:.2f})" if fit else "; ".join(synthesis.refused)
        )
        lines.append(f"  {disorder.value}: k = {len(synthesis.effects)}, {synthesis.n_exact} exact: {answer}")
    for words, test in (("exact effects", grouped.between_exact), ("all information", grouped.between_all)):
        if test is not None:
            lines.append(f"Do disorders differ? {words}: {test}")
    return "\n".join(lines)
