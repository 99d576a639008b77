"""Dual trace: a threat trace and a safety trace; after a session the open one is stored, and the drug scales storage.

Safety learned in a session is first short-lived (``fresh``). When the session ends, the trace that governs
behaviour is stored (trace dominance: Eisenberg et al. 2003, doi:10.1126/science.1086881). Little of the threat is
covered by safety: the threat trace is labile and is restabilised. Much is covered: fresh safety is stored as a
lasting trace bound to its context. In between neither depends on the NMDA receptor (the insensitive gap). The same
gain multiplies both, so the sign of a drug's effect follows from where the session ended.
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

LEAST_THREAT = 0.01
"""Threat beside which a trace counts as nothing, so that the share of it that is covered has a bounded slope."""


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
    basal: ArrayLike
    restabilisation: ArrayLike
    threat_max: ArrayLike
    novelty_half: ArrayLike
    retrievability_h: ArrayLike
    spacing: ArrayLike
    fresh_h: ArrayLike
    alarm_h: ArrayLike
    wait_rate: ArrayLike


UNITS = {"retrievability_h": "h", "fresh_h": "h", "alarm_h": "h"}
"""Units of the constants that have one."""


class Traces(NamedTuple):
    """State; ``(..., elements)``, and ``(..., elements, contexts)`` where a trace is bound to its context.

    Attributes
    ----------
    threat, threat_new
        Threat trace, and what this session added to it.
    safety, recalled, sessions
        Safety stored over all sessions, which never fades; how much of it comes to mind; how many sessions stored it.
    fresh
        Safety learned in this session.
    seen
        1 where this session presented the element in the context.
    mismatch
        Missed USs of this session since the last US.
    wait, waiting
        Presentations without US that are expected before the next US in each context, and those since the last.
    drug, stress, alarm
        NMDA gain on board in this session; whether a stressor came before; what is left of the last US's alarm.
        All ``(...)``.
    """

    threat: Array
    threat_new: Array
    safety: Array
    recalled: Array
    sessions: Array
    fresh: Array
    seen: Array
    mismatch: Array
    wait: Array
    waiting: Array
    drug: Array
    stress: Array
    alarm: Array


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
        return Traces(one, one, *(bound,) * 5, one, bound, bound, calm, calm, calm)

    def present(self, theta: Constants, state: Traces, event: Event) -> tuple[Traces, Info]:
        """Express fear, then learn from what came."""
        present = elements(event, theta.context_salience)
        expected = xp.sum(present * net_threat(theta, state, event.context), axis=-1)
        error = event.us - xp.maximum(expected, 0)
        return _learn(theta, state, event, present, error), Info(fear(theta, expected), expected, error)

    def rest(self, theta: Constants, state: Traces, rest: Rest) -> Traces:
        """Store what the session left open, if one has just ended; then let time pass."""
        closed = store(theta, state, rest)
        hours = per_element(rest.hours, 2)
        lasting_h = _bound(theta.retrievability_h) * (1 + closed.sessions) ** _bound(theta.spacing)
        return closed._replace(
            recalled=closed.recalled * xp.exp(-hours / lasting_h),
            fresh=closed.fresh * xp.exp(-hours / _bound(theta.fresh_h)),
            alarm=closed.alarm * xp.exp(-rest.hours / theta.alarm_h),
        )


def net_threat(theta: Constants, state: Traces, context: Array) -> Array:
    """Threat less the safety that comes to mind here: safety of other contexts leaks in by ``context_leak``."""
    weight = context + per_element(theta.context_leak) * (1 - context)
    wait = xp.sum(context[..., None, :] * state.wait, axis=-1)
    return state.threat * expectancy(wait) - xp.sum(weight[..., None, :] * (state.recalled + state.fresh), axis=-1)


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


def _learn(theta: Constants, state: Traces, event: Event, present: Array, error: Array) -> Traces:
    """Learn from one presentation.

    With a US the error, of either sign, changes the threat trace (overexpectation: Rescorla 1970,
    doi:10.1016/0023-9690(70)90101-3); without it safety is learned. Only an omission that stands when the session
    ends opens the threat trace (Pedreira et al. 2004, doi:10.1101/lm.76904), so a US ends what was missed so far.
    """
    shown = present * per_element(event.length)
    here = event.context[..., None, :]
    presented = xp.where(shown > 0, 1.0, 0.0)
    has_us = xp.where(event.us > 0, 1.0, 0.0)
    missed = per_element((1 - has_us) * xp.maximum(-error, 0)) * shown
    reinforced = per_element(has_us) * presented
    counted = reinforced[..., None] * here
    change = per_element(theta.threat_rate * has_us * error) * shown
    safe = per_element(theta.safety_rate * event.quality) * missed
    return state._replace(
        threat=xp.clip(state.threat + change, 0, per_element(theta.threat_max)),
        threat_new=state.threat_new + xp.maximum(change, 0),
        fresh=state.fresh + (safe[..., None] * expectancy(state.wait)) * here,
        seen=xp.maximum(state.seen, presented[..., None] * here),
        mismatch=state.mismatch * (1 - reinforced) + missed,
        wait=state.wait + counted * _bound(theta.wait_rate) * (state.waiting - state.wait),
        waiting=(state.waiting + here * shown[..., None]) * (1 - counted),
        drug=xp.maximum(state.drug, event.drug),
        stress=xp.maximum(state.stress, event.stress),
        alarm=xp.maximum(state.alarm, has_us),
    )


def covered(threat: Array, safety: Array) -> Array:
    r"""Share of the threat that safety covers at the end of a session, :math:`s = \min(S / (T + 0.01), 1)`.

    ``threat`` as it is expected here, ``safety`` all that comes to mind, fresh and lasting: which trace governs
    behaviour (trace dominance: Eisenberg et al. 2003, doi:10.1126/science.1086881).
    """
    return xp.clip(safety / (threat + LEAST_THREAT), 0, 1)


def _covered(state: Traces) -> Array:
    """Share covered of what this session presented, per element and context."""
    return state.seen * covered(state.threat[..., None] * expectancy(state.wait), state.recalled + state.fresh)


def opened(theta: Constants, state: Traces, share: Array) -> Array:
    """Lability of the threat trace: opened by mismatch, closed again by safety."""
    threshold = per_element(theta.lability_threshold * (1 + theta.stress_effect * state.stress))
    threshold = threshold / (1 + per_element(theta.drug_opens * state.drug))
    most = xp.max(share, axis=-1)
    opening = switch(state.mismatch, threshold, per_element(theta.switch_steepness))
    return opening * (1 - switch(most, per_element(theta.lability_closes), per_element(theta.switch_steepness)))


def stored_part(theta: Constants, share: Array, safety: Array, gain: Array) -> Array:
    """Part of the fresh safety that lasts.

    A basal part needs no NMDA receptor: fear falls in the insensitive gap too (Cassini et al. 2017, Learn Mem
    24:392). The rest opens with the share covered times the gain, which matters less the more safety is stored.
    The constants broadcast against ``share``.
    """
    novelty = theta.novelty_half / (theta.novelty_half + safety)
    drive = share * xp.maximum(1 + novelty * gain, 0)
    return xp.asarray(theta.basal + (1 - theta.basal) * switch(drive, theta.storage_opens, theta.switch_steepness))


def store(theta: Constants, state: Traces, rest: Rest) -> Traces:
    """End of a session: restabilise an open threat trace, store fresh safety; the gain scales both.

    Old safety comes back to mind by the share of the threat that is covered. Soon after a US little is stored: the
    immediate extinction deficit (Maren & Chang 2006, doi:10.1073/pnas.0608398103).
    """
    closes = per_element(rest.closes)
    share = _covered(state)
    lability = opened(theta, state, share)
    ends, wide = closes[..., None], Constants._make(_bound(value) for value in theta)
    part = ends * stored_part(wide, share, state.safety, _bound(rest.safety_gain)) * (1 - _bound(state.alarm))
    stored, refreshed = part * state.fresh, ends * share * (state.safety - state.recalled)
    change = closes * restabilised(theta, state, lability, per_element(rest.threat_gain))
    return state._replace(
        threat=xp.clip(state.threat + change, 0, per_element(theta.threat_max)),
        threat_new=state.threat_new * (1 - closes),
        safety=state.safety + stored,
        recalled=state.recalled + stored + refreshed,
        sessions=state.sessions + part * share,
        fresh=state.fresh * (1 - ends),
        seen=state.seen * (1 - ends),
        mismatch=state.mismatch * (1 - closes),
        drug=state.drug * (1 - rest.closes),
    )


def restabilised(theta: Constants, state: Traces, lability: Array, gain: Array) -> Array:
    """Change of the threat trace when it closes: up towards its bound with a gain, down with a block, else none."""
    room = xp.where(gain > 0, per_element(theta.threat_max) - state.threat, state.threat - state.threat_new)
    return gain * (per_element(theta.restabilisation) * lability * xp.maximum(room, 0) + state.threat_new)


def _bound(value: ArrayLike) -> Array:
    return per_element(value, 2)
