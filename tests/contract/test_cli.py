"""Contract of the command line: what a user types, what comes back, and one sentence for bad input."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dualtrace.cli.main import main


class Result(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str) -> Result:
    """The program as the shell would run it, in this process."""
    out, err, code = StringIO(), StringIO(), 0
    before = sys.argv
    sys.argv = ["dualtrace", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.argv = before
    return Result(code, out.getvalue(), err.getvalue())


def ok(*arguments: str) -> str:
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert result.returncode == 2, result.stdout
    assert "Traceback" not in result.stderr
    return result.stderr


def answer(*arguments: str) -> Any:
    """What the verb says as JSON."""
    return json.loads(ok(*arguments, "--json"))


def stored(name: str) -> Any:
    """What metafor answered, as kept for the reference tests."""
    path = Path(__file__).parents[1] / "reference" / "metafor" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def write_csv(path: Path, columns: dict[str, Any]) -> str:
    """Write a table to a file; return its path as the command line takes it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


TABLE = (
    "study,yi,vi,dose,site\na,0.2,0.04,50,x\nb,0.5,0.06,100,y\nc,0.3,0.05,50,x\nd,-0.1,0.08,250,y\ne,0.4,0.03,100,x\n"
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "effects.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_help_names_every_verb_with_an_example() -> None:
    text = ok("--help")
    for verb in ("pool", "report", "trials"):
        assert verb in text
        assert "Example" in ok(verb, "--help") or verb == "trials"
    for verb in ("list", "show", "check", "schema", "export"):
        assert "Example" in ok("trials", verb, "--help")


def test_version_is_printed() -> None:
    assert ok("--version").startswith("dualtrace ")


def test_trials_list_counts_and_filters() -> None:
    rows = json.loads(ok("trials", "list", "--json"))
    assert len(rows) >= 62
    some = json.loads(ok("trials", "list", "--disorder", "OCD", "--json"))
    assert {row["disorder"] for row in some} == {"OCD"}
    assert f"{sum(row['left_out'] is None for row in rows)} pooled." in ok("trials", "list")


def test_trials_show_tells_sources_and_steps() -> None:
    text = ok("trials", "show", "reinecke2020")
    assert "OR 7.20 (95% CI 1.54 to 33.56)" in text
    assert "https://" in text
    record = json.loads(ok("trials", "show", "reinecke2020", "--json"))
    assert record["id"] == "reinecke2020"


def test_trials_show_of_an_unknown_id_helps() -> None:
    assert "there is no trial 'hofman2013'; did you mean" in refused("trials", "show", "hofman2013")


def test_trials_check_is_clean_and_speaks_json() -> None:
    assert "0 errors, 0 warnings" in ok("trials", "check")
    assert json.loads(ok("trials", "check", "--json")) == []


def test_trials_check_exits_1_with_file_line_field(tmp_path: Path, good_record: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(good_record.replace("dose_mg: 50", "dose_mg: 50000"), encoding="utf-8")
    result = run("trials", "check", str(path))
    assert result.returncode == 1
    assert f"{path}:13: design.arms[0].dose_mg: 50000 mg is above 1000 mg." in result.stdout
    problem = json.loads(run("trials", "check", str(path), "--json").stdout)[0]
    assert (problem["line"], problem["check"], problem["severity"]) == (13, "doses_plausible", "warning")


def test_trials_schema_is_a_schema() -> None:
    assert json.loads(ok("trials", "schema"))["$schema"].startswith("https://json-schema.org")


def test_trials_export_has_one_row_per_effect(tmp_path: Path) -> None:
    rows = list(csv.DictReader(StringIO(ok("trials", "export"))))
    assert len(rows) > 100
    assert all(row["steps"] and (row["yi"] or row["lower"] or row["upper"]) for row in rows)
    target = tmp_path / "effects.csv"
    assert f"wrote {target}" in ok("trials", "export", "--output", str(target))
    assert len(json.loads(ok("trials", "export", "--format", "json"))) >= 62
    assert "cannot be written" in refused("trials", "export", "--output", str(tmp_path / "no" / "x.csv"))


def test_pool_prints_both_answers() -> None:
    text = ok("pool")
    assert "Knapp-Hartung" in text
    assert "all information" in text


def test_pool_json_of_a_table_uses_the_names_of_metafor(table: Path) -> None:
    answer = json.loads(ok("pool", "--csv", str(table), "--yi", "yi", "--vi", "vi", "--slab", "study", "--json"))
    wanted = {
        "beta",
        "se",
        "pval",
        "ci_lb",
        "ci_ub",
        "tau2",
        "I2",
        "H2",
        "QE",
        "QEp",
        "pi_lb",
        "pi_ub",
        "ll",
        "k",
        "weights",
    }
    assert wanted <= set(answer)
    assert answer["slab"] == list("abcde")
    assert sum(answer["weights"]) == pytest.approx(100)


def test_pool_takes_moderators_and_methods(table: Path) -> None:
    call = ("pool", "--csv", str(table), "--yi", "yi", "--vi", "vi", "--json")
    regression = json.loads(ok(*call, "--moderators", "dose + C(site)", "--test", "knha"))
    assert regression["names"][:2] == ["intercept", "dose"]
    methods = {m: json.loads(ok(*call, "--method", m))["tau2"] for m in ("REML", "DL", "PM", "EE")}
    assert methods["EE"] == 0


def test_pool_json_of_the_evidence_holds_effects_and_both_fits() -> None:
    answer: dict[str, Any] = json.loads(ok("pool", "--outcome", "remission", "--ratio", "RR", "--json"))
    assert answer["metric"] == "RR"
    assert {e["information"] for e in answer["effects"]} <= {"exact", "interval", "direction"}
    assert answer["overall"]["classical"]["k"] == sum(e["yi"] is not None for e in answer["effects"])
    assert answer["overall"]["all_information"]["everything"]["k"] == len(answer["effects"])


def test_pool_of_one_disorder_and_a_user_folder(tmp_path: Path, good_record: str) -> None:
    (tmp_path / "good2024.yaml").write_text(good_record, encoding="utf-8")
    answer = json.loads(ok("pool", "--trials", str(tmp_path), "--disorder", "SAD", "--json"))
    assert [e["trial"] for e in answer["effects"]] == ["good2024"]
    assert answer["overall"]["classical"]["k"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pool", "--csv", "{table}", "--yi", "yi", "--vi", "v"), "has no column 'v' (--vi)"),
        (("pool", "--yi", "yi"), "--yi is about a table; give the table with --csv FILE"),
        (("pool", "--csv", "{table}", "--yi", "y", "--vi", "vi"), "has no column 'y' (--yi); it has study, yi, vi, dose"),
        (("pool", "--csv", "{table}", "--yi", "yi", "--vi", "study"), "line 2, column study: a number is needed; given 'a'"),
        (("pool", "--csv", "{table}", "--yi", "yi", "--vi", "vi", "--moderators", "dosis"), "'dosis', which is not a column"),
        (("pool", "--csv", "{table}", "--yi", "yi", "--vi", "vi", "--moderators", "dose +* site"), "cannot be read"),
        (("pool", "--csv", "{table}", "--yi", "yi", "--vi", "vi", "--moderators", "dose + I(2*dose)"), "combination"),
        (("pool", "--csv", "nowhere.csv", "--yi", "yi", "--vi", "vi"), "nowhere.csv cannot be read (No such file"),
        (("pool", "--csv", "{table}", "--yi", "yi", "--vi", "vi", "--level", "95"), "level must lie between 0 and 1"),
        (("pool", "--moderators", "dosage"), "'dosage', which is not a column. Columns there are: trial, measure, timepoint, disorder, year"),
        (("pool", "--disorder", "BDD"), "no trial in BDD reports severity at post; nothing to pool"),
        (("pool", "--alone"), "--alone needs --trials DIR"),
        (("pool", "--disorder", "sadness"), "'sadness' is not one of 'SAD', 'PD'"),
        (("pool", "--trials", "nowhere"), "a folder of trial files must exist; given nowhere"),
        (("trials", "check", "nowhere"), "a folder of trial files must exist; given nowhere"),
        (("report", "--trials", "nowhere"), "a folder of trial files must exist; given nowhere"),
        (("pol",), "No such command 'pol'"),
    ],
)  # fmt: skip
def test_bad_input_gives_one_sentence_and_exit_2(table: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in " ".join(refused(*(a.format(table=table) for a in arguments)).split())


ROWS = [
    ("a,0.2,0\n", "variance"),
    ("a,0.2,-1\n", "variance"),
    ("a,,0.1\nb,1,0.1\n", "finite"),
    ("a,inf,0.1\nb,1,0.1\n", "finite"),
    ("", "at least one"),
]


@pytest.mark.parametrize(("rows", "message"), ROWS, ids=["zero", "negative", "missing", "infinite", "none"])
def test_rows_that_cannot_be_pooled_are_named(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("study,yi,vi\n" + rows, encoding="utf-8")
    text = refused("pool", "--csv", str(path), "--yi", "yi", "--vi", "vi", "--slab", "study")
    assert message in text.lower()
    assert rows == "" or "a" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"study,yi\n\xff\xfe,1\n", "is not UTF-8"),
        (b"yi,vi\n0.1,0.2\n0.1,0.2,0.3,0.4\n", "is not a CSV table"),
        (b"yi,vi\n1,0.1,0.2\n2,0.1,0.2\n", "line 2 has 3 cells, but there are 2 column names"),
        (b"yi,yi,vi\n0.1,0.3,0.2\n", "t.csv: every column must have a name of its own; 'yi' stands more than once"),
        (b"\xef\xbb\xbfyi,vi,yi\n0.1,0.3,0.2\n", "t.csv: every column must have a name of its own; 'yi' stands"),
        (b"yi,vi\n0.1,0.2\n\n0.1,-1\n", "given -1 in line 4."),
        (b"yi,vi\n0.1,0.2\n\nhalf,1\n", "line 4, column yi: a number is needed; given 'half'"),
    ],
    ids=["empty", "latin", "ragged", "shifted", "twice", "twice with a mark", "bad variance", "bad cell"],
)
def test_a_file_that_is_no_table_says_so(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert message in refused("pool", "--csv", str(path), "--yi", "yi", "--vi", "vi")


def test_one_row_is_answered_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("yi,vi\n0.3,0.04\n", encoding="utf-8")
    answer = json.loads(ok("pool", "--csv", str(path), "--yi", "yi", "--vi", "vi", "--json"))
    assert answer["beta"] == [0.3]
    assert answer["se"] == pytest.approx([0.2])
    assert answer["method"] == "EE"
    assert answer["notes"]


def test_a_bad_user_record_stops_the_report_with_its_place_and_nothing_is_lost(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "index.html").write_text("mine", encoding="utf-8")
    (tmp_path / "bad.yaml").write_text("id: x\nyear: soon\n", encoding="utf-8")
    text = refused("report", "--trials", str(tmp_path), "--output", str(output))
    assert "bad.yaml:2: year: " in text
    assert (output / "index.html").read_text(encoding="utf-8") == "mine"


def test_effects_reads_back_the_metapsy_table_that_trials_export_writes(tmp_path: Path) -> None:
    table = tmp_path / "metapsy.csv"
    table.write_text(ok("trials", "export", "--format", "metapsy"), encoding="utf-8")
    found = answer("effects", "--csv", str(table), "--metapsy")
    assert len(found) == len(table.read_text(encoding="utf-8").splitlines()) - 1
    given = [row for row in found if row["precalc_g"] is not None]
    assert given
    for row in given:
        assert row["yi"] == pytest.approx(-row["precalc_g"], abs=1e-12)
        assert row["vi"] == pytest.approx(row["precalc_g_se"] ** 2, abs=1e-12)
    means = tmp_path / "means.csv"
    means.write_text(
        "study;mean_arm1;mean_arm2;sd_arm1;sd_arm2;n_arm1;n_arm2\nA;40,5;50;12;14;20;22\nB;NA;1;1;1;9;9\n",
        encoding="utf-8",
    )
    first, second = answer("effects", "--csv", str(means), "--metapsy")
    plain = write_csv(
        tmp_path / "plain.csv",
        {"m1i": [50], "m2i": [40.5], "sd1i": [14], "sd2i": [12], "n1i": [22], "n2i": [20]},
    )
    (same,) = answer("effects", "--csv", plain, "--measure", "SMD")
    assert (first["yi"], first["vi"]) == pytest.approx((same["yi"], same["vi"]), rel=1e-12)
    assert second["yi"] is None
    assert "either --measure NAME or --metapsy" in refused("effects", "--csv", plain)
    assert "plain.csv is no Metapsy table" in refused("effects", "--csv", plain, "--metapsy")


def test_trials_export_to_metapsy_follows_that_standard() -> None:
    text = ok("trials", "export", "--format", "metapsy")
    rows = list(csv.DictReader(StringIO(text), delimiter=";"))
    assert len(rows) > 30
    wanted = {
        "study",
        "condition_arm1",
        "condition_arm2",
        "outcome_type",
        "instrument",
        "time",
        "time_weeks",
        "rating",
    }
    assert wanted <= set(rows[0])
    assert "." not in "".join(row["precalc_g"] + row["precalc_g_se"] for row in rows)
    by_study = {row["study"]: row for row in rows if row["outcome_type"] == "remission" and row["time"] == "post"}
    hofmann = by_study["Hofmann, 2013"]
    assert (hofmann["event_arm1"], hofmann["totaln_arm1"], hofmann["event_arm2"], hofmann["totaln_arm2"]) == (
        "30",
        "87",
        "20",
        "82",
    )
    scheeringa = next(r for r in rows if r["study"] == "Scheeringa, 2014" and r["precalc_g"] != "NA")
    assert not scheeringa["precalc_g"].startswith(
        "-"
    )  # placebo did better, and lower is better: arm 1 minus arm 2 > 0
