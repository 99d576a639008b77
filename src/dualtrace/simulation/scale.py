"""A scale as symptoms are read on it: range, which way is better, how noisy, when a patient has responded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from dualtrace.mechanism.arrays import xp

if TYPE_CHECKING:
    from dualtrace.evidence.instrument import Instrument
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.simulation.protocol import Spread

_FAR = 3.0
"""Standard deviations from the baseline's mean to the end of a scale whose range is not known."""


@final
@dataclass(frozen=True, slots=True)
class Scale:
    """One instrument in one trial.

    Attributes
    ----------
    best, worst
        Ends of the scale: no symptoms at all, and the most it can show.
    mean, sd
        At baseline, as observed.
    """

    name: str
    instrument: Instrument
    best: float
    worst: float
    mean: float
    sd: float

    @property
    def lower_is_better(self) -> bool:
        """Whether fewer points are better."""
        return self.best < self.worst


def scale_of(name: str, instrument: Instrument, baseline: Spread) -> Scale:
    """Scale of an instrument; where its range is not known it ends three SDs from the baseline's mean."""
    low = instrument.minimum if instrument.minimum is not None else min(baseline.mean - _FAR * baseline.sd, 0.0)
    high = instrument.maximum if instrument.maximum is not None else baseline.mean + _FAR * baseline.sd
    best, worst = (low, high) if instrument.better == "lower" else (high, low)
    return Scale(name, instrument, best, worst, baseline.mean, baseline.sd)


def at_baseline(scale: Scale, severity: Array, reliability: ArrayLike) -> Array:
    """True score at baseline of patients whose severity is standard normal (large is severe).

    The observed SD is that of true score and error together, ``sd_true = sd sqrt(reliability)``.
    """
    side = 1.0 if scale.lower_is_better else -1.0
    low, high = sorted((scale.best, scale.worst))
    return xp.clip(scale.mean + side * scale.sd * xp.sqrt(xp.asarray(reliability)) * severity, low, high)


def after_change(scale: Scale, baseline: Array, left: ArrayLike) -> Array:
    """True score when the share ``left`` of the symptoms is left (above 1: worse than at baseline)."""
    return scale.best + (baseline - scale.best) * left


def read(scale: Scale, true: Array, noise: Array, reliability: ArrayLike) -> Array:
    """Observed score: true score and error, cut at the ends of the scale."""
    low, high = sorted((scale.best, scale.worst))
    error = scale.sd * xp.sqrt(1 - xp.asarray(reliability)).astype(noise.dtype) * noise
    return xp.clip(true + error, low, high)


def has_responded(scale: Scale, baseline: Array, score: Array) -> Array:
    """1 where the instrument's rule calls the fall from baseline a response."""
    fall = (baseline - score) / xp.maximum(xp.abs(baseline - scale.best), 1e-6)
    return xp.where(fall >= 0.35, 1.0, 0.0).astype(score.dtype)
