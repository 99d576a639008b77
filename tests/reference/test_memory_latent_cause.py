"""Published simulations of Gershman, Monfils, Norman & Niv 2017 (10.7554/eLife.23763) by the latent-cause models.

The CS is their only feature: here a context on its own, whose intensity is 1. Gaps are in their units of time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualtrace.mechanism.memory.contract import Event, Info, Rest, Sizes, Timeline, follow
from dualtrace.mechanism.memory.latent_cause import LatentCause, LatentCauseDrug
from dualtrace.mechanism.parameters import load_parameters

TABLE = load_parameters()
ACQUISITION, TO_EXTINCTION, TO_TEST = 3, 20, 200


def numbers(values: Any) -> Any:
    return np.asarray(values, float)


def run(model: Any, blocks: list[tuple[int, float, float]], gains: tuple[float, ...] = (), **changes: float) -> Info:
    """Blocks of presentations: how many, the US, and the units of time before the first.

    ``gains`` are the drug's in the time before each block; every block ends a session.
    """
    us: list[float] = []
    hours: list[float] = []
    closes: list[float] = []
    gain: list[float] = []
    for number, (count, strength, gap) in enumerate(blocks):
        given = gains[number] if gains else 0.0
        us += [strength] * count
        hours += [gap] + [0.0] * (count - 1)
        closes += [float(number > 0)] + [0.0] * (count - 1)
        gain += [given] + [0.0] * (count - 1)
    rows = len(us)
    one, zero = numbers(np.ones(rows)), numbers(np.zeros(rows))
    named = {f"latent_cause.{name}": value for name, value in {"units_per_hour": 1.0, **changes}.items()}
    timeline = Timeline(
        Rest(numbers(hours), numbers(closes), numbers(gain), numbers(gain)),
        Event(numbers(np.zeros((rows, 0))), numbers(np.ones((rows, 1))), numbers(us), one, one, zero, zero),
        zero + np.inf,
    )
    return follow(model, model.theta(TABLE.lookup_with(named)), timeline, Sizes((), 0, 1, rows))


def test_reference_defaults_are_those_of_the_authors_code() -> None:
    theta = LatentCause().theta(TABLE.number)
    assert theta[:9] == (0.1, 1.0, 0.3, 3.0, 0.0, 0.4, 1.0, 0.02, 0.01)


@pytest.mark.parametrize("model", [LatentCause(), LatentCauseDrug()])
@pytest.mark.parametrize(("gap", "published"), [(0, 0.99), (3, 0.07), (100, 0.84)])
def test_reference_retrieval_before_extinction_prevents_recovery_in_a_window(
    model: Any, gap: float, published: float
) -> None:
    """Designs 1 to 3 of the authors, after Monfils et al. 2009: response at test without retrieval, after a short and a long gap."""
    info = run(model, [(ACQUISITION, 1.0, 0), (1, 0.0, TO_EXTINCTION), (18, 0.0, gap), (1, 0.0, TO_TEST)])
    assert info.fear[-1] == pytest.approx(published, abs=0.01)


def test_reference_the_window_is_an_inverted_u_in_the_gap() -> None:
    """Design 13 of the authors: as the gap grows, recovery falls and comes back."""
    gaps = [0.0, 3.0, 100.0, 300.0]
    fear = [
        float(run(LatentCause(), [(3, 1.0, 0), (1, 0.0, 20), (18, 0.0, gap), (1, 0.0, 200)]).fear[-1]) for gap in gaps
    ]
    assert fear[0] > 0.9 > 0.1 > fear[1]
    assert fear[1] < fear[2]


def test_reference_an_old_memory_is_not_updated() -> None:
    """Design 21 of the authors, after Costanzi et al. 2011: 29 times the interval from training to retrieval."""
    young, old = (
        float(run(LatentCause(), [(3, 1.0, 0), (1, 0.0, 20 * times), (18, 0.0, 3), (1, 0.0, 200)]).fear[-1])
        for times in (1, 29)
    )
    assert young < 0.1
    assert old > 5 * young


@pytest.mark.parametrize(
    ("count", "gain", "published"),
    [(1, 0.0, 0.083), (1, -1.0, 0.023), (1, 0.5, 0.126), (10, 0.0, 0.019), (10, -1.0, 0.019), (10, 0.5, 0.019)],
)
def test_reference_amnestic_rule(count: int, gain: float, published: float) -> None:
    """US expected at test after one pairing, 1 or 10 CS, and full block, no drug or an agonist after them.

    One pairing, the CS 20 units later, the test 20 units after the last (a gap of 19 and the event's own unit).
    Their designs 6 and 7: block after a short session takes the memory away, after a long one it does not.
    """
    info = run(LatentCauseDrug(), [(1, 1.0, 0), (count, 0.0, 19), (1, 0.0, 19)], (0.0, 0.0, gain))
    assert info.expectation[-1] == pytest.approx(published, abs=6e-4)


def test_reference_amnestic_rule_needs_a_young_memory_and_a_drug_model() -> None:
    """Authors' design 9: twice the interval, less amnesia; without a drug rule there is none."""

    def share(model: Any, interval: float) -> float:
        blocks = [(1, 1.0, 0.0), (1, 0.0, interval), (1, 0.0, 20.0)]
        blocked, vehicle = (run(model, blocks, (0.0, 0.0, gain)).expectation[-1] for gain in (-1.0, 0.0))
        return float(blocked / vehicle)

    assert share(LatentCauseDrug(), 20.0) < 0.3 < share(LatentCauseDrug(), 40.0) < 1
    assert share(LatentCause(), 20.0) == 1


def test_reference_gains_below_full_block_are_full_block() -> None:
    blocks = [(1, 1.0, 0.0), (1, 0.0, 20.0), (1, 0.0, 20.0)]
    full, more = (run(LatentCauseDrug(), blocks, (0.0, 0.0, gain)).expectation[-1] for gain in (-1.0, -3.0))
    assert full == more
