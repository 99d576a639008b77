"""The dual trace of one cue in one place: the equations of :mod:`dualtrace.mechanism.memory.dual_trace` without axes.

A test holds this form equal to the general one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.memory.dual_trace import covered, expectancy, fear, stored_part, switch
from dualtrace.simulation.learner import Learner

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.memory.dual_trace import Constants
    from dualtrace.simulation.learner import Traits


class Single(NamedTuple):
    """State by the names of :class:`dualtrace.mechanism.memory.dual_trace.Traces`; all ``(n,)``.

    ``hope`` is the expectancy of the US that ``wait`` leaves.
    """

    threat: Array
    threat_new: Array
    safety: Array
    recalled: Array
    sessions: Array
    fresh: Array
    mismatch: Array
    wait: Array
    waiting: Array
    drug: Array
    hope: Array
    alarm: Array


class Fading(NamedTuple):
    """Shares of recalled and fresh safety and of alarm that are left after a wait."""

    recalled: Array
    fresh: Array
    alarm: Array


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
        """Threat of the patient's strength, up to its bound; nothing else."""
        none = xp.zeros_like(self.traits.threat)
        return Single(xp.minimum(self.traits.threat, self.theta.threat_max), *(none,) * 9, none + 1, none)

    def wait(self, state: Single, hours: ArrayLike) -> Single:
        """Let everything fade."""
        return _faded(state, self.pace(state, hours))

    def pace(self, state: Single, hours: ArrayLike) -> Fading:
        """Shares left after ``hours``; more sessions make safety last."""
        theta, hours = self.theta, xp.asarray(hours)
        # As an exponential, which costs less than a power.
        lasting = theta.retrievability_h * xp.exp(theta.spacing * xp.log1p(state.sessions))
        return Fading(xp.exp(-hours / lasting), xp.exp(-hours / theta.fresh_h), xp.exp(-hours / theta.alarm_h))

    def expose(self, state: Single, pace: Fading, quality: Array, drug: Array) -> Single:
        """Miss the US: fresh safety grows, mismatch adds up."""
        state = _faded(state, pace)
        missed = xp.maximum(self._net(state), 0)
        return state._replace(
            fresh=state.fresh + self.theta.safety_rate * quality * missed * state.hope,
            mismatch=state.mismatch + missed,
            waiting=state.waiting + 1,
            drug=xp.maximum(state.drug, drug),
        )

    def expose_often(self, state: Single, pace: Fading, quality: Array, drug: Array, shown: Array) -> Single:
        """As :meth:`expose`, with nothing in the loop but what changes from one exposure to the next."""
        import jax

        count = xp.sum(shown, dtype=state.waiting.dtype)
        gain, expected = self.theta.safety_rate * quality * state.hope, state.threat * state.hope

        def step(at: Any, is_shown: Array) -> tuple[Any, None]:  # noqa: ANN401
            fresh, mismatch, recalled = at
            faded, recalls = fresh * pace.fresh, recalled * pace.recalled
            missed = xp.maximum(expected - recalls - faded, 0)
            after = (faded + gain * missed, mismatch + missed, recalls)
            return tuple(xp.where(is_shown, new, old) for new, old in zip(after, at, strict=True)), None

        fresh, mismatch, recalled = jax.lax.scan(step, (state.fresh, state.mismatch, state.recalled), shown)[0]
        return state._replace(
            fresh=fresh,
            mismatch=mismatch,
            recalled=recalled,
            alarm=state.alarm * pace.alarm**count,
            waiting=state.waiting + count,
            drug=xp.where(count > 0, xp.maximum(state.drug, drug), state.drug),
        )

    def mishap(self, state: Single, happens: Array, quality: Array, drug: Array) -> Single:  # noqa: ARG002
        """Meet the US: threat moves by the error, omissions come to be expected, and what was missed is forgotten."""
        theta = self.theta
        change = theta.threat_rate * (1 - xp.maximum(self._net(state), 0)) * happens
        wait = state.wait + happens * theta.wait_rate * (state.waiting - state.wait)
        hope = expectancy(wait)
        return state._replace(
            threat=xp.clip(state.threat + change, 0, theta.threat_max),
            threat_new=state.threat_new + xp.maximum(change, 0),
            mismatch=state.mismatch * (1 - happens),
            wait=wait,
            waiting=(state.waiting + happens) * (1 - happens),
            drug=xp.maximum(state.drug, drug * happens),
            hope=hope,
            alarm=xp.maximum(state.alarm, happens),
        )

    def close(self, state: Single, gain: Array) -> Single:
        """Restabilise an open threat trace, store fresh safety; the gain scales both."""
        theta = self.theta
        share = covered(state.threat * state.hope, state.recalled + state.fresh)
        lability = self._opened(state, share)
        part = stored_part(theta, share, state.safety, gain) * (1 - state.alarm)
        stored = part * state.fresh
        none = xp.zeros_like(share)
        return state._replace(
            threat=xp.clip(state.threat + self._restabilised(state, lability, gain), 0, theta.threat_max),
            threat_new=none,
            safety=state.safety + stored,
            recalled=state.recalled + stored + share * (state.safety - state.recalled),
            sessions=state.sessions + part * share,
            fresh=none,
            mismatch=none,
            drug=none,
        )

    def fear(self, state: Single) -> Array:
        """Fear where sessions take place."""
        return fear(self.theta, self._net(state))

    def fear_outside(self, state: Single) -> Array:
        """Fear in daily life: the US is as likely there as ever, and only a share of the safety comes to mind."""
        return fear(self.theta, state.threat - self.traits.generalisation * (state.recalled + state.fresh))

    def _net(self, state: Single) -> Array:
        return state.threat * state.hope - state.recalled - state.fresh

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
        recalled=state.recalled * left.recalled,
        fresh=state.fresh * left.fresh,
        alarm=state.alarm * left.alarm,
    )
