"""Checks of the calibration: what is stored and shown, tasks that go on, readings that follow the verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from scipy import stats

import dualtrace as dt
from dualtrace.calibration.checks_page import SAMPLED, checks_page, p_values
from dualtrace.calibration.compare import compare, verdict
from dualtrace.calibration.fit import Sampler, chain_program, compiled
from dualtrace.calibration.leave_out import LeftOut
from dualtrace.calibration.model import HETEROGENEITY, STRENGTH, problem_of
from dualtrace.calibration.operating import acting, drawn, verdict_task
from dualtrace.calibration.outcomes import reported_in
from dualtrace.calibration.place import middle, shared_at
from dualtrace.calibration.provenance import model_digest
from dualtrace.calibration.ranks import LIKELIHOOD, rank_tasks
from dualtrace.calibration.reliability import SHIPPED, Against, Reading, load_reliability, reading, wilson
from dualtrace.calibration.reliability_text import frequencies
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.simulate import maker, place_from_prior
from dualtrace.calibration.targets import subjects_of
from dualtrace.errors import FitError, InputError
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from made_posterior import made_posterior

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
CHOSEN = ("leyfer2019", "ressler2004")
SHORT = Sampler(chains=1, warmup=20, draws=20, target_accept=0.8, max_tree_depth=4, dense=False)
TRIALS = tuple(trial for trial in dt.evidence.load() if trial.id in CHOSEN)


def test_the_page_of_checks_shows_the_stored_results() -> None:
    page = (ROOT / "docs" / "calibration_checks.md").read_text(encoding="utf-8")
    assert page == checks_page(RESULTS, load_reliability()), "run python docs/make.py"


def test_results_of_other_constants_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in RESULTS.glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    verdict = load_reliability()
    made = json.loads((RESULTS / "calibration_sbc_dual_trace.json").read_text(encoding="utf-8"))["model"]
    monkeypatch.setattr("dualtrace.calibration.checks_page.model_digest", lambda: made)
    assert "before the mechanism's equations" not in checks_page(tmp_path, verdict)
    monkeypatch.setattr("dualtrace.calibration.checks_page.model_digest", lambda: "another")
    assert checks_page(tmp_path, verdict).count("before the mechanism's equations") == 1
    monkeypatch.setattr("dualtrace.calibration.reliability.model_digest", lambda: verdict.model)
    assert verdict.is_current
    assert "before the model's equations" not in checks_page(tmp_path, verdict)
    monkeypatch.setattr("dualtrace.calibration.reliability.model_digest", lambda: "another")
    assert checks_page(tmp_path, verdict).count("before the model's equations") == 1


@pytest.mark.parametrize("account", SAMPLED)
def test_the_stored_ranks_are_of_enough_fits_and_none_speaks_against_the_sampler(account: str) -> None:
    found = json.loads((RESULTS / f"calibration_sbc_{account}.json").read_text(encoding="utf-8"))
    assert found["account"] == account
    assert found["fits"] >= 200
    assert {LIKELIHOOD, HETEROGENEITY} <= set(found["ranks"])
    for ranks in found["ranks"].values():
        assert len(ranks) == found["fits"]
        assert 0 <= min(ranks) <= max(ranks) < found["levels"]
    tests = p_values(found)
    least = min(min(pair) for pair in tests.values())
    assert least * 2 * len(tests) > 0.05


def test_ranks_of_draws_that_are_too_narrow_would_be_found_in_the_stored_form() -> None:
    """Ranks pushed to the ends, as by a variance that is half of what it should be."""
    found = json.loads((RESULTS / "calibration_sbc_disorder.json").read_text(encoding="utf-8"))
    middle = (found["levels"] - 1) / 2
    for name, ranks in found["ranks"].items():
        deviate = stats.norm.ppf((np.array(ranks) + 0.5) / found["levels"]) * np.sqrt(2)
        pushed = np.clip(np.floor(stats.norm.cdf(deviate) * found["levels"]), 0, 2 * middle)
        found["ranks"][name] = [int(rank) for rank in pushed]
    assert all(min(pair) < 0.01 for pair in p_values(found).values())


def test_the_stored_verdicts_are_of_both_accounts_and_every_set_has_one_reading() -> None:
    found = load_reliability()
    assert [(cell.truth, cell.strength is None) for cell in found.cells] == [
        (truth, drawn) for truth in ("dual_trace", "extinction_only") for drawn in (True, False)
    ]
    for cell in found.cells:
        assert set(cell.against) == {"disorder", "extinction_only"}
        for row in cell.against.values():
            read = [d >= 0 and (d > 2 * se) + 1 for d, se in zip(row.differences, row.se, strict=True)]
            assert [row.count(one) for one in Reading] == [read.count(n) for n in range(3)]


def test_a_record_of_verdicts_that_lacks_a_set_is_refused_with_the_command(tmp_path: Path) -> None:
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    path = tmp_path / "reliability.json"
    content["cells"][1]["sets"] += 1
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=r"cells\.1: .* each read once; make it anew: python benchmarks/calib"):
        load_reliability(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="must hold how often the verdict is right"):
        load_reliability(path)
    with pytest.raises(InputError, match="No such file"):
        load_reliability(tmp_path / "none.json")


def compared(mine: list[float]) -> Any:
    trials = tuple(f"trial{j}" for j in range(len(mine)))
    ours = LeftOut("dual_trace", trials, np.array(mine), np.zeros(len(mine)))
    plain = LeftOut("disorder", trials, np.full(len(mine), -1.0), np.zeros(len(mine)))
    return compare([ours, plain])


@pytest.mark.parametrize(
    ("mine", "expected", "says"),
    [
        ([-1.5, -1.6, -1.4, -1.5], Reading.WORSE, "Nothing may be said about explanation"),
        ([-0.5, -1.6, 1.0, -1.3], Reading.NO_WORSE, "no worse than"),
        ([-0.5, -0.6, -0.4, -0.5], Reading.BETTER, "better than"),
    ],
)
def test_a_reading_is_what_the_verdict_says(mine: list[float], expected: Reading, says: str) -> None:
    comparison = compared(mine)
    assert reading(comparison.difference("dual_trace")) is expected
    assert says in verdict(comparison)


def test_a_drug_that_acts_strongly_has_the_strength_asked_for_and_leaves_all_else() -> None:
    account = rival("dual_trace")
    place = place_from_prior(account, np.random.default_rng(1))
    before, after = (
        shared_at(account, jax.tree.map(jax.numpy.asarray, here)) for here in (place, acting(place, account, 3.0))
    )
    assert float(after[STRENGTH[0]]) == pytest.approx(3.0, rel=1e-4)
    assert [name for name in before if float(before[name]) != float(after[name])] == [STRENGTH[0]]


def test_the_interval_of_a_proportion_is_wilsons() -> None:
    """8 of 10 at 95 %: the interval by the formula of Wilson 1927."""
    z = 1.959963984540054
    middle, half = (0.8 + z**2 / 20) / (1 + z**2 / 10), z / (1 + z**2 / 10) * np.sqrt(0.016 + z**2 / 400)
    assert wilson(8, 10) == pytest.approx((middle - half, middle + half))


def test_a_sampler_compiled_once_gives_the_chains_of_one_compiled_for_the_data() -> None:
    problem, account = problem_of(subjects_of(TRIALS), points=4), rival("disorder")
    rng = np.random.default_rng(2)
    made = maker(problem, account)(place_from_prior(account, rng), rng)
    once = compiled(problem, account, SHORT)
    shared, own = (chain_program(made, account, SHORT, program=program)(0) for program in (once, None))
    for name, scores in own.scores.items():
        np.testing.assert_array_equal(shared.scores[name], scores)
    real = chain_program(problem, account, SHORT, program=once)(0)
    assert (real.scores["effect"] != own.scores["effect"]).any()


def test_a_density_that_is_not_finite_at_the_start_is_refused_with_what_to_check() -> None:
    problem, account = problem_of(subjects_of(TRIALS), points=4), rival("disorder")
    nowhere = reported_in(problem.rows)._replace(y=jax.numpy.full_like(problem.rows.y, np.nan))
    with pytest.raises(FitError, match=r"account disorder has no finite density .* check what the trials report"):
        chain_program(problem.with_reported(nowhere), account, SHORT)(0)


def test_fits_to_made_up_trials_are_tasks_that_are_computed_once(tmp_path: Path) -> None:
    tasks = rank_tasks(TRIALS, rival("disorder"), SHORT, points=4, fits=2, thin=2)
    store = Store.open(tmp_path / "store")
    first, again = run_tasks(tasks, store), run_tasks(tasks, store)
    assert (first.computed, again.computed) == (2, 0)
    ranks = first[0]["ranks"]
    assert list(ranks["quantity"])[-1] == LIKELIHOOD
    assert all(0 <= rank <= SHORT.draws // 2 for rank in ranks["rank"])
    assert (ranks["low"] < ranks["high"]).all()
    assert (ranks["truth"] != first[1]["ranks"]["truth"]).all()


def test_a_data_set_of_a_verdict_is_a_task_of_its_own() -> None:
    rng = np.random.default_rng(3)
    places = {truth: place_from_prior(rival(truth), rng) for truth in ("dual_trace", "extinction_only")}
    tasks = [
        verdict_task(TRIALS, rival(truth), SHORT, points=4, place=place, seed=seed)
        for truth, place in places.items()
        for seed in (0, 1)
    ]
    strong = acting(places["dual_trace"], rival("dual_trace"), 3.0)
    tasks.append(verdict_task(TRIALS, rival("dual_trace"), SHORT, points=4, place=strong, seed=0))
    assert len({task.key for task in tasks}) == 5


def test_a_draw_of_a_posterior_is_one_of_its_draws_and_the_same_for_a_seed() -> None:
    rng = np.random.default_rng(4)
    scores = {name: rng.standard_normal((2, 5, part.size)) for name, part in middle(rival("disorder")).items()}
    posterior = made_posterior("disorder", scores)
    places = [drawn(posterior, seed) for seed in (0, 0, 1)]
    for one in places:
        where = np.argwhere((scores["shared"] == one["shared"]).all(axis=-1))
        assert len(where) == 1
        np.testing.assert_array_equal(one["effect"], scores["effect"][tuple(where[0])])
    np.testing.assert_array_equal(places[0]["shared"], places[1]["shared"])
    assert not np.array_equal(places[0]["shared"], places[2]["shared"])


@pytest.mark.parametrize(("found", "seldom"), [(0, True), (20, False)])
def test_where_a_true_threat_trace_is_seldom_found_it_is_said(found: int, seldom: bool) -> None:
    def against(better: int) -> Against:
        readings = {Reading.BETTER: better, Reading.WORSE: 20 - better}
        return Against(readings=readings, differences=(0.0,) * 20, se=(1.0,) * 20)

    made = load_reliability()
    cells = tuple(
        cell.model_copy(
            update={
                "sets": 20,
                "converged": 20,
                "against": {"disorder": against(20), "extinction_only": against(found)},
            }
        )
        for cell in made.cells
    )
    at_hand = made.model_copy(update={"cells": cells, "model": model_digest()})
    said = list(frequencies(at_hand))
    assert any("would seldom be found" in line for line in said) is seldom
    assert "better than plain meta-regression in 100 %" in said[0]
    stale = at_hand.model_copy(update={"model": "x"})
    assert not any("would seldom be found" in line for line in frequencies(stale))


def test_draws_that_cannot_be_thinned_evenly_are_refused() -> None:
    with pytest.raises(InputError, match="draws must be a multiple of thin, at least 1; given 20 and 3"):
        rank_tasks(TRIALS, rival("disorder"), SHORT, points=4, fits=1, thin=3)
