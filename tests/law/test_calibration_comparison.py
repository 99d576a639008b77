"""Comparing accounts: leaving out against conjugate answers and ArviZ, stacking at its optimum, verdicts in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from dualtrace.calibration.compare import Comparison, compare, difference, stacking, verdict
from dualtrace.calibration.leave_out import LeftOut, leave_one_out, log_predictive, with_refits
from dualtrace.calibration.posterior import Method, Posterior
from dualtrace.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHAINS, DRAWS = 4, 1000


def posterior(likelihood: NDArray[np.float64], **changes: Any) -> Posterior:
    """An account of one parameter with given log-likelihoods."""
    draws = np.random.default_rng(2).standard_normal((*likelihood.shape[:2], 1))
    given: dict[str, Any] = {
        "account": "none",
        "method": Method.NUTS,
        "trials": tuple(f"trial{j}" for j in range(likelihood.shape[2])),
        "scores": {"shared": draws},
        "log_likelihood": likelihood,
        "predicted": np.zeros((*likelihood.shape[:2], 1)),
    }
    return Posterior(**given | changes)


def left_out(account: str, elpd: list[float], k: float = 0.1, failures: tuple[str, ...] = ()) -> LeftOut:
    trials = tuple(f"trial{j}" for j in range(len(elpd)))
    return LeftOut(account, trials, np.array(elpd), np.full(len(elpd), k), failures)


def test_leaving_out_equals_the_exact_answer_of_a_normal_mean() -> None:
    """y_j ~ N(mu, 1), mu ~ N(0, 1): the density of y_j given the others is known."""
    rng = np.random.default_rng(5)
    y = np.array([0.3, -0.4, 1.1, 0.2, -0.9, 0.6, 0.1, -0.2])
    precision = 1 + y.size
    mu = rng.normal(y.sum() / precision, precision**-0.5, (CHAINS, DRAWS))
    found = leave_one_out(posterior(stats.norm(mu[..., None], 1).logpdf(y)))
    others = (y.sum() - y) / y.size
    exact = stats.norm(others, np.sqrt(1 + 1 / y.size)).logpdf(y)
    np.testing.assert_allclose(found.elpd, exact, atol=0.02)
    assert found.to_refit == ()


def test_leaving_out_equals_arviz() -> None:
    """Independent answer: the smoothed leave-one-out of ArviZ."""
    arviz_stats, arviz_base = pytest.importorskip("arviz_stats"), pytest.importorskip("arviz_base")
    rng = np.random.default_rng(6)
    likelihood = rng.normal(0, [0.1, 0.5, 1.0, 2.0], (CHAINS, DRAWS, 4))
    found = leave_one_out(posterior(likelihood))
    tree = arviz_base.from_dict(
        {"posterior": {"x": rng.normal(size=(CHAINS, DRAWS))}, "log_likelihood": {"y": likelihood}}
    )
    theirs = arviz_stats.loo(tree, pointwise=True, reff=1.0)
    np.testing.assert_allclose(found.elpd, theirs.elpd_i.to_numpy(), atol=0.02)
    np.testing.assert_allclose(found.pareto_k, theirs.pareto_k.to_numpy(), atol=0.05)


def test_a_trial_that_says_nothing_changes_nothing() -> None:
    likelihood = np.random.default_rng(7).normal(0, 0.5, (CHAINS, DRAWS, 2))
    with_silent = np.concatenate([likelihood, np.zeros((CHAINS, DRAWS, 1))], axis=-1)
    found, more = leave_one_out(posterior(likelihood)), leave_one_out(posterior(with_silent))
    assert more.total == pytest.approx(found.total, abs=1e-12)
    assert more.elpd[2] == pytest.approx(0, abs=1e-12)


def test_a_trial_that_rules_the_draws_is_to_be_refitted_and_the_refit_takes_its_place() -> None:
    likelihood = np.random.default_rng(8).normal(0, 0.3, (CHAINS, DRAWS, 3))
    likelihood[..., 1] = 4 * np.random.default_rng(9).standard_t(2, (CHAINS, DRAWS))
    found = leave_one_out(posterior(likelihood))
    assert found.to_refit == ("trial1",)
    refit = posterior(np.full((CHAINS, DRAWS, 3), -1.5))
    settled = with_refits(found, {"trial1": refit})
    assert settled.to_refit == ()
    assert settled.elpd[1] == pytest.approx(-1.5)
    np.testing.assert_array_equal(settled.elpd[[0, 2]], found.elpd[[0, 2]])


def test_draws_that_cannot_be_weighed_ask_for_a_refit() -> None:
    likelihood = np.zeros((1, DRAWS, 2))
    likelihood[0, 0, 0] = -900.0
    assert leave_one_out(posterior(likelihood)).to_refit == ("trial0",)


def test_a_predictive_density_is_the_mean_over_draws() -> None:
    likelihood = np.log(np.array([[[0.2], [0.4]], [[0.6], [0.8]]]))
    assert log_predictive(posterior(likelihood), ["trial0"])[0] == pytest.approx(np.log(0.5))
    with pytest.raises(InputError, match="the posterior of none knows nothing of trial9; fit it again"):
        log_predictive(posterior(likelihood), ["trial9"])


def test_a_difference_is_paired_over_trials() -> None:
    ours, theirs = left_out("dual_trace", [-1.0, -2.0, -3.0, -1.5]), left_out("disorder", [-1.2, -1.9, -3.6, -1.6])
    found = difference(ours, theirs)
    each = np.array([0.2, -0.1, 0.6, 0.1])
    assert found.trials == 4
    assert found.difference == pytest.approx(0.8)
    assert found.se == pytest.approx(np.sqrt(4) * each.std(ddof=1))


def test_a_difference_names_the_trials_that_it_rests_on() -> None:
    ours, theirs = left_out("dual_trace", [-1.0, -1.0, -1.0, 1.0]), left_out("disorder", [-0.9, -0.9, -0.9, -1.0])
    assert difference(ours, theirs).rests_on == ("trial3",)


def test_stacking_weights_are_at_the_optimum() -> None:
    """At the optimum of a concave problem on a simplex no account gains: gradient 1 where used, at most 1 elsewhere."""
    elpd = np.random.default_rng(11).normal(-2, 1, (40, 5))
    weights = stacking(elpd)
    gain = (np.exp(elpd) / (np.exp(elpd) @ weights)[:, None]).mean(axis=0)
    assert weights.sum() == pytest.approx(1)
    assert (gain <= 1 + 1e-4).all()
    np.testing.assert_allclose(gain[weights > 1e-3], 1, atol=1e-4)


def test_stacking_gives_an_account_that_is_better_everywhere_everything() -> None:
    elpd = np.random.default_rng(12).normal(-2, 1, (20, 1)) - np.array([[0.5, 0.0, 1.0]])
    np.testing.assert_allclose(stacking(elpd), [0, 1, 0], atol=1e-6)


def pair(mine: list[float], **changes: Any) -> Comparison:
    return compare([left_out("disorder", [-1.0] * len(mine)), left_out("dual_trace", mine, **changes)])


@pytest.mark.parametrize(
    ("comparison", "says"),
    [
        (pair([-1.5, -1.6, -1.4, -1.5]), "Nothing may be said about explanation: the dual trace predicts trials"),
        (pair([-0.5, -0.6, -0.4, -0.5]), "predicts trials that it has not seen better than plain meta-regression"),
        (pair([-0.5, -1.6, 1.0, -1.3]), "no worse than .* too little to prefer it.* rests on single trials"),
        (pair([-0.5] * 4, k=0.9), "Nothing may be said .* weights that leave out trial0, .* are unreliable"),
        (pair([-0.5] * 4, failures=("one", "two")), r"did not pass their checks \(dual_trace: one and 1 more\)"),
    ],
)
def test_the_first_sentence_of_the_verdict_follows_the_rule(comparison: Comparison, says: str) -> None:
    import re

    assert re.search(says, verdict(comparison))


@pytest.mark.parametrize(
    ("accounts", "says"),
    [
        ([left_out("dual_trace", [0, 0])], "disorder among them; given dual_trace"),
        ([left_out("disorder", [0, 0]), left_out("disorder", [0, 0])], "must stand once each"),
        ([left_out("disorder", [0, 0]), left_out("none", [0, 0, 0])], "on the same trials only"),
    ],
)
def test_accounts_that_cannot_be_compared_are_refused(accounts: list[LeftOut], says: str) -> None:
    with pytest.raises(InputError, match=says):
        compare(accounts)


def test_an_account_that_was_not_compared_has_no_difference() -> None:
    with pytest.raises(InputError, match=r"must be one of those compared, .*; given 'none'"):
        pair([-1.0, -1.0]).difference("none")


def test_a_trial_whose_weights_have_no_tail_is_to_be_refitted() -> None:
    """Draws that are mostly one draw, as of an approximation that failed: said, not crashed on."""
    likelihood = np.zeros((1, DRAWS, 2))
    likelihood[0, :3, 0] = (1.0, 2.0, 3.0)
    found = leave_one_out(posterior(likelihood, method=Method.LAPLACE))
    assert found.to_refit == ("trial0",)
    assert np.isfinite(found.elpd).all()
