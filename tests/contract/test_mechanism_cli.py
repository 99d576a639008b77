"""``dualtrace simulate``: tables, files, pages that are current, and refusals."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dualtrace.cli.simulate import simulate
from dualtrace.errors import InputError
from dualtrace.mechanism.parameter_page import parameter_page
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.validation_page import validation_page

DOCS = Path(__file__).parents[2] / "docs"


def run(*words: str) -> str:
    result = CliRunner().invoke(simulate, ["exposure", "--people", "60", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_contract_exposure_prints_every_link_and_the_boost() -> None:
    shown = run("--dose", "50", "--before", "60", "--meal", "fasted")
    for word in ("plasma mg/L", "brain uM", "occupancy", "gain G", "0.286"):
        assert word in shown


def test_contract_exposure_writes_curves_figure_and_sbml(tmp_path: Path) -> None:
    files = {kind: tmp_path / f"exposure.{kind}" for kind in ("csv", "svg", "xml")}
    run(
        *("--dose", "50", "--after", "30", "--out", str(files["csv"])),
        *("--figure", str(files["svg"]), "--sbml", str(files["xml"])),
    )
    rows = list(csv.DictReader(files["csv"].read_text(encoding="utf-8").splitlines()))
    assert float(rows[0]["plasma_mg_per_l"]) == 0
    assert float(rows[-1]["gain"]) > 1
    assert files["svg"].read_text(encoding="utf-8").startswith("<?xml")
    assert "<sbml" in files["xml"].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--dose", "-5"), r"a dose must be between 0 and 1000 mg; given -5 mg"),
        (("--dose", "50", "--crcl", "0"), r"creatinine clearance must be above 0"),
        (("--dose", "50", "--agent", "aspirin"), r"unknown agent 'aspirin'"),
        (("--dose", "50", "--before", "10", "--after", "10"), r"give --before or --after, not both"),
        (
            ("--dose", "50", "--antagonist", "ap5"),
            r"--antagonist takes NAME=uM, as in mk801=0.02; given 'ap5'",
        ),
        (
            ("--dose", "50", "--hours", "1"),
            r"--hours must lie after the session's end and within 336; given 1",
        ),
        (("--dose", "50", "--set", "plasma.lag=9"), r"plasma.lag must lie between 0.05 and 1 h; given 9"),
        (("--dose", "50", "--set", "plasma.lag"), r"--set takes NAME=VALUE; given 'plasma.lag'"),
    ],
)
def test_contract_bad_options_are_refused(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        run(*words)


def test_contract_set_replaces_a_constant() -> None:
    assert "0.286" not in run("--dose", "50", "--set", "receptor.theta0=0.5")


def test_contract_help_does_not_load_jax() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from dualtrace.cli.simulate import simulate; "
        "assert CliRunner().invoke(simulate, ['exposure', '--help']).exit_code == 0; "
        "assert 'jax' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


def test_contract_pages_of_the_docs_are_current() -> None:
    written = (DOCS / "mechanism_parameters.md").read_text(encoding="utf-8")
    assert written == parameter_page(load_parameters())
    assert (DOCS / "mechanism_validation.md").read_text(encoding="utf-8") == validation_page()
