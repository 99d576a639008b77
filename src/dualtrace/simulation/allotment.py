"""Who goes to which arm: permuted blocks within strata, or chance alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.draws import uniforms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.simulation.plan import Plan

MOST_IN_BLOCKS = 1_000_000
"""Most patients that are allotted in blocks: these are dealt one after the other, chance needs no order."""

_OWN_STREAM = np.uint32(0x9E3779B9)
"""Keeps the numbers of allotment apart from those of the patients."""

BY_CHANCE = -1


def allot(plan: Plan, key: NDArray[np.uint32], patients: int, strata: NDArray[np.int8]) -> NDArray[np.int8]:
    """Place of the arm of every patient, in the order in which they come; shape ``(patients,)``.

    Parameters
    ----------
    plan
        Its protocol says ratio and blocks.
    key
        Key of the simulation.
    patients
        How many.
    strata
        Stratum of each patient, ``(patients,)``; all 0 without strata.

    Raises
    ------
    InputError
        Too many patients for blocks.
    """
    sizes, ratio = plan.protocol.randomisation.blocks, plan.protocol.ratio
    if not sizes:
        return np.full(patients, BY_CHANCE, np.int8)
    if patients > MOST_IN_BLOCKS:
        raise InputError(
            f"at most {MOST_IN_BLOCKS:,} patients are allotted in blocks; given {patients:,}: "
            "leave randomisation.blocks out, at this size chance balances the arms"
        )
    arms = np.empty(patients, np.int8)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        numbers = _numbers(key, members.size + max(sizes), int(stratum))
        arms[members] = _dealt(sizes, ratio, numbers, members.size)
    return arms


def _numbers(key: NDArray[np.uint32], count: int, stratum: int) -> NDArray[np.float64]:
    """Two uniform numbers per place: one for the size of a block, one for the order within it."""
    own = key ^ np.array([_OWN_STREAM, np.uint32(stratum)])
    return np.asarray(uniforms(xp.asarray(own), xp.asarray(np.arange(count, dtype=np.uint32)), 2, np.float64))


def _dealt(
    sizes: tuple[int, ...], ratio: tuple[int, ...], numbers: NDArray[np.float64], count: int
) -> NDArray[np.int8]:
    """Deal whole blocks until ``count`` places are filled; the last block is dealt whole too, then cut."""
    dealt: list[NDArray[np.int8]] = []
    start = 0
    while start < count:
        size = sizes[min(int(numbers[0, start] * len(sizes)), len(sizes) - 1)]
        block = np.repeat(np.arange(len(ratio), dtype=np.int8), [share * size // sum(ratio) for share in ratio])
        dealt.append(block[np.argsort(numbers[1, start : start + size], kind="stable")])
        start += size
    return np.concatenate(dealt)[:count]
