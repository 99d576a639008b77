"""Contract: fits have provenance and gates, the same seed gives the same draws, files come back, refusals say why."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

import dualtrace as dt
from dualtrace.calibration.approximate import approximate
from dualtrace.calibration.contest import Setup, contest
from dualtrace.calibration.fit import Sampler, fit
from dualtrace.calibration.held_out import mask_of, newer
from dualtrace.calibration.model import Problem, problem_of
from dualtrace.calibration.posterior import Method, Posterior
from dualtrace.calibration.posterior_file import load_posterior, save_posterior
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.targets import subjects_of
from dualtrace.calibration.tasks import carried_out, chain_of, fit_tasks, posterior_from
from dualtrace.cli.calibrate import calibrate
from dualtrace.cli.calibrated import how_in_words
from dualtrace.errors import InputError
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from dualtrace.runner.task import Task
from dualtrace.simulation.draws import sobol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dualtrace.evidence.record import Trial

CHOSEN = ("difede2014", "hofmann2013", "kushner2007", "leyfer2019", "otto2010", "smits2020", "storch2010")
DISORDER = rival("disorder")
SHORT = Sampler(chains=2, warmup=60, draws=40, seed=4)


@pytest.fixture(scope="module")
def chosen(compiled_programs: None) -> tuple[Trial, ...]:  # noqa: ARG001 - for what it sets
    return tuple(trial for trial in dt.evidence.load() if trial.id in CHOSEN)


@pytest.fixture(scope="module")
def problem(chosen: tuple[Trial, ...]) -> Problem:
    return problem_of(subjects_of(chosen), points=4)


@pytest.fixture(scope="module")
def short(problem: Problem) -> Posterior:
    return fit(problem, DISORDER, SHORT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the chosen trials."""
    place = tmp_path_factory.mktemp("trials")
    for name in CHOSEN:
        shutil.copy(Path(dt.__file__).parent / "data" / "trials" / f"{name}.yaml", place)
    return place


def called(folder: Path, store: Path, *words: str) -> str:
    size = ("--points", "4", "--chains", "1", "--draws", "150", "--quick")
    given = [*words, "--trials", str(folder), "--alone", "--store", str(store), *size]
    done = CliRunner().invoke(calibrate, given, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_the_same_seed_gives_the_same_draws_and_another_others(problem: Problem, short: Posterior) -> None:
    again, other = fit(problem, DISORDER, SHORT), fit(problem, DISORDER, replace(SHORT, seed=5))
    np.testing.assert_array_equal(again.log_likelihood, short.log_likelihood)
    assert not np.array_equal(other.log_likelihood, short.log_likelihood)


def test_a_chain_does_not_depend_on_how_many_others_there_are(problem: Problem, short: Posterior) -> None:
    alone = fit(problem, DISORDER, replace(SHORT, chains=1))
    np.testing.assert_array_equal(alone.scores["shared"][0], short.scores["shared"][0])


def test_a_short_run_does_not_pass_and_says_which_parameter_and_what_to_do(short: Posterior) -> None:
    assert any(
        failure.startswith("calibration.mean_effect: R-hat") and "take more draws" in failure
        for failure in short.failures
    )


def test_chains_in_different_places_do_not_pass(short: Posterior) -> None:
    rng = np.random.default_rng(1)
    scores = {name: rng.standard_normal((2, 2000, part.shape[2])) for name, part in short.scores.items()}
    shape = (2, 2000, len(short.trials))
    good = replace(
        short, scores=scores, divergences=0, log_likelihood=np.zeros(shape), predicted=np.zeros((2, 2000, 1))
    )
    assert good.failures == ()
    apart = {name: part.copy() for name, part in scores.items()}
    apart["effect"][1, :, 0] += 1
    assert [failure.split(":")[0] for failure in replace(good, scores=apart).failures] == ["effect[SAD]"]
    assert replace(good, divergences=3).failures[0].startswith("3 divergent transitions (must be none); raise")
    assert replace(good, divergences=1).failures[0].startswith("1 divergent transition (must be none); raise")


def test_one_chain_alone_is_judged_by_its_halves(short: Posterior) -> None:
    rng = np.random.default_rng(2)
    steady = {name: rng.standard_normal((1, 4000, part.shape[2])) for name, part in short.scores.items()}
    shape = (1, 4000, len(short.trials))
    alone = replace(short, scores=steady, log_likelihood=np.zeros(shape), predicted=np.zeros((1, 4000, 1)))
    assert alone.largest_rhat == pytest.approx(1, abs=0.01)
    assert alone.failures[0].startswith("1 chain (must be at least 2): whether chains agree is not known")
    wandering = {name: part + np.linspace(0, 2, 4000)[:, None] for name, part in steady.items()}
    assert replace(alone, scores=wandering).largest_rhat > 1.1


def test_parameters_that_keep_their_prior_have_no_contraction(short: Posterior) -> None:
    rng = np.random.default_rng(2)
    scores = {name: rng.standard_normal((2, 2000, part.shape[2])) for name, part in short.scores.items()}
    like_prior = replace(
        short, scores=scores, log_likelihood=np.zeros((2, 2000, len(short.trials))), predicted=np.zeros((2, 2000, 1))
    )
    for one in like_prior.estimates:
        assert abs(one.contraction) < 0.05
        assert one.hangs_on_priors
        np.testing.assert_allclose((one.low, one.median, one.high), one.prior, atol=0.08)


def test_a_posterior_comes_back_from_its_file_with_its_provenance(short: Posterior, tmp_path: Path) -> None:
    save_posterior(short, tmp_path / "fit.nc")
    read = load_posterior(tmp_path / "fit.nc")
    assert (read.account, read.method, read.trials) == (short.account, short.method, short.trials)
    assert dict(read.settings) == dict(short.settings)
    assert {"dualtrace", "model", "trials", "points", "seed", "warmup"} <= set(read.settings)
    for name, part in short.scores.items():
        np.testing.assert_array_equal(read.scores[name], part)
    np.testing.assert_array_equal(read.log_likelihood, short.log_likelihood)
    np.testing.assert_array_equal(read.predicted, short.predicted)


def test_a_file_that_is_no_posterior_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.nc").write_text("nothing")
    with pytest.raises(InputError, match="must be a posterior written by dualtrace calibrate --save"):
        load_posterior(tmp_path / "other.nc")


def test_a_place_that_cannot_be_written_is_refused(short: Posterior, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must go to a file that can be written"):
        save_posterior(short, tmp_path / "absent" / "fit.nc")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"chains": 0}, "chains and warm-up must be at least 1"),
        ({"draws": 3}, "draws 4; given 4, 300, 3"),
        ({"target_accept": 1.0}, "target_accept must lie between 0 and 1; given 1"),
        ({"max_tree_depth": 13}, "max_tree_depth must lie between 1 and 12; given 13"),
    ],
)
def test_a_sampler_that_cannot_run_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Sampler(**changes)


@pytest.mark.parametrize("points", [0, 3, 48])
def test_patients_that_are_not_balanced_are_refused(points: int) -> None:
    with pytest.raises(InputError, match=f"quasi-random patients must be a power of two; given {points}"):
        sobol(3, points, 0)


def test_an_approximation_needs_draws(problem: Problem) -> None:
    with pytest.raises(InputError, match="an approximation needs at least 100 draws; given 99"):
        approximate(problem, DISORDER, draws=99)


def test_an_approximation_is_marked_and_judged_by_its_weights(problem: Problem) -> None:
    found = approximate(problem, DISORDER, draws=300, seed=3)
    assert found.method is Method.LAPLACE
    assert replace(found, pareto_k=0.71, effective=500.0).failures == (
        "Pareto k of the weights is 0.71 (must be at most 0.7); sample instead",
    )
    assert "worth 399 (must be at least 400)" in replace(found, pareto_k=0.5, effective=399.0).failures[0]


def test_newer_trials_are_those_from_a_year_on(problem: Problem) -> None:
    assert newer(problem, 2019) == ("leyfer2019", "smits2020")
    assert mask_of(problem, ("smits2020",)).sum() == 1
    with pytest.raises(InputError, match="0 of 7 are from 2031 on"):
        newer(problem, 2031)
    with pytest.raises(InputError, match="must be among those that are fitted; absent is not"):
        mask_of(problem, ("absent",))


def test_a_contest_that_is_run_again_computes_nothing(chosen: tuple[Trial, ...], tmp_path: Path) -> None:
    setup = Setup(chosen, Sampler(chains=1, draws=150), points=4, quick=True)
    computed = []

    def execute(tasks: Sequence[Task]) -> Iterable[Any]:
        run = run_tasks(tasks, Store.open(tmp_path))
        computed.append(run.computed)
        return run

    accounts = (DISORDER, rival("none"))
    first, second = (contest(setup, accounts, execute, refit=False) for _ in range(2))
    assert computed == [4, 0]
    assert first.comparison.weights == second.comparison.weights
    assert [one.trials for one in first.held_out] == [("leyfer2019", "smits2020")] * 2


def test_a_contest_fits_again_without_trials_whose_weights_fail(
    chosen: tuple[Trial, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dualtrace.calibration import contest as module
    from dualtrace.calibration.leave_out import LeftOut, leave_one_out

    def failing(posterior: Posterior) -> LeftOut:
        found = leave_one_out(posterior)
        k = np.where(np.array(found.trials) == "otto2010", 0.8, 0.1)
        return replace(found, pareto_k=k)

    monkeypatch.setattr(module, "leave_one_out", failing)
    asked: list[Task] = []

    def execute(tasks: Sequence[Task]) -> Iterable[Any]:
        asked.extend(tasks)
        return run_tasks(tasks, Store.open(tmp_path))

    setup = Setup(chosen, Sampler(chains=1, draws=150), points=4, quick=True)
    found = contest(setup, (DISORDER, rival("none")), execute)
    assert [task.inputs["left_out"] for task in asked[-2:]] == [("otto2010",)] * 2
    assert all(one.to_refit == () for one in found.comparison.accounts)
    assert all(np.isnan(one.pareto_k).sum() == 1 for one in found.comparison.accounts)


def test_chains_that_diverged_are_sampled_again_with_smaller_steps_and_no_others(chosen: tuple[Trial, ...]) -> None:
    """Chain 0 is sound, chain 1 diverges below 0.99, chain 2 always; results stay in the order of the tasks."""
    least = {0: 0.0, 1: 0.985, 2: 1.0}
    asked: list[list[tuple[int, float]]] = []

    def execute(tasks: Sequence[Task]) -> list[Mapping[str, Any]]:
        pairs = [(task.inputs["chain"], task.inputs["target_accept"]) for task in tasks]
        asked.append(pairs)
        return [
            {"sampling": {"divergent": np.array([False, accept < least[n]])}, "of": (n, accept)}
            for n, accept in pairs
        ]

    tasks = fit_tasks(chosen, DISORDER, Sampler(chains=3, target_accept=0.95), points=4)
    done, results = carried_out(tasks, execute)
    assert asked == [[(0, 0.95), (1, 0.95), (2, 0.95)], [(1, 0.98), (2, 0.98)], [(1, 0.99), (2, 0.99)]]
    assert [result["of"] for result in results] == [(0, 0.95), (1, 0.99), (2, 0.99)]
    assert [(task.inputs["chain"], task.inputs["target_accept"]) for task in done] == [
        (0, 0.95),
        (1, 0.99),
        (2, 0.99),
    ]
    assert done[0] == tasks[0]
    assert {task.seed for task in done} == {tasks[0].seed}


def test_a_fit_that_has_not_mixed_gets_more_chains_until_it_has_and_no_other_does(
    chosen: tuple[Trial, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two fits with two chains each one needs six; one that never mixes ends with four times as many."""
    from dualtrace.calibration import contest as module

    needs = {"disorder": 2, "none": 6, "dual_trace": 99}
    asked: list[list[tuple[str, int]]] = []

    def execute(tasks: Sequence[Task]) -> list[Mapping[str, Any]]:
        asked.append([(task.inputs["account"], task.inputs["chain"]) for task in tasks])
        return [{"of": (task.inputs["account"], task.inputs["chain"])} for task in tasks]

    def made(_: Any, account: Any, __: Any, tasks: Any, results: Any, *, quick: bool) -> Any:
        assert not quick
        assert [one["of"] for one in results] == [(t.inputs["account"], t.inputs["chain"]) for t in tasks]
        return SimpleNamespace(unmixed=len(tasks) < needs[account.name], chains=[t.inputs["chain"] for t in tasks])

    monkeypatch.setattr(module, "posterior_from", made)
    setup = Setup(chosen, Sampler(chains=2), points=4)
    found: list[Any] = list(setup.fits(setup.problem(), [(rival(name), ()) for name in needs], execute))
    assert [one.chains for one in found] == [[0, 1], list(range(6)), list(range(8))]
    assert [len(one) for one in asked] == [6, 4, 4, 2]


def test_a_chain_that_was_sampled_again_is_named(chosen: tuple[Trial, ...]) -> None:
    sampler = Sampler(chains=2, warmup=20, draws=20, target_accept=0.5, max_tree_depth=3)
    first, second = fit_tasks(chosen, DISORDER, sampler, points=4)
    careful = Task(second.function, {**second.plain()["inputs"], "target_accept": 0.98}, second.seed)
    results = [chain_of(task.plain()["inputs"], task.seed) for task in (first, careful)]
    found = posterior_from(Setup(chosen, sampler, 4).problem(), DISORDER, sampler, (first, careful), results)
    assert found.sampled_again == {"1": 0.98}
    assert "Sampled again with smaller steps, since transitions had diverged: chain 2 (wanted" in how_in_words(found)
    assert any("(now 0.98)" in one for one in replace(found, divergences=1).failures)


def test_the_verb_says_what_the_data_did(folder: Path, tmp_path: Path) -> None:
    said = called(folder, tmp_path / "store", "--account", "disorder")
    assert "7 trials report" in said
    assert "only as intervals" in said
    assert "APPROXIMATION at the mode" in said
    assert "calibration.mean_effect" in said
    assert "hofmann2013" in said


def test_the_verb_writes_draws_and_json(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "fit.nc"
    said = json.loads(called(folder, tmp_path / "store", "--account", "disorder", "--json", "--save", str(file)))
    assert said["method"] == "laplace"
    assert said["passed"] is (not said["failures"])
    assert load_posterior(file).account == "disorder"
    effects = [effect for effect in said["effects"] if effect["trial"] == "storch2010"]
    assert effects[0]["reported"]["estimate"] == pytest.approx(0.65, abs=0.01)


def test_the_verb_compares_verdict_first(folder: Path, tmp_path: Path) -> None:
    """The short fits cannot pass, so nothing may be concluded, and that is the first line."""
    words = ("compare", "--account", "disorder", "--account", "dual_trace", "--no-refit")
    said = called(folder, tmp_path, *words).splitlines()
    assert said[0].startswith("Nothing may be said about explanation: these fits did not pass")
    again = json.loads(called(folder, tmp_path, *words, "--json"))
    assert again["verdict"] == said[0]
    assert sum(one["weight"] for one in again["accounts"]) == pytest.approx(1)
    assert again["newest"] == ["leyfer2019", "smits2020"]


def test_a_comparison_without_the_two_of_the_verdict_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="since the verdict is about these two; dual_trace is missing"):
        called(folder, tmp_path, "compare", "--account", "disorder")
