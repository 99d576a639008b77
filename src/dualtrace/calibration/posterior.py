"""A posterior: draws with the gates they passed or failed, what the data added to the priors, and its provenance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dualtrace.errors import InputError
from dualtrace.extras import numpyro_module

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

RHAT, ESS = 1.01, 400.0
"""Largest R-hat and fewest effective draws (Vehtari et al. 2021, doi 10.1214/20-BA1221)."""

_LEVELS = (0.05, 0.5, 0.95)


@final
@dataclass(frozen=True, slots=True)
class Estimate:
    """One parameter: median with a 90 % interval, gates, and the share of the prior's SD that the data took off."""

    name: str
    low: float
    median: float
    high: float
    rhat: float
    ess: float
    contraction: float


@final
@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Draws of one account.

    Attributes
    ----------
    account
        Its name.
    trials
        Ids of the trials, in the order of ``log_likelihood``.
    values
        Shared parameters by name, ``(chains, draws)``.
    scores
        The same as standard normal scores of their priors, and the deviations of disorders,
        ``(chains, draws, ...)``.
    log_likelihood
        Of every trial, ``(chains, draws, trials)``.
    predicted
        Of every row, ``(chains, draws, rows)``.
    divergences
        Divergent transitions.
    settings
        Everything that leads to these draws: version, seed, points, chains, warm-up, draws.
    """

    account: str
    trials: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]
    scores: Mapping[str, NDArray[np.float64]]
    log_likelihood: NDArray[np.float64]
    predicted: NDArray[np.float64]
    divergences: int
    settings: Mapping[str, Any]

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Every shared parameter."""
        diagnostics = numpyro_module("numpyro.diagnostics", "Draws can be saved and read without it.")
        found: list[Estimate] = []
        for place, (name, draws) in enumerate(self.values.items()):
            score = self.scores["shared"][..., place]
            low, median, high = np.quantile(draws, _LEVELS)
            rhat = float(diagnostics.split_gelman_rubin(score))
            ess = float(diagnostics.effective_sample_size(score))
            found.append(Estimate(name, low, median, high, rhat, ess, float(1 - score.std())))
        return tuple(found)

    @property
    def failures(self) -> tuple[str, ...]:
        """Sentences about what did not pass; empty when the draws may be used."""
        failed = [
            f"{one.name}: R-hat {one.rhat:.3f} (at most {RHAT}), {one.ess:.0f} effective draws (at least {ESS:.0f})"
            for one in self.estimates
            if not (one.rhat <= RHAT and one.ess >= ESS)
        ]
        if self.divergences:
            failed.append(f"{self.divergences} divergent transitions (0): raise --target-accept")
        return tuple(failed)

    def save(self, path: Path) -> None:
        """Write as one ``.npz`` file with its provenance."""
        arrays = {f"values/{name}": draws for name, draws in self.values.items()}
        arrays |= {f"scores/{name}": draws for name, draws in self.scores.items()}
        about = {
            "account": self.account,
            "trials": self.trials,
            "divergences": self.divergences,
            "settings": dict(self.settings),
        }
        arrays |= {"log_likelihood": self.log_likelihood, "predicted": self.predicted}
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


def load_posterior(path: Path) -> Posterior:
    """Read what :meth:`Posterior.save` wrote.

    Raises
    ------
    InputError
        The file is none of these.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            parts = {
                part: {
                    name.removeprefix(f"{part}/"): file[name] for name in file.files if name.startswith(f"{part}/")
                }
                for part in ("values", "scores")
            }
            return Posterior(
                account=about["account"],
                trials=tuple(about["trials"]),
                values=parts["values"],
                scores=parts["scores"],
                log_likelihood=file["log_likelihood"],
                predicted=file["predicted"],
                divergences=about["divergences"],
                settings=about["settings"],
            )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} is not a posterior written by dualtrace calibrate ({error}); fit it again"
        ) from None
