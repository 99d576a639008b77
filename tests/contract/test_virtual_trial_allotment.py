"""Who goes to which arm: balance, chance, and the same answer again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualtrace.simulation.allotment import allot
from dualtrace.simulation.draws import key_of
from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.plan import plan_of
from virtual_blocks import EARNED, PLACEBO, PRE, text_of

if TYPE_CHECKING:
    from dualtrace.simulation.protocol import Protocol


def with_randomisation(written: str) -> Protocol:
    return parse_protocol(text_of([EARNED, PRE, PLACEBO], more=f"randomisation: {{{written}}}"))


def test_blocks_balance_the_arms_exactly_within_every_stratum() -> None:
    plan = plan_of(with_randomisation("blocks: 6, strata: severity, ratio: {earned: 2, pre: 3, placebo: 1}"))
    strata = (np.arange(600) % 3 == 0).astype(np.int8)
    arms = allot(plan, key_of(5), 600, strata)
    for stratum in (0, 1):
        blocks = arms[strata == stratum][: 600 // 3 // 6 * 6].reshape(-1, 6)
        np.testing.assert_array_equal(np.sort(blocks, axis=1), [[0, 0, 1, 1, 1, 2]] * len(blocks))
        assert len({tuple(block) for block in blocks.tolist()}) > 10
    np.testing.assert_array_equal(allot(plan, key_of(5), 600, strata), arms)
    np.testing.assert_array_equal(allot(plan, key_of(5), 601, np.append(strata, np.int8(0)))[:600], arms)
    assert (allot(plan, key_of(6), 600, strata) != arms).any()


def test_blocks_of_several_sizes_are_mixed_and_the_last_one_is_cut_by_chance() -> None:
    """Of a block of six that is begun, whoever comes first must not always go to the first arm."""
    plan = plan_of(with_randomisation("blocks: [3, 6]"))
    none = np.zeros(7, np.int8)
    last = np.array([allot(plan, key_of(seed), 7, none)[-1] for seed in range(300)])
    assert np.bincount(last, minlength=3).min() > 60
    many = allot(plan, key_of(1), 3000, np.zeros(3000, np.int8))
    assert np.abs(np.bincount(many) - 1000).max() <= 2
    balanced_by_three = (np.sort(many.reshape(-1, 3), axis=1) == [0, 1, 2]).all(axis=1).mean()
    assert 0.2 < balanced_by_three < 0.8
