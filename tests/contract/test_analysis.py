"""Contract of the analyses of patients: results print and become JSON, bad input is refused in a sentence."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dualtrace.analysis import ancova, mmrm, moderation, proportions, session_moderation
from dualtrace.analysis.dropout import carried_forward
from dualtrace.errors import FitError, InputError

RNG = np.random.default_rng(1)
ARM = np.arange(40) % 2
BASE = RNG.normal(50.0, 10.0, 40)
POST = 0.5 * BASE - 5.0 * ARM + RNG.normal(0.0, 5.0, 40)
SCORES = POST[:, None] + RNG.normal(0.0, 4.0, (40, 3))
PATIENT = np.repeat(np.arange(20), 2)
BOTH = np.stack([POST, POST + RNG.normal(size=40)])
EVENTS = (POST > 20.0).astype(float)


def spoiled(values: Any, where: Any, value: float) -> Any:
    changed = np.array(values, dtype=float)
    changed[where] = value
    return changed


RESULTS = {
    "ancova": ancova(POST, BASE, ARM),
    "ancova batch": ancova(BOTH, BASE, ARM, heteroscedastic="HC3"),
    "moderation": moderation(POST, ARM, BASE),
    "moderation batch": moderation(BOTH, ARM, BASE),
    "simple effects": moderation(BOTH, ARM, BASE).effect_at([40.0, 60.0]),
    "crossing": moderation(POST, ARM, BASE).crossing(),
    "mmrm": mmrm(SCORES, BASE, ARM),
    "session moderation": session_moderation(POST, ARM, BASE, PATIENT),
    "proportions": proportions(EVENTS, ARM),
    "proportions without events": proportions(np.zeros(40), ARM),
    "proportions batch": proportions(np.stack([EVENTS, 1.0 - EVENTS]), ARM),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_print_become_json_and_cannot_be_changed(name: str) -> None:
    result: Any = RESULTS[name]
    assert str(result)
    assert "nan" not in str(result)
    found = result.to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for field in ("estimate", "proportion"):
        if hasattr(result, field):
            with pytest.raises(ValueError, match="read-only"):
                getattr(result, field)[...] = 0.0


def test_texts_say_what_a_paper_would() -> None:
    text = str(RESULTS["ancova"])
    assert text.startswith("Analysis of covariance, complete cases\n")
    assert "adjusted mean" in text
    assert "baseline SD" in text
    assert "residual SD" in text
    assert "95% CI" in text
    batch = str(RESULTS["ancova batch"])
    assert "HC3" in batch
    assert "2 data sets; means over data sets" in batch
    assert "p < 0.05 in" in batch
    mixed = str(mmrm(SCORES, BASE, ARM, df="kenward-roger", level=0.9))
    assert "unstructured covariance, Kenward-Roger degrees of freedom" in mixed
    assert "visit 3: 1 - 0" in mixed
    assert "90% CI" in mixed
    assert "changes sign at" in str(RESULTS["session moderation"])
    assert "0/20" in str(RESULTS["proportions without events"])


def test_an_unbounded_crossing_says_so() -> None:
    rng = np.random.default_rng(3)
    text = str(moderation(rng.normal(size=40), ARM, rng.normal(size=40)).crossing())
    assert "unbounded" in text


def test_a_batch_keeps_what_can_be_answered_and_marks_the_rest() -> None:
    post = np.stack([POST, np.full(40, np.nan), np.full(40, 3.0), np.where(ARM == 1, np.nan, POST)])
    found = ancova(post, BASE, ARM)
    assert np.isnan(found.estimate[:, 0]).tolist() == [False, True, True, True]
    assert np.isnan(found.p[:, 0]).tolist() == [False, True, True, True]
    assert found.estimate[0] == pytest.approx(ancova(POST, BASE, ARM).estimate)
    assert "3 of them determine no answer" in str(found)
    moderated = moderation(post, ARM, BASE)
    assert np.isnan(moderated.estimate).all(axis=-1).tolist() == [False, True, True, True]


def test_a_heteroscedastic_trial_with_one_patient_alone_is_refused() -> None:
    arm = np.where(np.arange(40) == 0, 2, ARM)
    assert np.isfinite(ancova(POST, BASE, arm).se).all()
    with pytest.raises(FitError, match="HC3 needs every coefficient to rest on more than one patient"):
        ancova(POST, BASE, arm, heteroscedastic="HC3")


ANCOVA = [
    ((POST, BASE, np.ones(40)), {}, InputError, "Two labels of arm at least are needed; every patient has '1'"),
    ((POST, BASE[:39], ARM), {}, InputError, r"one value per patient on its last axis; given shapes: post \(40,\)"),
    ((BOTH, np.stack([BASE] * 3), ARM), {}, InputError, "Leading axes .* must agree or be 1"),
    ((POST, spoiled(BASE, 3, np.nan), ARM), {}, InputError, "baseline must be known .* missing at index 3"),
    (
        (spoiled(POST, 3, np.inf), BASE, ARM),
        {},
        InputError,
        "post must be finite numbers of ordinary size; given inf",
    ),
    ((["a"] * 40, BASE, ARM), {}, InputError, "post must be numbers in a rectangular array"),
    ((5.0, BASE, ARM), {}, InputError, r"post must have one value per patient; given an array of shape \(\)"),
    (
        (POST, BASE, [None, *ARM[1:]]),
        {},
        InputError,
        r"arm must be known for every patient; a label is missing \(None",
    ),
    ((POST, BASE, spoiled(ARM, 0, np.nan)), {}, InputError, r"arm must be known .* missing \(NaN\)"),
    (
        (POST, BASE, ARM, np.ones((39, 2))),
        {},
        InputError,
        r"covariates must have one row per patient, shape \(\.\.\., 40",
    ),
    (
        (POST, BASE, ARM),
        {"reference": "DCS"},
        InputError,
        "reference must be a label of arm, one of 0, 1; given 'DCS'",
    ),
    ((POST, BASE, ARM), {"level": 95.0}, InputError, "level must lie between 0 and 1, for example 0.95; given 95"),
    (
        (POST, BASE, ARM),
        {"heteroscedastic": "HC9"},
        InputError,
        "heteroscedastic must be one of none, HC3; given 'HC9'",
    ),
    ((POST, np.ones(40), ARM), {}, FitError, "coefficient of baseline cannot be determined: .* constant"),
    ((POST, BASE, ARM, BASE + 1.0), {}, FitError, "coefficient of covariate 1 cannot be determined"),
    ((np.where(ARM == 1, np.nan, POST), BASE, ARM), {}, FitError, "coefficient of arm 1 cannot be determined"),
    ((POST[:3], BASE[:3], ARM[:3]), {}, FitError, "3 patients with an outcome cannot determine 3 coefficients"),
    ((BASE, BASE, ARM), {}, FitError, "The outcome does not vary once the regression is accounted for"),
]


@pytest.mark.parametrize(
    ("columns", "options", "error", "says"), ANCOVA, ids=lambda x: x if isinstance(x, str) else ""
)
def test_ancova_refuses_what_it_cannot_use(columns: Any, options: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        ancova(*columns, **options)


MMRM = [
    ((SCORES, BASE, np.zeros(40)), {}, InputError, "Two labels of arm at least are needed"),
    ((POST, BASE, ARM), {}, InputError, r"one row per patient and one column per visit; given shape \(40,\)"),
    ((SCORES, BASE[:, None], ARM), {}, InputError, "baseline and arm must have one value per patient"),
    ((SCORES, BASE[1:], ARM), {}, InputError, r"given shapes: scores \(40,\), baseline \(39,\)"),
    ((SCORES, spoiled(BASE, 0, np.nan), ARM), {}, InputError, "baseline must be known"),
    ((spoiled(SCORES, np.s_[:, 1], np.nan), BASE, ARM), {}, InputError, "Visit 2 has no scores: all are missing"),
    (
        (SCORES, BASE, ARM),
        {"covariance": "toeplitz"},
        InputError,
        "covariance must be one of unstructured, compound, ar1",
    ),
    ((SCORES, BASE, ARM), {"df": "residual"}, InputError, "df must be one of satterthwaite, kenward-roger"),
    (
        (SCORES, BASE, ARM),
        {"covariance": "ar1", "df": "kenward-roger"},
        InputError,
        "needs a covariance that is linear",
    ),
    ((spoiled(SCORES, np.s_[1::2, 2], np.nan), BASE, ARM), {}, FitError, "Arm 1 has no score at visit 3"),
    ((SCORES, np.ones(40), ARM), {}, FitError, "coefficient of the baseline at visit 1 cannot be determined"),
    ((SCORES, BASE, ARM, 2.0 * BASE), {}, FitError, "coefficient of covariate 1 cannot be determined"),
    ((SCORES[:2], BASE[:2], ARM[:2]), {}, FitError, "6 outcomes cannot determine 9 coefficients"),
    ((SCORES[:3], BASE[:3], ARM[:3]), {}, FitError, "9 scores cannot determine 9 coefficients and a variance"),
    ((SCORES[:4], BASE[:4], ARM[:4]), {}, FitError, "REML found no maximum"),
    ((np.tile(BASE[:, None], 3), BASE, ARM), {}, FitError, "The scores do not vary once arm, baseline"),
    (
        (np.where(np.arange(40)[:, None] // 2 % 3 == np.arange(3), SCORES, np.nan), BASE, ARM),
        {},
        FitError,
        "No patient has",
    ),
    (
        (np.where(np.arange(40)[:, None] // 2 % 3 == np.arange(3), SCORES, np.nan), BASE, ARM),
        {"covariance": "ar1"},
        FitError,
        "No patient has scores at two visits",
    ),
]


@pytest.mark.parametrize(("columns", "options", "error", "says"), MMRM, ids=lambda x: x if isinstance(x, str) else "")
def test_mmrm_refuses_what_it_cannot_use(columns: Any, options: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        mmrm(*columns, **options)


def test_mmrm_without_a_maximum_says_what_to_do() -> None:
    """Six patients and five visits: a covariance of fifteen elements is out of reach, two are not."""
    rng = np.random.default_rng(0)
    arm, base = np.arange(6) % 2, rng.normal(size=6)
    scores = rng.normal(size=(6, 1)) + 0.5 * rng.normal(size=(6, 5))
    with pytest.raises(FitError, match=r"REML found no maximum.*Use covariance='compound' or 'ar1'"):
        mmrm(scores, base, arm)
    assert np.isfinite(mmrm(scores, base, arm, covariance="compound").se).all()


def test_mmrm_counts_patients_without_a_score() -> None:
    found = mmrm(spoiled(SCORES, np.s_[:2], np.nan), spoiled(BASE, 0, np.nan), ARM)
    assert (found.patients, found.dropped) == (38, 2)
    assert "2 patients without a score left out" in str(found)


def test_moderation_refuses_what_it_cannot_use() -> None:
    with pytest.raises(InputError, match="moderation compares two arms; given 4: 0, 1, 2, 3"):
        moderation(POST, np.arange(40) % 4, BASE)
    with pytest.raises(FitError, match="coefficient of moderator cannot be determined"):
        moderation(POST, ARM, np.full(40, 2.0))
    with pytest.raises(FitError, match="coefficient of arm x moderator cannot be determined"):
        moderation(POST, ARM, np.where(ARM == 1, 3.0, BASE))
    with pytest.raises(InputError, match="moderator must be known for every patient with an outcome"):
        moderation(POST, ARM, spoiled(BASE, 5, np.nan))
    with pytest.raises(InputError, match=r"crossing\(\) answers for one data set; .* shape \(2,\)"):
        moderation(BOTH, ARM, BASE).crossing()
    with pytest.raises(
        InputError, match=r"outcome must have one value per patient; given an array of shape \(0, 40\)"
    ):
        moderation(np.empty((0, 40)), ARM, BASE)
    with pytest.raises(InputError, match="at must be one moderator value or a list of them"):
        moderation(POST, ARM, BASE).effect_at([[1.0], [2.0]])


SESSIONS = [
    ((POST, ARM, BASE, np.arange(40)), FitError, "40 patients with at most 1 sessions each"),
    ((POST, np.arange(40) % 3, BASE, PATIENT), InputError, "drug must have two labels; given 3"),
    ((POST, np.ones(40), BASE, PATIENT), InputError, "Two labels of drug at least are needed; every session has '1'"),
    ((BOTH, ARM, BASE, PATIENT), InputError, "next_fear must have one value per session"),
    ((np.full(40, np.nan), ARM, BASE, PATIENT), InputError, "No session has both"),
    ((POST, ARM, BASE, [None, *PATIENT[1:]]), InputError, "patient must be known for every session; .* index 0"),
    ((POST, ARM, BASE, PATIENT[1:]), InputError, r"patient \(39,\)"),
    ((POST, ARM, np.ones(40), PATIENT), FitError, "coefficient of end fear cannot be determined"),
    ((POST[:5], ARM[:5], BASE[:5], PATIENT[:5]), FitError, "5 sessions cannot determine 4 coefficients"),
    ((BASE, ARM, BASE, PATIENT), FitError, "Next-session fear does not vary"),
]


@pytest.mark.parametrize(("columns", "error", "says"), SESSIONS, ids=lambda x: x if isinstance(x, str) else "")
def test_session_moderation_refuses_what_it_cannot_use(columns: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        session_moderation(*columns)


def test_session_moderation_counts_the_sessions_it_leaves_out() -> None:
    found = session_moderation(spoiled(POST, [0, 4], np.nan), ARM, spoiled(BASE, 9, np.nan), PATIENT)
    assert (found.sessions, found.dropped) == (37, 3)


def test_proportions_and_carrying_forward_refuse_what_they_cannot_use() -> None:
    with pytest.raises(InputError, match="outcome must be 0, 1 or NaN; given 2"):
        proportions(spoiled(EVENTS, 0, 2.0), ARM)
    with pytest.raises(FitError, match="Arm 1 has no patient with an outcome"):
        proportions(np.where(ARM == 1, np.nan, EVENTS), ARM)
    with pytest.raises(InputError, match="missing must be one of left out, failure"):
        proportions(EVENTS, ARM, missing="imputed")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"baseline must have one value per patient, shape \(40,\)"):
        carried_forward(SCORES, BASE[:3])
    with pytest.raises(InputError, match="scores must be numbers"):
        carried_forward([["a", "b"]])
