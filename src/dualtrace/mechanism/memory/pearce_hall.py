"""Hybrid of Pearce–Hall and Rescorla–Wagner: excitation and inhibition kept apart, learning led by surprise."""

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
    """Associability at the start and its bounds, learning rates, its own rate, and the context's intensity."""

    associability: ArrayLike
    lowest: ArrayLike
    highest: ArrayLike
    rate_excitation: ArrayLike
    rate_inhibition: ArrayLike
    rate_associability: ArrayLike
    context_salience: ArrayLike


class Strengths(NamedTuple):
    """Excitation, inhibition and associability of every element, shape ``(..., elements)``.

    ``excitation_at_start`` and ``inhibition_at_start`` are those at the start of the session.
    """

    excitation: Array
    inhibition: Array
    associability: Array
    excitation_at_start: Array
    inhibition_at_start: Array


@final
class PearceHall(Memory[Constants, Strengths]):
    r"""Pearce, Kaye & Hall 1982 in its hybrid form, contexts as further elements.

    .. math::
        \delta = \lambda - \sum_j x_j (E_j - I_j), \quad
        \Delta E_i = \alpha_i x_i \beta_E [\delta]_+, \quad
        \Delta I_i = \alpha_i x_i \beta_I [-\delta]_+, \quad
        \alpha_i \leftarrow (1 - \gamma x_i)\alpha_i + \gamma x_i |\delta|

    Notes
    -----
    Associability, the two kinds of strength and the constants are those of Pearce, Kaye & Hall (1982); their
    excitation grows with the US itself, whereas the hybrid (Le Pelley 2004, 10.1080/02724990344000141) takes the
    summed error, so that it is Rescorla–Wagner when associability stands still (:math:`\gamma = 0`).
    The model has no drug. Ours multiplies what a session changed, ``X <- X_start + (1 + N)(X - X_start)``: a rise
    of excitation by the gain for threat, a rise of inhibition by the gain for safety. Time changes nothing.
    """

    name = "pearce_hall"
    title = "Pearce–Hall hybrid"
    source = "Pearce, Kaye & Hall 1982; hybrid of Le Pelley 2004 (10.1080/02724990344000141)"
    constants = (
        "pearce_hall.associability",
        "pearce_hall.associability_min",
        "pearce_hall.associability_max",
        "pearce_hall.rate_excitation",
        "pearce_hall.rate_inhibition",
        "pearce_hall.rate_associability",
        "pearce_hall.context_salience",
    )

    def theta(self, lookup: Lookup) -> Constants:
        """Constants of ``parameters.yaml``."""
        return Constants(*(lookup(name, "1") for name in self.constants))

    def init(self, theta: Constants, sizes: Sizes) -> Strengths:
        """No strength, every element at the associability of a new one."""
        naive = xp.zeros((*sizes.batch, sizes.elements))
        start = xp.clip(theta.associability, theta.lowest, theta.highest)
        return Strengths(naive, naive, naive + per_element(start), naive, naive)

    def present(self, theta: Constants, state: Strengths, event: Event) -> tuple[Strengths, Info]:
        """Move excitation or inhibition by the summed error, and associability towards its size."""
        present = elements(event, theta.context_salience)
        expected = xp.sum(present * (state.excitation - state.inhibition), axis=-1)
        error = xp.where(xp.sum(present, axis=-1) > 0, event.us - expected, 0.0)
        share = per_element(event.length * xp.where(event.us > 0, 1.0, event.quality)) * present
        rise = per_element(theta.rate_excitation * xp.maximum(error, 0)) * share * state.associability
        fall = per_element(theta.rate_inhibition * xp.maximum(-error, 0)) * share * state.associability
        towards = per_element(xp.abs(error)) - state.associability
        moved = state.associability + xp.minimum(1.0, per_element(theta.rate_associability) * share) * towards
        after = state._replace(
            excitation=state.excitation + rise,
            inhibition=state.inhibition + fall,
            associability=xp.clip(moved, per_element(theta.lowest), per_element(theta.highest)),
        )
        return after, Info(xp.clip(expected, 0, 1), expected, error)

    def rest(self, theta: Constants, state: Strengths, rest: Rest) -> Strengths:  # noqa: ARG002
        """Scale what a session that has just ended changed by the drug's gain."""
        excitation = scaled(state.excitation, state.excitation_at_start, rest)
        safety = scaled(-state.inhibition, -state.inhibition_at_start, rest)
        return Strengths(excitation[0], -safety[0], state.associability, excitation[1], -safety[1])
