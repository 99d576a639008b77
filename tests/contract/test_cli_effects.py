"""Contract of ``dualtrace effects`` and ``counts``: raw columns in, metafor's numbers out."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

import pytest
from test_cli import answer, ok, refused, stored, write_csv

from dualtrace.effects.measures import MEASURES
from dualtrace.pooling.sparse.betabinomial import beta_binomial
from dualtrace.pooling.sparse.glmm import glmm

if TYPE_CHECKING:
    from pathlib import Path

MEASURED = stored("measures")
SPARSE = stored("sparse")
BCG = MEASURED["tables"]["bcg"]


@pytest.fixture
def bcg(tmp_path: Path) -> str:
    return write_csv(tmp_path / "bcg.csv", BCG)


def reachable(case: dict[str, Any]) -> bool:
    """Whether the stored table has the measure's columns under their names, without empty cells, as the verb asks."""
    if case["add"] or case["to"] or case["measure"] not in MEASURES or case["measure"] == "RD":
        return False
    table, needed = MEASURED["tables"][case["table"]], MEASURES[str(case["measure"])].columns
    return set(needed) <= set(table) and all(isinstance(v, int | float) for n in needed for v in table[n])


CASES = [case for case in MEASURED["cases"] if reachable(case)]


def test_enough_stored_cases_reach_the_command_line() -> None:
    assert len(CASES) >= 40
    assert len({case["measure"] for case in CASES}) >= 20


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['table']}-{c['measure']}-{c['vtype']}")
def test_effects_are_those_of_escalc(tmp_path: Path, case: dict[str, Any]) -> None:
    table = MEASURED["tables"][case["table"]]
    needed = MEASURES[str(case["measure"])].columns
    path = write_csv(tmp_path / "t.csv", {name: table[name] for name in needed})
    variance = () if case["vtype"] is None else ("--vtype", str(case["vtype"]))
    rows = answer("effects", "--csv", path, "--measure", str(case["measure"]), *variance)
    for key in ("yi", "vi"):
        kept = [
            [math.nan if x is None or isinstance(x, str) else x for x in values]
            for values in (case[key], [row[key] for row in rows])
        ]
        assert kept[1] == pytest.approx(kept[0], rel=1e-8, abs=1e-12, nan_ok=True)


def test_effects_writes_the_table_with_two_columns_more(tmp_path: Path, bcg: str) -> None:
    out = tmp_path / "out.csv"
    text = ok("effects", "--csv", bcg, "--measure", "OR", "--add", ".5", "--to", "only0", "--out", str(out))
    assert text == f"wrote {out}: 13 rows, OR (log odds ratio), 0 not defined\n"
    with out.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["ai", "n1i", "ci", "n2i", "yi", "vi"]
    assert answer("pool", "--csv", str(out))["beta"] == answer("pool", "--csv", bcg, "--measure", "OR")["beta"]


def test_cells_and_named_columns_do_as_well_as_sizes(tmp_path: Path, bcg: str) -> None:
    cells = {
        "t": BCG["ai"],
        "bi": [n - a for n, a in zip(BCG["n1i"], BCG["ai"], strict=True)],
        "ci": BCG["ci"],
        "di": [n - c for n, c in zip(BCG["n2i"], BCG["ci"], strict=True)],
    }
    path = write_csv(tmp_path / "cells.csv", cells)
    named = answer("effects", "--csv", path, "--measure", "RR", "--columns", "ai=t")
    assert [r["yi"] for r in named] == [r["yi"] for r in answer("effects", "--csv", bcg, "--measure", "RR")]


def test_an_undefined_row_is_empty_in_effects_and_refused_in_pool(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", {"ai": [1, 0], "n1i": [9, 9], "ci": [2, 2], "n2i": [9, 9]})
    rows = answer("effects", "--csv", path, "--measure", "OR", "--to", "none")
    assert rows[0]["yi"] is not None
    assert rows[1]["yi"] is None
    assert "line 3: OR or its variance is not defined" in refused(
        "pool", "--csv", path, "--measure", "OR", "--to", "none"
    )


def test_effects_lists_every_measure() -> None:
    assert [row["name"] for row in answer("effects", "--list")] == list(MEASURES)
    assert "log odds ratio" in ok("effects", "--list")


STRATA = [a for a in SPARSE["strata"] if a["set"] in {"bcg", "collins1985a", "yusuf1985_6"}]


@pytest.mark.parametrize("a", STRATA, ids=lambda a: f"{a['set']}-{a['method']}-{a['measure']}")
def test_mantel_haenszel_and_peto_are_those_of_metafor(tmp_path: Path, a: dict[str, object]) -> None:
    path = write_csv(tmp_path / "t.csv", SPARSE["sets"][a["set"]])
    measure = "OR" if a["method"] == "PETO" else str(a["measure"])
    fit = answer("counts", "--csv", path, "--method", str(a["method"]), "--measure", measure)["fit"]
    for key in ("beta", "se", "pval"):
        assert fit[key] == pytest.approx(a[key], rel=1e-8), key


def test_mixed_models_of_counts_are_those_of_metafor(tmp_path: Path) -> None:
    cases = [
        a
        for a in SPARSE["mixed"]
        if a["set"] == "nielweise2007"
        and a["measure"] == "OR"
        and a["mods"] is None
        and a["model"] in {"UM.FS", "CM.EL"}
        and a["coding"] in {0.5, None}
    ]
    assert len(cases) >= 2
    for a in cases:
        path = write_csv(tmp_path / "t.csv", SPARSE["sets"][a["set"]])
        equal = ("--equal",) if a["method"] == "EE" else ()
        fit = answer("counts", "--csv", path, "--method", a["model"], *equal)["fit"]
        assert fit["beta"] == pytest.approx([a["beta"]], rel=1e-5), a["model"]


def test_beta_binomial_and_moderators_reach_the_library(tmp_path: Path) -> None:
    columns = SPARSE["sets"]["bcg_ablat"]
    path = write_csv(tmp_path / "t.csv", columns)
    found = answer("counts", "--csv", path, "--method", "BB", "--measure", "RR")["fit"]
    assert found["beta"] == beta_binomial("RR", columns).to_dict()["beta"]
    fit = answer("counts", "--csv", path, "--method", "UM.FS", "--moderators", "ablat")["fit"]
    assert fit["names"] == ["intercept", "ablat"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("effects",), "effects needs --csv FILE and either --measure NAME or --metapsy"),
        (("effects", "--csv", "{t}", "--measure", "SMD"), "SMD (Hedges' g) needs the columns m1i, sd1i, n1i"),
        (("effects", "--csv", "{t}", "--measure", "OR", "--columns", "ai"), "--columns must read NAME=COLUMN"),
        (("effects", "--csv", "{t}", "--measure", "OR", "--columns", "xi=ai"), "OR has no column 'xi'; it has ai"),
        (("effects", "--csv", "{t}", "--measure", "OR", "--columns", "ai=a,ai=b"), "--columns names ai twice"),
        (("effects", "--csv", "{t}", "--measure", "OR", "--columns", "ai=a"), "no column 'a' (--columns ai)"),
        (("effects", "--csv", "{t}", "--measure", "OR", "--vtype", "X"), "vtype of OR must be one of LS"),
        (("effects", "--csv", "{t}", "--measure", "OR", "--add", "-1"), "must be 0 or more"),
        (("effects", "--csv", "{t}", "--measure", "OR", "--out", "{t}/x"), "cannot be written"),
        (("effects", "--csv", "{t}", "--measure", "odd"), "is not one of"),
        (("counts",), "counts needs --csv FILE"),
        (("counts", "--csv", "{t}", "--method", "PETO", "--measure", "RR"), "PETO pools OR; given --measure RR"),
        (("counts", "--csv", "{t}", "--moderators", "x"), "--moderators has no meaning for method MH"),
        (("counts", "--csv", "{t}", "--method", "BB", "--add", "1"), "--add has no meaning for method BB"),
        (("counts", "--csv", "{t}", "--method", "UM.FS", "--moderators", "x"), "names 'x', which is not a column"),
    ],
)
def test_bad_input_is_one_sentence(bcg: str, arguments: tuple[str, ...], message: str) -> None:
    assert message in " ".join(refused(*(a.format(t=bcg) for a in arguments)).split())


def test_impossible_counts_and_columns_in_the_way_are_named(tmp_path: Path) -> None:
    counts = {"ai": [12], "n1i": [9], "ci": [2], "n2i": [9]}
    path = write_csv(tmp_path / "t.csv", counts)
    assert "ai must be no larger than n1i; given 12 in line 2" in refused("effects", "--csv", path, "--measure", "OR")
    path = write_csv(tmp_path / "u.csv", counts | {"yi": [1]})
    assert "has a column yi already" in refused("effects", "--csv", path, "--measure", "OR")


def test_a_row_left_out_of_a_mixed_model_is_found_by_place_not_by_label() -> None:
    columns = {"ai": [4, 6, 3, math.nan], "n1i": [50, 60, 70, 50], "ci": [8, 12, 9, 5], "n2i": [50, 60, 70, 50]}
    X = [[1, 1], [1, 2], [1, 3], [1, 4]]
    twins, others = (glmm("OR", columns, X=X, names=["i", "x"], slab=list(slab)) for slab in ("abcc", "abcd"))
    assert twins.to_dict()["beta"] == others.to_dict()["beta"]
