"""Laws of sampling that need no sampler: what is refused, and the gates every answer must pass."""

import importlib.util

import numpy as np
import pytest

from dualtrace import extras
from dualtrace.errors import FitError, InputError
from dualtrace.pooling.bayesian import MeanPrior, half_normal
from dualtrace.pooling.bayesian import model as general
from dualtrace.pooling.bayesian.nuts import _require_convergence, sample, sensitivity
from dualtrace.pooling.bayesian.sampled import Sampled, summary_of

Y, V = [0.3, 0.1, 0.4], [0.04, 0.05, 0.06]
NAMES = ("intercept", "tau")


def drawn() -> Sampled:
    draws = np.random.default_rng(1).normal(size=(4, 500, 2))
    return Sampled(
        names=NAMES,
        draws=draws,
        **summary_of(draws, 0.9),
        ess=np.array([2000.0, 1500.0]),
        rhat=np.array([1.0, 1.001]),
        mcse=np.array([0.02, 0.02]),
        priors={"intercept": "normal(0, 2²)", "tau": "half-normal(0.5)"},
        structure="Bayesian random-effects model",
        k=3,
        level=0.9,
        slab=("1", "2", "3"),
        kind=("exact", "exact", "interval"),
    )


def test_law_absence_of_numpyro_gives_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'dualtrace\[bayes\]'"):
        sample(Y, V)


def test_law_numpyro_is_not_imported_before_it_is_needed() -> None:
    source = importlib.util.find_spec("dualtrace.pooling.bayesian.nuts")
    assert source is not None
    assert not {"numpyro", "jax"} & set(vars(general))


def test_law_every_gate_is_named_when_it_fails() -> None:
    good = np.array([1.0, 1.0]), np.array([900.0, 900.0])
    _require_convergence(NAMES, good[1], good[0], 0)
    with pytest.raises(FitError, match=r"R-hat of tau is 1\.020, which must be below 1\.01"):
        _require_convergence(NAMES, good[1], np.array([1.0, 1.02]), 0)
    with pytest.raises(FitError, match="intercept has 120 effective draws, which must be more than 400"):
        _require_convergence(NAMES, np.array([120.0, 900.0]), good[0], 0)
    with pytest.raises(FitError, match="3 transitions diverged, which must be none"):
        _require_convergence(NAMES, good[1], good[0], 3)
    with pytest.raises(FitError, match="R-hat of tau is nan"):
        _require_convergence(NAMES, good[1], np.array([1.0, np.nan]), 0)


def test_law_refusals_say_what_was_given() -> None:
    with pytest.raises(InputError, match=r"t_df must be positive .* given 0"):
        sample(Y, V, t_df=0.0)
    with pytest.raises(FitError, match="groups must name one for every row; given 2 for 3 rows"):
        sample(Y, V, groups=["OCD", "PTSD"])
    with pytest.raises(FitError, match="Every row needs one of the clusters; row 2 has none"):
        sample(Y, V, clusters=["a", None, "b"])
    with pytest.raises(FitError, match="groups must be at least two to vary; every row is in 'OCD'"):
        sample(Y, V, groups=["OCD"] * 3)
    with pytest.raises(InputError, match="mean_prior must be one, or one for each of intercept; given 2"):
        sample(Y, V, mean_prior=[MeanPrior(), MeanPrior()])
    with pytest.raises(FitError, match="do not determine intercept, whose prior is flat"):
        sample([None] * 2, [0.1] * 2, lo=[0.0] * 2, hi=[np.inf] * 2, mean_prior=MeanPrior())
    with pytest.raises(InputError, match="At least one prior of τ"):
        sensitivity(Y, V, tau_priors=[])


def test_law_the_answer_prints_priors_gates_and_summaries() -> None:
    found = drawn()
    text = str(found)
    assert "Priors: intercept normal(0, 2²); tau half-normal(0.5)" in text
    assert "NUTS (4 chains of 500 draws), k = 3: 2 exact, 1 interval" in text
    assert "No transition diverged" in text
    assert found.to_dict()["priors"]["tau"] == str(half_normal(0.5))
    assert found.to_frame().loc["tau", "ess"] == 1500.0
    assert found.of("tau").shape == (4, 500)
    with pytest.raises(InputError, match="no parameter 'omega'; there are intercept, tau"):
        found.of("omega")
    with pytest.raises(ValueError, match="read-only"):
        found.draws[0, 0, 0] = 1.0
