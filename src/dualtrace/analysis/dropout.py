"""What stands in for a missing score where older trials did not leave it missing: the last one carried forward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.analysis.inputs import numbers
from dualtrace.errors import InputError

if TYPE_CHECKING:
    from dualtrace.analysis.result import Array


def carried_forward(scores: Any, baseline: Any = None) -> Array:  # noqa: ANN401
    """Replace each missing score by the last one before it (LOCF).

    It assumes that patients stay as they were when they left, which biases effects whenever patients change over time
    or leave for different reasons in the arms; use it to repeat what a trial did, and ``mmrm`` to estimate effects.

    Parameters
    ----------
    scores
        Scores by visit in order of time on the last axis, (..., m); NaN where missing.
    baseline
        Scores before the first visit, (...,), carried forward too; None: what is missing before the first score stays
        missing.

    Returns
    -------
    Array
        Scores of the same shape.

    Raises
    ------
    InputError
        If scores are not numbers, or baseline does not fit them.

    Notes
    -----
    Source: Molenberghs et al. 2004, doi:10.1093/biostatistics/kxh001 (what LOCF assumes).
    """
    y = numbers("scores", scores, missing=True)
    first = np.full(y.shape[:-1], np.nan) if baseline is None else np.asarray(baseline, dtype=np.float64)
    if first.shape != y.shape[:-1]:
        raise InputError(
            f"baseline must have one value per patient, shape {y.shape[:-1]} for scores of shape {y.shape}; "
            f"given shape {first.shape}."
        )
    full = np.concatenate([first[..., None], y], axis=-1)
    place = np.where(np.isnan(full), 0, np.arange(full.shape[-1]))
    last = np.maximum.accumulate(place, axis=-1)
    return np.asarray(np.take_along_axis(full, last, axis=-1)[..., 1:], dtype=np.float64)
