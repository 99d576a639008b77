"""Accounts compared by what they say of trials that they have not seen, and what may be concluded.

Differences are paired over trials. Stacking: Yao et al. 2018 (doi 10.1214/17-BA1091).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from dualtrace.calibration.rivals import rival
from dualtrace.errors import FitError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dualtrace.calibration.leave_out import LeftOut

BASELINE = "disorder"
"""The account that a mechanism must match before anything is said about explanation: plain meta-regression."""

MECHANISM = "dual_trace"

_DECIDES = 2.0
"""Standard errors from which a difference counts."""

_FEWEST = 2


@final
@dataclass(frozen=True, slots=True)
class Difference:
    """Log predictive density of one account less that of another.

    Attributes
    ----------
    account, other
        Names.
    difference, se
        Sum over trials, and its standard error from the spread of the trials' own differences.
    trials
        How many.
    rests_on
        Trials without any one of which the sign, or whether it is above two standard errors, would be another.
    """

    account: str
    other: str
    difference: float
    se: float
    trials: int
    rests_on: tuple[str, ...]

    @property
    def decides(self) -> bool:
        """Whether it is above two standard errors."""
        return abs(self.difference) > _DECIDES * self.se


@final
@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Accounts on the same trials, best first.

    Attributes
    ----------
    accounts
        What each says of the trials left out.
    differences
        Of every account from :data:`BASELINE`, in the order of the accounts.
    weights
        Stacking weights, in the order of the accounts.
    """

    accounts: tuple[LeftOut, ...]
    differences: tuple[Difference, ...]
    weights: tuple[float, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """What speaks against using it, by account."""
        found = [f"{one.account}: {failure}" for one in self.accounts for failure in one.failures]
        found += [
            f"{one.account}: the weights that leave out {', '.join(one.to_refit)} are unreliable; fit without them"
            for one in self.accounts
            if one.to_refit
        ]
        return tuple(found)

    def difference(self, account: str) -> Difference:
        """The difference of one account from :data:`BASELINE`.

        Raises
        ------
        InputError
            It is not among those compared.
        """
        for one in self.differences:
            if one.account == account:
                return one
        known = ", ".join(one.account for one in self.accounts)
        raise InputError(f"an account must be one of those compared, {known}; given {account!r}")


def compare(accounts: Sequence[LeftOut]) -> Comparison:
    """Compare accounts.

    Parameters
    ----------
    accounts
        What each says of the same trials; :data:`BASELINE` among them.

    Raises
    ------
    InputError
        They are not of the same trials, one stands twice, or the baseline is missing.
    """
    names = [one.account for one in accounts]
    if len(set(names)) != len(names) or BASELINE not in names:
        raise InputError(
            f"accounts to compare must stand once each, {BASELINE} among them; given {', '.join(names) or 'none'}"
        )
    if len({one.trials for one in accounts}) != 1 or len(accounts[0].trials) < _FEWEST:
        raise InputError(
            "accounts can be compared on the same trials only, two at least; fit them to the same trials"
        )
    ordered = tuple(sorted(accounts, key=lambda one: -one.total))
    baseline = accounts[names.index(BASELINE)]
    weights = stacking(np.array([one.elpd for one in ordered]).T)
    return Comparison(ordered, tuple(difference(one, baseline) for one in ordered), tuple(float(w) for w in weights))


def difference(account: LeftOut, other: LeftOut) -> Difference:
    r"""Paired over trials: :math:`\sum_j d_j` with standard error :math:`\sqrt{n}\,\mathrm{sd}(d)`."""
    each = account.elpd - other.elpd
    total, se = summed(each)
    rests_on = tuple(
        trial
        for j, trial in enumerate(account.trials)
        if each.size > _FEWEST and reading(*summed(np.delete(each, j))) != reading(total, se)
    )
    return Difference(account.account, other.account, total, se, each.size, rests_on)


def summed(each: NDArray[np.float64]) -> tuple[float, float]:
    """Sum of the trials' differences, and its standard error."""
    return float(each.sum()), float(np.sqrt(each.size) * each.std(ddof=1))


def reading(total: float, se: float) -> tuple[bool, bool]:
    """What a difference says: its sign, and whether it is above two standard errors."""
    return total >= 0, abs(total) > _DECIDES * se


def stacking(elpd: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Weights of a mixture of accounts that predicts left-out trials best.

    .. math:: \max_w \sum_j \log \sum_k w_k \exp(\mathrm{elpd}_{jk}), \qquad w_k \ge 0, \sum_k w_k = 1

    A concave problem, solved by sequential quadratic programming.

    Parameters
    ----------
    elpd
        ``(trials, accounts)``.

    Raises
    ------
    FitError
        The search did not end.
    """
    from scipy.optimize import LinearConstraint, minimize

    trials, accounts = elpd.shape
    density = np.exp(elpd - elpd.max(axis=1, keepdims=True))

    def loss(w: NDArray[np.float64]) -> float:
        return -float(np.log(density @ w).mean())

    def slope(w: NDArray[np.float64]) -> NDArray[np.float64]:
        return -np.asarray((density / (density @ w)[:, None]).mean(axis=0))

    found = minimize(
        loss,
        np.full(accounts, 1 / accounts),
        jac=slope,
        method="SLSQP",
        bounds=[(1e-12, 1.0)] * accounts,
        constraints=LinearConstraint(np.ones((1, accounts)), 1, 1),
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    if not found.success:
        raise FitError(f"stacking weights of {accounts} accounts on {trials} trials were not found: {found.message}")
    weights = np.clip(found.x, 0, 1)
    return np.asarray(weights / weights.sum())


def verdict(comparison: Comparison) -> str:
    """What may be concluded, in plain words; its first sentence says whether anything may be said of explanation."""
    mine = comparison.difference(MECHANISM)
    size = f"by {abs(mine.difference):.1f} in log density (standard error {mine.se:.1f}; {mine.trials} trials)"
    name, plain = rival(MECHANISM).title.lower(), "plain meta-regression on the disorder"
    if comparison.failures:
        stands = "ahead of" if mine.difference >= 0 else "behind"
        return (
            f"Nothing may be said about explanation: these fits did not pass their checks ({comparison.failures[0]}"
            f"{_more(comparison.failures)}). As they are, the {name} is {stands} {plain} {size}."
        )
    if mine.difference < 0:
        too = (
            ""
            if mine.decides
            else " The difference is too small to call, but the burden of proof is on the mechanism."
        )
        return (
            f"Nothing may be said about explanation: the {name} predicts trials that it has not seen worse than "
            f"{plain}, {size}.{too}"
        )
    better = "better than" if mine.decides else "no worse than"
    careful = "" if mine.decides else " That is too little to prefer it."
    return f"The {name} predicts trials that it has not seen {better} {plain}, {size}.{careful}{_hangs(mine)}"


def _more(failures: Sequence[str]) -> str:
    return f" and {len(failures) - 1} more" if len(failures) > 1 else ""


def _hangs(mine: Difference) -> str:
    if not mine.rests_on:
        return ""
    return f" It rests on single trials: without {' or '.join(mine.rests_on)} the reading would be another."
