"""Sixth link: how much the drug strengthens whatever trace a session leaves open.

``M`` is the drug's extra gain averaged over the window that opens at the end of the session. It multiplies
safety and threat alike; which of them is open is the business of the memory model.

The integral is a sum over fixed nodes, exact for smooth curves; the window is split where a dose arrives,
so that post-session doses are as accurate as pre-session ones.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

if TYPE_CHECKING:
    from jax.typing import ArrayLike

_NODES = 32
_STRETCH = 3
"""The window is mapped by ``w = exp(-s / (3 tau))``: slow decays become smooth powers of ``w``."""


class Kernel(StrEnum):
    """Shape of the window."""

    EXPONENTIAL = "exponential"
    STEP = "step"


class Quadrature(NamedTuple):
    """Times (h) at which to know the gain, and the weight of each; weights sum to one."""

    time_h: Array
    weight: Array


def exponential_window(*, session_end_h: ArrayLike, tau_h: ArrayLike, arrivals_h: ArrayLike) -> Quadrature:
    r"""Nodes of an exponential window.

    .. math:: M = \int_{t_e}^{\infty} \frac{1}{\tau_c} e^{-(t - t_e)/\tau_c}\,[G_{eff}(t) - 1]\,dt
              = \int_0^1 [G_{eff} - 1]\, p\, w^{p-1}\, dw,\qquad w = e^{-(t - t_e)/(p \tau_c)}

    Parameters
    ----------
    session_end_h
        ``t_e``: end of the session.
    tau_h
        ``tau_c``: time constant of the window.
    arrivals_h
        Times at which a dose starts to be absorbed, shape ``(n_doses,)``; the integrand has a corner there.
    """
    stretch = _STRETCH * jnp.asarray(tau_h)
    after = jnp.sort(jnp.maximum(jnp.asarray(arrivals_h) - session_end_h, 0))
    corners = jnp.concatenate([jnp.ones(1), jnp.exp(-after / stretch), jnp.zeros(1)])
    place, share = _pieces(corners[::-1])
    weight = share * _STRETCH * place ** (_STRETCH - 1)
    return Quadrature(jnp.asarray(session_end_h) - stretch * jnp.log(place), weight)


def step_window(*, session_end_h: ArrayLike, width_h: ArrayLike, arrivals_h: ArrayLike) -> Quadrature:
    """Nodes of a window that is fully open for ``width_h`` hours and then closed."""
    width = jnp.asarray(width_h)
    after = jnp.sort(jnp.clip(jnp.asarray(arrivals_h) - session_end_h, 0, width))
    corners = jnp.concatenate([jnp.zeros(1), after / width, jnp.ones(1)])
    place, share = _pieces(corners)
    return Quadrature(jnp.asarray(session_end_h) + width * place, share)


def _pieces(corners: Array) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights on each piece between rising corners, flattened."""
    node, weight = (jnp.asarray(half) for half in np.polynomial.legendre.leggauss(_NODES))
    low, high = corners[:-1, None], corners[1:, None]
    half = (high - low) / 2
    return ((low + high) / 2 + half * node).ravel(), (half * weight).ravel()


def boost(effective_gain: ArrayLike, window: Quadrature) -> Array:
    """``M``: the drug's extra gain averaged over a window; 0 without drug, negative for a blocker."""
    return jnp.sum(window.weight * (jnp.asarray(effective_gain) - 1), axis=-1)
