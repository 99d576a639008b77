"""The truncated normal: moments against numerical integration, in the middle, in slivers and in far tails."""

import numpy as np
import pytest
from scipy import special

from dualtrace.pooling.interval import log_mass, truncated

CASES = [
    (-np.inf, 0.3),
    (0.0, np.inf),
    (-1.96, 1.96),
    (-0.2, 0.2),
    (-1e-4, 3e-4),
    (2.0, 2.0 + 1e-7),
    (4.9, 5.6),
    (4.99, np.inf),
    (5.01, np.inf),
    (-6.0, np.inf),
    (-np.inf, -30.0),
    (30.0, 31.0),
    (-100.0, -99.9),
    (1000.0, np.inf),
    (1e4, 1e4 + 1.0),
    (0.249, 0.7),
    (-9.0, -4.6),
]


@pytest.mark.parametrize(("a", "b"), CASES)
def test_law_moments_equal_integrals(a: float, b: float) -> None:
    found = truncated(np.array([a]), np.array([b]))
    # integrate exp(-c·e - e²/2) over the distance e from the end c nearer to 0: no under- or overflow anywhere
    upward = abs(a) <= abs(b) if np.isfinite([a, b]).all() else np.isfinite(a)
    c = a if upward else -b
    length = min(b - a, (np.sqrt(c * c + 1200.0) - c)) if np.isfinite(b - a) else np.sqrt(c * c + 1200.0) - c
    nodes, weights = np.polynomial.legendre.leggauss(20)
    panels = length * np.linspace(0.0, 1.0, 401)  # of width length/400: far finer than the density varies
    e = (panels[:-1, None] + 0.5 * length / 400 * (1.0 + nodes)).ravel()
    shift = 0.0 if c >= 0 else -0.5 * c * c
    density = np.tile(weights, 400) * 0.5 * length / 400 * np.exp(-e * (c + 0.5 * e) + shift)

    def moment(power: int, centre: float) -> float:
        return float((density * (e - centre) ** power).sum())

    mass = moment(0, 0.0)
    mean = moment(1, 0.0) / mass
    var, third, fourth = (moment(r, mean) / mass for r in (2, 3, 4))
    sign = 1.0 if upward else -1.0
    z = c + mean
    assert found.log_mass[0] == pytest.approx(np.log(mass) - shift - 0.5 * (c * c + np.log(2 * np.pi)), rel=1e-10)
    assert found.mean[0] == pytest.approx(sign * z, rel=1e-9, abs=1e-9 * np.sqrt(var))
    assert found.square[0] == pytest.approx(z * z + var, rel=1e-9)
    assert found.var[0] == pytest.approx(var, rel=1e-9)
    assert found.cov[0] == pytest.approx(sign * (2 * z * var + third), rel=1e-8, abs=1e-9 * var**1.5)
    assert found.var_square[0] == pytest.approx(4 * z * z * var + 4 * z * third + fourth - var * var, rel=1e-8)


def test_law_mirroring_an_interval_mirrors_its_moments() -> None:
    rng = np.random.default_rng(4)
    a = rng.normal(0.0, 4.0, 500)
    b = a + 10.0 ** rng.uniform(-6.0, 1.0, 500)
    one, other = truncated(a, b), truncated(-b, -a)
    for same in ("log_mass", "square", "var", "var_square"):
        assert getattr(one, same) == pytest.approx(getattr(other, same), rel=1e-9), same
    assert one.mean == pytest.approx(-other.mean, rel=1e-9, abs=1e-12)
    assert one.cov == pytest.approx(-other.cov, rel=1e-7, abs=1e-12)


def test_law_both_ways_of_computing_agree_where_they_meet() -> None:
    """Just inside and outside the limits between closed formulas and quadrature, nothing jumps."""
    for a, b in [(5.0, 7.0), (-7.0, -5.0), (-0.25, 0.25), (2.0, 2.2286), (5.0, np.inf)]:
        ends = np.array([a, a + 1e-9]), np.array([b, b - 1e-9])
        for value in truncated(*ends):
            assert value[0] == pytest.approx(value[1], rel=1e-7, abs=1e-9)


def test_law_probabilities_of_a_partition_sum_to_one() -> None:
    cuts = np.concatenate([[-np.inf], np.linspace(-12.0, 12.0, 400), [np.inf]])
    assert np.exp(truncated(cuts[:-1], cuts[1:]).log_mass).sum() == pytest.approx(1.0, rel=1e-13)


def test_law_log_mass_of_a_tail_is_the_log_distribution_function() -> None:
    x = np.array([-400.0, -40.0, -3.0, 0.0, 3.0, 8.0])
    low = np.full_like(x, -np.inf)
    assert log_mass(low, x) == pytest.approx(special.log_ndtr(x), rel=1e-14)
    assert log_mass(-x, -low) == pytest.approx(special.log_ndtr(x), rel=1e-14)
