"""Kalman filter: the weights as a Gaussian belief, so that what is learned of one element bears on the others."""

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
    """Variances: of a weight before learning, of the US, and of a weight's drift; the context's intensity."""

    prior_variance: ArrayLike
    us_variance: ArrayLike
    drift_variance: ArrayLike
    context_salience: ArrayLike


class Belief(NamedTuple):
    """Mean ``(..., elements)`` and covariance ``(..., elements, elements)`` of the weights; mean at session start."""

    mean: Array
    covariance: Array
    mean_at_start: Array


@final
class KalmanFilter(Memory[Constants, Belief]):
    r"""Gershman 2015 (10.1371/journal.pcbi.1004567), contexts as further elements.

    .. math::
        S = \Sigma + \ell \tau^2 I, \quad
        k = \frac{S x}{x^\top S x + \sigma_r^2 / \ell}, \quad
        m \leftarrow m + k (r - x^\top m), \quad
        \Sigma \leftarrow S - k x^\top S

    Notes
    -----
    The length :math:`\ell` of an event is the precision of its US: a share of a presentation tells that share of
    what a whole one (:math:`\ell = 1`, the published equations) tells. On events without US the share taken in
    counts in the same way.
    The model has no drug. Ours multiplies the change that a session made to the mean,
    ``m <- m_start + (1 + N)(m - m_start)``, and leaves the covariance alone. Time between events changes nothing.
    """

    name = "kalman_filter"
    title = "Kalman filter"
    source = "Gershman 2015 (10.1371/journal.pcbi.1004567)"
    constants = (
        "kalman_filter.prior_variance",
        "kalman_filter.us_variance",
        "kalman_filter.drift_variance",
        "kalman_filter.context_salience",
    )

    def theta(self, lookup: Lookup) -> Constants:
        """Constants of ``parameters.yaml``."""
        return Constants(*(lookup(name, "1") for name in self.constants))

    def init(self, theta: Constants, sizes: Sizes) -> Belief:
        """Weights of mean 0, unrelated to each other."""
        naive = xp.zeros((*sizes.batch, sizes.elements))
        unrelated = xp.zeros((*sizes.batch, sizes.elements, sizes.elements)) + xp.eye(sizes.elements)
        return Belief(naive, per_element(theta.prior_variance, 2) * unrelated, naive)

    def present(self, theta: Constants, state: Belief, event: Event) -> tuple[Belief, Info]:
        """Condition the belief on the US that came or not."""
        present = elements(event, theta.context_salience)
        expected = xp.sum(present * state.mean, axis=-1)
        error = xp.where(xp.sum(present, axis=-1) > 0, event.us - expected, 0.0)
        share = event.length * xp.where(event.us > 0, 1.0, event.quality)
        drift = per_element(theta.drift_variance * event.length, 2) * xp.eye(present.shape[-1])
        covariance = state.covariance + drift
        spread = xp.sum(covariance * present[..., None, :], axis=-1)
        doubt = xp.sum(present * spread, axis=-1)
        gain = per_element(share / (share * doubt + theta.us_variance)) * spread
        after = state._replace(
            mean=state.mean + gain * per_element(error),
            covariance=covariance - gain[..., None] * spread[..., None, :],
        )
        return after, Info(xp.clip(expected, 0, 1), expected, error)

    def rest(self, theta: Constants, state: Belief, rest: Rest) -> Belief:  # noqa: ARG002
        """Scale the change of the mean in a session that has just ended by the drug's gain."""
        mean, at_start = scaled(state.mean, state.mean_at_start, rest)
        return Belief(mean, state.covariance, at_start)
