"""Recovery: constants of simulated rats and patients come back, and the model that made the data is found.

The truth is set here. The last test of the rats comes after two months, when fear has returned, which no delta rule
gives. The tolerance of a typical value is 0.6 on the logit scale: three standard errors of the mean of twelve subjects
with a spread of 0.5, and the noise. Of 24 intervals of 90 % at least 17 must cover: fewer happen in 1 of 200 cohorts
if the intervals are right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dualtrace.experiments.cohort import Cohort, Typical, simulate_cohort
from dualtrace.experiments.fit import fit, maximum_posterior
from dualtrace.experiments.fitted import Fitted, compare
from dualtrace.experiments.individuals import Responses, Scale
from dualtrace.experiments.posterior import free_constants
from dualtrace.mechanism.memory.registry import memory_model
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

DUAL, RIVAL = memory_model("dual_trace"), memory_model("rescorla_wagner")
TABLE = load_parameters()

RATS = "A: 3CS+ | B: 14CS- @24h | B: 3CS- @24h | B: 3CS- @60d"
RAT_POPULATION = {"dual_trace.safety_rate": Typical(0.12, 0.5), "dual_trace.threat_rate": Typical(0.4, 0.5)}
PATIENTS = "A: 5CS+ | B: 6CS- @7d | B: 6CS- @7d | B: 6CS- @7d"
ONSET = 5
PATIENT_POPULATION = {
    "dual_trace.safety_rate": Typical(0.15, 0.5),
    "dual_trace.retrievability_h": Typical(150.0, 0.5),
}
RIVAL_TABLE = TABLE.with_values({"rescorla_wagner.salience": 1.0})  # its rates alone, up to 1, set how fast it learns
RIVAL_FREE = ("rescorla_wagner.rate_us", "rescorla_wagner.rate_no_us")

N = 12
TOLERANCE = 0.6
LEAST_COVERED = 17
SHORT: dict[str, Any] = {"chains": 2, "warmup": 200, "draws": 200}
RHAT_OF_SHORT_CHAINS = 1.05


@pytest.fixture(scope="module")
def rats() -> Cohort:
    return simulate_cohort(DUAL, RATS, N, RAT_POPULATION, seed=11)


@pytest.fixture(scope="module")
def fitted_rats(rats: Cohort) -> Fitted:
    return fit(DUAL, RATS, rats.responses, rats.free, **SHORT)


def require_recovered(found: Fitted, cohort: Cohort, population: Mapping[str, Typical]) -> None:
    assert not found.divergences
    assert all(summary.rhat < RHAT_OF_SHORT_CHAINS for summary in found.summaries)
    for free in free_constants(DUAL, tuple(population), TABLE):
        assert found[free.name].contraction > 0.5, free.name
        off = free.logit(found[free.name].q50) - free.logit(population[free.name].value)
        assert abs(off) < TOLERANCE, f"{free.name} is off by {off:+.2f}"
    low, high = np.quantile(found.subjects.reshape(-1, *cohort.constants.shape), (0.05, 0.95), axis=0)
    covered = int(((low <= cohort.constants) & (cohort.constants <= high)).sum())
    assert covered >= LEAST_COVERED


def test_constants_of_rats_come_back(rats: Cohort, fitted_rats: Fitted) -> None:
    require_recovered(fitted_rats, rats, RAT_POPULATION)
    assert fitted_rats["noise"].mean == pytest.approx(0.08, abs=0.015)
    inside = (fitted_rats.low <= rats.responses.readings) & (rats.responses.readings <= fitted_rats.high)
    assert 0.84 < inside.mean() < 0.97


def test_the_quick_look_points_the_same_way(rats: Cohort) -> None:
    quick = maximum_posterior(DUAL, RATS, rats.responses, rats.free, starts=1)
    for k, free in enumerate(free_constants(DUAL, rats.free, TABLE)):
        assert abs(free.logit(quick.typical[k]) - free.logit(RAT_POPULATION[free.name].value)) < TOLERANCE
        assert np.corrcoef(quick.subjects[:, k], rats.constants[:, k])[0, 1] > 0.7


def test_constants_of_patients_come_back_from_distress_in_weekly_sessions() -> None:
    cohort = simulate_cohort(DUAL, PATIENTS, N, PATIENT_POPULATION, seed=5, scale=Scale.SUDS)
    readings = cohort.responses.readings.copy()
    readings[:, :ONSET] = np.nan  # nobody was there when the fear began
    seen = Responses(cohort.responses.subjects, readings, Scale.SUDS)
    found = fit(DUAL, PATIENTS, seen, cohort.free, **SHORT)
    require_recovered(found, cohort, PATIENT_POPULATION)
    assert found["noise"].mean == pytest.approx(8.0, abs=1.5)


def test_the_dual_trace_is_found_behind_its_own_data(rats: Cohort, fitted_rats: Fitted) -> None:
    rival = fit(RIVAL, RATS, rats.responses, RIVAL_FREE, table=RIVAL_TABLE, **SHORT)
    found = compare(fitted_rats, rival)
    assert found.difference > 0
    assert found.decides
    assert str(found).startswith("dual_trace predicts these subjects better than rescorla_wagner")


@pytest.mark.slow
def test_rescorla_wagner_is_found_behind_its_own_data() -> None:
    population = {RIVAL_FREE[0]: Typical(0.4, 0.5), RIVAL_FREE[1]: Typical(0.15, 0.5)}
    cohort = simulate_cohort(RIVAL, RATS, N, population, seed=7, table=RIVAL_TABLE)
    own = fit(RIVAL, RATS, cohort.responses, RIVAL_FREE, table=RIVAL_TABLE, **SHORT)
    other = fit(DUAL, RATS, cohort.responses, tuple(RAT_POPULATION), **SHORT)
    found = compare(own, other)
    assert found.difference > 0
    assert found.decides
