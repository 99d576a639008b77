"""Rescorla–Wagner with contexts: one weight per element, moved by the summed prediction error."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, final

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.memory.contract import Info, Memory, elements, per_element

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.memory.contract import Event, Rest, Sizes
    from dualtrace.mechanism.parameters import Lookup


class Constants(NamedTuple):
    """Salience of cue and context, learning rates with and without US."""

    salience: ArrayLike
    context_salience: ArrayLike
    rate_us: ArrayLike
    rate_no_us: ArrayLike


class Weights(NamedTuple):
    """Associative strength of every element now and when the session began, shape ``(..., elements)``."""

    strength: Array
    at_start: Array


@final
class RescorlaWagner(Memory[Constants, Weights]):
    r"""Rescorla & Wagner 1972, contexts as further cues.

    .. math:: \Delta V_i = \alpha_i x_i \beta (\lambda - \sum_j x_j V_j)

    A drug multiplies the change that a session made: ``V <- V_start + (1 + N)(V - V_start)``; this rule is ours,
    the model has none.
    """

    name = "rescorla_wagner"
    title = "Rescorla–Wagner"
    source = "Rescorla & Wagner 1972; constants as in the R package calmr"
    constants = (
        "rescorla_wagner.salience",
        "rescorla_wagner.context_salience",
        "rescorla_wagner.rate_us",
        "rescorla_wagner.rate_no_us",
    )

    def theta(self, lookup: Lookup) -> Constants:
        """Constants of ``parameters.yaml``."""
        return Constants(*(lookup(name, "1") for name in self.constants))

    def init(self, theta: Constants, sizes: Sizes) -> Weights:  # noqa: ARG002
        """All strengths 0."""
        naive = xp.zeros((*sizes.batch, sizes.elements))
        return Weights(naive, naive)

    def present(self, theta: Constants, state: Weights, event: Event) -> tuple[Weights, Info]:
        """Move every present element by the summed error."""
        present = elements(event, theta.context_salience)
        expected = xp.sum(present * state.strength, axis=-1)
        error = xp.where(xp.sum(present, axis=-1) > 0, event.us - expected, 0.0)
        rate = xp.where(event.us > 0, theta.rate_us, theta.rate_no_us * event.quality)
        step = per_element(theta.salience * rate * event.length * error) * present
        return state._replace(strength=state.strength + step), Info(xp.clip(expected, 0, 1), expected, error)

    def rest(self, theta: Constants, state: Weights, rest: Rest) -> Weights:  # noqa: ARG002
        """Scale the change of a session that has just ended by the drug's gain; time itself changes nothing."""
        return Weights(*scaled(state.strength, state.at_start, rest))


def scaled(now: Array, at_start: Array, rest: Rest) -> tuple[Array, Array]:
    """Weights after a rest, and those at the start of the session then under way.

    A weight that fell in the session is scaled by the gain for safety, one that rose by the gain for threat.
    """
    change = now - at_start
    gain = xp.where(change < 0, per_element(rest.safety_gain), per_element(rest.threat_gain))
    closed = per_element(rest.closes) > 0
    after = xp.where(closed, at_start + (1 + gain) * change, now)
    return after, xp.where(closed, after, at_start)
