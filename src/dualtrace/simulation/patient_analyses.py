"""The patients of a virtual trial analysed as trialists do: covariance, repeated measures, response, moderation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dualtrace.analysis.ancova import ancova
from dualtrace.analysis.mmrm import mmrm
from dualtrace.analysis.moderation import moderation
from dualtrace.analysis.proportions import proportions
from dualtrace.analysis.result import Result
from dualtrace.analysis.session_moderation import session_moderation
from dualtrace.errors import DualtraceError, FitError
from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.reported import BASELINE
from dualtrace.simulation.scale import remission, response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualtrace.mechanism.arrays import Array
    from dualtrace.simulation.plan import ArmPlan, Plan
    from dualtrace.simulation.scale import Scale
    from dualtrace.simulation.tables import Table
    from dualtrace.simulation.virtual_trial import VirtualTrial


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis(Result):
    """One analysis of the patients.

    Attributes
    ----------
    key, title
        Name in JSON; heading.
    arm
        The arm it is about; empty for all together.
    visits
        Ids of the visits analysed, in the order of the result.
    result
        What was found; ``None`` when the patients determine no answer.
    refused
        Why not; empty otherwise.
    """

    key: str
    title: str
    arm: str = ""
    visits: tuple[str, ...] = ()
    result: Any
    refused: str = ""

    def __post_init__(self) -> None:
        if (self.result is None) != bool(self.refused):
            raise ValueError(f"{self.key}: there is either a result or the reason why there is none")


def analyses(trial: VirtualTrial, level: float) -> tuple[Analysis, ...]:
    """Analyse the primary scale at the end of treatment, over the visits, and by fear at the end of sessions."""
    return tuple(_analyses(trial, level))


def _analyses(trial: VirtualTrial, level: float) -> Iterator[Analysis]:
    plan, table = trial.plan, trial.patient_table
    reference, end = plan.arms[plan.reference].source.id, end_visit(plan)
    if end is None:
        return
    scale = plan.scales[0]
    post, first = (table.get(f"{scale.name}_{visit}") for visit in (end, BASELINE))
    if first is not None:
        title = f"analysis of covariance at {end}, adjusted for baseline"
        yield _attempt(
            "ancova",
            title,
            lambda: ancova(post, first, table["arm"], reference=reference, level=level),
            visits=(end,),
        )
        visits = _measured(plan)
        stacked = np.stack([table[f"{scale.name}_{visit}"] for visit in visits], axis=1)
        yield _attempt(
            "mmrm",
            "mixed model for repeated measures",
            lambda: mmrm(stacked, first, table["arm"], reference=reference, level=level),
            visits=visits,
        )
    for key, outcome in _met(scale, first, post).items():
        yield _attempt(
            key,
            f"{key} at {end}, patients who left counted as failures",
            _shares(outcome, table["arm"], reference, level),
            visits=(end,),
        )
    for arm in plan.arms:
        if arm.dosed.any() and not arm.source.is_placebo and arm.source.id != reference:
            yield from _moderated(trial, arm, reference, end, level)


def end_visit(plan: Plan) -> str | None:
    """Visit that ends treatment where the primary scale was measured there, else the last visit where it was."""
    measured = _measured(plan)
    last = plan.visits[plan.last_of_treatment - 1].id if plan.visits else None
    return last if last in measured else (measured[-1] if measured else None)


def _measured(plan: Plan) -> tuple[str, ...]:
    return tuple(visit.id for visit in plan.visits if 0 in visit.scales)


def _met(scale: Scale, first: Any, given: Any) -> dict[str, Array]:  # noqa: ANN401
    post = xp.asarray(given, float)
    before = xp.full_like(post, xp.nan) if first is None else xp.asarray(first, float)
    found = {}
    if scale.has_response:
        found["response"] = response(scale, before, post)
    if scale.has_remission:
        found["remission"] = remission(scale, post)
    return found


def _shares(outcome: Array, arm: Any, reference: str, level: float) -> Callable[[], Result]:  # noqa: ANN401
    return lambda: proportions(np.asarray(outcome), arm, missing="failure", reference=reference, level=level)


def _moderated(trial: VirtualTrial, arm: ArmPlan, reference: str, end: str, level: float) -> Iterator[Analysis]:
    """Fear at the end of the sessions with a capsule as what may change the effect of the drug."""
    table, sessions, own = trial.patient_table, trial.session_table, arm.source.id
    chosen = np.isin(sessions["arm"], [own, reference]) & arm.dosed[sessions["session"].astype(int) - 1]
    dosed = {name: column[chosen] for name, column in sessions.items()}
    yield _attempt(
        f"sessions_{own}",
        f"fear at the next session by fear at the end of this one, {own}",
        lambda: session_moderation(
            dosed["next_start"],
            dosed["arm"],
            dosed["end"],
            dosed["patient"],
            np.stack([dosed["session"].astype(float), dosed["start"].astype(float)], axis=1),
            reference=reference,
            level=level,
        ),
        arm=own,
    )
    yield _attempt(
        f"moderation_{own}",
        f"score at {end} by mean fear at the end of the sessions, {own}",
        lambda: _by_mean_fear(trial.plan, table, dosed, (own, reference), end, level),
        arm=own,
        visits=(end,),
    )


def _by_mean_fear(plan: Plan, table: Table, dosed: Table, arms: tuple[str, str], end: str, level: float) -> Result:
    patient, fear = dosed["patient"].astype(int), dosed["end"].astype(float)
    there = np.isfinite(fear)
    count = np.bincount(patient[there], minlength=table["arm"].size)
    total = np.bincount(patient[there], weights=fear[there], minlength=table["arm"].size)
    chosen = (count > 0) & np.isin(table["arm"], arms)
    if not chosen.any():
        raise FitError("No patient has a fear at the end of a session with a capsule; there is nothing to analyse.")
    name = plan.scales[0].name
    first = table.get(f"{name}_{BASELINE}")
    return moderation(
        table[f"{name}_{end}"][chosen],
        table["arm"][chosen],
        (total / np.maximum(count, 1))[chosen],
        None if first is None else first[chosen],
        reference=arms[1],
        level=level,
    )


def _attempt(
    key: str, title: str, compute: Callable[[], Result], *, arm: str = "", visits: tuple[str, ...] = ()
) -> Analysis:
    """Analyse, or keep the sentence that says why these patients determine no answer."""
    try:
        return Analysis(key=key, title=title, arm=arm, visits=visits, result=compute())
    except DualtraceError as error:
        return Analysis(key=key, title=title, arm=arm, visits=visits, result=None, refused=str(error))
