"""What a fit to individuals returns: draws, their summary with its gates, predictions, and expected accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.experiments.individuals import Responses

RHAT = 1.01
"""Largest split R-hat of what describes the population (Vehtari et al. 2021, doi:10.1214/20-BA1221)."""

RHAT_SUBJECT = 1.05
"""Largest split R-hat of a constant of one subject; there are many of them, so one is by chance above 1.01."""

ESS = 400.0
"""Fewest effective draws of what describes the population."""

LITTLE = 0.5
"""Contraction below which a constant is called little informed by the data."""

TRADE_OFF = 0.8
"""Correlation from which two constants are said to stand in for each other."""

_SHAKY = 0.4
"""Variance of a log-likelihood above which WAIC is unreliable (Vehtari et al. 2017)."""

_COMPARED_Z = 2.0


@dataclass(frozen=True, slots=True)
class Summary:
    """One quantity of the population.

    ``contraction`` is the share of the prior's variance that the data have taken off, 1 - posterior / prior (Schad
    et al. 2021, doi:10.1037/met0000275): of the normal score of a typical value, of a spread itself; NaN for others.
    """

    name: str
    mean: float
    sd: float
    q05: float
    q50: float
    q95: float
    rhat: float
    ess: float
    contraction: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Fitted:
    """Posterior of a cohort.

    Attributes
    ----------
    model, design, responses, free
        What was fitted to what.
    typical, spread
        Draws of the value of the typical subject, and of the spread over subjects of its logit, shape ``(chains,
        draws, constants)``.
    subjects
        Draws of the constants of each subject, shape ``(chains, draws, subjects, constants)``.
    noise
        Draws of the noise in units of the instrument, shape ``(chains, draws)``.
    summaries
        Of the typical values, their spreads, the noise, and gain and offset of skin conductance, in this order.
    rhat_subjects
        Largest R-hat of a constant of a subject.
    correlation
        Between the typical values, on the scale of their prior's scores, shape ``(constants, constants)``.
    divergences
        Divergent transitions.
    predicted, low, high
        Mean and 90 % band of a new reading of each subject at each trial, shape ``(subjects, trials)``.
    lpd, penalty
        Log of the posterior mean likelihood of each reading, and the posterior variance of its log-likelihood, shape
        ``(subjects, trials)``; NaN where not measured.
    """

    model: str
    design: str
    responses: Responses
    free: tuple[str, ...]
    typical: NDArray[np.float64]
    spread: NDArray[np.float64]
    subjects: NDArray[np.float64]
    noise: NDArray[np.float64]
    summaries: tuple[Summary, ...]
    rhat_subjects: float
    correlation: NDArray[np.float64]
    divergences: int
    predicted: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    lpd: NDArray[np.float64]
    penalty: NDArray[np.float64]

    def __getitem__(self, name: str) -> Summary:
        """Summary of one quantity.

        Raises
        ------
        InputError
            There is none of this name.
        """
        for summary in self.summaries:
            if summary.name == name:
                return summary
        raise InputError(f"a quantity must be one of {', '.join(s.name for s in self.summaries)}; given {name!r}")

    @property
    def elpd(self) -> float:
        """Expected log density of new readings of these subjects by WAIC, Watanabe 2010.

        As in Vehtari, Gelman & Gabry 2017, doi:10.1007/s11222-016-9696-4: the sum of ``lpd - penalty``.
        """
        return float(np.nansum(self.lpd - self.penalty))

    @property
    def converged(self) -> bool:
        """Whether the draws stand for the posterior."""
        return not self.failures

    @property
    def failures(self) -> tuple[str, ...]:
        """Every gate that was not passed, in words."""
        failed = []
        worst = max(self.summaries, key=lambda s: _or_inf(s.rhat))
        if not worst.rhat < RHAT:
            failed.append(f"R-hat of {worst.name} is {worst.rhat:.3f}, which must be below {RHAT:g}")
        least = min(self.summaries, key=lambda s: -_or_inf(-s.ess))
        if not least.ess > ESS:
            failed.append(f"{least.name} has {least.ess:.0f} effective draws, which must be more than {ESS:g}")
        if not self.rhat_subjects < RHAT_SUBJECT:
            failed.append(f"R-hat of a subject is {self.rhat_subjects:.3f}, which must be below {RHAT_SUBJECT:g}")
        if self.divergences:
            failed.append(f"{self.divergences} transitions diverged, which must be none")
        return tuple(failed)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a reader must know before using the numbers; empty when there is nothing."""
        said = []
        if self.failures:
            said.append(
                f"The sampler did not converge: {'; '.join(self.failures)}. Take more draws and warm-up, or hold a "
                "constant that the data do not inform at its value."
            )
        said += [_little(s) for s in self.summaries[: len(self.free)] if s.contraction < LITTLE]
        for i, j in zip(*np.nonzero(np.triu(np.abs(self.correlation) > TRADE_OFF, 1)), strict=True):
            said.append(
                f"{self.free[i]} and {self.free[j]} stand in for each other (correlation "
                f"{self.correlation[i, j]:+.2f}): only their combination is known. Hold one at its value."
            )
        if shaky := int(np.nansum(self.penalty > _SHAKY)):
            seen = int(np.isfinite(self.penalty).sum())
            said.append(
                f"The elpd is approximate: at {shaky} of {seen} readings the log-likelihood varies by more than "
                f"{_SHAKY:g}, so treat small differences between models as none."
            )
        return tuple(said)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Difference of expected log density, first less second, with its standard error over subjects."""

    first: str
    second: str
    difference: float
    se: float

    @property
    def decides(self) -> bool:
        """Whether the difference is more than two standard errors."""
        return abs(self.difference) > _COMPARED_Z * self.se

    def __str__(self) -> str:
        """In words."""
        better, worse = (self.first, self.second) if self.difference > 0 else (self.second, self.first)
        size = f"by {abs(self.difference):.1f} (standard error {self.se:.1f}) in expected log density"
        if self.decides:
            return f"{better} predicts these subjects better than {worse} {size}."
        return f"{better} is ahead of {worse} {size}, too little to tell them apart."


def compare(first: Fitted, second: Fitted) -> Comparison:
    """Compare two models fitted to the same readings.

    Raises
    ------
    InputError
        The readings are not the same, or there is one subject only.
    """
    ours, theirs = first.responses, second.responses
    if ours.subjects != theirs.subjects or not np.array_equal(ours.readings, theirs.readings, equal_nan=True):
        raise InputError("models can be compared on the same readings only; these were fitted to different ones")
    if len(ours.subjects) < 2:
        raise InputError("a comparison needs at least two subjects for its standard error; given 1")
    each = np.nansum((first.lpd - first.penalty) - (second.lpd - second.penalty), axis=1)
    return Comparison(first.model, second.model, float(each.sum()), float(np.sqrt(len(each)) * each.std(ddof=1)))


def _little(summary: Summary) -> str:
    return (
        f"These data say little about {summary.name}: they took {max(summary.contraction, 0.0):.0%} off its prior's "
        "variance, so its posterior is mostly its prior. Hold it at its value, or measure trials that depend on it."
    )


def _or_inf(value: float) -> float:
    return np.inf if np.isnan(value) else value
