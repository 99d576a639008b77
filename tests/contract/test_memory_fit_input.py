"""Contract: a fit to individuals refuses in words, is the same for the same seed, and takes missing trials."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from dualtrace import extras
from dualtrace.cli import individuals
from dualtrace.cli.experiments import experiments
from dualtrace.errors import InputError, TableError
from dualtrace.experiments.cohort import Cohort, Typical, simulate_cohort
from dualtrace.experiments.design import design_of, design_of_group
from dualtrace.experiments.fit import fit, maximum_posterior
from dualtrace.experiments.fitted import Fitted, compare
from dualtrace.experiments.individuals import Responses, Scale, read_responses, scale_of
from dualtrace.experiments.load import load_experiments
from dualtrace.mechanism.memory.registry import memory_model

if TYPE_CHECKING:
    from pathlib import Path

MODEL = memory_model("rescorla_wagner")
LINE = "A: 3CS+ | A: 5CS- @24h"
FREE = ("rescorla_wagner.rate_no_us",)
SHORT: dict[str, Any] = {"chains": 2, "warmup": 40, "draws": 40, "seed": 3}


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return simulate_cohort(MODEL, LINE, 4, {FREE[0]: Typical(0.4, 0.5)}, seed=2, missing=0.1)


@pytest.fixture(scope="module")
def fitted(cohort: Cohort) -> Fitted:
    return fit(MODEL, LINE, cohort.responses, FREE, **SHORT)


def readings(*rows: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(rows, float)


@pytest.mark.parametrize(
    ("subjects", "values", "scale", "says"),
    [
        (
            ("a",),
            readings([0.1, 0.2], [0.3, 0.4]),
            Scale.FREEZING,
            r"array of 1 subjects by trials.*given the shape \(2, 2\)",
        ),
        (("a",), np.array([0.1, 0.2]), Scale.FREEZING, r"given the shape \(2,\)"),
        (("a", "a"), readings([0.1, 0.2], [0.3, 0.4]), Scale.FREEZING, "'a' stands twice. Rename one"),
        (
            ("a",),
            readings([0.1, 1.2]),
            Scale.FREEZING,
            r"between 0 and 1; given 1.2. Correct it, or use.*'a', trial 2",
        ),
        (("a",), readings([0.1, 120]), Scale.SUDS, r"a reading of suds must lie between 0 and 100; given 120"),
        (("a",), readings([0.1, np.inf]), Scale.SCR, "a finite number, or NaN where not measured; given inf"),
        (("a", "b"), readings([0.1, 0.2], [np.nan, np.nan]), Scale.FREEZING, "'b' has none. Leave the subject out"),
        (("a",), readings([0.5, 0.5]), Scale.FREEZING, "readings must differ; all are 0.5"),
    ],
)
def test_responses_are_refused_in_words(subjects: tuple[str, ...], values: Any, scale: Scale, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Responses(subjects, values, scale)


def test_responses_keep_a_copy_that_nobody_can_change() -> None:
    given = readings([0.1, 0.2])
    kept = Responses(("a",), given)
    given[0, 0] = 0.9
    assert kept.readings[0, 0] == 0.1
    with pytest.raises(ValueError, match="read-only"):
        kept.readings[0, 0] = 0.9


def test_a_scale_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="one of freezing, suds, expectancy, expectancy_100, scr; given 'mood'"):
        scale_of("mood")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("subject,fear\na,0.1\n", "needs a column 'trial'; it has subject, fear"),
        ("subject,trial,fear,fear\na,1,0.1,0.2\n", "'fear' stands more than once"),
        ("subject,trial,fear\n", "has no rows"),
        ("subject,trial,fear\na,1,0.1\n,2,0.1\n", "line 3: every row needs a subject"),
        ("subject,trial,fear\na,1.5,0.1\n", "line 2: a trial must be a whole number from 1; given '1.5'"),
        ("subject,trial,fear\na,0,0.1\n", "line 2: a trial must be a whole number from 1; given '0'"),
        ("subject,trial,fear\na,9,0.1\n", "line 2: the design has 3 presentations; given trial 9"),
        ("subject,trial,fear\na,1,0.1\n\na,1,0.2\n", "line 4: subject 'a' has trial 1 already in line 2"),
        (
            "subject,trial,fear\na,1,high\n",
            "line 2: fear must be a number, or empty where not measured; given 'high'",
        ),
        ("subject,trial,fear\na,1,0.1\na,2,60\n", "line 3: a reading of freezing must lie between 0 and 1; given 60"),
        ("subject,trial,fear\na,1,0.1,7\n", "line 2: a row must have 3 cells"),
        ("subject,trial,fear\na,1,\n", "'a' has none. Leave the subject out"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "rats.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match=says):
        read_responses(path, trials=3)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be read"):
        read_responses(tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_bytes(b"subject,trial,fear\n\xff,1,0.1\n")
    with pytest.raises(TableError, match="not UTF-8"):
        read_responses(tmp_path / "bad.csv")


def test_missing_trials_and_decimal_commas_are_read(tmp_path: Path) -> None:
    path = tmp_path / "patients.csv"
    path.write_text("trial;subject;suds\n1;p1;80,5\n3;p1;NA\n2;p2;40\n", encoding="utf-8")
    found = read_responses(path, scale=Scale.SUDS, column="suds", trials=3)
    assert found.subjects == ("p1", "p2")
    np.testing.assert_array_equal(found.readings, [[80.5, np.nan, np.nan], [np.nan, 40, np.nan]])


@pytest.mark.parametrize(
    ("free", "says"),
    [
        ((), "at least one constant must be free, such as rescorla_wagner.salience; given none"),
        (("dual_trace.threat_rate",), "must be one of rescorla_wagner: .*rate_us.*; given 'dual_trace.threat_rate'"),
        ((FREE[0], FREE[0]), "is named once; 'rescorla_wagner.rate_no_us' stands 2 times"),
    ],
)
def test_constants_that_cannot_be_free_are_refused(cohort: Cohort, free: tuple[str, ...], says: str) -> None:
    with pytest.raises(InputError, match=says):
        fit(MODEL, LINE, cohort.responses, free)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"chains": 0}, "chains and warmup must be at least 1 and draws 4; given 0, 500, 500"),
        ({"draws": 3}, "draws 4; given 4, 500, 3"),
        ({"target_accept": 1.0}, "target_accept must lie between 0 and 1; given 1"),
    ],
)
def test_sampler_options_are_refused(cohort: Cohort, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        fit(MODEL, LINE, cohort.responses, FREE, **options)


def test_trials_must_be_the_presentations(cohort: Cohort) -> None:
    with pytest.raises(InputError, match=r"each of the 4 presentations of 'A: 4CS\+'; given 8. A trial that was not"):
        maximum_posterior(MODEL, "A: 4CS+", cohort.responses, FREE)
    with pytest.raises(InputError, match="starts must be at least 1; given 0"):
        maximum_posterior(MODEL, LINE, cohort.responses, FREE, starts=0)


def test_designs_come_from_a_line_or_a_group_of_an_experiment() -> None:
    assert design_of(LINE).trials[2:5] == ("acquisition 3", "test 1", "test 2")
    with pytest.raises(InputError, match="a phase reads like"):
        design_of("3CS+")
    experiment = next(e for e in load_experiments() if e.groups and e.phases)
    design = design_of_group(experiment, experiment.groups[0])
    assert design_of(design) is design
    assert len(design.trials) == len(design.rows) > 0
    with pytest.raises(InputError, match="has no group 'nobody'; its groups are"):
        design_of_group(experiment, ("nobody",))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n": 0}, "n must be at least 1, noise above 0"),
        ({"population": {FREE[0]: Typical(7.0, 0.3)}}, "must be typical within its range 0.01 to 1.*given 7 and 0.3"),
        ({"population": {"no.such": Typical(0.3, 0.3)}}, "must be one of rescorla_wagner"),
    ],
)
def test_cohorts_are_refused_in_words(change: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"n": 3, "population": {FREE[0]: Typical(0.4, 0.3)}, "seed": 1} | change
    with pytest.raises(InputError, match=says):
        simulate_cohort(MODEL, LINE, **given)


def test_numpyro_that_is_not_there_is_named(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'dualtrace\[bayes\]'. maximum_posterior gives a quick look"):
        fit(MODEL, LINE, cohort.responses, FREE)


def test_same_seed_same_cohort_and_same_draws(cohort: Cohort, fitted: Fitted) -> None:
    again = simulate_cohort(MODEL, LINE, 4, {FREE[0]: Typical(0.4, 0.5)}, seed=2, missing=0.1)
    np.testing.assert_array_equal(again.responses.readings, cohort.responses.readings)
    second = fit(MODEL, LINE, again.responses, FREE, **SHORT)
    np.testing.assert_array_equal(second.subjects, fitted.subjects)
    np.testing.assert_array_equal(second.predicted, fitted.predicted)


def test_missing_trials_are_predicted_and_add_nothing(cohort: Cohort, fitted: Fitted) -> None:
    seen = np.isfinite(cohort.responses.readings)
    assert not seen.all()
    np.testing.assert_array_equal(np.isfinite(fitted.lpd), seen)
    assert np.isfinite(fitted.predicted).all()
    assert np.isfinite(fitted.elpd)
    assert ((fitted.low <= fitted.predicted) & (fitted.predicted <= fitted.high)).all()
    assert fitted.subjects.shape == (2, 40, 4, 1)


def test_draws_too_few_are_said_to_be(fitted: Fitted) -> None:
    assert not fitted.converged
    assert "effective draws, which must be more than 400" in fitted.sentences[0]
    assert "3 transitions diverged" in " ".join(replace(fitted, divergences=3).failures)
    with pytest.raises(InputError, match=r"a quantity must be one of rescorla_wagner.rate_no_us"):
        fitted["rate"]


def test_a_comparison_needs_the_same_readings(cohort: Cohort, fitted: Fitted) -> None:
    assert str(compare(fitted, fitted)).endswith("too little to tell them apart.")
    other = replace(fitted, responses=Responses(cohort.responses.subjects, 0.5 * cohort.responses.readings))
    with pytest.raises(InputError, match="on the same readings only"):
        compare(fitted, other)


def test_what_the_data_do_not_inform_is_said() -> None:
    line = "A: 6CS+"
    cohort = simulate_cohort(MODEL, line, 4, {"rescorla_wagner.rate_us": Typical(0.4, 0.3)}, seed=1)
    found = fit(MODEL, line, cohort.responses, FREE, **SHORT)
    assert found[FREE[0]].contraction < 0.5
    assert any(s.startswith("These data say little about rescorla_wagner.rate_no_us") for s in found.sentences)


def test_skin_conductance_estimates_gain_and_offset() -> None:
    cohort = simulate_cohort(MODEL, LINE, 6, {FREE[0]: Typical(0.4, 0.3)}, seed=4, scale=Scale.SCR, noise=0.05)
    found = fit(MODEL, LINE, cohort.responses, FREE, **SHORT)
    assert found["gain"].q05 > 0
    assert np.corrcoef(found.predicted.ravel(), cohort.responses.readings.ravel())[0, 1] > 0.9
    quick = maximum_posterior(MODEL, LINE, cohort.responses, FREE)
    assert np.corrcoef(quick.expected.ravel(), cohort.responses.readings.ravel())[0, 1] > 0.9
    assert quick.sentence.startswith("A quick look")


def test_the_verb_prints_a_table_or_json(
    tmp_path: Path, cohort: Cohort, fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Responses] = []

    def stand_in(_model: object, _design: object, responses: Responses, *_: object, **__: object) -> Fitted:
        asked.append(responses)
        return fitted

    monkeypatch.setattr(individuals, "fit", stand_in)
    path = tmp_path / "rats.csv"
    rows = [
        f"{label},{t + 1},{float(cohort.responses.readings[s, t])!r}"
        for s, label in enumerate(cohort.responses.subjects)
        for t in range(cohort.responses.trials)
    ]
    path.write_text("\n".join(["subject,trial,share", *rows]), encoding="utf-8")
    options = ["fit", str(path), "--design", LINE, "--model", MODEL.name, "--free", FREE[0], "--column", "share"]
    shown = CliRunner().invoke(experiments, options)
    assert shown.exit_code == 0, shown.output
    np.testing.assert_array_equal(asked[0].readings, cohort.responses.readings)
    assert "contraction" in shown.output
    assert "The sampler did not converge" in shown.output
    found = json.loads(CliRunner().invoke(experiments, [*options, "--json"]).output)
    assert found["population"][0]["name"] == FREE[0]
    assert [row["subject"] for row in found["subjects"]] == list(cohort.responses.subjects)
