"""The benchmark trial, and every number its equations need, as plain floats."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.mechanism import Mechanism
from dualtrace.simulation.plan import Plan, plan_of

SESSIONS, EXPOSURES, NUMBERS, NODES = 12, 20, 89, 12
PERSON = 15
"""Numbers of a person; six of each session and two errors of measurement follow."""

TRIAL = """
id: benchmark
title: Twelve weekly sessions of twenty exposures, placebo against 50 mg an hour before each
disorder: SAD
patients: 200
arms:
  - {id: placebo, label: placebo, agent: placebo}
  - {id: dcs, label: 50 mg before, agent: d-cycloserine, dose_mg: 50, give: before, minutes: 60}
therapy: {every_days: 7, sessions: [{count: 12, minutes: 60, exposures: 20, exposure_minutes: 3}]}
assessments:
  - {id: baseline, timepoint: baseline, instruments: [LSAS]}
  - {id: post, timepoint: post, days_after_last: 7, instruments: [LSAS]}
"""

WEEK_H, PAUSE_H, PACE_H, VISIT_H, VISIT_WEEKS = 168.0, 167.0, 1 / 20, 167.0, 12.0
"""Between capsules, from the end of a session to the next, between exposures, from the last session to the visit."""


class Constants(NamedTuple):
    """By the names of ``parameters.yaml``; ``g`` and ``r`` are the receptor's classes (``capsule.extra_gain``)."""

    severity_threat: float
    threat: float
    omega_threat: float
    omega_learning: float
    generalisation: float
    omega_generalisation: float
    quality: float
    omega_quality: float
    sigma_quality: float
    omega_nonspecific: float
    nonspecific: float
    nonspecific_weeks: float
    fear_share: float
    weight_renal: float
    crcl_sd: float
    mishap: float
    suds_noise: float
    adherence: float
    dropout_slope: float
    dropout_middle: float
    threat_rate: float
    safety_rate: float
    fear_slope: float
    fear_middle: float
    lability_threshold: float
    drug_opens: float
    lability_closes: float
    storage_opens: float
    switch_steepness: float
    restabilisation: float
    threat_max: float
    novelty_half: float
    basal: float
    retrievability_h: float
    spacing: float
    fresh_h: float
    alarm_h: float
    wait_rate: float
    clearance: float
    clearance_crcl: float
    crcl_reference: float
    volume_per_kg: float
    absorption: float
    lag: float
    omega_clearance: float
    omega_volume: float
    omega_absorption: float
    omega_lag: float
    gamma_clearance: float
    crcl: float
    ke0: float
    to_um: float
    g_a: float
    g_b: float
    g_c: float
    g_d: float
    r_a: float
    r_b: float
    r_c: float
    r_d: float
    jump: float
    recovery_h: float
    tau_h: float
    weight_mean: float
    weight_sd: float
    usual_dropout: float
    dose_mg: float
    baseline_mean: float
    true_sd: float
    error_sd: float
    worst: float


def plan() -> Plan:
    """The benchmark trial worked out."""
    return plan_of(parse_protocol(TRIAL))


def constants() -> Constants:
    """Every number, from the parameter table and the trial."""
    v, trial = Mechanism().values(), plan()
    own = {name.partition(".")[2]: value for name, value in v.items() if name.partition(".")[0] == "clinic"}
    own |= {name.partition(".")[2]: value for name, value in v.items() if name.partition(".")[0] == "dual_trace"}
    own |= {name.partition(".")[2]: value for name, value in v.items() if name.partition(".")[0] == "plasma"}
    baseline, retest = trial.scales[0].baseline, trial.scales[0].instrument.retest
    if baseline is None or retest is None:
        raise ValueError("the primary scale of the benchmark has a baseline and a known reliability")
    own |= {
        "volume_per_kg": v["plasma.volume"] / v["plasma.weight_reference"],
        "absorption": v["plasma.absorption_fasted"],
        "crcl": v["subject.crcl"],
        "ke0": v["brain.ke0"],
        "to_um": 1000 / v["dcs.molar_mass"] * v["brain.kp"] * v["dcs.unbound"] * v["brain.ke0"],
        **_receptor(v),
        "jump": v["tolerance.jump"],
        "recovery_h": 24 * v["tolerance.recovery"],
        "tau_h": v["consolidation.tau"],
        "weight_mean": trial.weight_kg.mean,
        "weight_sd": trial.weight_kg.sd,
        "usual_dropout": 1 - (1 - trial.dropout) ** (1 / SESSIONS),
        "dose_mg": 50.0,
        "baseline_mean": baseline.mean,
        "true_sd": baseline.sd * retest.reliability**0.5,
        "error_sd": baseline.sd * (1 - retest.reliability) ** 0.5,
        "worst": trial.scales[0].worst,
    }
    return Constants(**{name: own[name] for name in Constants._fields})


def _receptor(v: dict[str, float]) -> dict[str, float]:
    """``G - 1 = B sum g_s / (r_s + B)``."""
    share = v["receptor.theta0"]
    found, before = {}, 0.0
    total = sum(v[f"receptor.weight_2{s}"] for s in "abcd")
    for s in "abcd":
        potency, weight = v[f"receptor.potency_2{s}"], v[f"receptor.weight_2{s}"] / total
        load, k = share / (1 - share) * potency, v["receptor.dcs_over_glycine"] * v["receptor.k_glycine"] / potency
        found[f"r_{s}"] = (1 + load) * k
        found[f"g_{s}"] = weight * (v[f"receptor.efficacy_2{s}"] - load / (1 + load))
        before += weight * load / (1 + load)
    return {name: value / before if name.startswith("g") else value for name, value in found.items()}


def window(c: Constants) -> tuple[np.ndarray, np.ndarray]:
    """Hours since the capsule, and weights, of the nodes of the consolidation window."""
    node, weight = np.polynomial.legendre.leggauss(NODES)
    place = (1 + node) / 2
    return 2 - 3 * c.tau_h * np.log(place), weight / 2 * 3 * place**2
