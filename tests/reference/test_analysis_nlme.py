"""Agreement with R on stored simulated patients: lm and sandwich, nlme, lme4 with lmerTest and pbkrtest.

Script and versions are in ``nlme/``. Closed forms agree to 1e-9. What R finds by iteration agrees to its own stopping
rules: 1e-5 of a standard error for gls, 1e-6 for lmer; degrees of freedom to 1e-3, where lmerTest differentiates
numerically, and to 1e-5 for Kenward and Roger's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualtrace.analysis import ancova, mmrm, moderation, session_moderation

STORED = json.loads((Path(__file__).parent / "nlme" / "analysis.json").read_text(encoding="utf-8"))
SETS, ANSWERS = STORED["sets"], STORED["answers"]
STRUCTURES = ("unstructured", "compound", "ar1")


def column(values: Any) -> Any:
    return np.array(values, dtype=float)


def fitted(name: str, **options: Any) -> Any:
    d = SETS[name]
    return mmrm(column(d["scores"]), d["baseline"], d["arm"], d["age"], **options)


@pytest.mark.parametrize("name", ["two", "three"])
def test_reference_ancova_equals_lm(name: str) -> None:
    d, theirs = SETS[name], ANSWERS["ancova"][name]
    mine = ancova(column(d["post"]), d["baseline"], d["arm"], d["age"])
    for field in ("estimate", "se", "p", "ci_lb", "ci_ub", "adjusted", "adjusted_se"):
        assert getattr(mine, field) == pytest.approx(column(theirs[field]), rel=1e-9), field
    assert mine.df == theirs["df"]
    assert mine.residual_sd == pytest.approx(theirs["sigma"], rel=1e-9)
    robust = ancova(column(d["post"]), d["baseline"], d["arm"], d["age"], heteroscedastic="HC3")
    assert robust.se == pytest.approx(column(theirs["hc3"]), rel=1e-9)


def test_reference_moderation_equals_lm() -> None:
    d, theirs = SETS["two"], ANSWERS["moderation"]
    mine = moderation(column(d["post"]), d["arm"], d["baseline"], d["age"], centre=0.0)
    assert mine.estimate[1:] == pytest.approx(column(theirs["slopes"]), rel=1e-8)
    assert mine.se[1:] == pytest.approx(column(theirs["se"]), rel=1e-8)
    assert mine.df == theirs["df"]
    centred = moderation(column(d["post"]), d["arm"], d["baseline"], d["age"])
    for fit in (mine, centred):
        simple = fit.effect_at([40.0, 60.0, 80.0])
        assert simple.estimate == pytest.approx(column(theirs["at"]), rel=1e-8)
        assert simple.se == pytest.approx(column(theirs["at_se"]), rel=1e-8)


@pytest.mark.parametrize("name", ["visits3", "visits4"])
@pytest.mark.parametrize("kind", STRUCTURES)
def test_reference_mmrm_equals_gls(name: str, kind: Any) -> None:
    theirs, mine = ANSWERS["gls"][name][kind], fitted(name, covariance=kind)
    assert np.abs(mine.estimate[:, 0] - theirs["estimate"]).max() < 1e-5 * mine.se.max()
    assert mine.se[:, 0] == pytest.approx(column(theirs["se"]), rel=1e-5)
    assert np.abs(mine.adjusted - theirs["adjusted"]).max() < 1e-5 * mine.adjusted_se.max()
    assert mine.adjusted_se == pytest.approx(column(theirs["adjusted_se"]), rel=1e-5)
    assert mine.sigma == pytest.approx(column(theirs["sigma"]), rel=1e-4)
    # nlme leaves out the part of the likelihood that the design fixes
    assert mine.ll == pytest.approx(theirs["ll"] + 0.5 * theirs["log_det"], abs=1e-6)
    assert mine.ll >= theirs["ll"] + 0.5 * theirs["log_det"] - 1e-9


@pytest.mark.parametrize(
    ("name", "kind"), [("visits3", "unstructured"), ("visits3", "compound"), ("visits4", "compound")]
)
def test_reference_degrees_of_freedom_equal_lmertest_and_pbkrtest(name: str, kind: Any) -> None:
    theirs = ANSWERS["lmer"][name][kind]
    plain, corrected = fitted(name, covariance=kind), fitted(name, covariance=kind, df="kenward-roger")
    assert min(theirs["variances"]) > 0.0, "lmer must stand inside its bounds for the two models to be one"
    assert np.abs(plain.estimate[:, 0] - theirs["estimate"]).max() < 1e-5 * plain.se.max()
    assert plain.se[:, 0] == pytest.approx(column(theirs["se"]), rel=1e-6)
    assert plain.df[:, 0] == pytest.approx(column(theirs["df"]), rel=1e-3)
    assert corrected.se[:, 0] == pytest.approx(column(theirs["kr_se"]), rel=1e-6)
    assert corrected.df[:, 0] == pytest.approx(column(theirs["kr_df"]), rel=1e-5)
    assert plain.ll == pytest.approx(theirs["ll"] + 0.5 * theirs["log_det"], abs=1e-6)


def test_reference_session_moderation_equals_lmertest() -> None:
    d, theirs = SETS["sessions"], ANSWERS["sessions"]
    mine = session_moderation(column(d["next_fear"]), d["drug"], d["end"], d["patient"], d["number"], centre=45.0)
    assert np.abs(mine.estimate[1:] - theirs["estimate"]).max() < 1e-6 * mine.se.max()
    assert mine.se[1:] == pytest.approx(column(theirs["se"]), rel=1e-6)
    assert mine.df[1:] == pytest.approx(column(theirs["df"]), rel=1e-3)
    assert [mine.sd_patient**2, mine.sd_session**2] == pytest.approx(theirs["variances"], rel=1e-5)
    simple = mine.effect_at([20.0, 45.0, 70.0])
    assert simple.estimate == pytest.approx(column(theirs["at"]), abs=1e-6 * simple.se.max())
    assert simple.se == pytest.approx(column(theirs["at_se"]), rel=1e-6)
    assert simple.df == pytest.approx(column(theirs["at_df"]), rel=1e-3)
