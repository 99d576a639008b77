"""Effect measures of one group measured twice; the correlation between the two occasions must be known.

Every function takes the columns m1, s1, m2, s2 (mean and standard deviation at each occasion), r and n. The
difference is m1 − m2: give the later occasion first for an increase to be positive, and mind that the raw-score
measures divide by s1, so that for a change in units of the first occasion that occasion's spread goes into s1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.effects.means import correction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Pair = tuple[Floats, Floats]


class Occasions(NamedTuple):
    """Mean and standard deviation at two occasions, their correlation, and the size of the group."""

    m1: Floats
    s1: Floats
    m2: Floats
    s2: Floats
    r: Floats
    n: Floats

    @property
    def difference_variance(self) -> Floats:
        """Variance of the individual differences, s1² + s2² − 2r·s1·s2."""
        return self.s1**2 + self.s2**2 - 2 * self.r * self.s1 * self.s2


def mean_change(given: Occasions) -> Pair:
    """Return m1 − m2 and its variance."""
    return given.m1 - given.m2, given.difference_variance / given.n


def by_change_sd(given: Occasions) -> Pair:
    """Return J(n−1)(m1 − m2)/s_D, s_D the standard deviation of the differences, and 1/n + g²/(2n).

    Source: Gibbons, Hedeker & Davis 1993, doi:10.3102/10769986018003271.
    """
    g = correction(given.n - 1) * (given.m1 - given.m2) / np.sqrt(given.difference_variance)
    return g, 1 / given.n + g**2 / (2 * given.n)


def by_raw_sd(given: Occasions) -> Pair:
    """Return J(n−1)(m1 − m2)/s1 and 2(1−r)/n + g²/(2n).

    Source: Becker 1988, doi:10.1111/j.2044-8317.1988.tb00901.x.
    """
    g = correction(given.n - 1) * (given.m1 - given.m2) / given.s1
    return g, 2 * (1 - given.r) / given.n + g**2 / (2 * given.n)


def by_raw_sd_unequal(given: Occasions) -> Pair:
    """Return g = J(n−1)(m1 − m2)/s1 and J²[s_D²/(s1²(n−1)) + g²/(2(n−1))]: occasions of unequal variance.

    Source: Bonett 2008, doi:10.1037/1082-989X.13.2.99.
    """
    j = correction(given.n - 1)
    g = j * (given.m1 - given.m2) / given.s1
    return g, j**2 * (given.difference_variance / given.s1**2 + g**2 / 2) / (given.n - 1)


def by_pooled_sd(given: Occasions) -> Pair:
    """Return J(ν)(m1 − m2)/s̄, s̄² = (s1² + s2²)/2, ν = 2(n−1)/(1+r²), and 2(1−r)/n + g²/(2ν).

    s̄² of two correlated samples varies as a chi-squared with ν degrees of freedom would; the variance is then
    the delta method's.

    Source: Cousineau 2020, doi:10.20982/tqmp.16.4.p418.
    """
    df = 2 * (given.n - 1) / (1 + given.r**2)
    g = correction(df) * (given.m1 - given.m2) / np.sqrt((given.s1**2 + given.s2**2) / 2)
    return g, 2 * (1 - given.r) / given.n + g**2 / (2 * df)


def ratio_of_means(given: Occasions) -> Pair:
    """Return ln(m1/m2) and (c1² + c2² − 2r·c1·c2)/n, c_j = s_j/m_j; NaN for means of opposite sign.

    Source: Lajeunesse 2011, doi:10.1890/11-0423.1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = given.m1 / given.m2
        estimate = np.where(ratio > 0, np.log(np.abs(ratio)), np.nan)
        c1, c2 = given.s1 / given.m1, given.s2 / given.m2
        variance = (c1**2 + c2**2 - 2 * given.r * c1 * c2) / given.n
    return estimate, np.where(np.isnan(estimate), np.nan, variance)
