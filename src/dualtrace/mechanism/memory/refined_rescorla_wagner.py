"""Rescorla–Wagner refined for the return of fear: fading inhibition, cue-in-context features, falling rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, final

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.memory.contract import Info, Memory, elements, per_element
from dualtrace.mechanism.memory.rescorla_wagner import scaled

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.memory.contract import Event, Rest, Sizes
    from dualtrace.mechanism.parameters import Lookup


class Constants(NamedTuple):
    """Decay of negative weights, the falling learning rate, intensities, and steps of time in an hour."""

    decay: ArrayLike
    rate_start: ArrayLike
    rate_min: ArrayLike
    power: ArrayLike
    context_salience: ArrayLike
    configural: ArrayLike
    steps_per_hour: ArrayLike


class Weights(NamedTuple):
    """Weight of every feature now and when the session began, and how often it was met, ``(..., features)``.

    Features are the elements, then every cue in every context.
    """

    weight: Array
    at_start: Array
    met: Array


@final
class RefinedRescorlaWagner(Memory[Constants, Weights]):
    r"""Paskewitz, Stoddard & Jones 2022 (10.5334/cpsy.88), their refined model.

    .. math::
        \hat y = \min(1, [\textstyle\sum_j f_j w_j]_+), \quad
        \Delta w_i = f_i \Big(\frac{\eta_0}{(n_i + 1)^p} + \eta_{min}\Big)(\lambda - \hat y) - d\,[w_i < 0]\,w_i

    Notes
    -----
    Features :math:`f` are cues, contexts and each cue in each context (the product of both); :math:`n_i` counts
    the events with feature i so far, this one included. Negative weights lose the share :math:`d` in every step of
    time: an event lasts as many steps as its length, and an hour of rest ``steps_per_hour`` (an assumption; the
    authors count steps without a clock).
    The model has no drug. Ours multiplies the change that a session made: ``w <- w_start + (1 + N)(w - w_start)``.
    """

    name = "refined_rescorla_wagner"
    title = "Refined Rescorla–Wagner"
    source = "Paskewitz, Stoddard & Jones 2022 (10.5334/cpsy.88)"
    constants = (
        "refined_rescorla_wagner.decay",
        "refined_rescorla_wagner.rate_start",
        "refined_rescorla_wagner.rate_min",
        "refined_rescorla_wagner.power",
        "refined_rescorla_wagner.context_salience",
        "refined_rescorla_wagner.configural",
        "refined_rescorla_wagner.steps_per_hour",
    )

    def theta(self, lookup: Lookup) -> Constants:
        """Constants of ``parameters.yaml``."""
        return Constants(*(lookup(name, "1/h" if name.endswith("_per_hour") else "1") for name in self.constants))

    def init(self, theta: Constants, sizes: Sizes) -> Weights:  # noqa: ARG002
        """All weights 0, nothing met."""
        naive = xp.zeros((*sizes.batch, sizes.elements + sizes.cues * sizes.contexts))
        return Weights(naive, naive, naive)

    def present(self, theta: Constants, state: Weights, event: Event) -> tuple[Weights, Info]:
        """Move every present feature by the rectified error; negative weights fade meanwhile."""
        feature = features(event, theta)
        expected = xp.clip(xp.sum(feature * state.weight, axis=-1), 0, 1)
        error = xp.where(xp.sum(feature, axis=-1) > 0, event.us - expected, 0.0)
        share = event.length * xp.where(event.us > 0, 1.0, event.quality)
        met = state.met + xp.where(feature > 0, per_element(share), 0.0)
        rate = per_element(theta.rate_start) / (met + 1) ** per_element(theta.power) + per_element(theta.rate_min)
        fading = xp.minimum(state.weight, 0) * per_element(1 - (1 - theta.decay) ** event.length)
        weight = state.weight + rate * feature * per_element(share * error) - fading
        return Weights(weight, state.at_start, met), Info(expected, expected, error)

    def rest(self, theta: Constants, state: Weights, rest: Rest) -> Weights:
        """Scale the change of a session that has just ended by the drug's gain; then negative weights fade."""
        kept = per_element((1 - theta.decay) ** (theta.steps_per_hour * rest.hours))
        now, at_start = (xp.where(w < 0, w * kept, w) for w in scaled(state.weight, state.at_start, rest))
        return Weights(now, at_start, state.met)


def features(event: Event, theta: Constants) -> Array:
    """Intensity of every element, then of every cue in every context."""
    element = elements(event, theta.context_salience)
    cues = event.cue.shape[-1]
    pair = element[..., :cues, None] * element[..., None, cues:] * per_element(theta.configural, 2)
    return xp.concatenate([element, pair.reshape(*pair.shape[:-2], pair.shape[-2] * pair.shape[-1])], axis=-1)
