"""A scale as symptoms are read on it: range, which way is better, how noisy, when a patient has responded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.outcome import remitted, responded

if TYPE_CHECKING:
    from dualtrace.evidence.instrument import Instrument
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.parameters import Lookup
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
    baseline
        Mean and SD at baseline, as observed; ``None`` for a scale that is itself a judgement of change.
    """

    name: str
    instrument: Instrument
    best: float
    worst: float
    baseline: Spread | None

    @property
    def has_response(self) -> bool:
        """Whether response is defined on it at every visit of a trial."""
        rule = self.instrument.response
        return rule is not None and (self.baseline is not None or not rule.needs_baseline)

    @property
    def has_remission(self) -> bool:
        """Whether remission is defined on it."""
        return self.instrument.remission is not None

    def cut(self, score: Array) -> Array:
        """Score within the ends of the scale."""
        return xp.clip(score, min(self.best, self.worst), max(self.best, self.worst))


def scale_of(name: str, instrument: Instrument, baseline: Spread | None) -> Scale:
    """Scale of an instrument; where its range is not known it ends three SDs from the baseline's mean."""
    middle, far = (baseline.mean, _FAR * baseline.sd) if baseline is not None else (0.0, 0.0)
    low = instrument.minimum if instrument.minimum is not None else min(middle - far, 0.0)
    high = instrument.maximum if instrument.maximum is not None else middle + far
    best, worst = (low, high) if instrument.better == "lower" else (high, low)
    return Scale(name, instrument, best, worst, baseline)


def reliability(scale: Scale, lookup: Lookup) -> ArrayLike:
    """Share of the variance at baseline that is not error: the instrument's own where it is known."""
    retest = scale.instrument.retest
    value: ArrayLike = lookup("clinic.reliability", "1") if retest is None else retest.reliability
    return value


def at_baseline(scale: Scale, severity: Array, lookup: Lookup) -> Array:
    r"""True score at baseline of patients whose severity is standard normal (large is severe).

    The observed SD is that of true score and error together, :math:`\sigma_{true} = \sigma \sqrt{r}`. A scale of
    change shows no change.
    """
    if scale.baseline is None:
        return xp.full_like(severity, lookup("clinic.change_none", "1"))
    side = float(np.sign(scale.worst - scale.best))
    spread = side * scale.baseline.sd * xp.sqrt(_in(severity, reliability(scale, lookup)))
    return scale.cut(scale.baseline.mean + spread * severity)


def after_change(scale: Scale, baseline: Array, left: Array, lookup: Lookup) -> Array:
    """True score when the share ``left`` of the symptoms is left (above 1: worse than at baseline)."""
    if scale.baseline is None:
        return scale.cut(baseline - lookup("clinic.change_slope", "1") * (1 - left))
    return scale.cut(scale.best + (baseline - scale.best) * left)


def read(scale: Scale, true: Array, noise: Array, lookup: Lookup) -> Array:
    """Observed score: true score and error, cut at the ends of the scale; a scale of change is whole numbers."""
    if scale.baseline is None:
        return xp.round(scale.cut(true + lookup("clinic.change_noise", "1") * noise))
    error = scale.baseline.sd * xp.sqrt(1 - _in(noise, reliability(scale, lookup)))
    return scale.cut(true + error * noise)


def response(scale: Scale, baseline: Array, score: Array) -> Array:
    """1 for a response by the instrument's rule, NaN where it has none or the score is missing."""
    if not scale.has_response:
        return xp.full_like(score, xp.nan)
    return responded(scale.name, baseline, score).astype(score.dtype)


def remission(scale: Scale, score: Array) -> Array:
    """1 for remission by the instrument's rule, NaN where it has none or the score is missing."""
    if not scale.has_remission:
        return xp.full_like(score, xp.nan)
    return remitted(scale.name, score).astype(score.dtype)


def _in(like: Array, value: ArrayLike) -> Array:
    return xp.asarray(value, like.dtype)
