"""Subgroups and leave-one-out: every number is that of the fit it stands for."""

import json

import numpy as np
import pytest
from scipy import special

from dualtrace.errors import FitError
from dualtrace.pooling.groups import subgroups
from dualtrace.pooling.robustness.leave_out import leave_one_out
from dualtrace.pooling.univariate import fit

RNG = np.random.default_rng(21)
V = RNG.uniform(0.02, 0.2, 14)
Y = RNG.normal(0.3, np.sqrt(V + 0.1))
GROUPS = ["SAD"] * 6 + ["PD"] * 3 + ["OCD"] * 4 + ["PTSD"]
SLAB = [f"trial {i}" for i in range(14)]


def test_law_separate_fits_are_the_fits_of_each_group() -> None:
    found = subgroups(Y, V, GROUPS, slab=SLAB, test="knha")
    assert found.labels == ("SAD", "PD", "OCD", "PTSD")
    for label, one in zip(found.labels, found.separate, strict=True):
        mine = np.array(GROUPS) == label
        alone = fit(Y[mine], V[mine], test="knha")
        assert (one.beta[0], one.se[0], one.k) == (alone.beta[0], alone.se[0], alone.k)
        assert one.slab == tuple(s for s, m in zip(SLAB, mine, strict=True) if m)
    assert found.overall.beta[0] == fit(Y, V, test="knha").beta[0]
    assert any("Only one row" in note for note in found.separate[3].notes)


def test_law_q_between_is_the_heterogeneity_of_group_means() -> None:
    found = subgroups(Y, V, GROUPS)
    means = [one.beta[0] for one in found.separate]
    again = fit(means, [one.se[0] ** 2 for one in found.separate], method="EE")
    assert pytest.approx(again.QE) == found.between.Q
    assert found.between.df == 3
    assert found.between.p == pytest.approx(again.QEp)


def test_law_equal_effects_split_q_into_within_and_between() -> None:
    found = subgroups(Y, V, GROUPS, method="EE")
    within = sum(one.QE for one in found.separate)
    assert within + found.between.Q == pytest.approx(found.overall.QE)


@pytest.mark.parametrize("test", ["z", "knha"])
def test_law_common_tau2_test_is_the_moderator_test(test: str) -> None:
    found = subgroups(Y, V, GROUPS, test=test)  # type: ignore[arg-type]  # parametrised literal
    dummies = np.column_stack([np.ones(14), *(np.array(GROUPS) == g for g in ("PD", "OCD", "PTSD"))])
    model = fit(Y, V, X=dummies, test=test)  # type: ignore[arg-type]  # parametrised literal
    assert found.between_common is not None
    assert found.common is not None
    assert pytest.approx(model.QM) == found.between_common.Q
    assert found.between_common.p == pytest.approx(model.QMp)
    assert found.between_common.dfs == (None if test == "z" else 10)
    assert found.common.tau2 == pytest.approx(model.tau2)
    assert found.common.names == found.labels


def test_law_groups_of_one_row_each_have_no_common_tau2() -> None:
    found = subgroups([0.1, 0.6], [0.05, 0.05], ["a", "b"])
    assert found.common is None
    assert found.between.p == pytest.approx(special.chdtrc(1, 0.25 / 0.1))


def test_law_subgroups_convert_and_print() -> None:
    found = subgroups(Y, V, GROUPS)
    restored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(restored["separate"]) == set(GROUPS)
    assert list(found.to_frame().index) == ["SAD", "PD", "OCD", "PTSD", "overall"]
    assert "Between groups, separate tau²: Q(3) =" in str(found)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a", "b"], "given 2 for 3 rows"),
        (["a", None, "b"], "Every row needs a group; row 2 has none"),
        (["a", float("nan"), "b"], "row 2 has none"),
        (["a", "a", "a"], "every row is in group 'a'"),
    ],
)
def test_law_groups_that_are_none_are_refused(groups: list[str], message: str) -> None:
    with pytest.raises(FitError, match=message):
        subgroups([0.1, 0.2, 0.3], [1.0, 1.0, 1.0], groups)


@pytest.mark.parametrize("method", ["REML", "ML", "DL", "PM", "EE"])
@pytest.mark.parametrize("test", ["z", "knha"])
def test_law_leaving_one_out_is_the_fit_of_the_others(method: str, test: str) -> None:
    X = np.column_stack([np.ones(14), np.arange(14.0)])
    found = leave_one_out(Y, V, X=X, slab=SLAB, method=method, test=test)  # type: ignore[arg-type]
    for i in range(14):
        kept = np.arange(14) != i
        alone = fit(Y[kept], V[kept], X=X[kept], method=method, test=test)  # type: ignore[arg-type]
        for key in ("beta", "se", "pval", "ci_lb", "ci_ub"):
            assert getattr(found, key)[i] == pytest.approx(getattr(alone, key), rel=1e-8, abs=1e-10)
        for key in ("tau2", "I2", "H2", "QE", "QEp"):
            assert getattr(found, key)[i] == pytest.approx(getattr(alone, key), rel=1e-8, abs=1e-10)


def test_law_leaving_out_the_row_a_coefficient_rests_on_has_no_answer() -> None:
    X = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    found = leave_one_out([0.1, 0.2, 0.4, 0.5], [0.1] * 4, X=X, names=["intercept", "x"])
    assert np.isnan(found.beta[3]).all()
    assert np.isfinite(found.beta[:3]).all()
    assert found.to_dict()["tau2"][3] is None
    assert list(found.to_frame().columns[:3]) == ["k", "beta[intercept]", "beta[x]"]


def test_law_leaving_one_of_two_out_leaves_the_other() -> None:
    found = leave_one_out([0.1, 0.7], [0.04, 0.09])
    assert found.beta[:, 0] == pytest.approx([0.7, 0.1])
    assert found.se[:, 0] == pytest.approx([0.3, 0.2])
    assert np.isnan(found.tau2).all()
    assert "left out" in str(found)
    with pytest.raises(FitError, match="at least two rows; given one"):
        leave_one_out([0.1], [0.04])
