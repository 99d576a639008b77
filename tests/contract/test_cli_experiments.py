"""Contract: ``dualtrace experiments`` on the catalogue and on a user's files; bad input is one sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from dualtrace.cli.experiments import experiments
from dualtrace.errors import EvidenceError, InputError
from dualtrace.experiments import tune
from dualtrace.experiments.load import catalogue, catalogue_folder
from dualtrace.mechanism.memory.registry import memory_models

if TYPE_CHECKING:
    from pathlib import Path


def call(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(experiments, list(words), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def one(tmp_path: Path) -> Path:
    for name in ("REC-04a", "REC-04b", "BAS-07"):
        (tmp_path / f"{name}.yaml").write_text((catalogue_folder() / f"{name}.yaml").read_text("utf-8"), "utf-8")
    return tmp_path


def test_the_board_names_every_model_and_both_parts(one: Path) -> None:
    text = call("run", "--experiments", str(one))
    for model in memory_models().values():
        assert model.title in text
    assert "core, training" in text
    assert "core, held out" in text
    assert "not evidence that the brain works so" in text


def test_the_board_as_json_holds_misses_of_every_model(one: Path) -> None:
    found: dict[str, Any] = json.loads(call("run", "--experiments", str(one), "--json", "--model", "rescorla_wagner"))
    (row,) = found["board"]
    assert (row["core_training"]["total"], row["core_held_out"]["total"]) == (3, 0)
    missed = {m["experiment"] for m in found["misses"]["rescorla_wagner"]}
    assert "REC-04b" in missed
    assert row["core_training"]["held"] + row["core_held_out"]["held"] == 3 - len(found["misses"]["rescorla_wagner"])


def test_prior_assumptions_ablations_and_figures_on_request(one: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures"
    words = (
        "--draws",
        "20",
        "--assumptions",
        "--ablate",
        "--figures",
        str(figures),
        "--json",
        "--model",
        "dual_trace",
    )
    result = CliRunner().invoke(experiments, ["run", "--experiments", str(one), *words], catch_exceptions=False)
    found = json.loads(result.stdout)
    assert found["prior"]["dual_trace"]["draws"] == 20
    assert all(0 <= f["share"] <= 1 for f in found["prior"]["dual_trace"]["findings"])
    assert any(row["model"] == "without: no restabilisation" for row in found["board"])
    assert (figures / "scoreboard.png").stat().st_size > 10_000


def test_prior_and_assumptions_as_text(one: Path) -> None:
    text = call("run", "--experiments", str(one), "--model", "dual_trace", "--draws", "10", "--assumptions")
    assert "Share of 10 draws of the prior" in text
    assert "Hangs on what was assumed" in text


def test_tuned_constants_are_written_and_used(one: Path, tmp_path: Path) -> None:
    file = tmp_path / "tuned.json"
    text = call(
        *("tune", "--model", "rescorla_wagner", "--generations", "2", "--starts", "1"),
        *("--output", str(file), "--experiments", str(one)),
    )
    assert "core findings, training" in text
    assert "core findings, held out" in text
    constants = json.loads(file.read_text("utf-8"))
    assert "rescorla_wagner.salience" in constants
    call("run", "--experiments", str(one), "--model", "rescorla_wagner", "--constants", str(file))


def test_one_experiment_is_shown_with_its_assumptions() -> None:
    text = call("show", "REC-05")
    assert "Assumed, as the source does not state it" in text
    assert "acquisition: n = 3" in text
    assert "fear[MK,3min@test] < fear[SAL,3min@test]" in text
    assert "not simulated: one typical animal is simulated, not a population" in text


def test_reported_sizes_are_shown_beside_simulated_ones() -> None:
    assert "Sizes: measured mean (SD), simulated" in call("show", "BAS-05")


def test_every_experiment_can_be_shown() -> None:
    for record in catalogue():
        assert record.title in call("show", record.id, "--model", "rescorla_wagner")


def test_the_list_counts_the_catalogue() -> None:
    rows = json.loads(call("list", "--json"))
    assert len(rows) == len(catalogue())
    assert "90 experiments" in call("list")


def test_the_catalogue_passes_its_own_check() -> None:
    assert "90 files: 0 problems." in call("check")


def test_check_says_file_line_and_field(one: Path) -> None:
    path = one / "BAS-07.yaml"
    path.write_text(path.read_text("utf-8").replace("after_h: 24", "after_h: -1").replace("cs: X", "cs: x"), "utf-8")
    text = call("check", str(one), code=1)
    assert "BAS-07.yaml:" in text
    assert "3 files:" in text
    assert json.loads(CliRunner().invoke(experiments, ["check", str(one), "--json"]).stdout)[0]["line"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--model", "hal"), r"a memory model must be one of dual_trace"),
        (("run", "--draws", "0"), r"--draws must be 1 or more; given 0"),
        (("run", "--experiments", "nowhere"), r"there is no file or folder nowhere"),
        (("run", "--constants", "nowhere.json"), r"--constants nowhere.json cannot be read"),
        (("show", "REC-99"), r"there is no experiment 'REC-99'; did you mean one of REC-01"),
        (("show", "xyz"), r"there is no experiment 'xyz'; `dualtrace experiments list` prints the ids"),
        (("tune", "--model", "kalman_filter", "--generations", "0"), r"--generations must be 1 or more; given 0"),
    ],
)
def test_what_cannot_be_is_one_sentence(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(experiments, list(words), catch_exceptions=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"must be JSON, a name to a number"),
        ("[1]", r"must hold one object of names and numbers"),
        ('{"dual_trace.spacing": "x"}', r"must hold one object of names and numbers"),
        ('{"dual_trace.hope": 1}', r"there is no parameter 'dual_trace.hope'"),
        ('{"dual_trace.spacing": 99}', r"dual_trace.spacing must lie between 0 and 5; given 99"),
    ],
)
def test_bad_constants_are_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "c.json"
    file.write_text(content, "utf-8")
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(experiments, ["run", "--constants", str(file)], catch_exceptions=False)


@pytest.mark.parametrize("extra", [(), ("--json",), ("--draws", "3"), ("--figures", "figures")])
def test_experiments_without_a_contrast_are_refused(tmp_path: Path, extra: tuple[str, ...]) -> None:
    name = "HUM-06"
    (tmp_path / f"{name}.yaml").write_text((catalogue_folder() / f"{name}.yaml").read_text("utf-8"), "utf-8")
    with pytest.raises(InputError, match=r"none of these experiments has a finding with a contrast"):
        CliRunner().invoke(experiments, ["run", "--experiments", str(tmp_path), *extra], catch_exceptions=False)


def test_a_run_of_files_that_would_be_falsified_names_file_and_line(one: Path) -> None:
    path = one / "REC-04a.yaml"
    path.write_text(path.read_text("utf-8").replace("gain: high", "dose_mg: 50000"), "utf-8")
    with pytest.raises(
        EvidenceError, match=r"REC-04a.yaml:\d+: phases: group DCS: a dose must be between 0 and 1000 mg"
    ):
        CliRunner().invoke(experiments, ["run", "--experiments", str(one)], catch_exceptions=False)


def test_tuning_needs_a_training_part(one: Path) -> None:
    for file in one.glob("*.yaml"):
        file.write_text(file.read_text("utf-8").replace("split: training", "split: held_out"), "utf-8")
    with pytest.raises(InputError, match=r"tuning needs experiments with split: training"):
        CliRunner().invoke(
            experiments, ["tune", "--model", "kalman_filter", "--experiments", str(one)], catch_exceptions=False
        )


@pytest.mark.parametrize(
    ("option", "least"), [("--generations", 1), ("--starts", 1), ("--seed", 0)], ids=lambda value: str(value)
)
def test_the_search_refuses_what_it_cannot_do(option: str, least: int) -> None:
    with pytest.raises(InputError, match=rf"{option} must be {least} or more; given {least - 1}"):
        CliRunner().invoke(
            experiments, ["tune", "--model", "kalman_filter", option, str(least - 1)], catch_exceptions=False
        )


def test_a_search_without_its_package_says_how_to_install_it(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"Tuning needs the package cma.*pip install 'dualtrace\[tune\]'"):
        CliRunner().invoke(
            experiments, ["tune", "--model", "kalman_filter", "--experiments", str(one)], catch_exceptions=False
        )
