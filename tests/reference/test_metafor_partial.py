"""The partial-information model against outside answers: metafor's profile intervals, survival's survreg.

survreg fits y ~ N(Xb, s²) to interval-censored data; with one sampling variance v for all rows that is this model
with s² = v + τ². Script, outputs and versions are in ``metafor/`` (``partial.R``).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualtrace.pooling import partial

FOLDER = Path(__file__).parent / "metafor"
STORED = json.loads((FOLDER / "partial.json").read_text(encoding="utf-8"))
SETS = json.loads((FOLDER / "univariate.json").read_text(encoding="utf-8"))["sets"]


@pytest.mark.parametrize("name", STORED["profiles"])
def test_reference_exact_rows_equal_metafor_profile_likelihood(name: str) -> None:
    theirs = STORED["profiles"][name]
    mine = partial.fit(SETS[name]["yi"], SETS[name]["vi"])
    # metafor's rma.mv stops when the likelihood is flat to 1e-10: its τ² is good to 1e-5, its interval to 1e-8
    assert mine.tau2 == pytest.approx(theirs["tau2"], rel=1e-5)
    assert mine.beta[0] == pytest.approx(theirs["beta"], rel=1e-5)
    assert mine.ll == pytest.approx(theirs["ll"], abs=1e-9)
    assert [mine.tau2_ci_lb, mine.tau2_ci_ub] == pytest.approx(theirs["tau2_ci"], rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("theirs", STORED["censored"], ids=range(len(STORED["censored"])))
def test_reference_interval_rows_equal_survreg(theirs: dict[str, Any]) -> None:
    exact = np.array(theirs["exact"])
    y = np.array(theirs["y"], dtype=float)
    lo, hi = np.array(theirs["lo"], dtype=float), np.array(theirs["hi"], dtype=float)
    lo[~exact & np.isnan(lo)], hi[~exact & np.isnan(hi)] = -np.inf, np.inf
    X = None if theirs["x"] is None else np.column_stack([np.ones(len(y)), theirs["x"]])
    mine = partial.fit(y, np.full(len(y), theirs["v"]), lo=lo, hi=hi, X=X)
    assert mine.beta == pytest.approx(np.atleast_1d(theirs["beta"]), rel=1e-9, abs=1e-10)
    assert mine.tau2 + theirs["v"] == pytest.approx(theirs["s2"], rel=1e-9)
    assert mine.ll == pytest.approx(theirs["ll"], abs=1e-9)


def test_reference_holds_intervals_and_directions() -> None:
    kinds = np.sum([[sum(row is None for row in s["lo"]), sum(s["exact"])] for s in STORED["censored"]], axis=0)
    assert len(STORED["censored"]) >= 12
    assert (kinds > 0).all()
