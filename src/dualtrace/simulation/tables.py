"""A virtual trial's patients and sessions as tables, one column per name: for Parquet, CSV, pandas and analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.simulation.engine import Rows
    from dualtrace.simulation.plan import Plan

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
