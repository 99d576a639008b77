"""Random numbers of patients: addressed by patient and purpose, so that no order and no chunk can change them.

A patient's number is a function of the seed, the patient's index and the place of the number in the patient's
list, and of nothing else: the same patient is met in every arm, on every machine and in every chunk. For
expectations the same places are filled from a Sobol sequence instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import uses_jax, xp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.mechanism.arrays import Array

_BITS = 23
"""Bits kept of each random word: as many as a float32 between 0 and 1 holds exactly, in either precision."""

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def key_of(seed: int) -> NDArray[np.uint32]:
    """Two words of a seed from 0 to 2^64 - 1.

    Raises
    ------
    InputError
        The seed is negative or too large.
    """
    if not 0 <= seed < 2**64:
        raise InputError(f"a seed must be a whole number from 0 to 2^64 - 1; given {seed}")
    return np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint32)


def uniforms(key: Array, patients: Array, count: int, dtype: Any) -> Array:  # noqa: ANN401
    """Uniform numbers strictly between 0 and 1.

    Parameters
    ----------
    key
        Two unsigned 32-bit words (:func:`key_of`).
    patients
        Index of each patient, unsigned 32-bit, shape ``(n,)``.
    count
        How many numbers each patient needs.

    Returns
    -------
    Array
        Shape ``(count, n)``.

    Notes
    -----
    Threefry-2x32 with 20 rounds (Salmon et al. 2011, doi 10.1145/2063384.2063405), counter (patient, place).
    """
    pairs = -(-count // 2)
    place = xp.asarray(np.arange(pairs, dtype=np.uint32))[:, None]
    first, second = threefry(key, xp.broadcast_to(patients, (pairs, *patients.shape)), place)
    words = xp.stack([first, second], axis=1).reshape(2 * pairs, *patients.shape)[:count]
    return ((words >> (32 - _BITS)).astype(dtype) + 0.5) * 2.0**-_BITS


def threefry(key: Array, high: Array, low: Array) -> tuple[Array, Array]:
    """Two random words for every counter ``(high, low)``; all unsigned 32-bit."""
    words = [key[0:1], key[1:2], key[0:1] ^ key[1:2] ^ np.uint32(_PARITY)]
    left, right = high + words[0], low + words[1]
    for block in range(5):
        for turn in _ROTATIONS[block % 2]:
            left = left + right
            right = (right << np.uint32(turn)) | (right >> np.uint32(32 - turn))
            right = right ^ left
        left = left + words[(block + 1) % 3]
        right = right + words[(block + 2) % 3] + np.uint32(block + 1)
    return left, right


def sobol(count: int, patients: int, seed: int) -> NDArray[np.float64]:
    """Scrambled Sobol points strictly between 0 and 1, shape ``(count, patients)``; ``patients`` a power of two.

    Owen 1998, doi 10.1145/272991.273010, as in :class:`scipy.stats.qmc.Sobol`.
    """
    from scipy.stats import qmc

    points = qmc.Sobol(count, scramble=True, rng=np.random.default_rng(seed)).random(patients)
    half = 2.0 ** -(_BITS + 1)
    return np.clip(points.T, half, 1 - half)


def normal(uniform: Array) -> Array:
    """Standard normal numbers from uniform ones, by the quantile function."""
    if uses_jax(uniform):
        import jax

        return jax.scipy.special.ndtri(uniform)
    from scipy.special import ndtri

    return xp.asarray(ndtri(uniform))
