"""The benchmark trial in Numba: one patient after another in compiled code, on threads, without fast maths."""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

import numba
import numpy as np

from dualtrace.simulation import draws
from simulation_peers.constants import (
    EXPOSURES,
    NODES,
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

F = TypeVar("F")


def njit(function: F) -> F:
    """Compile a function for one thread."""
    return cast("F", numba.njit(cache=True)(function))


def threaded(function: F) -> F:
    """Compile a function whose ``prange`` runs on threads."""
    return cast("F", numba.njit(parallel=True, cache=True)(function))


def set_threads(count: int) -> None:
    """Say how many threads."""
    numba.set_num_threads(count)


MIDDLE_OVER, MIDDLE_UNDER = (np.array(part) for part in draws._MIDDLE)
TAIL_OVER, TAIL_UNDER = (np.array(part) for part in draws._TAIL)


def means(c: Constants, numbers: np.ndarray) -> np.ndarray:
    """Mean observed score after treatment of the patients allotted to each arm, ``(2,)``; numbers ``(89, n)``."""
    return _means(_followed(c, np.ascontiguousarray(numbers.T), *window(c), numbers.shape[1]))


def drawn(c: Constants, patients: int) -> np.ndarray:
    """The same with random numbers drawn in the threads: what is timed."""
    return _means(_followed(c, np.empty((0, NUMBERS)), *window(c), patients))


def _means(found: np.ndarray) -> np.ndarray:
    total = found.sum(axis=0)
    return np.asarray(total[:, 0] / total[:, 1])


@threaded
def _followed(c: Any, numbers: Any, since: Any, weight: Any, patients: Any) -> Any:
    """Score and 1 of every patient in the arm allotted, zeros in the other, ``(n, 2, 2)``."""
    out = np.zeros((patients, 2, 2))
    for i in numba.prange(patients):
        u = np.empty(NUMBERS)
        for k in range(NUMBERS):
            u[k] = numbers[i, k] if numbers.shape[0] else max(np.random.random(), 6e-8)  # noqa: NPY002
        for arm in range(2):
            score, stays = _course(c, u, since, weight, arm == 1)
            if stays and (u[14] >= 0.5) == (arm == 1):
                out[i, arm, 0], out[i, arm, 1] = score, 1.0
    return out


@njit
def _polynomial(coefficients: Any, x: Any) -> Any:
    value = coefficients[0]
    for k in range(1, coefficients.size):
        value = value * x + coefficients[k]
    return value


@njit
def _normal(u: Any) -> Any:
    offset = u - 0.5
    if abs(offset) <= 0.425:
        x = 0.180625 - offset * offset
        return offset * _polynomial(MIDDLE_OVER, x) / _polynomial(MIDDLE_UNDER, x)
    x = math.sqrt(-math.log(min(u, 1 - u))) - 1.6
    return math.copysign(_polynomial(TAIL_OVER, x) / _polynomial(TAIL_UNDER, x), offset)


@njit
def _logistic(x: Any) -> Any:
    return 0.5 * (1 + math.tanh(0.5 * x))


@njit
def _switch(value: Any, middle: Any, steepness: Any) -> Any:
    return _logistic(steepness * (math.log(max(value, 1e-6)) - math.log(middle))) if value > 0 else 0.0


@njit
def _cut(x: Any, low: Any, high: Any) -> Any:
    return min(max(x, low), high)


@njit
def _response(poles: Any, first: Any, last: Any, t: Any) -> Any:
    """Partial fractions of poles ``first`` to ``last``."""
    total = 0.0
    for i in range(first, last + 1):
        under = 1.0
        for j in range(first, last + 1):
            if j != i:
                gap = poles[j] - poles[i]
                under *= gap if abs(gap) >= 1e-6 else 1e-6
        total += math.exp(-poles[i] * t) / under
    return total


@njit
def _tables(c: Any, u: Any, since: Any) -> Any:
    """Responses per capsule and per amount left at the nodes, what is carried a week on, what a capsule adds."""
    renal = c.weight_renal * _normal(u[11]) + math.sqrt(1 - c.weight_renal**2) * _normal(u[12])
    weight = max(c.weight_mean + c.weight_sd * _normal(u[11]), c.weight_mean / 4)
    crcl = max(c.crcl + c.crcl_sd * renal, c.crcl / 4)
    clearance = c.clearance * (crcl / c.crcl_reference) ** c.clearance_crcl
    clearance *= math.exp(c.omega_clearance * _normal(u[6]) + c.gamma_clearance * _normal(u[10]))
    volume = c.volume_per_kg * weight * math.exp(c.omega_volume * _normal(u[7]))
    absorption, lag = (
        c.absorption * math.exp(c.omega_absorption * _normal(u[8])),
        c.lag * math.exp(c.omega_lag * _normal(u[9])),
    )
    poles, scale = np.array([absorption, c.ke0, clearance / volume]), c.to_um * absorption / volume
    nodes, carry, enters = np.zeros((4, NODES)), np.zeros((3, 3)), np.zeros(3)
    for n in range(NODES):
        if since[n] >= lag:
            nodes[3, n] = scale * c.dose_mg * _response(poles, 0, 2, since[n] - lag)
        for j in range(3):
            nodes[j, n] = scale * _response(poles, j, 2, since[n])
    for j in range(3):
        enters[j] = c.dose_mg * _response(poles, 0, j, WEEK_H - lag)
        for i in range(j + 1):
            carry[j, i] = _response(poles, i, j, WEEK_H)
    return nodes, carry, enters


@njit
def _boost(c: Any, nodes: Any, since: Any, weight: Any, body: Any, taken: Any) -> Any:
    total = 0.0
    for n in range(NODES):
        brain = nodes[0, n] * body[0] + nodes[1, n] * body[1] + nodes[2, n] * body[2]
        lost = body[4]
        if taken:
            brain, lost = brain + nodes[3, n], body[3]
        gain = c.g_a / (c.r_a + brain) + c.g_b / (c.r_b + brain) + c.g_c / (c.r_c + brain) + c.g_d / (c.r_d + brain)
        total += weight[n] * brain * gain * (1 - lost * math.exp(-since[n] / c.recovery_h))
    return total


@njit
def _swallow(c: Any, carry: Any, enters: Any, body: Any, taken: Any) -> None:
    """What the next capsule finds; the body is three amounts, what it finds lost, what the latest found lost."""
    after = math.exp(-WEEK_H / c.recovery_h)
    for j in range(2, -1, -1):
        moved = enters[j] if taken else 0.0
        for i in range(j + 1):
            moved += carry[j, i] * body[i]
        body[j] = moved
    body[4] = (body[3] if taken else body[4]) * after
    body[3] = (body[3] + (c.jump * (1 - body[3]) if taken else 0.0)) * after


@njit
def _course(c: Any, u: Any, since: Any, weight: Any, drug: Any) -> Any:
    own = c.severity_threat * _normal(u[0]) + math.sqrt(1 - c.severity_threat**2) * _normal(u[1])
    rate = c.safety_rate * math.exp(c.omega_learning * _normal(u[2]))
    state, body = np.zeros(8), np.zeros(5)
    # threat, new threat, safety, recalled, sessions, alarm, expected wait, waiting
    state[0] = min(c.threat * math.exp(c.omega_threat * own), c.threat_max)
    outside = _logistic(c.fear_slope * (state[0] - c.fear_middle))
    nodes, carry, enters = np.zeros((4, NODES)), np.zeros((3, 3)), np.zeros(3)
    if drug:
        nodes, carry, enters = _tables(c, u, since)
    for k in range(SESSIONS):
        _wait(c, state, PAUSE_H if k else 0.0)
        of = PERSON + k
        taken = drug and u[of + 4 * SESSIONS] < c.adherence
        boost = _boost(c, nodes, since, weight, body, taken) if drug else 0.0
        quality = c.quality + c.omega_quality * _normal(u[4]) + c.sigma_quality * _normal(u[of])
        end = _session(c, state, rate * _logistic(quality), u[of + 3 * SESSIONS] < c.mishap, boost, u, of)
        if u[of + 5 * SESSIONS] < c.usual_dropout * math.exp(c.dropout_slope * (end - c.dropout_middle)):
            return 0.0, k == SESSIONS
        if drug:
            _swallow(c, carry, enters, body, taken)
    _wait(c, state, VISIT_H)
    return _score(c, u, state, outside), True


@njit
def _wait(c: Any, s: Any, hours: Any) -> None:
    s[3] *= math.exp(-hours / (c.retrievability_h * (1 + s[4]) ** c.spacing))
    s[5] *= math.exp(-hours / c.alarm_h)


@njit
def _session(c: Any, s: Any, rate: Any, mishap: Any, boost: Any, u: Any, of: Any) -> Any:
    """Exposures, the mishap halfway, and what is stored; returns the fear at the end."""
    hope = 1 / (1 + s[6])
    recall = math.exp(-PACE_H / (c.retrievability_h * (1 + s[4]) ** c.spacing))
    fade, calm = math.exp(-PACE_H / c.fresh_h), math.exp(-PACE_H / c.alarm_h)
    fresh, missed_sum = 0.0, 0.0
    start = shaken = s[0] * hope - s[3]
    for n in range(EXPOSURES):
        if n == EXPOSURES // 2:
            if mishap:
                change = c.threat_rate * (1 - max(s[0] * hope - s[3] - fresh, 0.0))
                s[0] = _cut(s[0] + change, 0.0, c.threat_max)
                s[1] += max(change, 0.0)
                missed_sum = 0.0
                s[6] += c.wait_rate * (s[7] - s[6])
                s[7], s[5] = 0.0, 1.0
                hope = 1 / (1 + s[6])
            shaken = s[0] * hope - s[3] - fresh
        s[3], s[5], fresh = s[3] * recall, s[5] * calm, fresh * fade
        missed = max(s[0] * hope - s[3] - fresh, 0.0)
        s[7] += 1
        fresh, missed_sum = fresh + rate * missed * hope, missed_sum + missed
    net = s[0] * hope - s[3] - fresh
    end = _logistic(c.fear_slope * (net - c.fear_middle))
    _close(c, s, fresh, missed_sum, boost)
    u[of + SESSIONS] += 0 * _suds(c, start, shaken, end, u[of + SESSIONS], u[of + 2 * SESSIONS])
    return end


@njit
def _suds(c: Any, start: Any, shaken: Any, end: Any, first: Any, last: Any) -> Any:
    """What the patient reports: start, worst and end, added up so that none of them is left out."""
    begun = _logistic(c.fear_slope * (start - c.fear_middle))
    worst = max(max(begun, end), _logistic(c.fear_slope * (shaken - c.fear_middle)))
    noise = c.suds_noise * _normal(first)
    told = _cut(100 * begun + noise, 0.0, 100.0), _cut(100 * end + c.suds_noise * _normal(last), 0.0, 100.0)
    return told[0] + told[1] + max(_cut(100 * worst + noise, 0.0, 100.0), max(told[0], told[1]))


@njit
def _close(c: Any, s: Any, fresh: Any, missed: Any, gain: Any) -> None:
    share = _cut((s[3] + fresh) / (s[0] / (1 + s[6]) + 0.01), 0.0, 1.0)
    opened = _switch(missed, c.lability_threshold / (1 + c.drug_opens * max(gain, 0.0)), c.switch_steepness)
    lability = opened * (1 - _switch(share, c.lability_closes, c.switch_steepness))
    drive = share * max(1 + c.novelty_half / (c.novelty_half + s[2]) * gain, 0.0)
    storing = c.basal + (1 - c.basal) * _switch(drive, c.storage_opens, c.switch_steepness)
    part = storing * (1 - s[5])
    room = max(c.threat_max - s[0] if gain > 0 else s[0] - s[1], 0.0)
    s[0] = min(s[0] + gain * (c.restabilisation * lability * room + s[1]), c.threat_max)
    s[1] = 0.0
    s[3] += part * fresh + share * (s[2] - s[3])
    s[2] += part * fresh
    s[4] += part * share


@njit
def _score(c: Any, u: Any, s: Any, outside: Any) -> Any:
    general = _logistic(math.log(c.generalisation / (1 - c.generalisation)) + c.omega_generalisation * _normal(u[3]))
    fear = _logistic(c.fear_slope * (s[0] - general * s[3] - c.fear_middle))
    other = min(c.nonspecific * math.exp(c.omega_nonspecific * _normal(u[5])), 1.0)
    left = (1 - c.fear_share * (1 - fear / outside)) * (
        1 - other * (1 - math.exp(-VISIT_WEEKS / c.nonspecific_weeks))
    )
    true = _cut(_cut(c.baseline_mean + c.true_sd * _normal(u[0]), 0.0, c.worst) * left, 0.0, c.worst)
    return _cut(true + c.error_sd * _normal(u[NUMBERS - 1]), 0.0, c.worst)
