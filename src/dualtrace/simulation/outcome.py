"""Response and remission by the instrument's rule, on arrays of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualtrace.errors import InputError
from dualtrace.evidence.load import instruments
from dualtrace.mechanism.arrays import xp

if TYPE_CHECKING:
    from dualtrace.evidence.instrument import Criterion, Instrument
    from dualtrace.mechanism.arrays import Array, ArrayLike

_ROUNDING = 1e-9
"""Points by which a score may miss its mark through the rounding of binary fractions."""


def responded(instrument: str, baseline: ArrayLike, score: ArrayLike) -> Array:
    """Who responded, by the response rule of an instrument.

    Parameters
    ----------
    instrument
        Key of ``instruments.yaml``.
    baseline, score
        Scores before treatment and now, in points; the arrays broadcast against each other.

    Returns
    -------
    Array
        1.0 for a response, 0.0 for none, NaN where a score the rule needs is missing.

    Raises
    ------
    InputError
        There is no such instrument, or it has no response rule.
    """
    scale = _find(instrument)
    if scale.response is None:
        raise _no_rule(instrument, "response")
    return _met(scale, scale.response, xp.asarray(baseline), xp.asarray(score))


def remitted(instrument: str, score: ArrayLike) -> Array:
    """Who is in remission, by the remission rule of an instrument.

    Parameters
    ----------
    instrument
        Key of ``instruments.yaml``.
    score
        Scores in points.

    Returns
    -------
    Array
        1.0 for remission, 0.0 for none, NaN where the score is missing.

    Raises
    ------
    InputError
        There is no such instrument, or it has no remission rule.
    """
    scale = _find(instrument)
    if scale.remission is None:
        raise _no_rule(instrument, "remission")
    return _met(scale, scale.remission, xp.asarray(0.0), xp.asarray(score))


def _find(instrument: str) -> Instrument:
    found = instruments().get(instrument)
    if found is None:
        raise InputError(f"an instrument is a key of instruments.yaml; given {instrument!r}")
    return found


def _no_rule(instrument: str, what: str) -> InputError:
    having = [key for key, scale in instruments().items() if getattr(scale, what) is not None]
    return InputError(
        f"{instrument} has no {what} rule in instruments.yaml; instruments with one: {', '.join(having)}"
    )


def _met(scale: Instrument, rule: Criterion, baseline: Array, score: Array) -> Array:
    better = -1.0 if scale.better == "lower" else 1.0
    gain = better * (score - baseline)
    known = xp.isfinite(score) & (xp.isfinite(baseline) if rule.needs_baseline else True)
    with np.errstate(invalid="ignore"):
        met = known
        if rule.relative_fall is not None:
            met = met & (gain >= rule.relative_fall * xp.abs(baseline) - _ROUNDING) & (gain > 0)
        if rule.fall is not None:
            met = met & (gain >= rule.fall - _ROUNDING)
        if rule.at_most is not None:
            met = met & (score <= rule.at_most + _ROUNDING)
        if rule.at_least is not None:
            met = met & (score >= rule.at_least - _ROUNDING)
    return xp.where(known, xp.where(met, 1.0, 0.0), xp.nan)
