"""Contract: findings come back from their file as they were; what is no such file is refused in a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import dualtrace as dt
from dualtrace.calibration.compare import verdict
from dualtrace.calibration.findings import FORMAT, Influence, load_findings
from dualtrace.calibration.laboratories import laboratories, laboratory, rests_on
from dualtrace.calibration.rounding import finite
from dualtrace.cli.calibrate import calibrate
from dualtrace.errors import InputError
from made_findings import TRIALS, account, findings

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.calibration.leave_out import LeftOut


def test_findings_come_back_from_their_file(tmp_path: Path) -> None:
    made = findings()
    made.save(tmp_path / "findings.json")
    assert load_findings(tmp_path / "findings.json") == made


def test_the_package_ships_findings_with_a_verdict() -> None:
    shipped = load_findings()
    assert verdict(shipped.comparison())
    assert {row.trial for row in shipped.rows} == set(shipped.trials)
    assert {curve.setting for curve in shipped.curves} == {"dose_mg", "minutes", "augmented", "end_fear"}


def _spoiled(change: Callable[[dict[str, Any]], Any]) -> str:
    content = findings().model_dump(mode="json")
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing", "must hold findings of a calibration"),
        ("[]", "its format must be 'dualtrace findings 1'; given None"),
        (json.dumps({"format": "dualtrace findings 0"}), "given 'dualtrace findings 0'; make it anew"),
        (_spoiled(lambda content: content.pop("curves")), "curves: Field required"),
        (_spoiled(lambda content: content["rows"][0].pop("se")), r"rows\.0\.se: Field required"),
        (_spoiled(lambda content: content["accounts"].pop(1)), "missing: dual_trace"),
        (_spoiled(lambda content: content["trials"].pop()), "the account disorder does not fit 3 trials, 7 rows"),
        (_spoiled(lambda content: content["curves"][0]["x"].pop()), "the curve of dose_mg in SAD has 2 points"),
        (_spoiled(lambda content: content.update(more=1)), "more: Extra inputs are not permitted"),
    ],
)
def test_a_file_that_is_none_is_refused_in_a_sentence(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "findings.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        load_findings(tmp_path / "findings.json")


def test_a_file_that_is_absent_or_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_findings(tmp_path / "absent.json")
    with pytest.raises(InputError, match="findings must go to a file that can be written"):
        findings().save(tmp_path / "absent" / "findings.json")


def test_the_verb_refuses_a_place_before_it_fits_anything(tmp_path: Path) -> None:
    words = ["findings", "--out", str(tmp_path / "absent" / "findings.json"), "--store", str(tmp_path / "store")]
    done = CliRunner().invoke(calibrate, words)
    assert isinstance(done.exception, InputError)
    assert "--out must be a file in a folder that exists" in str(done.exception)
    assert not (tmp_path / "store").exists()


def test_what_json_cannot_hold_is_none() -> None:
    assert finite(float("inf")) is None
    assert finite(float("nan")) is None
    assert finite(0.123456789) == 0.12346
    assert json.loads(json.dumps(findings().model_dump(mode="json")))["format"] == FORMAT


def test_trials_of_one_first_author_are_one_laboratory() -> None:
    ids = ("guastella2007_study1", "guastella2008", "hofmeijer_sevink2017", "sheerin_study1", "sheerin2014")
    assert [laboratory(one) for one in ids] == ["guastella", "guastella", "hofmeijer_sevink", "sheerin", "sheerin"]
    assert laboratories(TRIALS)["otto"] == ("otto2010", "otto2016")


def test_a_difference_that_one_laboratory_makes_is_said_to_rest_on_it() -> None:
    made = findings(mine=(-0.2, -0.1, -1.2, -1.1))
    found = {one.account: one for one in made.comparison().accounts}
    assert rests_on(found["dual_trace"], found["disorder"], made.laboratories) == ("otto",)
    even: LeftOut = next(one for one in findings((-1.1, -1.0, -0.9, -0.8)).comparison().accounts)
    assert rests_on(even, found["disorder"], made.laboratories) == ()


def test_refitted_trials_and_unreliable_weights_are_counted() -> None:
    assert account("disorder", (0.0,) * 4).refitted == 1
    assert [one.is_reliable for one in findings().by_trial] == [True, True, True, False]
    wide = Influence(left_out="x", shift=0.0, most="y", most_shift=0.0, pareto_k=0.71, effective=5.0)
    assert not wide.is_reliable


@pytest.mark.slow
def test_the_verb_writes_findings_of_what_compare_fitted_and_computes_nothing_twice(tmp_path: Path) -> None:
    folder = tmp_path / "trials"
    folder.mkdir()
    for name in ("difede2014", "hofmann2013", "kushner2007", "leyfer2019", "otto2010", "smits2020", "storch2010"):
        shutil.copy(Path(dt.__file__).parent / "data" / "trials" / f"{name}.yaml", folder)
    size = ("--points", "4", "--chains", "1", "--draws", "150", "--quick", "--no-refit")
    accounts = ("--account", "disorder", "--account", "dual_trace")
    shared = ("--trials", str(folder), "--alone", "--store", str(tmp_path / "store"), *size, *accounts)
    CliRunner().invoke(calibrate, ["compare", *shared], catch_exceptions=False)
    stored = sorted((tmp_path / "store" / "results").rglob("manifest.json"))
    out = tmp_path / "findings.json"
    words = ["findings", *shared, "--curve-points", "4", "--curve-draws", "10", "--out", str(out)]
    done = CliRunner().invoke(calibrate, words, catch_exceptions=False)
    assert sorted((tmp_path / "store" / "results").rglob("manifest.json")) == stored
    assert done.output.startswith("Nothing may be said about explanation: these fits did not pass")
    assert "From 4 to 8 quasi-random patients predicted effects change by up to" in done.output
    found = load_findings(out)
    assert found.newest == ("leyfer2019", "smits2020")
    assert found.provenance.method == "laplace"
    assert {one.name for one in found.accounts} == {"disorder", "dual_trace"}
    assert {one.left_out for one in found.by_trial} == set(found.trials)
