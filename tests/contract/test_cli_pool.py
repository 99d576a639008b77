"""Contract of ``dualtrace pool`` on tables: rows as a user has them, every estimator, every refusal a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
from test_cli import answer, ok, refused, stored, write_csv

from dualtrace.pooling import partial, univariate
from dualtrace.pooling.contract import Tau2Method
from dualtrace.pooling.location_scale import fit_location_scale
from dualtrace.pooling.tau2_interval import tau2_interval

if TYPE_CHECKING:
    from pathlib import Path

KEPT = stored("univariate")["sets"]
ROBUST = stored("robustness")
BCG = KEPT["bcg_rr"]
YI = [0.2, 0.5, 0.3, -0.1, 0.4, 0.7]
VI = [0.04, 0.06, 0.05, 0.08, 0.03, 0.1]
TABLE: dict[str, list[Any]] = {
    "study": list("abcdef"),
    "yi": YI,
    "vi": VI,
    "w": [1, 2, 3, 4, 5, 6],
    "dose": [50, 100, 50, 250, 100, 20],
    "site": list("xyzxyz"),
}


@pytest.fixture
def table(tmp_path: Path) -> str:
    return write_csv(tmp_path / "t.csv", TABLE)


def test_columns_of_the_usual_names_need_no_naming(table: str) -> None:
    found = answer("pool", "--csv", table)
    assert found["slab"] == list("abcdef")
    assert found["beta"] == univariate.fit(YI, VI).to_dict()["beta"]


def test_standard_errors_stand_for_variances(tmp_path: Path, table: str) -> None:
    path = write_csv(tmp_path / "s.csv", {"g": YI, "se": [v**0.5 for v in VI]})
    found = answer("pool", "--csv", path, "--yi", "g", "--sei", "se")
    assert found["beta"] == pytest.approx(answer("pool", "--csv", table)["beta"], rel=1e-12)


@pytest.mark.parametrize("method", [m for m in get_args(Tau2Method) if m not in {"GENQ", "GENQM"}])
def test_every_estimator_equals_the_library(table: str, method: Tau2Method) -> None:
    found = answer("pool", "--csv", table, "--method", method, "--test", "knha")
    wanted = univariate.fit(YI, VI, slab=list("abcdef"), method=method, test="knha").to_dict()
    assert {key: found[key] for key in wanted} == wanted


@pytest.mark.parametrize("method", ["GENQ", "GENQM"])
def test_estimators_with_weights(table: str, method: Tau2Method) -> None:
    found = answer("pool", "--csv", table, "--method", method, "--weights", "w")
    assert found["tau2"] == univariate.fit(YI, VI, weights=TABLE["w"], method=method).tau2
    assert "weights" in refused("pool", "--csv", table, "--method", method)


def test_the_numbers_are_those_of_metafor(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "bcg.csv", {"yi": BCG["yi"], "vi": BCG["vi"]})
    for method, wanted in ROBUST["estimators"]["bcg_rr"]["fits"].items():
        if method in {"GENQ", "GENQM"}:
            continue
        found = answer("pool", "--csv", path, "--method", method)
        assert found["tau2"] == pytest.approx(wanted["tau2"], rel=1e-6), method
        assert found["beta"] == pytest.approx([wanted["beta"]], rel=1e-6), method


@pytest.mark.parametrize("kind", ["QP", "PL", "GENQ"])
def test_intervals_of_tau2(table: str, kind: str) -> None:
    found = answer("pool", "--csv", table, "--tau2-interval", kind)["tau2_interval"]
    assert found == tau2_interval(YI, VI, kind=kind).to_dict()  # type: ignore[arg-type]
    assert "tau²" in ok("pool", "--csv", table, "--tau2-interval", kind)


def test_location_scale(table: str) -> None:
    found = answer("pool", "--csv", table, "--scale", "dose")
    Z = [[1.0, d] for d in TABLE["dose"]]
    wanted = fit_location_scale(YI, VI, Z, scale_names=["intercept", "dose"], slab=list("abcdef")).to_dict()
    assert {key: found[key] for key in wanted} == wanted
    assert "Location-scale model" in ok("pool", "--csv", table, "--scale", "dose", "--moderators", "dose")


def test_contrasts_compare_every_pair_and_equal_metafor(tmp_path: Path, table: str) -> None:
    found = answer("pool", "--csv", table, "--contrast", "site", "--adjust", "holm")["contrasts"]
    assert found["names"] == ["y - x", "z - x", "z - y"]
    with_other = answer("pool", "--csv", table, "--moderators", "dose + C(site)", "--contrast", "site")
    assert with_other["contrasts"]["names"] == ["y - x", "z - x", "z - y"]
    means = next(t for t in ROBUST["tests"] if t["set"] == "bcg_rr_alloc_means" and t["test"] == "z")
    kept = KEPT["bcg_rr_alloc_means"]
    groups = ["abc"[row.index(1)] for row in kept["X"]]
    path = write_csv(tmp_path / "a.csv", {"yi": kept["yi"], "vi": kept["vi"], "alloc": groups})
    # metafor was asked whether the differences are 0.1
    mine = answer("pool", "--csv", path, "--contrast", "alloc", "--adjust", "none", "--test", "z")["contrasts"]
    assert [-e - 0.1 for e in mine["estimate"]] == pytest.approx(means["estimate"], rel=1e-5)
    assert mine["se"] == pytest.approx(means["se"], rel=1e-5)


def test_rows_known_only_by_bounds_take_part_beside(tmp_path: Path) -> None:
    columns = {"yi": [0.4, 0.2, "", ""], "vi": [0.04] * 4, "lower": ["", "", -0.4, 0], "upper": ["", "", 0.4, ""]}
    path = write_csv(tmp_path / "t.csv", columns)
    found = answer("pool", "--csv", path)
    nan, inf = float("nan"), float("inf")
    wanted = partial.fit([0.4, 0.2, nan, nan], [0.04] * 4, lo=[nan, nan, -0.4, 0.0], hi=[nan, nan, 0.4, inf])
    assert found["k"] == 2
    assert found["all_information"]["everything"]["beta"] == wanted.to_dict()["beta"]
    assert "not in this fit: line 4, line 5" in ok("pool", "--csv", path)


def test_a_moderator_that_only_bounded_rows_have_is_said_not_crashed() -> None:
    found = answer("pool", "--outcome", "severity_mixed", "--contrast", "disorder")
    assert found["all_information"]["exact"] is None
    assert "specific_phobia" in found["all_information"]["reason"]


def test_evidence_takes_the_same_options_and_says_what_it_leaves_out() -> None:
    found = answer("pool", "--outcome", "severity_mixed", "--moderators", "dose_mg", "--tau2-interval", "QP")
    assert found["names"] == ["intercept", "dose_mg"]
    assert found["rows"]["left_out"]
    assert found["tau2_interval"]["kind"] == "QP"
    assert answer("pool", "--weights", "n")["k"] == answer("pool")["overall"]["classical"]["k"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sei", "w", "--vi", "vi"), "--vi and --sei are two ways to say the same"),
        (("--outcome", "severity"), "--outcome selects from the evidence, which --csv replaces"),
        (("--alone",), "--alone selects from the evidence"),
        (("--measure", "OR", "--yi", "yi"), "--measure computes the effects, so --yi cannot be given"),
        (("--add", "1"), "--add is about computing effects; say which with --measure"),
        (("--slab", "name"), "has no column 'name' (--slab)"),
        (("--yi", "site"), "line 2, column site: a number is needed; given 'x'"),
        (("--weights", "ww"), "--weights ww: there is no such column; there are study, yi"),
        (("--weights", "site"), "--weights site: a number is needed; given 'x' in row a"),
        (("--contrast", "dose", "--moderators", "dose"), "the formula holds dose, so levels do not differ by one"),
        (("--contrast", "site", "--moderators", "dose"), "the formula must hold C(site)"),
        (("--contrast", "city"), "'city', which is not a column"),
        (("--contrast", "site", "--scale", "dose"), "ask for one of them"),
        (("--scale", "dose", "--method", "DL"), "must be one of REML, ML"),
        (("--scale", "dose", "--weights", "w"), "--weights does not apply to a location-scale model"),
        (("--tau2-interval", "PL", "--method", "DL"), "needs method ML or REML"),
        (("--level", "1.5"), "level must lie between 0 and 1"),
    ],
)
def test_bad_input_is_one_sentence(table: str, arguments: tuple[str, ...], message: str) -> None:
    assert message in " ".join(refused("pool", "--csv", table, *arguments).split())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("yi,vi,yi\n1,1,1\n", "every column must have a name of its own; 'yi' stands more than once"),
        ("yi,vi\n0.1,0.2\n,0.2\n", "line 3, column yi: the cell is empty; a finite number is needed"),
        ("yi,vi\n0.1,\n", "line 2, column vi: the cell is empty"),
        ("yi,vi\n0.1,inf\n", "line 2, column vi: a finite number is needed"),
        ("yi,vi\n0.1,0\n", "must be positive"),
        ("yi,sei\n0.1,-1\n", "line 2, column sei: a standard error must be positive; given -1"),
        ("yi,vi\n", "holds no rows"),
        ("yi,vi\n1,2,3\n4,5,6\n", "line 2 has 3 cells, but there are 2 column names"),
        ("g,v\n1,2\n", "--csv needs --yi COLUMN and --vi COLUMN (or --sei COLUMN)"),
        ("g,vi\n1,2\n", "--csv needs --yi COLUMN, the effects"),
        ("yi,vi,lo,hi\n0.1,1,,\n,1,2,1\n", "line 3: the lower bound must be below the upper; given 2 and 1"),
        ("yi,vi,lo,hi\n,1,0,\n", "needs effects with a point estimate"),
    ],
)
def test_a_table_that_cannot_be_used_says_where(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    assert message in " ".join(refused("pool", "--csv", str(path)).split())
