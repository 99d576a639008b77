"""How well an account predicts a trial that it has not seen: by importance weights, or by fitting without the trial.

Vehtari, Gelman & Gabry 2017 (doi 10.1007/s11222-016-9696-4); Vehtari et al. 2024 (JMLR 25(72)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dualtrace.calibration.posterior import PARETO_K, Method
from dualtrace.errors import InputError
from dualtrace.extras import arviz_module

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dualtrace.calibration.posterior import Posterior

_SAME = 1e-12
"""Spread of a trial's log-likelihood below which it is the same in every draw, and leaving it out changes nothing."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """Log predictive density of every trial under one account that was fitted without it.

    Attributes
    ----------
    account
        Its name.
    trials
        Ids.
    elpd
        Log predictive density, ``(trials,)``.
    pareto_k
        Of the weights that stand for a fit without the trial, ``(trials,)``; NaN where it was fitted.
    failures
        What speaks against the draws behind these numbers, in sentences.
    """

    account: str
    trials: tuple[str, ...]
    elpd: NDArray[np.float64]
    pareto_k: NDArray[np.float64]
    failures: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """Sum over trials."""
        return float(self.elpd.sum())

    @property
    def to_refit(self) -> tuple[str, ...]:
        """Trials whose weights cannot be used: the account must be fitted without them."""
        return tuple(trial for trial, k in zip(self.trials, self.pareto_k, strict=True) if k > PARETO_K)


def leave_one_out(posterior: Posterior) -> LeftOut:
    r"""Leave out every trial in turn by Pareto-smoothed importance weights.

    .. math:: \mathrm{elpd}_j = \log \frac{\sum_s w_{js}\, p(y_j \mid \theta_s)}{\sum_s w_{js}},
              \qquad w_{js} \approx 1 / p(y_j \mid \theta_s)

    A trial is left out with all its effects; its change with placebo, where one is printed, stays.

    Raises
    ------
    InputError
        ArviZ is not installed.
    """
    found = [_one(posterior, posterior.log_likelihood[..., j]) for j in range(len(posterior.trials))]
    elpd, k = np.array(found).T
    return LeftOut(posterior.account, posterior.trials, elpd, k, posterior.failures)


def _one(posterior: Posterior, likelihood: NDArray[np.float64]) -> tuple[float, float]:
    flat = likelihood.ravel()
    if np.ptp(flat) < _SAME:
        return float(flat.mean()), 0.0
    relative = 1.0
    if posterior.method is Method.NUTS:
        effective = float(_stats().ess(np.exp(likelihood - likelihood.max()), method="mean"))
        relative = effective / flat.size if np.isfinite(effective) else 1.0
    weights, k = smoothed(flat, relative)
    elpd = np.logaddexp.reduce(weights + flat) - np.logaddexp.reduce(weights)
    return float(elpd), k


def smoothed(said: NDArray[np.float64], relative: float = 1.0) -> tuple[NDArray[np.float64], float]:
    """Logs of smoothed weights ``exp(-said)`` up to a constant, and Pareto k.

    Where there is no tail to fit, since many draws are equal, weights are raw and Pareto k infinite.

    Parameters
    ----------
    said
        Log-likelihood of what is left out, ``(all draws,)``.
    relative
        Effective draws per draw.
    """
    try:
        with np.errstate(all="ignore"):
            weights, k = _stats().psislw(said, r_eff=relative)
    except ValueError:  # ArviZ, of a tail in which all draws are equal
        return -said, np.inf
    if not (np.isfinite(k) and np.isfinite(weights).all()):
        return -said, np.inf
    return np.asarray(weights), float(k)


def _stats() -> Any:  # noqa: ANN401 - a module that may be absent has no type
    return arviz_module("arviz_stats.base", "Accounts cannot be compared without it.").array_stats


def log_predictive(posterior: Posterior, trials: Sequence[str]) -> NDArray[np.float64]:
    """Log of the mean likelihood of some trials over all draws, ``(trials,)``: for trials that were left out."""
    missing = [trial for trial in trials if trial not in posterior.trials]
    if missing:
        raise InputError(f"the posterior of {posterior.account} knows nothing of {', '.join(missing)}; fit it again")
    places = [posterior.trials.index(trial) for trial in trials]
    flat = posterior.log_likelihood.reshape(-1, len(posterior.trials))[:, places]
    return np.asarray(np.logaddexp.reduce(flat, axis=0) - np.log(len(flat)))


def with_refits(found: LeftOut, refits: Mapping[str, Posterior]) -> LeftOut:
    """Put in place what fits without one trial say of it: ``refits`` by the trial that each was fitted without."""
    elpd, k, failures = found.elpd.copy(), found.pareto_k.copy(), list(found.failures)
    for trial, posterior in refits.items():
        place = found.trials.index(trial)
        elpd[place], k[place] = log_predictive(posterior, [trial])[0], np.nan
        failures += [f"without {trial}: {failure}" for failure in posterior.failures]
    return LeftOut(found.account, found.trials, elpd, k, tuple(failures))
