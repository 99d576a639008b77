"""Dual trace: a threat trace and a safety trace; after a session the open one is stored, and the drug scales storage.

Safety learned in a session is first short-lived (``fresh``). When the session ends, its mismatch decides what is
stored. Little safety so far: the threat trace is labile and is restabilised. Much safety: it is stored as a lasting
trace bound to its context. In between neither depends on the NMDA receptor (the insensitive gap). The same gain
multiplies both, so the sign of a drug's effect follows from where the session ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, final

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.memory.contract import Info, Memory, elements, per_element

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.memory.contract import Event, Rest, Sizes
    from dualtrace.mechanism.parameters import Lookup

_LEAST = 1e-6


class Constants(NamedTuple):
    """Constants by the names of the theory; units and priors stand in ``parameters.yaml``."""

    threat_rate: ArrayLike
    safety_rate: ArrayLike
    context_salience: ArrayLike
    context_leak: ArrayLike
    fear_slope: ArrayLike
    fear_middle: ArrayLike
    lability_threshold: ArrayLike
    stress_effect: ArrayLike
    drug_opens: ArrayLike
    lability_closes: ArrayLike
    storage_opens: ArrayLike
    switch_steepness: ArrayLike
    restabilisation: ArrayLike
    threat_max: ArrayLike
    unlearning: ArrayLike
    lability_h: ArrayLike
    novelty_half: ArrayLike
    safety_max: ArrayLike
    retrievability_h: ArrayLike
    spacing: ArrayLike
    fresh_h: ArrayLike
    wait_rate: ArrayLike
    wait_weight: ArrayLike


UNITS = {"lability_h": "h", "retrievability_h": "h", "fresh_h": "h"}
"""Units of the constants that have one."""


class Traces(NamedTuple):
    """State; ``(..., elements)``, and ``(..., elements, contexts)`` where a trace is bound to its context.

    Attributes
    ----------
    threat, threat_new
        Threat trace, and what this session added to it.
    safety, retrievability, sessions
        Lasting safety trace, how much of it comes to mind, and how many sessions stored it.
    fresh
        Safety learned in this session.
    mismatch
        Missed USs of this session.
    lability
        Openness of the threat trace.
    wait, waiting
        Presentations without US that are expected before the next US in each context, and those since the last.
    drug, stress
        NMDA gain on board in this session; whether a stressor came before. Both ``(...)``.
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
    stress: Array


@final
class DualTrace(Memory[Constants, Traces]):
    """The mechanism's own memory model; equations in the functions of this file."""

    name = "dual_trace"
    title = "Dual trace"
    source = "dualtrace; builds on Osan, Tort & Amaral 2011, doi 10.1371/journal.pone.0023113"
    constants = tuple(f"dual_trace.{name}" for name in Constants._fields)

    def theta(self, lookup: Lookup) -> Constants:
        """Constants of ``parameters.yaml``."""
        return Constants(*(lookup(f"dual_trace.{name}", UNITS.get(name, "1")) for name in Constants._fields))

    def init(self, theta: Constants, sizes: Sizes) -> Traces:  # noqa: ARG002
        """A learner who knows nothing."""
        one = xp.zeros((*sizes.batch, sizes.elements))
        bound = xp.zeros((*sizes.batch, sizes.elements, sizes.contexts))
        calm = xp.zeros(sizes.batch)
        return Traces(one, one, bound, bound, bound, bound, one, one, bound, bound, calm, calm)

    def present(self, theta: Constants, state: Traces, event: Event) -> tuple[Traces, Info]:
        """Express fear, then learn from what came."""
        present = elements(event, theta.context_salience)
        here = event.context[..., None, :]
        net = net_threat(theta, state, event.context)
        expected = xp.sum(present * net, axis=-1)
        error = event.us - xp.maximum(expected, 0)
        learned = _learn(theta, state, event, present, here, error)
        return learned, Info(fear(theta, expected), expected, error)

    def rest(self, theta: Constants, state: Traces, rest: Rest) -> Traces:
        """Store what the session left open, if one has just ended; then let time pass."""
        closed = store(theta, state, rest)
        gone = xp.exp(
            -per_element(rest.hours, 2)
            / _bound(theta.retrievability_h)
            / xp.maximum(closed.sessions, 1) ** _bound(theta.spacing)
        )
        return closed._replace(
            retrievability=closed.retrievability * gone,
            fresh=closed.fresh * xp.exp(-per_element(rest.hours, 2) / _bound(theta.fresh_h)),
            lability=closed.lability * xp.exp(-per_element(rest.hours) / per_element(theta.lability_h)),
        )


def net_threat(theta: Constants, state: Traces, context: Array) -> Array:
    """Threat less the safety that comes to mind here: safety of other contexts leaks in by ``context_leak``."""
    weight = context + per_element(theta.context_leak) * (1 - context)
    recalled = state.retrievability * state.safety + state.fresh
    wait = xp.sum(context[..., None, :] * state.wait, axis=-1)
    return state.threat * expectancy(wait) ** per_element(theta.wait_weight) - xp.sum(
        weight[..., None, :] * recalled, axis=-1
    )


def fear(theta: Constants, expected: Array) -> Array:
    r"""Expressed fear, :math:`1 / (1 + e^{-\beta (V - \sigma)})`; no drug enters here."""
    return sigmoid(theta.fear_slope * (expected - theta.fear_middle))


def sigmoid(value: ArrayLike) -> Array:
    """Logistic function that does not overflow."""
    return 0.5 * (1 + xp.tanh(0.5 * xp.asarray(value)))


def switch(value: Array, middle: ArrayLike, steepness: ArrayLike) -> Array:
    """Hill function: 0 at 0, a half at ``middle``, 1 far above."""
    return sigmoid(steepness * (xp.log(xp.maximum(value, _LEAST)) - xp.log(middle))) * xp.where(value > 0, 1.0, 0.0)


def expectancy(wait: Array) -> Array:
    r"""USs expected per presentation, :math:`1 / (1 + w)` with ``w`` omissions between two USs."""
    return 1 / (1 + wait)


def _learn(theta: Constants, state: Traces, event: Event, present: Array, here: Array, error: Array) -> Traces:
    shown = present * per_element(event.length)
    missed = xp.maximum(-error, 0)
    reinforced = per_element(xp.where(event.us > 0, 1.0, 0.0)) * xp.where(shown > 0, 1.0, 0.0)
    counted = reinforced[..., None] * here
    rise = per_element(theta.threat_rate * xp.maximum(error, 0)) * shown
    drop = per_element(theta.unlearning * missed) * shown * state.lability
    safe = per_element(theta.safety_rate * event.quality * missed) * shown
    return state._replace(
        threat=xp.clip(state.threat + rise - drop, 0, per_element(theta.threat_max)),
        threat_new=state.threat_new + rise,
        fresh=state.fresh + (safe[..., None] * expectancy(state.wait)) * here,
        mismatch=state.mismatch + per_element(missed) * shown,
        wait=state.wait + counted * _bound(theta.wait_rate) * (state.waiting - state.wait),
        waiting=(state.waiting + here * shown[..., None]) * (1 - counted),
        drug=xp.maximum(state.drug, event.drug),
        stress=xp.maximum(state.stress, event.stress),
    )


def learned_share(theta: Constants, state: Traces) -> Array:
    """Share of the threat that this session's fresh safety has covered, per element and context."""
    expected = expectancy(state.wait) ** _bound(theta.wait_weight)
    uncovered = state.threat[..., None] * expected - state.retrievability * state.safety - state.fresh
    return state.fresh / (state.fresh + xp.maximum(uncovered, 0) + _LEAST)


def opened(theta: Constants, state: Traces, share: Array) -> Array:
    """Lability of the threat trace: opened by mismatch, closed again by safety."""
    threshold = per_element(theta.lability_threshold * (1 + theta.stress_effect * state.stress))
    threshold = threshold / (1 + per_element(theta.drug_opens * state.drug))
    most = xp.max(share, axis=-1)
    opening = switch(state.mismatch, threshold, per_element(theta.switch_steepness))
    return opening * (1 - switch(most, per_element(theta.lability_closes), per_element(theta.switch_steepness)))


def store(theta: Constants, state: Traces, rest: Rest) -> Traces:
    """End of a session: restabilise an open threat trace, store fresh safety; the gain scales both."""
    closes = per_element(rest.closes)
    share = learned_share(theta, state)
    lability = xp.maximum(state.lability, closes * opened(theta, state, share))
    novelty = _bound(theta.novelty_half) / (_bound(theta.novelty_half) + state.safety)
    drive = share * xp.maximum(1 + novelty * _bound(rest.safety_gain), 0)
    storing = switch(drive, _bound(theta.storage_opens), _bound(theta.switch_steepness))
    ends = closes[..., None]
    return state._replace(
        threat=state.threat + closes * restabilised(theta, state, lability, per_element(rest.threat_gain)),
        threat_new=state.threat_new * (1 - closes),
        safety=xp.minimum(state.safety + ends * storing * state.fresh, _bound(theta.safety_max)),
        retrievability=state.retrievability
        + ends * xp.minimum(share / _bound(theta.storage_opens), 1) * (1 - state.retrievability),
        sessions=state.sessions + ends * storing * share,
        fresh=state.fresh * (1 - ends),
        mismatch=state.mismatch * (1 - closes),
        lability=lability,
        drug=state.drug * (1 - rest.closes),
    )


def restabilised(theta: Constants, state: Traces, lability: Array, gain: Array) -> Array:
    """Change of the threat trace when it closes: up towards its bound with a gain, down with a block, else none."""
    room = xp.where(gain > 0, per_element(theta.threat_max) - state.threat, state.threat - state.threat_new)
    return gain * (per_element(theta.restabilisation) * lability * xp.maximum(room, 0) + state.threat_new)


def _bound(value: ArrayLike) -> Array:
    return per_element(value, 2)
