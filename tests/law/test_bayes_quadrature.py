"""Laws of the Bayesian fit by quadrature: invariances, identities between its numbers, limits, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.bayesian import (
    MeanPrior,
    fit,
    half_cauchy,
    half_normal,
    half_t,
    log_normal,
    log_t,
    rhodes,
    sensitivity,
    turner,
)
from dualtrace.pooling.bayesian.contract import Posterior
from dualtrace.pooling.bayesian.distribution import interval
from dualtrace.pooling.bayesian.exact import moments
from dualtrace.pooling.bayesian.priors import TauPrior
from dualtrace.pooling.likelihood import Array

PRIORS: list[TauPrior] = [
    half_normal(0.5),
    half_cauchy(0.3),
    half_t(4.0, 0.5),
    log_normal(-2.0, 1.5),
    log_t(-3.44, 2.59),
]
SEEDS = st.integers(0, 2**32 - 1)
INF = np.inf


def rows(seed: int, k: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    v = 10.0 ** rng.uniform(-2.5, -0.5, k)
    return rng.normal(0.3, np.sqrt(v + rng.choice([0.0, 0.05, 0.5]))), v


def mixed(mean_prior: MeanPrior, tau_prior: TauPrior) -> Posterior:
    return fit(
        [0.4, 0.1, 0.6, None, None, None],
        [0.04, 0.09, 0.2, 0.05, 0.06, 0.3],
        lo=[None, None, None, -0.44, 0.0, -1.0],
        hi=[None, None, None, 0.44, INF, 0.2],
        mean_prior=mean_prior,
        tau_prior=tau_prior,
    )


def numbers(found: Posterior) -> Array:
    summaries = (found.mu_summary, found.tau_summary, found.theta_summary)
    return np.array([[s.mean, s.sd, s.median, s.ci_lb, s.ci_ub] for s in summaries])


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(3, 25), prior=st.sampled_from(PRIORS))
def test_law_order_does_not_matter_and_sign_mirrors(seed: int, k: int, prior: TauPrior) -> None:
    y, v = rows(seed, k)
    order = np.random.default_rng(seed).permutation(k)
    one, other = (fit(a, b, tau_prior=prior) for a, b in ((y, v), (-y[order], v[order])))
    mirrored = numbers(other)
    for row in (0, 2):
        mirrored[row] *= [-1.0, 1.0, -1.0, -1.0, -1.0]
        mirrored[row, 3:] = mirrored[row, :2:-1]
    assert mirrored == pytest.approx(numbers(one), rel=1e-8, abs=1e-9)
    assert other.bf_tau0 == pytest.approx(one.bf_tau0, rel=1e-9)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(3, 25), unit=st.sampled_from([1e-3, 7.0, 1e4]))
def test_law_a_change_of_unit_changes_everything_by_it(seed: int, k: int, unit: float) -> None:
    y, v = rows(seed, k)
    one = fit(y, v, tau_prior=half_cauchy(0.3), mean_prior=MeanPrior(0.1, 1.0))
    other = fit(unit * y, unit**2 * v, tau_prior=half_cauchy(0.3 * unit), mean_prior=MeanPrior(0.1 * unit, unit))
    assert numbers(other) == pytest.approx(unit * numbers(one), rel=1e-8, abs=1e-9 * unit)
    assert other.log_evidence == pytest.approx(one.log_evidence - k * np.log(unit), rel=1e-10)
    assert (other.bf_mu0, other.bf_tau0) == pytest.approx((one.bf_mu0, one.bf_tau0), rel=1e-9)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(1, 40), prior=st.sampled_from(PRIORS))
def test_law_savage_dickey_equals_the_ratio_of_evidences(seed: int, k: int, prior: TauPrior) -> None:
    y, v = rows(seed, k)
    found = fit(y, v, tau_prior=prior, mean_prior=MeanPrior(0.0, 1.0))
    assert found.mu.density(0.0) / float(found.mean_prior.density(0.0)) == pytest.approx(found.bf_mu0, rel=1e-9)
    if prior.is_monotone:
        assert found.tau.density(0.0) / float(prior.density(0.0)) == pytest.approx(found.bf_tau0, rel=1e-9)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_law_savage_dickey_holds_with_interval_rows(prior: TauPrior) -> None:
    found = mixed(MeanPrior(0.0, 1.0), prior)
    assert found.mu.density(0.0) / float(found.mean_prior.density(0.0)) == pytest.approx(found.bf_mu0, rel=1e-8)
    if prior.is_monotone:
        assert found.tau.density(0.0) / float(prior.density(0.0)) == pytest.approx(found.bf_tau0, rel=1e-8)


@pytest.mark.parametrize("prior", [half_normal(0.5), log_t(-3.44, 2.59)], ids=str)
def test_law_quantile_inverts_the_distribution_function(prior: TauPrior) -> None:
    y, v = rows(3, 6)
    for found in (fit(y, v, tau_prior=prior), mixed(MeanPrior(), prior)):
        for part in (found.mu, found.tau, found.theta):
            for p in (0.001, 0.5, 0.975):
                x = part.quantile(p)
                assert part.cdf(x) == pytest.approx(p, abs=1e-11)
                step = 1e-4 * (x if part is found.tau else 0.1)
                slope = (part.cdf(x + step) - part.cdf(x - step)) / (2.0 * step)
                assert slope == pytest.approx(part.density(x), rel=1e-4, abs=1e-6)


def test_law_the_shortest_interval_holds_its_level_with_equal_densities() -> None:
    y, v = rows(11, 5)
    found = fit(y, v, tau_prior=log_normal(-1.0, 1.0))
    for part in (found.mu, found.tau):
        low, high = interval(part, 0.9, "shortest")
        assert part.cdf(high) - part.cdf(low) == pytest.approx(0.9, abs=1e-9)
        assert part.density(low) == pytest.approx(part.density(high), rel=1e-6)
        central = interval(part, 0.9)
        assert high - low < central[1] - central[0]


def test_law_a_row_that_says_nothing_changes_nothing() -> None:
    y, v = rows(5, 6)
    prior, mean = half_normal(0.5), MeanPrior(0.0, 1.0)
    one = fit(y, v, tau_prior=prior, mean_prior=mean)
    none = [None] * 6
    wide = fit([*y, None], [*v, 0.1], lo=[*none, -200.0], hi=[*none, INF], tau_prior=prior, mean_prior=mean)
    assert numbers(wide) == pytest.approx(numbers(one), rel=1e-8, abs=1e-9)
    assert wide.log_evidence == pytest.approx(one.log_evidence, abs=1e-9)
    assert wide.effects.mean[:6] == pytest.approx(one.effects.mean, abs=1e-9)
    assert wide.effects.sd[:6] == pytest.approx(one.effects.sd, rel=1e-8)
    assert wide.effects.intervals()[:6] == pytest.approx(one.effects.intervals(), abs=1e-8)
    # its own effect is that of a new row
    assert (wide.effects.mean[6], wide.effects.sd[6]) == pytest.approx((one.theta.mean, one.theta.sd), rel=1e-8)


def test_law_a_narrow_interval_is_an_exact_effect() -> None:
    y, v = rows(8, 5)
    prior = half_normal(0.5)
    one = fit(y, v, tau_prior=prior)
    width = 1e-5
    lo, hi = [None] * 4 + [y[4] - width / 2], [None] * 4 + [y[4] + width / 2]
    narrow = fit([*y[:4], None], v, lo=lo, hi=hi, tau_prior=prior)
    assert numbers(narrow) == pytest.approx(numbers(one), rel=1e-7, abs=1e-8)
    assert narrow.log_evidence - np.log(width) == pytest.approx(one.log_evidence, abs=1e-8)
    assert narrow.effects.sd == pytest.approx(one.effects.sd, rel=1e-7)


def test_law_an_interval_cut_in_two_has_the_sum_of_their_evidences() -> None:
    y, v, prior, mean = [0.3, None], [0.05, 0.04], half_cauchy(0.5), MeanPrior(0.0, 1.0)

    def evidence(lo: float, hi: float) -> float:
        found = fit(y, v, lo=[None, lo], hi=[None, hi], tau_prior=prior, mean_prior=mean)
        return float(np.exp(found.log_evidence))

    assert evidence(-1.0, 0.2) + evidence(0.2, INF) == pytest.approx(evidence(-1.0, INF), rel=1e-10)


def test_law_directions_alone_have_a_posterior_under_a_normal_prior_only() -> None:
    given_rows = {"lo": [0.0, 0.0], "hi": [INF, INF], "tau_prior": half_normal(0.5)}
    found = fit([None, None], [0.04, 0.04], mean_prior=MeanPrior(0.0, 1.0), **given_rows)  # type: ignore[arg-type]
    assert found.mu.mean > 0.0
    assert found.mu.sd < 1.0
    with pytest.raises(FitError, match="under a flat prior of the mean there is no posterior"):
        fit([None, None], [0.04, 0.04], **given_rows)  # type: ignore[arg-type]


def test_law_moments_that_do_not_exist_are_said_not_to() -> None:
    one = fit([0.3], [0.04], tau_prior=half_cauchy(0.5))
    assert np.isinf(one.tau.mean)
    assert np.isnan(one.mu.mean)
    assert np.isfinite(one.mu.quantile(0.975))
    assert "without a finite variance" in str(one)
    two = fit([0.3, 0.1], [0.04, 0.04], tau_prior=half_cauchy(0.5))
    assert np.isfinite(two.tau.mean)
    assert np.isinf(two.tau.sd)
    assert np.isfinite(fit([0.3], [0.04], tau_prior=half_normal(0.5)).mu.sd)
    assert np.isfinite(fit([0.3], [0.04], tau_prior=half_cauchy(0.5), mean_prior=MeanPrior(0.0, 1.0)).mu.sd)


def test_law_many_data_sets_at_once_equal_one_by_one() -> None:
    sets = [rows(seed, 7) for seed in range(20)]
    y, v = (np.stack(part) for part in zip(*sets, strict=True))
    for prior in PRIORS:
        batch = moments(y, v, prior, MeanPrior(0.0, 2.0))
        for i in (0, 7, 19):
            alone = moments(y[i : i + 1], v[i : i + 1], prior, MeanPrior(0.0, 2.0))
            assert [float(part[i]) for part in batch] == pytest.approx([float(part[0]) for part in alone], rel=1e-9)


def test_law_no_data_set_fails() -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        k = int(rng.integers(2, 120))
        v = 10.0 ** rng.uniform(-3.0, 3.0, (8, k))
        y = rng.normal(size=(8, k)) * np.sqrt(v) * rng.choice([0.1, 1.0, 3.0]) + rng.standard_t(2.0, (8, k))
        prior = PRIORS[int(rng.integers(len(PRIORS)))]
        found = moments(y, v, prior, MeanPrior(0.0, 10.0 ** rng.uniform(-2.0, 2.0)))
        assert np.isfinite(found.mu_sd).all()
        assert np.isfinite(found.log_evidence).all()


def test_law_priors_integrate_to_one_and_match_their_quantiles() -> None:
    x = np.sinh(np.linspace(-9.0, np.arcsinh(300.0), 20001)) - 1.0
    for prior in PRIORS:
        mass = np.exp(prior.log_density(x) + x)
        assert np.trapezoid(mass, x) == pytest.approx(1.0, abs=2e-6)  # the log-t has as much beyond e^300
        below = x <= np.log(float(prior.quantile(0.3)))
        assert np.trapezoid(mass[below], x[below]) == pytest.approx(0.3, abs=2e-3)


def test_law_sensitivity_shows_every_prior() -> None:
    y, v = rows(1, 5)
    found = sensitivity(y, v, tau_priors=[half_normal(0.5), turner("mental_health"), rhodes("mental_health")])
    text = str(found)
    assert "log-normal(-2.12, 1.53²) for τ²" in text
    assert "log-t(-2.99, 2.16², 5) for τ²" in text
    assert len(found.to_frame()) == len(found.to_dict()) == 3
    with pytest.raises(InputError, match="At least one prior"):
        sensitivity(y, v, tau_priors=[])


def test_law_refusals_say_what_was_given() -> None:
    with pytest.raises(InputError, match=r"positive standard deviation .* sd -1"):
        MeanPrior(0.0, -1.0)
    with pytest.raises(InputError, match="scale of a prior of τ must be positive; given 0"):
        half_normal(0.0)
    with pytest.raises(InputError, match="location of log τ²"):
        log_normal(np.nan, 1.0)
    with pytest.raises(InputError, match=r"outcome must be one of mortality.*given 'mood'"):
        turner("mood")
    with pytest.raises(InputError, match="comparison must be one of"):
        rhodes("symptoms", "drug")  # type: ignore[arg-type]
    found = fit([0.3, 0.1, 0.2], [0.04, 0.04, 0.1], tau_prior=rhodes())
    with pytest.raises(FitError, match="density without bound at 0"):
        interval(found.tau, 0.95, "shortest")
    with pytest.raises(InputError, match="kind must be one of central, shortest"):
        interval(found.tau, 0.95, "widest")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="probability between 0 and 1; given 1"):
        found.mu.quantile(1.0)


def test_law_the_answer_prints_its_priors_and_its_numbers() -> None:
    found = mixed(MeanPrior(0.0, 1.0), half_normal(0.5))
    text = str(found)
    assert "Priors: mean effect normal(0, 1²); tau half-normal(0.5)" in text
    assert "k = 6: 3 exact, 2 interval, 1 one-sided" in text
    stored = found.to_dict()
    assert stored["mu"]["median"] == found.mu_summary.median
    assert stored["priors"] == {"mu": "normal(0, 1²)", "tau": "half-normal(0.5)"}
    assert list(found.to_frame().index) == ["mu", "tau", "theta"]
