"""Random numbers of patients: addressed by patient and purpose, so that no order and no chunk can change them.

A patient's number is a function of the seed, the patient's index and the place of the number in the patient's
list, and of nothing else: the same patient is met in every arm, on every machine and in every chunk. For
expectations the same places are filled from a Sobol sequence instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp

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
    Threefry-2x32 with 20 rounds (Salmon et al. 2011, doi 10.1145/2063384.2063405), counter (patient, place // 2);
    the two words of a counter are the numbers at an even place and at the next.
    """
    return uniforms_at(key, patients, np.arange(count), dtype)


def uniforms_at(key: Array, patients: Array, places: NDArray[np.integer[Any]], dtype: Any) -> Array:  # noqa: ANN401
    """The numbers at some places of the patients' lists, ``(places, n)``; see :func:`uniforms`."""
    place = xp.asarray(places.astype(np.uint32))[:, None]
    even, odd = threefry(key, xp.broadcast_to(patients, (places.size, *patients.shape)), place // np.uint32(2))
    # Chosen rather than interleaved: an interleaved array that is cut takes five times as long.
    return between(xp.where(place % np.uint32(2) == 0, even, odd), dtype)


def between(words: Array, dtype: Any) -> Array:  # noqa: ANN401
    """Random words as uniform numbers strictly between 0 and 1."""
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

    Raises
    ------
    InputError
        The number of patients is no power of two: the points would not be balanced.
    """
    from scipy.stats import qmc

    if patients < 1 or patients & (patients - 1):
        raise InputError(f"the number of quasi-random patients must be a power of two; given {patients}")

    points = qmc.Sobol(count, scramble=True, rng=np.random.default_rng(seed)).random(patients)
    half = 2.0 ** -(_BITS + 1)
    return np.clip(points.T, half, 1 - half)


def normal(uniform: Array) -> Array:
    """Standard normal numbers from uniform ones between 2^-24 and 1 - 2^-24, by the quantile function.

    Wichura 1988, doi 10.2307/2347330, algorithm AS 241 (PPND16) without its last region, which begins at 1.4e-11.
    """
    offset = uniform - 0.5
    middle = offset * _ratio(_MIDDLE, _EDGE**2 - offset**2)
    far = _ratio(_TAIL, xp.sqrt(-xp.log(xp.minimum(uniform, 1 - uniform))) - 1.6)
    return xp.where(xp.abs(offset) <= _EDGE, middle, xp.sign(offset) * far)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], at: Array) -> Array:
    over, under = (_polynomial(part, at) for part in coefficients)
    return over / under


def _polynomial(coefficients: tuple[float, ...], at: Array) -> Array:
    """Value by Horner's rule, the highest power first."""
    value = xp.full_like(at, coefficients[0])
    for one in coefficients[1:]:
        value = value * at + one
    return value


_EDGE = 0.425
_MIDDLE = (
    (
        2509.0809287301226727,
        33430.575583588128105,
        67265.770927008700853,
        45921.953931549871457,
        13731.693765509461125,
        1971.5909503065514427,
        133.14166789178437745,
        3.387132872796366608,
    ),
    (
        5226.495278852854561,
        28729.085735721942674,
        39307.89580009271061,
        21213.794301586595867,
        5394.1960214247511077,
        687.1870074920579083,
        42.313330701600911252,
        1.0,
    ),
)
_TAIL = (
    (
        7.7454501427834140764e-4,
        0.0227238449892691845833,
        0.24178072517745061177,
        1.27045825245236838258,
        3.64784832476320460504,
        5.7694972214606914055,
        4.6303378461565452959,
        1.42343711074968357734,
    ),
    (
        1.05075007164441684324e-9,
        5.475938084995344946e-4,
        0.0151986665636164571966,
        0.14810397642748007459,
        0.68976733498510000455,
        1.6763848301838038494,
        2.05319162663775882187,
        1.0,
    ),
)
"""Coefficients of AS 241 above and below the line, highest power first: in the middle, and in the tails."""
