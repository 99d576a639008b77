"""``dualtrace simulate PROTOCOL``: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from dualtrace.cli import trial_files
from dualtrace.cli.main import main
from dualtrace.cli.simulate import simulate
from dualtrace.cli.trials import trials
from dualtrace.errors import DualtraceError, EvidenceError, InputError
from dualtrace.evidence.load import read_trial
from dualtrace.runner.tables import from_parquet
from dualtrace.simulation.from_trial import protocol_of
from dualtrace.simulation.load import protocol_from, read_protocol
from dualtrace.simulation.plan import plan_of
from dualtrace.simulation.published import published
from dualtrace.simulation.tables import replayed

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from dualtrace.evidence.record import Trial


def call(*words: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(simulate, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def protocol(tmp_path_factory: pytest.TempPathFactory, small_protocol: str, compiled_programs: None) -> Path:  # noqa: ARG001 - for what it sets
    path = tmp_path_factory.mktemp("protocols") / "small.yaml"
    path.write_text(small_protocol, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results") / "new" / "folder"


@pytest.fixture(scope="module")
def printed(protocol: Path, out: Path) -> str:
    """Text of a run that also wrote everything to ``out``."""
    return call(protocol, "--out", out).stdout


def test_a_run_prints_its_summary_and_names_its_files(printed: str, out: Path) -> None:
    for words in (
        "Capsules after good sessions only",
        "60 patients",
        "ARMS",
        "WHAT NO TRIAL SEES",
        "not medical advice",
    ):
        assert words in printed
    names = {"small_trial.yaml", "protocol.json", "summary.json", "patients.parquet", "sessions.parquet"}
    names |= {"decisions.parquet", "figures"}
    assert {path.name for path in out.iterdir()} == names
    kinds = ("suds", "severity", "effect", "benefit", "by_fear")
    assert {path.name for path in (out / "figures").iterdir()} == {f"{k}.{s}" for k in kinds for s in ("svg", "png")}
    assert f"wrote {out / 'figures' / 'effect.svg'}" in printed


@pytest.mark.usefixtures("printed")
def test_the_record_passes_the_checks_of_published_records_and_reads_back(out: Path) -> None:
    checked = CliRunner().invoke(trials, ["check", str(out)], catch_exceptions=False)
    assert checked.exit_code == 0, checked.output
    assert "0 errors, 0 warnings" in checked.output
    record = read_trial(out / "small_trial.yaml").trial
    assert yaml.safe_load(trial_files.record_yaml(record)) == yaml.safe_load((out / "small_trial.yaml").read_text())
    assert record.sources["simulated"].kind == "simulated"


@pytest.mark.usefixtures("printed")
def test_means_of_the_record_are_those_of_the_patients(out: Path) -> None:
    table = from_parquet((out / "patients.parquet").read_bytes())
    record = read_trial(out / "small_trial.yaml").trial
    (report,) = next(one for one in record.outcomes if one.id == "dcs_lsas_post_post_difference").reported
    for arm, mean in (("dcs", report.treatment), ("placebo", report.reference)):  # type: ignore[union-attr]
        values = table["LSAS_post"][(table["arm"] == arm) & np.isfinite(table["LSAS_post"])]
        assert (mean.n, mean.mean) == (values.size, pytest.approx(values.mean(), abs=1e-5))  # type: ignore[union-attr]


@pytest.mark.usefixtures("printed")
def test_decisions_can_be_replayed_from_the_files(out: Path) -> None:
    plan = plan_of(protocol_from(json.loads((out / "protocol.json").read_text())))
    decisions = from_parquet((out / "decisions.parquet").read_bytes())
    assert 0 < decisions["given"].sum() < decisions["given"].size
    assert (replayed(plan, dict(decisions)) == (decisions["given"] > 0)).all()


@pytest.mark.usefixtures("printed")
def test_json_is_the_summary_with_its_files(protocol: Path, out: Path, tmp_path: Path) -> None:
    content = json.loads(call(protocol, "--json", "--figures", tmp_path).stdout)
    files = content.pop("files")
    assert content == json.loads((out / "summary.json").read_text())
    assert sorted(files) == sorted(str(path) for path in tmp_path.iterdir())
    assert len(files) == 10


@pytest.mark.usefixtures("printed")
def test_csv_holds_what_parquet_holds(protocol: Path, out: Path, tmp_path: Path) -> None:
    call(protocol, "--out", tmp_path, "--tables", "csv", "--json")
    for name in ("patients", "sessions", "decisions"):
        header, *rows = csv.reader(StringIO((tmp_path / f"{name}.csv").read_text()))
        table = from_parquet((out / f"{name}.parquet").read_bytes())
        assert header == list(table)
        for column, cells in zip(header, zip(*rows, strict=True), strict=True):
            if table[column].dtype.kind == "U":
                assert list(cells) == table[column].tolist()
            else:
                numbers = [float(cell) if cell else math.nan for cell in cells]
                assert np.array_equal(numbers, table[column].astype(float), equal_nan=True), column


def test_trial_may_be_named_or_left_out_and_options_may_come_first(protocol: Path) -> None:
    short = call("--patients", "12", protocol).stdout
    assert short == call("trial", protocol, "--patients", "12").stdout
    assert "12 patients" in short


def test_the_same_seed_gives_the_same_patients_and_changes_are_named(protocol: Path) -> None:
    one, again, other = (json.loads(call(protocol, "--json", "--seed", seed).stdout) for seed in ("2", "2", "3"))
    assert one == again
    assert one["scores"] != other["scores"]
    changed = json.loads(call(protocol, "--json", "--seed", "2", "--set", "clinic.quality=-1").stdout)
    assert changed["changes"] == ["clinic.quality = -1"]
    assert changed["scores"] != one["scores"]


def test_show_prints_the_protocol_as_text_and_as_json(protocol: Path) -> None:
    assert "ASSUMED" in call("trial:smits2020", "--show").stdout
    assert (
        "50 mg after, if fear at the end is below 40"
        in call("sad_pre_vs_post_vs_tailored", "--show", "--json").stdout
    )
    content = json.loads(call(protocol, "--show", "--json").stdout)
    assert protocol_from(content) == read_protocol(protocol)


def test_what_was_published_is_placed_on_the_visits_of_the_protocol(evidence: dict[str, Trial]) -> None:
    placed = {"means": 0, "effects": 0}
    for trial in evidence.values():
        try:
            plan = plan_of(protocol_of(trial))
        except InputError:
            continue
        found = published(trial, plan)
        weeks = {0.0, *(visit.weeks for visit in plan.visits)}
        arms = {arm.source.id for arm in plan.arms}
        assert {one.weeks for one in found.means} | {one.weeks for one in found.effects} <= weeks
        assert {one.arm for one in found.means} | {one.arm for one in found.effects} <= arms
        placed["means"] += bool(found.means)
        placed["effects"] += bool(found.effects)
    assert placed["means"] >= 2
    assert placed["effects"] >= 5


def test_a_published_mean_after_treatment_is_baseline_and_change(evidence: dict[str, Trial]) -> None:
    trial = evidence["farrell2022"]
    found = published(trial, plan_of(protocol_of(trial)))
    assert {one.arm for one in found.means if one.weeks > 0} == {"dcs", "placebo"}
    first = {one.arm: one.mean for one in found.means if one.weeks == 0}
    assert all(one.mean < first[one.arm] and math.isnan(one.sd) for one in found.means if one.weeks > 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exposur"], "'exposur' is neither a protocol nor a sub-command; did you mean exposure"),
        (["no/such/file.yaml"], "give a YAML file that exists, trial:ID of a published trial or a shipped protocol"),
        (["smits2020"], "did you mean trial:smits2020"),
        (["trial:smits202"], "did you mean smits2020"),
        (["trial:"], "`dualtrace trials list` shows them"),
        (
            ["{protocol}", "--patients", "0"],
            "2 arms need 4 patients or more, two for each standard deviation; given 0",
        ),
        (["{protocol}", "--patients", "1000000000000"], "4,294,967,296 patients; given 1,000,000,000,000"),
        (["{protocol}", "--patients", "2000000"], "at most 1,000,000 patients are allotted in blocks"),
        (["{protocol}", "--seed", "-1"], "a seed must be a whole number from 0"),
        (["{protocol}", "--model", "guess"], "a memory model must be one of dual_trace, .*; given 'guess'"),
        (["{protocol}", "--set", "clinic.luck=1"], "clinic.luck"),
        (["{protocol}", "--set", "clinic.quality"], "--set takes NAME=VALUE; given 'clinic.quality'"),
        (["{protocol}", "--set", "clinic.mishap=2"], "clinic.mishap must lie between 0 and 1; given 2"),
        (["{protocol}", "--tables", "csv"], "--tables csv needs --out DIR"),
        (["{protocol}", "--out", "{protocol}/inside"], "results cannot be written to .*inside"),
        (["{protocol}", "--figures", "{protocol}/inside"], "results cannot be written to .*inside"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(protocol: Path, words: list[str], said: str) -> None:
    with pytest.raises(DualtraceError, match=said) as caught:
        call(*(word.format(protocol=protocol) for word in words))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_protocol_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.yaml"
    path.write_text("arms: [", encoding="utf-8")
    with pytest.raises(EvidenceError, match=r"notes\.yaml"):
        call(path)


def test_a_refusal_is_a_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["dualtrace", "simulate", "exposur"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert capsys.readouterr().err.startswith("Error: 'exposur' is neither a protocol")


def test_an_interruption_leaves_whole_files_and_names_them(
    protocol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trial_files, "_figures", stopped)
    result = call(protocol, "--out", tmp_path, code=1)
    assert "These files are whole:" in result.stderr
    assert read_trial(tmp_path / "small_trial.yaml").trial.id == "small_trial"
    assert from_parquet((tmp_path / "patients.parquet").read_bytes())["patient"].size == 60
    assert {path.suffix for path in tmp_path.iterdir()} == {".yaml", ".json", ".parquet"}


def test_a_file_that_cannot_be_finished_leaves_no_part_of_itself(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="bytes-like"):
        trial_files._put(tmp_path / "x.json", "no bytes")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_help_and_show_load_no_jax() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from dualtrace.cli.simulate import simulate; "
        "assert CliRunner().invoke(simulate, ['trial', '--help']).exit_code == 0; "
        "assert CliRunner().invoke(simulate, ['--help']).exit_code == 0; "
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)  # noqa: S603 - our own code
