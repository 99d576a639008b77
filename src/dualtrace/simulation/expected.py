"""What a virtual trial expects, without chance: few well-placed patients instead of many random ones, with gradients.

The patients come from a scrambled Sobol sequence and stay the same whatever the constants are, so that the
expectation is a smooth function of them (dosing rules must be softened for that) and differences are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, final

from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.block import simulate_block
from dualtrace.simulation.draws import sobol
from dualtrace.simulation.mechanism import lookup_in
from dualtrace.simulation.patients import count_of
from dualtrace.simulation.rule import with_thresholds
from dualtrace.simulation.tally import own_gain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from dualtrace.mechanism.arrays import Array
    from dualtrace.simulation.mechanism import Mechanism
    from dualtrace.simulation.plan import Plan


class Expectation(NamedTuple):
    """Expected values of the primary scale; ``A`` arms, ``V`` visits with the baseline.

    Attributes
    ----------
    mean, sd
        Of the true score of patients who stay, ``(A, V)``.
    everyone
        Mean true score of all patients, whether they stay or not, ``(A, V)``.
    gain
        Mean benefit against the reference arm, SDs at baseline, ``(A, V)``.
    stays
        Share of patients still there, ``(A, V)``.
    """

    mean: Array
    sd: Array
    everyone: Array
    gain: Array
    stays: Array


@final
@dataclass(frozen=True, eq=False)
class Expected:
    """The expectation of one plan on one mechanism as a function of the constants.

    Attributes
    ----------
    plan, mechanism
        What is simulated; the mechanism's values are the ones not given in a call.
    uniform
        Numbers of the patients, ``(count_of(plan), n)``; :func:`expected` makes them.
    softness
        Width of the comparisons of dosing rules in SUDS points, and the sign that staying in treatment is a chance
        rather than a decision; ``None``: hard, without the gradient of either.
    """

    plan: Plan
    mechanism: Mechanism
    uniform: NDArray[np.float64]
    softness: float | None = None

    def __call__(
        self, values: Mapping[str, Any] | None = None, thresholds: Mapping[str, Sequence[Any]] | None = None
    ) -> Expectation:
        """Work out the expectation; JAX differentiates it in everything that is given.

        Parameters
        ----------
        values
            Constants to replace, by name.
        thresholds
            Numbers of dosing rules to replace, by arm, in the order in which the rule has them.

        Raises
        ------
        InputError
            An arm has no rule, or its rule has another number of thresholds.
        """
        import jax

        lookup = lookup_in({**self.mechanism.values(), **(values or {})}, self.uniform.dtype)
        plan = _with_thresholds(self.plan, thresholds or {})
        block = simulate_block(plan, self.mechanism, lookup, jax.numpy.asarray(self.uniform), self.softness)
        parts = [self._arm(block, place) for place in range(len(self.plan.arms))]
        return Expectation(*(xp.stack(column) for column in zip(*parts, strict=True)))

    def _arm(self, block: Any, place: int) -> tuple[Array, ...]:  # noqa: ANN401
        arm = block.arms[place]
        there = xp.stack(
            [xp.ones_like(arm.lived.stays[0]), *(arm.lived.stays[visit.session - 1] for visit in self.plan.visits)]
        )
        score = arm.scores.true[:, 0]
        weight = there / xp.sum(there, axis=-1, keepdims=True)
        mean = xp.sum(weight * score, axis=-1)
        spread = xp.sum(weight * (score - mean[:, None]) ** 2, axis=-1)
        gain = own_gain(self.plan, arm, block.arms[self.plan.reference])
        return mean, xp.sqrt(spread), xp.mean(score, axis=-1), xp.mean(gain, axis=-1), xp.mean(there, axis=-1)


def _with_thresholds(plan: Plan, thresholds: Mapping[str, Sequence[Any]]) -> Plan:
    ruled = {arm.source.id: arm.rule for arm in plan.arms if arm.rule is not None}
    for arm in thresholds:
        if arm not in ruled:
            raise InputError(f"thresholds need an arm with a rule ({', '.join(ruled) or 'none'}); given {arm}")
    rules = {
        arm: with_thresholds(rule, thresholds[arm]) if arm in thresholds else rule for arm, rule in ruled.items()
    }
    return replace(plan, arms=tuple(replace(arm, rule=rules.get(arm.source.id)) for arm in plan.arms))


def expected(
    plan: Plan, mechanism: Mechanism, *, points: int = 1024, seed: int = 0, softness: float | None = None
) -> Expected:
    """Prepare the expectation of a plan.

    Parameters
    ----------
    plan, mechanism
        What is simulated.
    points
        Quasi-random patients, a power of two.
    seed
        Of the scrambling.
    softness
        Width of the comparisons of dosing rules in SUDS points; ``None``: hard.

    Raises
    ------
    InputError
        ``points`` is not a power of two.
    """
    return Expected(plan, mechanism, sobol(count_of(plan), points, seed), softness)
