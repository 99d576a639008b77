"""The dual trace of one cue in one place: the equations of :mod:`dualtrace.mechanism.memory.dual_trace` without axes.

A test holds this form equal to the general one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.memory.dual_trace import expectancy, fear, switch
from dualtrace.simulation.learner import Learner

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.memory.dual_trace import Constants
    from dualtrace.simulation.learner import Traits

_LEAST = 1e-6


class Single(NamedTuple):
    """State by the names of :class:`dualtrace.mechanism.memory.dual_trace.Traces`; all ``(n,)``.

    ``hope`` is the expectancy of the US that ``wait`` leaves, ``worth`` that expectancy as it weighs on the threat.
    """

    threat: Array
    threat_new: Array
    safety: Array
    retrievability: Array
    sessions: Array
    fresh: Array
    mismatch: Array
    lability: Array
    wait: Array
    waiting: Array
    drug: Array
    hope: Array
    worth: Array


class Fading(NamedTuple):
    """Shares of retrievability, fresh safety and lability that are left after a wait."""

    retrievability: Array
    fresh: Array
    lability: Array


@final
class DualTraceLearner(Learner[Single, Fading]):
    """The dual trace, one cue in one place.

    Parameters
    ----------
    theta
        Constants, in the precision of the traits.
    traits
        The patients.
    """

    def __init__(self, theta: Constants, traits: Traits) -> None:
        self.theta = theta._replace(safety_rate=theta.safety_rate * traits.learning)
        self.traits = traits

    def start(self) -> Single:
        """Threat of the patient's strength, nothing else."""
        none = xp.zeros_like(self.traits.threat)
        return Single(self.traits.threat, *(none,) * 10, none + 1, none + 1)

    def wait(self, state: Single, hours: ArrayLike) -> Single:
        """Let everything fade."""
        return _faded(state, self.pace(state, hours))

    def pace(self, state: Single, hours: ArrayLike) -> Fading:
        """Shares left after ``hours``; more sessions make safety last."""
        theta, hours = self.theta, xp.asarray(hours)
        lasting = theta.retrievability_h * xp.maximum(state.sessions, 1) ** theta.spacing
        return Fading(xp.exp(-hours / lasting), xp.exp(-hours / theta.fresh_h), xp.exp(-hours / theta.lability_h))

    def expose(self, state: Single, pace: Fading, quality: Array, drug: Array) -> Single:
        """Miss the US: fresh safety grows, mismatch adds up."""
        state = _faded(state, pace)
        missed = xp.maximum(self._net(state), 0)
        return self._missed(state, missed, quality)._replace(
            waiting=state.waiting + 1, drug=xp.maximum(state.drug, drug)
        )

    def expose_often(self, state: Single, pace: Fading, quality: Array, drug: Array, shown: Array) -> Single:
        """As :meth:`expose`, with nothing in the loop but what changes from one exposure to the next."""
        import jax

        theta, count = self.theta, xp.sum(shown, dtype=state.waiting.dtype)
        gain = theta.safety_rate * quality * state.hope

        def step(at: Any, is_shown: Array) -> tuple[Any, None]:  # noqa: ANN401
            threat, fresh, mismatch, recalled, lability = at
            faded, recalls, labile = fresh * pace.fresh, recalled * pace.retrievability, lability * pace.lability
            missed = xp.maximum(threat * state.worth - recalls - faded, 0)
            unlearned = xp.clip(threat - theta.unlearning * missed * labile, 0, theta.threat_max)
            after = (unlearned, faded + gain * missed, mismatch + missed, recalls, labile)
            return tuple(xp.where(is_shown, new, old) for new, old in zip(after, at, strict=True)), None

        start = (state.threat, state.fresh, state.mismatch, state.retrievability * state.safety, state.lability)
        threat, fresh, mismatch, _, lability = jax.lax.scan(step, start, shown)[0]
        return state._replace(
            threat=threat,
            fresh=fresh,
            mismatch=mismatch,
            lability=lability,
            retrievability=state.retrievability * pace.retrievability**count,
            waiting=state.waiting + count,
            drug=xp.where(count > 0, xp.maximum(state.drug, drug), state.drug),
        )

    def mishap(self, state: Single, happens: Array, quality: Array, drug: Array) -> Single:
        """Meet the US: threat grows by what was not expected, and omissions come to be expected."""
        theta = self.theta
        error = 1 - xp.maximum(self._net(state), 0)
        rise = theta.threat_rate * xp.maximum(error, 0) * happens
        state = self._missed(state, xp.maximum(-error, 0) * happens, quality)
        wait = state.wait + happens * theta.wait_rate * (state.waiting - state.wait)
        hope = expectancy(wait)
        return state._replace(
            threat=xp.minimum(state.threat + rise, theta.threat_max),
            threat_new=state.threat_new + rise,
            wait=wait,
            waiting=(state.waiting + happens) * (1 - happens),
            drug=xp.maximum(state.drug, drug * happens),
            hope=hope,
            worth=hope**theta.wait_weight,
        )

    def close(self, state: Single, gain: Array) -> Single:
        """Restabilise an open threat trace, store fresh safety; the gain scales both."""
        theta = self.theta
        share = state.fresh / (state.fresh + xp.maximum(self._net(state), 0) + _LEAST)
        lability = xp.maximum(state.lability, self._opened(state, share))
        novelty = theta.novelty_half / (theta.novelty_half + state.safety)
        drive = share * xp.maximum(1 + novelty * gain, 0)
        storing = switch(drive, theta.storage_opens, theta.switch_steepness)
        none = xp.zeros_like(share)
        return state._replace(
            threat=state.threat + self._restabilised(state, lability, gain),
            threat_new=none,
            safety=xp.minimum(state.safety + storing * state.fresh, theta.safety_max),
            retrievability=state.retrievability
            + xp.minimum(share / theta.storage_opens, 1) * (1 - state.retrievability),
            sessions=state.sessions + storing * share,
            fresh=none,
            mismatch=none,
            lability=lability,
            drug=none,
        )

    def fear(self, state: Single) -> Array:
        """Fear where sessions take place."""
        return fear(self.theta, self._net(state))

    def fear_outside(self, state: Single) -> Array:
        """Fear in daily life: the US is as likely there as ever, and only a share of the safety comes to mind."""
        recalled = state.retrievability * state.safety + state.fresh
        return fear(self.theta, state.threat - self.traits.generalisation * recalled)

    def _missed(self, state: Single, missed: Array, quality: Array) -> Single:
        theta = self.theta
        return state._replace(
            threat=xp.clip(state.threat - theta.unlearning * missed * state.lability, 0, theta.threat_max),
            fresh=state.fresh + theta.safety_rate * quality * missed * state.hope,
            mismatch=state.mismatch + missed,
        )

    def _net(self, state: Single) -> Array:
        return state.threat * state.worth - state.retrievability * state.safety - state.fresh

    def _opened(self, state: Single, share: Array) -> Array:
        theta = self.theta
        threshold = theta.lability_threshold / (1 + theta.drug_opens * state.drug)
        opening = switch(state.mismatch, threshold, theta.switch_steepness)
        return opening * (1 - switch(share, theta.lability_closes, theta.switch_steepness))

    def _restabilised(self, state: Single, lability: Array, gain: Array) -> Array:
        theta = self.theta
        room = xp.where(gain > 0, theta.threat_max - state.threat, state.threat - state.threat_new)
        return gain * (theta.restabilisation * lability * xp.maximum(room, 0) + state.threat_new)


def _faded(state: Single, left: Fading) -> Single:
    return state._replace(
        retrievability=state.retrievability * left.retrievability,
        fresh=state.fresh * left.fresh,
        lability=state.lability * left.lability,
    )
