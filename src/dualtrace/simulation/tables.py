"""A virtual trial's patients and sessions as tables, one column per name: for Parquet, CSV, pandas and analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualtrace.simulation.rule import evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.simulation.plan import Plan
    from dualtrace.simulation.rows import Rows

Table = dict[str, "NDArray[np.generic]"]


def patient_table(plan: Plan, rows: Rows) -> Table:
    """One row per patient.

    Columns: ``patient``, ``arm``, traits, the observed score of every scale at every visit
    (``LSAS_baseline``, ``LSAS_post``; NaN where the patient had left), ``sessions`` attended, ``capsules`` with drug
    swallowed, and the true primary score the same patient would have in each arm (``true_post_placebo``).
    """
    arms = np.array([arm.source.id for arm in plan.arms])
    table: Table = {"patient": np.arange(rows.arm.size), "arm": arms[np.asarray(rows.arm)]}
    table |= {name: np.asarray(values) for name, values in rows.person.items()}
    visits = ["baseline", *(visit.id for visit in plan.visits)]
    for s, scale in enumerate(plan.scales):
        for v, visit in enumerate(visits):
            if plan.measured[v, s]:
                table[f"{scale.name}_{visit}"] = np.asarray(rows.observed[v, s])
    table["sessions"] = np.asarray(rows.lived["attended"]).sum(axis=0).astype(np.int64)
    table["capsules"] = (np.asarray(rows.lived["dose_mg"]) > 0).sum(axis=0)
    for a, arm in enumerate(arms):
        for v, visit in enumerate(visits):
            table[f"true_{visit}_{arm}"] = np.asarray(rows.twin[a, v])
    return table


def session_table(plan: Plan, rows: Rows) -> Table:
    """One row per patient and session attended: SUDS at start, peak and end, capsule and decision, boost, mishap.

    ``next_start`` is the SUDS at the start of the next session, NaN where there was none.
    """
    lived = {name: np.asarray(values).T for name, values in rows.lived.items()}
    arms = np.array([arm.source.id for arm in plan.arms])
    there = lived["attended"] > 0
    patient, session = np.nonzero(there)
    following = np.full_like(lived["start"], np.nan)
    following[:, :-1] = np.where(there[:, 1:], lived["start"][:, 1:], np.nan)
    names = ("start", "peak", "end", "end_fear", "due", "given", "dose_mg", "boost", "mishap")
    return {
        "patient": patient,
        "arm": arms[np.asarray(rows.arm)[patient]],
        "session": session + 1,
        "day": (plan.start_h / 24)[session],
        **{name: lived[name][there] for name in names},
        "next_start": following[there],
    }


def decision_table(plan: Plan, rows: Rows) -> Table:
    """One row per decision of a dosing rule: patient, session, arm, what was known (NaN: not yet), the share given.

    Names that the rule of an arm does not use are NaN. :func:`replayed` decides again from the same row.
    """
    ruled = [arm for arm in plan.arms if arm.rule is not None]
    names = sorted({name for arm in ruled if arm.rule is not None for name in arm.rule.names})
    parts = [_decisions(plan, rows, place, names) for place, arm in enumerate(plan.arms) if arm.rule is not None]
    if not parts:
        return {}
    return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}


def _decisions(plan: Plan, rows: Rows, place: int, names: list[str]) -> Table:
    arm = plan.arms[place]
    due = (np.asarray(rows.lived["due"]).T > 0) & (np.asarray(rows.arm) == place)[:, None]
    patient, session = np.nonzero(due)
    known = np.asarray(rows.known[arm.source.id])
    used = () if arm.rule is None else arm.rule.names
    nothing = np.full(patient.size, np.nan)
    return {
        "patient": patient,
        "arm": np.full(patient.size, arm.source.id),
        "session": session + 1,
        "moment": np.full(patient.size, "before" if arm.before else "after"),
        **{f"known_{name}": known[used.index(name), session, patient] if name in used else nothing for name in names},
        "given": np.asarray(rows.lived["given"]).T[due],
        "dose_mg": np.asarray(rows.lived["dose_mg"]).T[due],
    }


def replayed(plan: Plan, decisions: Table) -> NDArray[np.bool_]:
    """Decide every row of a decision table again from what was known; ``(rows,)``."""
    again = np.zeros(len(decisions.get("patient", ())), bool)
    for arm in plan.arms:
        if arm.rule is not None:
            mine = decisions["arm"] == arm.source.id
            known = {name: decisions[f"known_{name}"][mine].astype(float) for name in arm.rule.names}
            again[mine] = evaluate(arm.rule, known)
    return again
