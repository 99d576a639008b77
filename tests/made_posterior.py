"""Posteriors made by hand: scores are given, likelihoods and predictions only where a test looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualtrace.calibration.place import SHARED
from dualtrace.calibration.posterior import Method, Posterior

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def made_posterior(
    account: str,
    scores: Mapping[str, NDArray[np.float64]],
    *,
    method: Method = Method.LAPLACE,
    trials: tuple[str, ...] = ("x",),
    predicted: NDArray[np.float64] | None = None,
) -> Posterior:
    """A posterior with these scores, ``(chains, draws, ...)``, of trials that all say nothing."""
    size = scores[SHARED].shape[:2]
    return Posterior(
        account=account,
        method=method,
        trials=trials,
        scores=scores,
        log_likelihood=np.zeros((*size, len(trials))),
        predicted=np.zeros((*size, 1)) if predicted is None else predicted,
    )
