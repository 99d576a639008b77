"""A posterior: draws with the gates they passed or failed, and its provenance."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dualtrace.calibration.model import priors_of
from dualtrace.calibration.place import SHARED, from_normal
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.targets import DISORDERS
from dualtrace.errors import InputError
from dualtrace.extras import arviz_module
from dualtrace.mechanism.arrays import xp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dualtrace.mechanism.prior import Prior

RHAT, ESS = 1.01, 400.0
"""Largest rank-normalised R-hat, fewest effective draws in the bulk (Vehtari et al. 2021, doi 10.1214/20-BA1221)."""

PARETO_K = 0.7
"""Largest Pareto k of importance weights that may be used (Vehtari et al. 2024, no DOI, JMLR 25(72))."""

_LEVELS = (0.05, 0.5, 0.95)
_SENSITIVE = 0.05
_SCALES = (0.8, 1.25)


class Method(StrEnum):
    """How the draws were made."""

    NUTS = "nuts"
    LAPLACE = "laplace"


@final
@dataclass(frozen=True, slots=True)
class Estimate:
    """One parameter: median with a 90 % interval, its gates, and what the data did to the prior.

    Attributes
    ----------
    name
        Of the parameter.
    low, median, high
        5 %, 50 % and 95 %.
    prior
        The same of the prior.
    rhat, ess
        Rank-normalised R-hat, and effective draws in the bulk.
    contraction
        Share of the SD of the prior's normal score that the data took off; 0: they said nothing.
    sensitivity
        How far the posterior moves when the priors are weighed up or down, per doubling (Kallioinen et al. 2024,
        doi 10.1007/s11222-023-10366-5); above 0.05 the answer hangs on the priors.
    """

    name: str
    low: float
    median: float
    high: float
    prior: tuple[float, ...]
    rhat: float
    ess: float
    contraction: float
    sensitivity: float

    @property
    def hangs_on_priors(self) -> bool:
        """Whether weighing the priors up or down moves it noticeably."""
        return self.sensitivity > _SENSITIVE


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Posterior:
    """Draws of one account.

    Attributes
    ----------
    account, method
        Its name, and how the draws were made.
    trials
        Ids of the trials, in the order of ``log_likelihood``.
    scores
        Shared parameters as standard normal scores of their priors, and the deviations of disorders,
        ``(chains, draws, ...)``.
    log_likelihood
        Of every trial, ``(chains, draws, trials)``.
    predicted
        Of every row, ``(chains, draws, rows)``.
    divergences, gradients
        Divergent transitions, and gradients taken after warm-up.
    pareto_k, effective
        Of the importance weights of an approximation, and how many draws they are worth; NaN after sampling.
    settings
        Everything that leads to these draws: version, seed, points, constants, trials, how they were drawn.
    """

    account: str
    method: Method
    trials: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float64]]
    log_likelihood: NDArray[np.float64]
    predicted: NDArray[np.float64]
    divergences: int = 0
    gradients: int = 0
    pareto_k: float = float("nan")
    effective: float = float("nan")
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size = self.scores[SHARED].shape[:2]
        if self.log_likelihood.shape != (*size, len(self.trials)):
            raise InputError(
                f"a posterior of {size[0]} chains of {size[1]} draws of {len(self.trials)} trials needs as many "
                f"log-likelihoods; given shape {self.log_likelihood.shape}"
            )

    @cached_property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """Shared parameters by name, in their own units, ``(chains, draws)``."""
        priors, shared = priors_of(rival(self.account)), self.scores[SHARED]
        return {
            name: np.asarray(from_normal(prior, xp.asarray(shared[..., i])))
            for i, (name, prior) in enumerate(priors.items())
        }

    @cached_property
    def estimates(self) -> tuple[Estimate, ...]:
        """Every shared parameter.

        Raises
        ------
        InputError
            ArviZ is not installed.
        """
        weights = _power_weights(self.scores)
        priors = priors_of(rival(self.account))
        return tuple(
            self._estimate(name, prior, self.scores[SHARED][..., i], weights)
            for i, (name, prior) in enumerate(priors.items())
        )

    def _estimate(
        self, name: str, prior: Prior, score: NDArray[np.float64], weights: tuple[NDArray[np.float64], ...]
    ) -> Estimate:
        from scipy.special import ndtri

        low, median, high = (float(q) for q in np.quantile(self.values[name], _LEVELS))
        before = tuple(float(q) for q in np.asarray(from_normal(prior, xp.asarray(ndtri(np.array(_LEVELS))))))
        rhat, ess = self._gates(score)
        moved = float("nan")
        if weights:
            with np.errstate(all="ignore"):  # many equal draws leave no tail to weigh: then it is not a number
                moved = float(_stats().power_scale_sense(score, *weights, *_SCALES))
        return Estimate(name, low, median, high, before, rhat, ess, 1 - float(score.std()), moved)

    @cached_property
    def failures(self) -> tuple[str, ...]:
        """Sentences about what did not pass and what to do; empty when the draws may be used."""
        if self.method is Method.LAPLACE:
            return self._failures_of_weights()
        failed = list(self.unmixed)
        if self.divergences:
            transitions = "transition" if self.divergences == 1 else "transitions"
            now = max(self.settings.get("target_accept", 0.0), *self.sampled_again.values(), 0.0)
            failed.append(
                f"{self.divergences} divergent {transitions} (must be none); raise the wanted acceptance "
                f"(now {now}) or take more warm-up"
            )
        return tuple(failed)

    @cached_property
    def unmixed(self) -> tuple[str, ...]:
        """Sentences about numbers of which the chains do not tell enough, or not the same; none when approximated.

        One chain alone never passes: R-hat between its parts does not see what another chain would find.
        """
        if self.method is Method.LAPLACE:
            return ()
        if len(self.log_likelihood) == 1:
            return ("1 chain (must be at least 2): whether chains agree is not known; sample more of them",)
        return tuple(
            f"{name}: R-hat {rhat:.3f} (must be at most {RHAT}), {ess:.0f} effective draws (must be at least "
            f"{ESS:.0f}); take more draws and warm-up"
            for name, score in columns_of(self.account, self.scores)
            for rhat, ess in (self._gates(score),)
            if not (rhat <= RHAT and ess >= ESS)
        )

    @property
    def sampled_again(self) -> dict[str, float]:
        """Chains that were sampled again with smaller steps, since they had diverged, with the wanted acceptance."""
        return dict(self.settings.get("sampled_again", {}))

    @property
    def largest_rhat(self) -> float:
        """Largest R-hat of all parameters and deviations."""
        return max(self._gates(score)[0] for _, score in columns_of(self.account, self.scores))

    @property
    def rhat_of_likelihood(self) -> float:
        """R-hat of the log-likelihood of all trials together."""
        return self._gates(self.log_likelihood.sum(axis=-1))[0]

    def _gates(self, score: NDArray[np.float64]) -> tuple[float, float]:
        if self.method is Method.LAPLACE:
            return float("nan"), self.effective
        return float(_stats().rhat(_in_halves(score))), float(_stats().ess(score))

    def _failures_of_weights(self) -> tuple[str, ...]:
        failed: list[str] = []
        if not self.pareto_k <= PARETO_K:
            failed.append(
                f"Pareto k of the weights is {self.pareto_k:.2f} (must be at most {PARETO_K}); sample instead"
            )
        if not self.effective >= ESS:
            failed.append(
                f"the weighted draws are worth {self.effective:.0f} (must be at least {ESS:.0f}); draw more or sample"
            )
        return tuple(failed)


def thinned(posterior: Posterior, draws: int) -> dict[str, NDArray[np.float64]]:
    """About ``draws`` draws as normal scores by name ``(draws, ...)``, spread evenly over the chains."""
    flat = {name: part.reshape(-1, *part.shape[2:]) for name, part in posterior.scores.items()}
    every = len(flat[SHARED])
    chosen = np.unique(np.linspace(0, every - 1, min(draws, every)).round().astype(int))
    return {name: part[chosen] for name, part in flat.items()}


def columns_of(account: str, scores: Mapping[str, NDArray[np.float64]]) -> list[tuple[str, NDArray[np.float64]]]:
    """Every dimension of the posterior, by a name that a reader can find."""
    names = {SHARED: list(priors_of(rival(account)))}
    of_disorders = {
        part: [f"{part}[{disorder.value}]" for disorder in DISORDERS] for part in scores if part != SHARED
    }
    return [
        (name, scores[part][..., i]) for part, row in (names | of_disorders).items() for i, name in enumerate(row)
    ]


def _in_halves(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chains ``(chains, draws)``; one alone is judged as two, its halves, since R-hat compares chains."""
    if len(score) > 1:
        return score
    half = score.shape[1] // 2
    return np.stack([score[0, :half], score[0, half : 2 * half]])


def _power_weights(scores: Mapping[str, NDArray[np.float64]]) -> tuple[NDArray[np.float64], ...]:
    """Weights of the draws when the prior is raised to the power of two factors; none where few draws differ."""
    log_prior = -0.5 * sum(np.sum(part**2, axis=-1) for part in scores.values())
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # few draws: the gates say so, with what to do
            logs = [np.asarray(_stats().power_scale_lw(log_prior, alpha=alpha, axis=(-2, -1))) for alpha in _SCALES]
    except ValueError:  # ArviZ, of a tail in which all draws are equal
        return ()
    raised = (np.exp(log - log.max()) for log in logs)
    return tuple(weight / weight.sum() for weight in raised)


def _stats() -> Any:  # noqa: ANN401 - a module that may be absent has no type
    return arviz_module("arviz_stats.base", "Draws can be made without it, but not judged.").array_stats
