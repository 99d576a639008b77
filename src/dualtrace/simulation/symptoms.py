"""From fear in daily life to what an instrument shows, visit by visit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.scale import after_change, at_baseline, read, response

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.parameters import Lookup
    from dualtrace.simulation.learner import Learner
    from dualtrace.simulation.patients import Patients
    from dualtrace.simulation.plan import Plan

_OF_SCORES = ("score", "response")
"""Names of a dosing rule that change with visits."""


class Scores(NamedTuple):
    """Scores of every scale at every visit, the baseline first: ``(1 + visits, scales, n)``.

    Attributes
    ----------
    true, observed
        Without and with error of measurement.
    left
        Share of the symptoms that is left, ``(1 + visits, n)``; 1 at baseline.
    """

    true: Array
    observed: Array
    left: Array


@final
@dataclass(frozen=True, slots=True)
class Symptoms:
    """How the patients of a plan show their fear.

    Attributes
    ----------
    plan, patients
        Who is measured when.
    outside
        Fear in daily life before treatment, ``(n,)``.
    lookup
        Constants.
    rule_names
        Names in the arm's dosing rule; only where they speak of scores are these worked out between sessions.
    """

    plan: Plan
    patients: Patients
    outside: Array
    lookup: Lookup
    rule_names: tuple[str, ...] = ()

    def left(self, fear: Array, weeks: ArrayLike) -> Array:
        r"""Share of the symptoms that is left.

        .. math:: \ell = \left(1 - w\,(1 - f/f_0)\right)\left(1 - c\,(1 - e^{-t/\tau})\right)

        ``f`` is fear in daily life, ``f_0`` before treatment, ``w`` the share of symptoms that follows fear,
        ``c`` what gets better without it.
        """
        share = self.lookup("clinic.fear_share", "1")
        most = xp.minimum(self.lookup("clinic.nonspecific", "1") * self.patients.nonspecific, 1.0)
        other = most * (1 - xp.exp(-xp.asarray(weeks) / self.lookup("clinic.nonspecific_weeks", "week")))
        return xp.asarray((1 - share * (1 - fear / self.outside)) * (1 - other))

    def scores(self, learner: Learner[Any, Any], states: Any) -> Scores:  # noqa: ANN401
        """Scores at every visit, from the learner's state after each session (leaves ``(sessions, n)``)."""
        import jax

        visits, dtype = self.plan.visits, self.outside.dtype
        # The baseline's row is worked out like that of a visit and then set: rows that are joined inside an
        # elementwise kernel cost it the vector registers.
        over = np.array([0, *(visit.session - 1 for visit in visits)])
        wait_h, weeks = (
            xp.asarray([0.0, *values], dtype)[:, None]
            for values in ([v.wait_h for v in visits], [v.weeks for v in visits])
        )
        state = jax.tree.map(lambda leaf: leaf[over], states)
        after = self.left(learner.fear_outside(learner.wait(state, wait_h)), weeks)
        left = xp.where((np.arange(over.size) == 0)[:, None], 1.0, after)
        true, seen = [], []
        for k, scale in enumerate(self.plan.scales):
            first = at_baseline(scale, self.patients.severity, self.lookup)
            true.append(after_change(scale, first, left, self.lookup))
            seen.append(read(scale, true[-1], self.patients.noise[:, k], self.lookup))
        return Scores(xp.stack(true, axis=1), xp.stack(seen, axis=1), left)

    @property
    def matters_to_rule(self) -> bool:
        """Whether the dosing rule speaks of scores that change with visits."""
        return bool(set(self.rule_names) & set(_OF_SCORES))

    def first_score(self) -> Array:
        """Observed primary score at baseline."""
        scale = self.plan.scales[0]
        return read(
            scale, at_baseline(scale, self.patients.severity, self.lookup), self.patients.noise[0, 0], self.lookup
        )

    def known_score(self, latest: Array) -> dict[str, Array]:
        """What a rule may name of scores, given the latest observed one."""
        first = self.first_score()
        return {"score": latest, "baseline": first, "response": response(self.plan.scales[0], first, latest)}

    def latest_score(self, row: dict[str, Array], learner: Learner[Any, Any], state: Any, before: Array) -> Array:  # noqa: ANN401
        """Observed primary score after the visit that follows a session; ``before`` where none does."""
        scale = self.plan.scales[0]
        left = self.left(learner.fear_outside(learner.wait(state, row["visit_wait_h"])), row["visit_weeks"])
        true = after_change(scale, at_baseline(scale, self.patients.severity, self.lookup), left, self.lookup)
        seen = read(scale, true, self.patients.noise[row["visit"], 0], self.lookup)
        return xp.where(row["visit"] > 0, seen, before)


def visit_rows(plan: Plan, dtype: Any) -> dict[str, Array]:  # noqa: ANN401
    """For every session, the last visit before the next one: its number (0: none), wait and week."""
    number, wait, weeks = np.zeros(plan.sessions, int), np.zeros(plan.sessions), np.zeros(plan.sessions)
    for place, visit in enumerate(plan.visits, 1):
        if visit.session < plan.sessions and 0 in visit.scales:
            row = visit.session - 1
            number[row], wait[row], weeks[row] = place, visit.wait_h, visit.weeks
    return {
        "visit": xp.asarray(number),
        "visit_wait_h": xp.asarray(wait, dtype),
        "visit_weeks": xp.asarray(weeks, dtype),
    }
