"""Leaving rows out of a partial-information model, and adding them, gives what fitting the rest alone gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dualtrace.errors import FitError
from dualtrace.pooling import partial
from dualtrace.pooling.robustness import partial_leave_out

if TYPE_CHECKING:
    from dualtrace.pooling.partial_contract import PartialPooled

Y = np.array([0.65, np.nan, 0.0, np.nan, -0.7, np.nan])
V = np.array([0.14, 0.15, 0.24, 0.03, 0.07, 0.14])
LO = np.array([np.nan, -0.76, np.nan, -0.34, np.nan, -np.inf])
HI = np.array([np.nan, 0.76, np.nan, 0.34, np.nan, -0.74])
SLAB = tuple("abcdef")


def alone(kept: np.ndarray) -> PartialPooled:
    return partial.fit(Y[kept], V[kept], lo=LO[kept], hi=HI[kept])


def test_law_each_deletion_is_the_fit_of_the_other_rows() -> None:
    fits = partial_leave_out.leave_one_out(Y, V, lo=LO, hi=HI, slab=SLAB)
    assert fits.slab == SLAB
    assert fits.n_exact.tolist() == [2, 3, 2, 3, 2, 3]
    for i in range(len(Y)):
        one = alone(np.arange(len(Y)) != i)
        ours = [fits.beta[i], fits.ci_lb[i], fits.ci_ub[i], fits.tau2[i]]
        assert ours == pytest.approx([one.beta[0], one.ci_lb[0], one.ci_ub[0], one.tau2], rel=1e-7, abs=1e-8)


def test_law_a_group_is_left_out_whole_and_rows_of_one_year_come_together() -> None:
    groups = ["x", "y", "x", "y", "z", "z"]
    fits = partial_leave_out.leave_one_out(Y, V, lo=LO, hi=HI, groups=groups)
    assert fits.slab == ("x", "y", "z")
    assert fits.beta[1] == pytest.approx(alone(np.array([g != "y" for g in groups])).beta[0], rel=1e-7)
    years = [2010, 2008, 2012, 2008, 2012, 2011]
    fits = partial_leave_out.cumulative(Y, V, lo=LO, hi=HI, order=years)
    assert fits.slab == ("2008", "2010", "2011", "2012")
    assert fits.k.tolist() == [2, 3, 4, 6]
    assert fits.ci_ub[2] == pytest.approx(alone(np.array(years) <= 2011).ci_ub[0], rel=1e-7)


def test_contract_what_the_rows_kept_do_not_determine_is_undefined() -> None:
    fits = partial_leave_out.cumulative(
        [np.nan, np.nan, 0.3], [0.1, 0.1, 0.1], lo=[0.0, 0.0, np.nan], hi=[np.inf, np.inf, np.nan], order=[1, 2, 3]
    )
    assert np.isnan(fits.beta[:2]).all()
    assert np.isfinite(fits.beta[2])
    assert fits.to_dict()["beta"][0] is None
    assert "up to" in str(fits)


def test_contract_bad_input_is_refused() -> None:
    with pytest.raises(FitError, match="needs at least two rows or groups; given one"):
        partial_leave_out.leave_one_out([0.1], [0.1])
    with pytest.raises(FitError, match="one value per row; given 1 for 2 rows"):
        partial_leave_out.cumulative([0.1, 0.2], [0.1, 0.1], order=[2001])
