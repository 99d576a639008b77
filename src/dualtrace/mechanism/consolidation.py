"""Sixth link: how much the drug strengthens whatever trace a session leaves open.

``M`` is the drug's extra gain averaged over the window that opens at the end of the session. It multiplies
safety and threat alike; which of them is open is the business of the memory model.

The integral is a sum over fixed nodes, exact for smooth curves; the window is split where a dose arrives,
so that post-session doses are as accurate as pre-session ones.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.mechanism.arrays import xp

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike

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


def exponential_window(
    *, session_end_h: ArrayLike, tau_h: ArrayLike, arrivals_h: ArrayLike, nodes: int = _NODES
) -> Quadrature:
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
        Times at which a dose starts to be absorbed, shape ``(..., n_doses)``; the integrand has a corner there.
    nodes
        Nodes between two corners.
    """
    stretch = _STRETCH * xp.asarray(tau_h)
    after = xp.sort(xp.maximum(xp.asarray(arrivals_h) - session_end_h, 0), axis=-1)
    place, share = _pieces(xp.exp(-after / stretch)[..., ::-1], nodes)
    weight = share * _STRETCH * place ** (_STRETCH - 1)
    return Quadrature(xp.asarray(session_end_h) - stretch * xp.log(place), weight)


def step_window(
    *, session_end_h: ArrayLike, width_h: ArrayLike, arrivals_h: ArrayLike, nodes: int = _NODES
) -> Quadrature:
    """Nodes of a window that is fully open for ``width_h`` hours and then closed."""
    width = xp.asarray(width_h)
    after = xp.sort(xp.clip(xp.asarray(arrivals_h) - session_end_h, 0, width), axis=-1)
    place, share = _pieces(after / width, nodes)
    return Quadrature(xp.asarray(session_end_h) + width * place, share)


def _pieces(corners: Array, nodes: int) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights on each piece of 0 to 1 between rising corners, in one row."""
    node, weight = (half.astype(corners.dtype) for half in np.polynomial.legendre.leggauss(nodes))
    least = np.finfo(corners.dtype).tiny  # keeps the last node finite when a dose comes weeks after the session
    end = xp.ones_like(corners, shape=(*corners.shape[:-1], 1))
    edges = xp.concatenate([0 * end, corners, end], axis=-1)
    low, high = edges[..., :-1, None], edges[..., 1:, None]
    half = (high - low) / 2
    place, share = (low + high) / 2 + half * node, half * weight
    row = (*place.shape[:-2], place.shape[-2] * place.shape[-1])
    return xp.maximum(place, least).reshape(row), share.reshape(row)


def boost(effective_gain: ArrayLike, window: Quadrature) -> Array:
    """``M``: the drug's extra gain averaged over a window; 0 without drug, negative for a blocker."""
    return xp.sum(window.weight * (xp.asarray(effective_gain) - 1), axis=-1)
