"""From fits to findings: everything that the report says of a calibration, worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dualtrace.calibration.assurance import points_checks, prior_check
from dualtrace.calibration.compare import MECHANISM
from dualtrace.calibration.curves import Answers, of_setting, posterior_answers, prior_answers, stage
from dualtrace.calibration.findings import (
    Account,
    Curve,
    Findings,
    OnTrace,
    Parameter,
    Provenance,
    Row,
)
from dualtrace.calibration.identifiability import identified
from dualtrace.calibration.imagined import Setting
from dualtrace.calibration.influence import of_kinds, of_trials
from dualtrace.calibration.laboratories import laboratories
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.rounding import Band, band, finite, rounded
from dualtrace.calibration.targets import DISORDERS
from dualtrace.effects.effect import Information

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dualtrace.calibration.contest import Contest, Setup
    from dualtrace.calibration.curves import Stage
    from dualtrace.calibration.held_out import HeldOut
    from dualtrace.calibration.leave_out import LeftOut
    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.moderation import Moderation
    from dualtrace.calibration.posterior import Posterior
    from dualtrace.calibration.targets import PlaceboChange, Subject, Target

_KINDS = {
    Information.EXACT: "number",
    Information.INTERVAL: "interval",
    Information.DIRECTION: "direction",
}


@final
@dataclass(frozen=True, slots=True)
class Effort:
    """How much is spent on what follows the fits.

    Attributes
    ----------
    curve_points, curve_draws
        Quasi-random patients of the imaginary trials (a power of two), and draws that are put through them.
    prior_draws
        Draws of the prior.
    check_draws
        Draws at which the number of quasi-random patients is checked.
    told_draws
        Draws over which the information of the trials is averaged.
    """

    curve_points: int = 128
    curve_draws: int = 100
    prior_draws: int = 200
    check_draws: int = 8
    told_draws: int = 64


def gather(
    setup: Setup, found: Contest, effort: Effort | None = None, progress: Callable[[str], None] = lambda _: None
) -> Findings:
    """Work out the findings of a contest of accounts.

    Parameters
    ----------
    setup, found
        How the accounts were fitted, and what came of it; :data:`dualtrace.calibration.compare.MECHANISM` among them.
    effort
        How much is spent on curves and checks.
    progress
        Called with the name of each stage as it starts.
    """
    spent = effort or Effort()
    problem = found.problem
    mine = next(one for one in found.posteriors if one.account == MECHANISM)
    rows = tuple(rows_of_problem(problem))
    progress("influence")
    by_trial, by_kind = of_trials(mine), of_kinds(problem, mine, [row.kind for row in rows])
    progress("quasi-random patients")
    sizes = [setup.points * 2**power for power in (-2, -1, 0, 1) if setup.points * 2**power >= 1]
    points = points_checks(problem, mine, [int(size) for size in sizes], spent.check_draws)
    progress("information")
    told = identified(problem, mine, spent.told_draws)
    progress("priors")
    accounts = tuple(
        _account(found, one, older, rows, spent) for one, older in zip(found.posteriors, found.older, strict=True)
    )
    progress("curves")
    traces, curves = _of_drug(mine, spent)
    trials = tuple(subject.trial.id for subject in problem.subjects)
    return Findings(
        provenance=_provenance(setup, found),
        trials=trials,
        newest=found.held_out[0].trials,
        laboratories=laboratories(trials),
        rows=rows,
        accounts=accounts,
        points=points,
        identified=told,
        by_trial=by_trial,
        by_kind=by_kind,
        traces=traces,
        curves=curves,
    )


def _provenance(setup: Setup, found: Contest) -> Provenance:
    first, sampler = found.posteriors[0], setup.sampler
    return Provenance(
        dualtrace=first.settings["dualtrace"],
        model=first.settings["model"],
        trials=first.settings["trials"],
        method=first.method.value,
        points=setup.points,
        seed=sampler.seed,
        chains=sampler.chains,
        warmup=sampler.warmup,
        draws=sampler.draws,
        since=found.since,
    )


def rows_of_problem(problem: Problem) -> Iterator[Row]:
    """What the trials report, in the order of the rows of the problem."""
    for subject in problem.subjects:
        named = _named(subject)
        yield from (Row(**named, **_effect(target)) for target in subject.targets)
        yield from (Row(**named, **_placebo(change)) for change in subject.placebo)
        yield from (Row(**named, **_moderation(finding)) for finding in subject.moderations)


def _named(subject: Subject) -> dict[str, Any]:
    trial = subject.trial
    return {"trial": trial.id, "label": trial.label, "year": trial.year, "disorder": trial.disorder.value}


def _placebo(change: PlaceboChange) -> dict[str, Any]:
    return {
        "kind": "placebo",
        "standard": "placebo",
        "timepoint": "post",
        "estimate": rounded(change.change),
        "se": rounded(change.variance**0.5),
    }


def _moderation(finding: Moderation) -> dict[str, Any]:
    return {
        "kind": "moderator",
        "standard": finding.covariate.value,
        "timepoint": "post",
        "se": 1.0,
        "lower": finite(finding.lower),
        "upper": finite(finding.upper),
    }


def _effect(target: Target) -> dict[str, Any]:
    effect = target.effect
    return {
        "kind": _KINDS[effect.information],
        "standard": target.standard.value,
        "timepoint": effect.timepoint.value,
        "estimate": None if effect.yi is None else rounded(effect.yi),
        "se": rounded(effect.se),
        "lower": None if effect.is_exact else finite(effect.lower),
        "upper": None if effect.is_exact else finite(effect.upper),
    }


def _account(found: Contest, posterior: Posterior, older: Posterior, rows: tuple[Row, ...], spent: Effort) -> Account:
    left_out = next(one for one in found.comparison.accounts if one.account == posterior.account)
    newest = next(one for one in found.held_out if one.account == posterior.account)
    chosen = np.array([row.trial in newest.trials for row in rows])
    drawn = rival(posterior.account)
    return Account(
        name=posterior.account,
        failures=posterior.failures,
        divergences=posterior.divergences,
        chains=len(posterior.log_likelihood),
        sampled_again=len(posterior.sampled_again),
        parameters=tuple(_parameters(posterior)),
        predicted=_bands(posterior.predicted),
        newest_predicted=_bands(older.predicted[..., chosen]),
        prior_check=prior_check(found.problem, drawn, spent.prior_draws),
        **_scored(left_out, newest),
    )


def _scored(left_out: LeftOut, newest: HeldOut) -> dict[str, Any]:
    return {
        "elpd": tuple(rounded(float(value)) for value in left_out.elpd),
        "pareto_k": tuple(_k(float(value)) for value in left_out.pareto_k),
        "left_out_failures": left_out.failures,
        "newest_elpd": tuple(rounded(float(value)) for value in newest.elpd),
        "newest_failures": newest.failures,
    }


_WORST_K = 99.0


def _k(value: float) -> float | None:
    """Pareto k; none where the account was fitted without the trial; infinity, which JSON cannot hold, is 99."""
    return None if np.isnan(value) else rounded(min(value, _WORST_K))


def _parameters(posterior: Posterior) -> Iterator[Parameter]:
    for one in posterior.estimates:
        low, middle, high = (rounded(value) for value in one.prior)
        yield Parameter(
            name=one.name,
            prior=(low, middle, high),
            posterior=(rounded(one.low), rounded(one.median), rounded(one.high)),
            contraction=rounded(one.contraction),
            sensitivity=finite(one.sensitivity),
            rhat=finite(one.rhat),
            ess=finite(one.ess),
        )


def _bands(draws: NDArray[np.float64]) -> tuple[Band, ...]:
    return tuple(band(draws[..., i].ravel()) for i in range(draws.shape[-1]))


def _of_drug(posterior: Posterior, spent: Effort) -> tuple[tuple[OnTrace, ...], tuple[Curve, ...]]:
    at = stage(points=spent.curve_points)
    after = posterior_answers(at, posterior, spent.curve_draws)
    before = prior_answers(at, rival(posterior.account), spent.prior_draws)
    traces = tuple(
        OnTrace(
            trace=name,
            disorder=disorder.value,
            prior=band(getattr(before, f"on_{name}")[:, d]),
            posterior=band(getattr(after, f"on_{name}")[:, d]),
        )
        for name in ("safety", "threat")
        for d, disorder in enumerate(DISORDERS)
    )
    curves = tuple(_curve(at, after, d, setting) for setting in Setting for d in range(len(DISORDERS)))
    return traces, curves


def _curve(at: Stage, answers: Answers, disorder: int, setting: Setting) -> Curve:
    x, draws = of_setting(at, answers, disorder, setting)
    bands = [
        band(column[np.isfinite(column)]) if np.isfinite(column).any() else None for column in np.asarray(draws).T
    ]
    shares = answers.share[:, disorder].mean(axis=0) if setting is Setting.END_FEAR else ()
    return Curve(
        disorder=DISORDERS[disorder].value,
        setting=setting.value,
        x=x,
        bands=tuple(bands),
        shares=tuple(rounded(float(share)) for share in shares),
    )
