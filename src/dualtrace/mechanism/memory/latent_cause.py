"""Latent causes: each event is put down to a cause, old or new, and changes the weights of that cause."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, NamedTuple, cast, final

from dualtrace.mechanism.arrays import uses_jax, xp
from dualtrace.mechanism.memory.contract import Info, Memory, elements, per_element

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.memory.contract import Event, Rest, Sizes
    from dualtrace.mechanism.parameters import Lookup

CAUSES = 10
"""How many causes there can be; 15 in the authors' code, with which every outcome of the scoreboard is the same."""

MOST_ITERATIONS = 5
"""Largest number of iterations that ``max_iterations`` can ask for."""

IMPOSSIBLE = -1e30
"""Logarithm of the prior of a cause that cannot be."""


class Constants(NamedTuple):
    """Constants of the published model, then the context's intensity and the units of time in an hour."""

    concentration: ArrayLike
    time_exponent: ArrayLike
    rate: ArrayLike
    max_iterations: ArrayLike
    initial_weight: ArrayLike
    us_variance: ArrayLike
    cue_variance: ArrayLike
    threshold: ArrayLike
    response_sd: ArrayLike
    context_salience: ArrayLike
    units_per_hour: ArrayLike


class Causes(NamedTuple):
    """What is believed of the causes, and the latest event, which rumination still works on.

    Attributes
    ----------
    weight, feature_sum
        Weights of every cause and the features of its past events added up, shape ``(..., causes, elements)``.
    history
        Share of each past event at its cause, shape ``(..., rows, causes)``.
    when, filed, clock
        Time of each past event, shape ``(..., rows)``, how many there are, and the time now, in units.
    features, us, share, log_likelihood, posterior
        The latest event: its features, US, share taken in, and of each cause, ``(..., causes)``, the logarithm of
        prior and likelihood of the features, and the posterior with the US.
    at, iterations, gain
        The latest event: its time, iterations run on it so far, and the gain of the drug on each of them.
    """

    weight: Array
    feature_sum: Array
    history: Array
    when: Array
    filed: Array
    clock: Array
    features: Array
    us: Array
    share: Array
    log_likelihood: Array
    posterior: Array
    at: Array
    iterations: Array
    gain: Array


class Ruminating(Memory[Constants, Causes]):
    r"""Gershman, Monfils, Norman & Niv 2017 (10.7554/eLife.23763), with or without its amnestic rule (abstract).

    .. math::
        P(z_t = k) \propto \sum_{t' < t} [z_{t'} = k] (t - t')^{-g} \text{ or } \alpha \text{ for a new cause}, \quad
        q_k \propto P(k) \, p(x | k) \, \mathcal N(r; w_k^\top x, \sigma_r^2), \quad
        w_k \leftarrow w_k + \eta q_k x (r - w_k^\top x)

    Notes
    -----
    Features given a cause are Gaussian around the mean of its past events, shrunk towards 0; contexts are features
    beside the cues, and so is every element of the experiment, present or not, as published. The posterior and the
    weights are iterated, once when the event comes and up to ``max_iterations`` times in all, one iteration for
    each unit of time until the next event. Then the event is put down to its likeliest cause. Expressed fear is
    the published response, :math:`1 - \Phi(\theta; \hat r, \lambda)`.
    Ours: an event is one unit of time and an hour of rest ``units_per_hour``; the share of an event that is
    taken in scales the learning rate and how much the event counts for its cause.
    """

    source = "Gershman, Monfils, Norman & Niv 2017 (10.7554/eLife.23763)"
    constants = (
        "latent_cause.concentration",
        "latent_cause.time_exponent",
        "latent_cause.rate",
        "latent_cause.max_iterations",
        "latent_cause.initial_weight",
        "latent_cause.us_variance",
        "latent_cause.cue_variance",
        "latent_cause.threshold",
        "latent_cause.response_sd",
        "latent_cause.context_salience",
        "latent_cause.units_per_hour",
    )
    drug_acts: bool
    """Whether a drug changes the weights."""

    def theta(self, lookup: Lookup) -> Constants:
        """Constants of ``parameters.yaml``."""
        return Constants(*(lookup(name, "1/h" if name.endswith("_per_hour") else "1") for name in self.constants))

    def init(self, theta: Constants, sizes: Sizes) -> Causes:
        """No cause has been met; all have the weights of a new one."""
        none = xp.zeros(sizes.batch)
        causes = xp.zeros((*sizes.batch, CAUSES))
        elements = xp.zeros((*sizes.batch, sizes.elements))
        both = xp.zeros((*sizes.batch, CAUSES, sizes.elements))
        when = xp.zeros((*sizes.batch, sizes.rows))
        history = xp.zeros((*sizes.batch, sizes.rows, CAUSES))
        return Causes(
            weight=both + per_element(theta.initial_weight, 2),
            feature_sum=both,
            history=history,
            when=when,
            filed=none,
            clock=none,
            features=elements,
            us=none,
            share=none,
            log_likelihood=causes,
            posterior=causes,
            at=none,
            iterations=none,
            gain=none,
        )

    def present(self, theta: Constants, state: Causes, event: Event) -> tuple[Causes, Info]:
        """File the event before, expect the US from the features of this one, and learn from it once."""
        filed = file_latest(state)
        present = elements(event, theta.context_salience)
        log_likelihood = log_prior(theta, filed) + log_features(theta, filed, present)
        expected = xp.sum(softmax(log_likelihood) * values(filed.weight, present), axis=-1)
        error = xp.where(xp.sum(present, axis=-1) > 0, event.us - expected, 0.0)
        fresh = filed._replace(
            features=present,
            us=event.us,
            share=event.length * xp.where(event.us > 0, 1.0, event.quality),
            log_likelihood=log_likelihood,
            at=filed.clock,
            clock=filed.clock + 1,
            iterations=filed.iterations * 0,
            gain=filed.gain * 0,
        )
        happened = (xp.sum(event.context, axis=-1) > 0) & (event.length > 0)
        after = choose(happened, iterate(theta, fresh), state)
        fear = normal_cdf((expected - theta.threshold) / theta.response_sd)
        return after, Info(xp.where(happened, fear, 0.0), expected, error)

    def rest(self, theta: Constants, state: Causes, rest: Rest) -> Causes:
        """Iterate on the latest event for as long as there is time; a drug acts once for every iteration."""
        state = state._replace(clock=state.clock + rest.hours * theta.units_per_hour)
        any_event = state.iterations > 0
        if self.drug_acts:
            closes = (rest.closes > 0) & any_event
            gain = xp.where(closes, xp.maximum(rest.threat_gain, -1.0), 0.0)
            acted = state._replace(weight=drugged(state.weight, gain, state.posterior), gain=gain)
            state = choose(closes, acted, state)
        wanted = xp.minimum(theta.max_iterations, xp.floor(state.clock - state.at + 0.5))
        for _ in range(MOST_ITERATIONS - 1):
            state = choose(any_event & (state.iterations + 1 <= wanted), iterate(theta, state), state)
        return state


@final
class LatentCause(Ruminating):
    """Gershman, Monfils, Norman & Niv 2017 (10.7554/eLife.23763): a drug does nothing.

    Notes
    -----
    The published model has one drug, an amnestic one after retrieval, which ``LatentCauseDrug`` takes up; here
    none acts, so that the two tell apart what comes from latent causes and what from the drug rule.
    """

    name = "latent_cause"
    title = "Latent causes"
    drug_acts = False


@final
class LatentCauseDrug(Ruminating):
    r"""Gershman, Monfils, Norman & Niv 2017 (10.7554/eLife.23763) with their amnestic rule for any NMDA drug.

    .. math:: w_k \leftarrow w_k (1 + N q_k)

    Notes
    -----
    It acts after a session that closes, on its last event, once for every iteration on that event; :math:`N` is
    the gain for threat, -1 at the least. Full block, :math:`N = -1`, is the published amnestic rule
    :math:`w_k (1 - q_k)`; other gains are our generalisation.
    """

    name = "latent_cause_drug"
    title = "Latent causes, amnestic rule"
    drug_acts = True


def file_latest(state: Causes) -> Causes:
    """Put the latest event down to its likeliest cause."""
    likeliest = xp.argmax(state.posterior, axis=-1)[..., None] == xp.arange(CAUSES)
    share = xp.where(likeliest, per_element(state.share), 0.0)
    slot = (per_element(state.filed) == xp.arange(state.when.shape[-1])) & per_element(state.iterations > 0)
    return state._replace(
        feature_sum=state.feature_sum + share[..., None] * state.features[..., None, :],
        history=xp.where(slot[..., None], share[..., None, :], state.history),
        when=xp.where(slot, per_element(state.at), state.when),
        filed=state.filed + xp.where(state.iterations > 0, 1.0, 0.0),
    )


def log_prior(theta: Constants, state: Causes) -> Array:
    """Logarithm of the prior of every cause, up to a constant: its events by age; the next new cause."""
    age = xp.maximum(per_element(state.clock) - state.when, 1.0)
    old = xp.sum((age ** -per_element(theta.time_exponent))[..., None] * state.history, axis=-2)
    new = xp.sum(state.history, axis=-2) == 0
    weight = xp.where(new & (xp.cumsum(new, axis=-1) == 1), per_element(theta.concentration), old)
    return xp.where(weight > 0, xp.log(xp.where(weight > 0, weight, 1.0)), IMPOSSIBLE)


def log_features(theta: Constants, state: Causes, present: Array) -> Array:
    """Logarithm of the likelihood of the features under every cause."""
    variance = per_element(theta.cue_variance)
    count = xp.sum(state.history, axis=-2) + variance
    spread = (variance / count + variance)[..., None]
    distance = present[..., None, :] - state.feature_sum / count[..., None]
    return xp.sum(-0.5 * (xp.log(2 * math.pi * spread) + distance**2 / spread), axis=-1)


def iterate(theta: Constants, state: Causes) -> Causes:
    """One step of expectation and maximisation on the latest event, and what the drug does to it."""
    variance = per_element(theta.us_variance)
    miss = per_element(state.us) - values(state.weight, state.features)
    posterior = softmax(state.log_likelihood - miss**2 / (2 * variance))
    step = per_element(theta.rate * state.share) * posterior * miss
    weight = state.weight + step[..., None] * state.features[..., None, :]
    return state._replace(
        weight=drugged(weight, state.gain, posterior), posterior=posterior, iterations=state.iterations + 1
    )


def drugged(weight: Array, gain: Array, posterior: Array) -> Array:
    """Weights times ``1 + gain`` at the share of each cause."""
    return weight * (1 + per_element(gain) * posterior)[..., None]


def values(weight: Array, features: Array) -> Array:
    """US that every cause leads to expect from the features."""
    return xp.sum(weight * features[..., None, :], axis=-1)


def softmax(logarithm: Array) -> Array:
    """Probabilities from logarithms that lack a constant."""
    raised = xp.exp(logarithm - xp.max(logarithm, axis=-1, keepdims=True))
    return raised / xp.sum(raised, axis=-1, keepdims=True)


def choose(condition: Array, yes: Causes, no: Causes) -> Causes:
    """One state or the other, by batch."""
    batch_axes = no.clock.ndim

    def either(left: Array, right: Array) -> Array:
        return xp.where(condition.reshape(condition.shape + (1,) * (right.ndim - batch_axes)), left, right)

    return Causes(*(either(left, right) for left, right in zip(yes, no, strict=True)))


def normal_cdf(value: Array) -> Array:
    """Standard normal distribution function, of NumPy or JAX arrays."""
    if uses_jax(value):
        return cast("Array", sys.modules["jax"].scipy.special.ndtr(value))
    from scipy.special import ndtr

    return cast("Array", ndtr(value))
