"""Recovery: effects simulated with known parameters on the designs of the real trials give the parameters back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import pytest

import dualtrace as dt
from dualtrace.calibration.fit import Sampler, fit
from dualtrace.calibration.model import Problem, deviations_of, predictions, problem_of
from dualtrace.calibration.place import middle, shared_at
from dualtrace.calibration.ranks import band, chi_square, rank_tasks, ranks_of
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.targets import DISORDERS, subjects_of

if TYPE_CHECKING:
    from dualtrace.calibration.posterior import Posterior


def simulated(problem: Problem, account: str, truth: dict[str, float], *, precision: float, seed: int) -> Problem:
    """The same trials with effects as the account predicts them, all as numbers, and noise of their own size."""
    own = rival(account)
    shared = shared_at(own, middle(own)) | {name: jnp.asarray(value) for name, value in truth.items()}
    still = dict.fromkeys(deviations_of(own), jnp.zeros(len(DISORDERS)))
    v = problem.rows.v / precision
    noise = np.random.default_rng(seed).standard_normal(v.size) * np.sqrt(v)
    rows = problem.rows._replace(
        y=predictions(problem, own, shared, still) + noise, v=v, exact=jnp.ones_like(problem.rows.exact)
    )
    return replace(problem, rows=rows)


def inside(posterior: Posterior, name: str, truth: float) -> bool:
    """Whether the truth is within the central 98 %."""
    low, high = np.quantile(posterior.values[name], (0.01, 0.99))
    return bool(low < truth < high)


def test_one_effect_per_disorder_is_recovered() -> None:
    problem = problem_of(subjects_of(dt.evidence.load()), points=4)
    truth = {"calibration.mean_effect": 0.6, "calibration.heterogeneity": 0.1}
    made = simulated(problem, "disorder", truth, precision=4, seed=2)
    found = fit(made, rival("disorder"), Sampler(chains=2, warmup=150, draws=150, target_accept=0.8, seed=3))
    assert inside(found, "calibration.mean_effect", 0.6)
    assert float(found.values["calibration.mean_effect"].std()) < 0.25


@pytest.mark.slow
def test_the_strength_of_the_drug_is_recovered_from_the_real_designs() -> None:
    problem = problem_of(subjects_of(dt.evidence.load()), points=8)
    truth = {"calibration.strength": 3.0, "calibration.heterogeneity": 0.05}
    made = simulated(problem, "extinction_only", truth, precision=4, seed=2)
    found = fit(made, rival("extinction_only"), Sampler(chains=2, warmup=200, draws=150, target_accept=0.8, seed=3))
    assert inside(found, "calibration.strength", 3.0)
    place = [one.name for one in found.estimates].index("calibration.strength")
    assert found.estimates[place].contraction > 0.3


@pytest.mark.slow
def test_ranks_of_constants_among_draws_are_uniform_in_twenty_fits() -> None:
    """The short form of ``benchmarks/calibration_sbc.py``: three trials, numbers and intervals, 20 data sets."""
    trials = [trial for trial in dt.evidence.load() if trial.id in ("leyfer2019", "otto2010", "ressler2004")]
    sampler = Sampler(chains=1, warmup=150, draws=190, target_accept=0.8, max_tree_depth=6, dense=False)
    tasks = rank_tasks(trials, rival("dual_trace"), sampler, points=4, fits=20, thin=10)
    tables = [ranks_of(task.plain()["inputs"], task.seed)["ranks"] for task in tasks]
    ranks = np.array([table["rank"] for table in tables])
    p = [min(chi_square(column, 20, 5), band(column, 20)) for column in ranks.T]
    assert min(p) * 2 * len(p) > 0.01
    inside = np.mean([(table["low"] < table["truth"]) & (table["truth"] < table["high"]) for table in tables])
    assert 0.84 < inside < 0.96
