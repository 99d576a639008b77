"""Who goes to which arm: permuted blocks within strata, or chance alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.draws import between, threefry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.simulation.plan import Plan

MOST_IN_BLOCKS = 1_000_000
"""Most patients that are allotted in blocks: these are dealt one after the other, chance needs no order."""

_OWN_STREAM = np.uint32(0x9E3779B9)
"""Keeps the numbers of allotment apart from those of the patients."""

BY_CHANCE = -1


def allot(
    plan: Plan, key: NDArray[np.uint32], patients: int, strata: NDArray[np.int8], *, trials: int = 1
) -> NDArray[np.int8]:
    """Place of the arm of every patient, in the order in which they come; shape ``(trials * patients,)``.

    Parameters
    ----------
    plan
        Its protocol says ratio and blocks.
    key
        Key of the simulation.
    patients
        How many are in a trial.
    strata
        Stratum of each patient, ``(trials * patients,)``; all 0 without strata.
    trials
        How many trials follow one another, each dealt by itself; the first is dealt as if it were alone.

    Raises
    ------
    InputError
        Too many patients for blocks.
    """
    sizes, ratio = plan.protocol.randomisation.blocks, plan.protocol.ratio
    if not sizes:
        return np.full(trials * patients, BY_CHANCE, np.int8)
    if patients > MOST_IN_BLOCKS:
        raise InputError(
            f"at most {MOST_IN_BLOCKS:,} patients are allotted in blocks; given {patients:,}: "
            "leave randomisation.blocks out, at this size chance balances the arms"
        )
    arms, own = np.empty((trials, patients), np.int8), strata.reshape(trials, patients)
    step = max(MOST_IN_BLOCKS // patients, 1)  # bounds the memory of the numbers
    for first in range(0, trials, step):
        some = np.arange(first, min(first + step, trials))
        for stratum in np.unique(own[some]):
            member = own[some] == stratum
            most = int(member.sum(axis=1).max())
            dealt = _dealt(sizes, ratio, _numbers(key, most + max(sizes), int(stratum), some), most)
            nth = np.cumsum(member, axis=1) - 1
            arms[some] = np.where(member, np.take_along_axis(dealt, np.maximum(nth, 0), axis=1), arms[some])
    return arms.ravel()


def _numbers(
    key: NDArray[np.uint32], count: int, stratum: int, trials: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Uniform numbers of every place, ``(trials, count)``: for the size of a block, and for the order within it."""
    own = key ^ np.array([_OWN_STREAM, np.uint32(stratum)])
    places, rows = np.arange(count, dtype=np.uint32)[None], trials.astype(np.uint32)[:, None]
    words = threefry(xp.asarray(own), xp.asarray(places), xp.asarray(rows))
    size, order = (np.asarray(between(word, np.float64)) for word in words)
    return size, order


def _dealt(
    sizes: tuple[int, ...],
    ratio: tuple[int, ...],
    numbers: tuple[NDArray[np.float64], NDArray[np.float64]],
    count: int,
) -> NDArray[np.int8]:
    """Deal whole blocks until ``count`` places are filled, ``(trials, count)``; the last one is cut."""
    of_size, of_order = numbers
    size = np.array(sizes)[np.minimum((of_size * len(sizes)).astype(int), len(sizes) - 1)]
    begins = _begins(size, count)
    first = np.maximum.accumulate(np.where(begins, np.arange(size.shape[1]), 0), axis=1)
    order = np.argsort(np.cumsum(begins, axis=1) + of_order, axis=1, kind="stable")
    cards = np.zeros((max(sizes) + 1, max(sizes)), np.int8)
    for one in sizes:
        cards[one, :one] = np.repeat(np.arange(len(ratio)), [share * one // sum(ratio) for share in ratio])
    # Beyond the last block there is nothing to deal; the places only keep the arrays rectangular.
    place = np.minimum(order - first, max(sizes) - 1)
    dealt: NDArray[np.int8] = cards[np.take_along_axis(size, first, axis=1), place][:, :count]
    return dealt


def _begins(size: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Whether a block begins at each place, given the size it would have there, both ``(trials, places)``."""
    begins, trials = np.zeros(size.shape, bool), np.arange(size.shape[0])
    start = np.zeros(trials.size, int)
    while start.min() < count:
        begins[trials, start] = True
        start = np.where(start < count, start + size[trials, start], start)
    begins[trials, start] = True
    return begins
