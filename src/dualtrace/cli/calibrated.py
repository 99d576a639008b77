"""What ``dualtrace calibrate`` does: fit one account and say what the data did to it, and what it makes of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from dualtrace.calibration.contest import Setup
from dualtrace.calibration.fit import Sampler
from dualtrace.calibration.moderation import INTERACTION
from dualtrace.calibration.posterior import Method
from dualtrace.calibration.posterior_file import save_posterior
from dualtrace.calibration.rivals import rival
from dualtrace.cli.answer import aligned
from dualtrace.cli.options import load_trials, print_json
from dualtrace.cli.work import carry_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.moderation import Moderation
    from dualtrace.calibration.posterior import Estimate, Posterior
    from dualtrace.calibration.targets import Target
    from dualtrace.runner.task import Task

_PARAMETERS = ("parameter", "median", "5 to 95 %", "prior median", "prior 5 to 95 %", "contraction", "R-hat", "draws")
_TRIALS = ("trial", "year", "outcome", "when", "predicted", "5 to 95 %", "reported")
_FINDINGS = ("trial", "helps by", "predicted", "5 to 95 %", "reported")
_BAND = (0.05, 0.5, 0.95)


def fit_one(asked: Mapping[str, Any]) -> None:
    """Fit, print, and write the draws where asked."""
    chosen, setup = rival(asked["account"]), setup_of(asked)
    problem = setup.problem()
    posterior = setup.fits(problem, [(chosen, ())], executed(asked))[0]
    if asked["save"] is not None:
        save_posterior(posterior, asked["save"])
    if asked["as_json"]:
        print_json(posterior_for_json(problem, posterior))
        return
    click.echo("\n".join(_lines(problem, posterior)))


def setup_of(asked: Mapping[str, Any]) -> Setup:
    """How to fit, from the options."""
    sampler = Sampler(
        chains=asked["chains"],
        warmup=asked["warmup"],
        draws=asked["draws"],
        target_accept=asked["target_accept"],
        max_tree_depth=asked["depth"],
        seed=asked["seed"],
    )
    trials = load_trials(asked["folder"], asked["alone"])
    return Setup(trials, sampler, asked["points"], asked["quick"])


def executed(asked: Mapping[str, Any]) -> Callable[[Sequence[Task]], Iterable[Mapping[str, Any]]]:
    """Return what runs tasks as the options say."""
    return lambda tasks: carry_out(tasks, asked["store"], asked["processes"], asked["cluster"])


def data_in_words(problem: Problem) -> str:
    """How many trials and effects there are, and how many are numbers."""
    effects = [target.effect for subject in problem.subjects for target in subject.targets]
    exact, placebo = sum(effect.is_exact for effect in effects), sum(len(s.placebo) for s in problem.subjects)
    findings = sum(len(subject.moderations) for subject in problem.subjects)
    return (
        f"{problem.trials} trials report {len(effects)} effects of the drug: {exact} as numbers, "
        f"{len(effects) - exact} only as intervals; changes with placebo: {placebo}; "
        f"findings on when the drug helps: {findings}."
    )


def how_in_words(posterior: Posterior) -> str:
    """How the draws were made."""
    settings = posterior.settings
    if posterior.method is Method.LAPLACE:
        return (
            f"APPROXIMATION at the mode, {settings['draws']} draws weighed by the density (Pareto k "
            f"{posterior.pareto_k:.2f}, worth {posterior.effective:.0f} draws); {settings['points']} quasi-random "
            f"patients, seed {settings['seed']}. Sample (leave out --quick) before quoting anything."
        )
    return (
        f"NUTS, {settings['chains']} chains of {settings['draws']} draws after {settings['warmup']} to tune; "
        f"{settings['points']} quasi-random patients, seed {settings['seed']}; "
        f"{posterior.gradients / (settings['chains'] * settings['draws']):.0f} gradients a draw.{_again(posterior)}"
    )


def _again(posterior: Posterior) -> str:
    again = posterior.sampled_again
    if not again:
        return ""
    named = ", ".join(f"{int(chain) + 1} (wanted acceptance {accept:g})" for chain, accept in again.items())
    return f" Sampled again with smaller steps, since transitions had diverged: chain {named}."


def _lines(problem: Problem, posterior: Posterior) -> list[str]:
    account = rival(posterior.account)
    failed = [f"  {failure}" for failure in posterior.failures]
    gates = ["NOT TO BE QUOTED; these checks failed:", *failed] if failed else ["All checks of the draws passed."]
    return [
        f"{account.title}: {account.idea}.",
        data_in_words(problem),
        how_in_words(posterior),
        *gates,
        "",
        *aligned(_PARAMETERS, [_parameter(one) for one in posterior.estimates]),
        "",
        "Contraction: share of the prior's SD that the data took off; 0: they said nothing.",
        *_hanging(posterior),
        "",
        *aligned(_TRIALS, [_row(*row) for row in _against(problem, posterior)]),
        "",
        "Effects: standardised differences, or log odds ratios of response and remission; positive favours the drug.",
        "",
        *aligned(_FINDINGS, [_finding(*row) for row in _moderated(problem, posterior)]),
        "",
        "Findings: statistic of drug by covariate; positive: the more of the covariate, the more the drug helps.",
    ]


def _hanging(posterior: Posterior) -> list[str]:
    names = [one.name for one in posterior.estimates if one.hangs_on_priors]
    return [f"Sensitive to its priors: {', '.join(names)}."] if names else []


def _parameter(one: Estimate) -> tuple[str, ...]:
    low, median, high = one.prior
    return (
        one.name,
        f"{one.median:.3g}",
        f"{one.low:.3g} to {one.high:.3g}",
        f"{median:.3g}",
        f"{low:.3g} to {high:.3g}",
        f"{one.contraction:.2f}",
        "-" if math.isnan(one.rhat) else f"{one.rhat:.3f}",
        f"{one.ess:.0f}",
    )


def _against(problem: Problem, posterior: Posterior) -> list[tuple[int, Target, tuple[float, float, float]]]:
    """Every effect with its trial's place and the 5, 50 and 95 % of what was predicted."""
    effects = [(place, target) for place, subject in enumerate(problem.subjects) for target in subject.targets]
    standard = np.asarray(problem.rows.standard)
    bands = _bands(posterior, (standard >= 0) & (standard < INTERACTION))
    return [(place, target, band) for (place, target), band in zip(effects, bands, strict=True)]


def _moderated(problem: Problem, posterior: Posterior) -> list[tuple[str, Moderation, tuple[float, float, float]]]:
    """Every finding on when the drug helps, with the name of its trial and what was predicted."""
    findings = [(subject.trial.id, finding) for subject in problem.subjects for finding in subject.moderations]
    bands = _bands(posterior, np.asarray(problem.rows.standard) == INTERACTION)
    return [(trial, finding, band) for (trial, finding), band in zip(findings, bands, strict=True)]


def _bands(posterior: Posterior, rows: NDArray[np.bool_]) -> list[tuple[float, float, float]]:
    """5, 50 and 95 % of what was predicted of some rows."""
    found = np.quantile(posterior.predicted[..., rows], _BAND, axis=(0, 1))
    return [(float(low), float(median), float(high)) for low, median, high in found.T]


def _row(_: int, target: Target, band: tuple[float, float, float]) -> tuple[str, ...]:
    effect, (low, median, high) = target.effect, band
    if effect.yi is not None:
        reported = f"{effect.yi:+.2f} (SE {effect.se:.2f})"
    else:
        reported = _between(effect.lower, effect.upper)
    year = "" if effect.year is None else str(effect.year)
    when = effect.timepoint.value
    return effect.trial, year, target.standard.value, when, f"{median:+.2f}", f"{low:+.2f} to {high:+.2f}", reported


def _finding(trial: str, finding: Moderation, band: tuple[float, float, float]) -> tuple[str, ...]:
    low, median, high = band
    reported = _between(finding.lower, finding.upper)
    return trial, finding.covariate.value, f"{median:+.2f}", f"{low:+.2f} to {high:+.2f}", reported


def _between(lower: float, upper: float) -> str:
    ends = ["" if math.isinf(end) else f"{end:+.2f}" for end in (lower, upper)]
    return f"{ends[0] or 'below'} {'to ' if all(ends) else ''}{ends[1] or 'or more'}"


def posterior_for_json(problem: Problem, posterior: Posterior) -> dict[str, Any]:
    """A fit as plain content."""
    return {
        "account": posterior.account,
        "method": posterior.method.value,
        "passed": not posterior.failures,
        "failures": list(posterior.failures),
        "divergences": posterior.divergences,
        "pareto_k": plain(posterior.pareto_k),
        "effective": plain(posterior.effective),
        "settings": dict(posterior.settings),
        "data": data_in_words(problem),
        "parameters": [
            {
                "name": one.name,
                "q05": one.low,
                "q50": one.median,
                "q95": one.high,
                "prior": list(one.prior),
                "rhat": plain(one.rhat),
                "ess": plain(one.ess),
                "contraction": one.contraction,
                "prior_sensitivity": plain(one.sensitivity),
            }
            for one in posterior.estimates
        ],
        "effects": [_effect_for_json(*row) for row in _against(problem, posterior)],
        "findings": [_finding_for_json(*row) for row in _moderated(problem, posterior)],
    }


def _effect_for_json(_: int, target: Target, band: tuple[float, float, float]) -> dict[str, Any]:
    effect = target.effect
    return {
        "trial": effect.trial,
        "year": effect.year,
        "standard": target.standard.value,
        "timepoint": effect.timepoint.value,
        "predicted": dict(zip(("q05", "q50", "q95"), band, strict=True)),
        "reported": {
            "estimate": effect.yi,
            "se": effect.se,
            "lower": plain(effect.lower),
            "upper": plain(effect.upper),
        },
    }


def _finding_for_json(trial: str, finding: Moderation, band: tuple[float, float, float]) -> dict[str, Any]:
    return {
        "trial": trial,
        "covariate": finding.covariate.value,
        "predicted": dict(zip(("q05", "q50", "q95"), band, strict=True)),
        "reported": {"lower": plain(finding.lower), "upper": plain(finding.upper)},
    }


def plain(value: float) -> float | None:
    """None in place of what JSON cannot hold."""
    return float(value) if math.isfinite(value) else None
