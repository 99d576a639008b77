"""The benchmark trial in plain NumPy, all patients of a batch at a time."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri

from simulation_peers.constants import (
    EXPOSURES,
    NUMBERS,
    PACE_H,
    PAUSE_H,
    PERSON,
    SESSIONS,
    VISIT_H,
    VISIT_WEEKS,
    WEEK_H,
    Constants,
    window,
)

BATCH = 2000
"""Patients whose arrays stay in the cache; larger and smaller batches were slower."""


class State(NamedTuple):
    """What a patient remembers between sessions."""

    threat: Any
    new: Any
    safety: Any
    recalled: Any
    sessions: Any
    wait: Any
    waiting: Any
    alarm: Any


class Body(NamedTuple):
    """What earlier capsules left: amounts of three compartments, tolerance."""

    amounts: tuple[Any, Any, Any]
    lost: Any
    lost_last: Any


def means(c: Constants, numbers: np.ndarray) -> np.ndarray:
    """Mean observed score after treatment of the patients allotted to each arm, ``(2,)``; numbers ``(89, n)``."""
    total = np.zeros((2, 2))
    for first in range(0, numbers.shape[1], BATCH):
        u = numbers[:, first : first + BATCH]
        people = _people(c, u)
        for arm in (0, 1):
            score, stays, _ = _course(c, u, people, arm == 1)
            mine = ((u[14] >= 0.5) == (arm == 1)) & stays
            total[arm] += score[mine].sum(dtype=float), mine.sum()
    return np.asarray(total[:, 0] / total[:, 1])


def drawn(c: Constants, patients: int, dtype: Any = np.float64) -> np.ndarray:
    """The same with NumPy's own random numbers: what is timed."""
    rng, total = np.random.default_rng(1), np.zeros(2)
    for _ in range(0, patients, BATCH):
        half = 2.0**-24
        total += means(c, np.clip(rng.random((NUMBERS, BATCH), dtype=dtype), half, 1 - half))
    return total / (patients / BATCH)


def _people(c: Constants, u: np.ndarray) -> dict[str, Any]:
    z, session = ndtri(u[:13]), u[PERSON : PERSON + 6 * SESSIONS].reshape(6, SESSIONS, -1)
    own = c.severity_threat * z[0] + math.sqrt(1 - c.severity_threat**2) * z[1]
    renal = c.weight_renal * z[11] + math.sqrt(1 - c.weight_renal**2) * z[12]
    weight = np.maximum(c.weight_mean + c.weight_sd * z[11], c.weight_mean / 4)
    crcl = np.maximum(c.crcl + c.crcl_sd * renal, c.crcl / 4)
    clearance = c.clearance * (crcl / c.crcl_reference) ** c.clearance_crcl
    clearance = clearance * np.exp(c.omega_clearance * z[6] + c.gamma_clearance * z[10])
    volume = c.volume_per_kg * weight * np.exp(c.omega_volume * z[7])
    return {
        "severity": z[0],
        "threat": np.minimum(c.threat * np.exp(c.omega_threat * own), c.threat_max),
        "rate": c.safety_rate * np.exp(c.omega_learning * z[2]),
        "general": _logistic(math.log(c.generalisation / (1 - c.generalisation)) + c.omega_generalisation * z[3]),
        "quality": c.quality + c.omega_quality * z[4],
        "other": np.minimum(c.nonspecific * np.exp(c.omega_nonspecific * z[5]), 1),
        "poles": (c.absorption * np.exp(c.omega_absorption * z[8]), c.ke0 + 0 * z[0], clearance / volume),
        "lag": c.lag * np.exp(c.omega_lag * z[9]),
        "scale": c.to_um * c.absorption * np.exp(c.omega_absorption * z[8]) / volume,
        "normal": ndtri(session[:3]),
        "uniform": session[3:],
        "error": ndtri(u[PERSON + 6 * SESSIONS :]),
    }


def _course(c: Constants, u: np.ndarray, p: dict[str, Any], drug: bool) -> tuple[Any, Any, list[Any]]:
    none = np.zeros_like(u[0])
    state = State(p["threat"], *(none,) * 7)
    outside = _fear(c, state.threat)
    here, body, tables = np.ones(none.shape, bool), Body((none,) * 3, none, none), _tables(c, p) if drug else None
    suds = []
    for k in range(SESSIONS):
        rested = _wait(c, state, PAUSE_H if k else 0.0)
        taken = here & (p["uniform"][1, k] < c.adherence)
        boost = none if tables is None else _boost(c, tables, body, taken)
        closed, end, shown = _session(c, p, rested, k, boost)
        suds.append(shown)
        state = State(*(np.where(here, new, old) for new, old in zip(closed, rested, strict=True)))
        hazard = c.usual_dropout * np.exp(c.dropout_slope * (end - c.dropout_middle))
        here = here & ~(p["uniform"][2, k] < hazard)
        if tables is not None:
            body = _swallow(c, tables, body, taken)
    return _score(c, p, _wait(c, state, VISIT_H), outside), here, suds


def _session(c: Constants, p: dict[str, Any], s: State, k: int, boost: Any) -> tuple[State, Any, tuple[Any, ...]]:
    drug = np.maximum(boost, 0)
    quality = _logistic(p["quality"] + c.sigma_quality * p["normal"][0, k])
    recall, fade, calm = (
        np.exp(-PACE_H / _lasting(c, s.sessions)),
        math.exp(-PACE_H / c.fresh_h),
        math.exp(-PACE_H / c.alarm_h),
    )
    fresh, missed_sum, first = np.zeros_like(drug), np.zeros_like(drug), _net(s, 0.0)
    for n in range(EXPOSURES):
        if n == EXPOSURES // 2:
            s, missed_sum = _mishap(c, s, fresh, missed_sum, p["uniform"][0, k] < c.mishap)
            shaken = _net(s, fresh)
        s = s._replace(recalled=s.recalled * recall, alarm=s.alarm * calm, waiting=s.waiting + 1)
        fresh = fresh * fade
        missed = np.maximum(_net(s, fresh), 0)
        fresh, missed_sum = fresh + p["rate"] * quality * missed / (1 + s.wait), missed_sum + missed
    start, end, shaken = _fear(c, first), _fear(c, _net(s, fresh)), _fear(c, shaken)
    noise = c.suds_noise * p["normal"][1:, k]
    shown = tuple(np.clip(100 * f + e, 0, 100) for f, e in ((start, noise[0]), (end, noise[1])))
    peak = np.clip(100 * np.maximum(np.maximum(start, end), shaken) + noise[0], 0, 100)
    return _close(c, s, fresh, missed_sum, drug, boost), end, (*shown, np.maximum(peak, np.maximum(*shown)))


def _mishap(c: Constants, s: State, fresh: Any, total: Any, happens: Any) -> tuple[State, Any]:
    change = c.threat_rate * (1 - np.maximum(_net(s, fresh), 0)) * happens
    s = s._replace(
        threat=np.clip(s.threat + change, 0, c.threat_max),
        new=s.new + np.maximum(change, 0),
        wait=s.wait + happens * c.wait_rate * (s.waiting - s.wait),
        waiting=(s.waiting + happens) * ~happens,
        alarm=np.maximum(s.alarm, happens),
    )
    return s, total * ~happens


def _close(c: Constants, s: State, fresh: Any, missed: Any, drug: Any, gain: Any) -> State:
    share = np.clip((s.recalled + fresh) / (s.threat / (1 + s.wait) + 0.01), 0, 1)
    opened = _switch(missed, c.lability_threshold / (1 + c.drug_opens * drug), c.switch_steepness)
    lability = opened * (1 - _switch(share, c.lability_closes, c.switch_steepness))
    drive = share * np.maximum(1 + c.novelty_half / (c.novelty_half + s.safety) * gain, 0)
    storing = c.basal + (1 - c.basal) * _switch(drive, c.storage_opens, c.switch_steepness)
    part = storing * (1 - s.alarm)
    room = np.maximum(np.where(gain > 0, c.threat_max - s.threat, s.threat - s.new), 0)
    return s._replace(
        threat=np.minimum(s.threat + gain * (c.restabilisation * lability * room + s.new), c.threat_max),
        new=np.zeros_like(share),
        safety=s.safety + part * fresh,
        recalled=s.recalled + part * fresh + share * (s.safety - s.recalled),
        sessions=s.sessions + part * share,
    )


def _wait(c: Constants, s: State, hours: float) -> State:
    gone = np.exp(-hours / _lasting(c, s.sessions))
    return s._replace(
        recalled=s.recalled * gone,
        alarm=s.alarm * math.exp(-hours / c.alarm_h),
    )


def _lasting(c: Constants, sessions: Any) -> Any:
    return c.retrievability_h * (1 + sessions) ** c.spacing


def _net(s: State, fresh: Any) -> Any:
    return s.threat / (1 + s.wait) - s.recalled - fresh


def _fear(c: Constants, net: Any) -> Any:
    return _logistic(c.fear_slope * (net - c.fear_middle))


def _logistic(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _switch(value: Any, middle: Any, steepness: float) -> Any:
    log_middle = math.log(middle) if isinstance(middle, float) else np.log(middle)
    return _logistic(steepness * (np.log(np.maximum(value, 1e-6)) - log_middle)) * (value > 0)


def _score(c: Constants, p: dict[str, Any], s: State, outside: Any) -> Any:
    fear = _fear(c, s.threat - p["general"] * s.recalled)
    left = 1 - c.fear_share * (1 - fear / outside)
    left = left * (1 - p["other"] * (1 - math.exp(-VISIT_WEEKS / c.nonspecific_weeks)))
    first = np.clip(c.baseline_mean + c.true_sd * p["severity"], 0, c.worst)
    return np.clip(np.clip(first * left, 0, c.worst) + c.error_sd * p["error"][1], 0, c.worst)


def _tables(c: Constants, p: dict[str, Any]) -> dict[str, Any]:
    """What stays the same for a person: responses at the nodes of the window, and from one capsule to the next."""
    since, weight = (part.astype(p["lag"].dtype)[:, None] for part in window(c))
    poles, scale = p["poles"], p["scale"]
    elapsed = since - p["lag"]
    return {
        "weight": weight,
        "recovered": np.exp(-since / c.recovery_h),
        "own": scale * np.where(elapsed >= 0, _response(poles, np.maximum(elapsed, 0)), 0) * c.dose_mg,
        "rest": [scale * _response(poles[j:], since) for j in range(3)],
        "carry": [[_response(poles[i : j + 1], WEEK_H) for i in range(j + 1)] for j in range(3)],
        "enters": [_response(poles[: j + 1], WEEK_H - p["lag"]) * c.dose_mg for j in range(3)],
    }


def _response(poles: tuple[Any, ...], t: Any) -> Any:
    """Partial fractions; dualtrace's own kernel also holds where rates coincide, and costs more."""
    if len(poles) == 1:
        return np.exp(-poles[0] * t)
    total = np.zeros_like(poles[0] * t)
    for i, own in enumerate(poles):
        under = np.ones_like(own)
        for j, other in enumerate(poles):
            if j != i:
                gap = other - own
                under = under * np.where(np.abs(gap) < 1e-6, 1e-6, gap)
        total += np.exp(-own * t) / under
    return total


def _boost(c: Constants, t: dict[str, Any], body: Body, taken: Any) -> Any:
    brain = t["own"] * taken + sum(rest * amount for rest, amount in zip(t["rest"], body.amounts, strict=True))
    lost = (body.lost_last + (body.lost - body.lost_last) * taken) * t["recovered"]
    gain = c.g_a / (c.r_a + brain) + c.g_b / (c.r_b + brain) + c.g_c / (c.r_c + brain) + c.g_d / (c.r_d + brain)
    return np.sum(t["weight"] * brain * gain * (1 - lost), axis=0)


def _swallow(c: Constants, t: dict[str, Any], body: Body, taken: Any) -> Body:
    amounts = [
        sum(row[i] * body.amounts[i] for i in range(j + 1)) + taken * t["enters"][j]
        for j, row in enumerate(t["carry"])
    ]
    after = math.exp(-WEEK_H / c.recovery_h)
    lost = body.lost + taken * c.jump * (1 - body.lost)
    return Body(
        (amounts[0], amounts[1], amounts[2]), lost * after, np.where(taken, body.lost, body.lost_last) * after
    )
