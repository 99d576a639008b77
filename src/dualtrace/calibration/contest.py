"""All accounts on the same trials: fitted, compared by trials left out, the newest predicted from the older."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, final

from dualtrace.calibration.compare import Comparison, compare
from dualtrace.calibration.fit import Sampler
from dualtrace.calibration.held_out import SINCE, HeldOut, held_out, newer
from dualtrace.calibration.leave_out import leave_one_out, with_refits
from dualtrace.calibration.model import problem_of
from dualtrace.calibration.targets import subjects_of
from dualtrace.calibration.tasks import carried_out, fit_tasks, posterior_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualtrace.calibration.leave_out import LeftOut
    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.posterior import Posterior
    from dualtrace.calibration.rivals import Rival
    from dualtrace.calibration.tasks import Execute
    from dualtrace.evidence.record import Trial
    from dualtrace.runner.task import Task

MOST = 4
"""A fit gets at most so many times the chains that were asked for."""

_Wish = tuple["Rival", tuple[str, ...]]
"""A fit that is asked for: an account, and the trials that do not count."""

_Part = tuple[list["Task"], list["Mapping[str, Any]"]]
"""Tasks of one fit, and their results."""


@final
@dataclass(frozen=True, slots=True)
class Setup:
    """How accounts are fitted.

    Attributes
    ----------
    trials
        What is chosen from.
    sampler, points, quick
        How to sample, how many quasi-random patients, and whether to approximate instead.
    """

    trials: tuple[Trial, ...]
    sampler: Sampler = field(default_factory=Sampler)
    points: int = 32
    quick: bool = False

    def problem(self) -> Problem:
        """The trials laid out."""
        return problem_of(subjects_of(self.trials), points=self.points)

    def fits(self, problem: Problem, wishes: Sequence[_Wish], execute: Execute) -> list[Posterior]:
        """Fit accounts without some trials each; what is stored is not computed again.

        A chain with divergent transitions is sampled again with smaller steps, and a fit whose chains do not tell
        enough, or not the same, gets as many chains again, up to :data:`MOST` times those asked for.
        """
        parts: list[_Part] = [([], []) for _ in wishes]
        found: dict[int, Posterior] = {}
        wanting, turn = list(range(len(wishes))), 0
        while wanting and turn < MOST:
            self._more_chains(wishes, parts, wanting, turn, execute)
            for n in wanting:
                found[n] = posterior_from(problem, wishes[n][0], self.sampler, *parts[n], quick=self.quick)
            wanting, turn = [n for n in wanting if found[n].unmixed], turn + 1
        return [found[n] for n in range(len(wishes))]

    def _more_chains(
        self, wishes: Sequence[_Wish], parts: list[_Part], wanting: Sequence[int], turn: int, execute: Execute
    ) -> None:
        """Add to the parts of some wishes what the next chains give."""
        tasks = {n: self._tasks(*wishes[n], first=turn * self.sampler.chains) for n in wanting}
        done, results = carried_out([task for own in tasks.values() for task in own], execute)
        pairs = iter(zip(done, results, strict=True))
        for n, own in tasks.items():
            for task, result in islice(pairs, len(own)):
                parts[n][0].append(task)
                parts[n][1].append(result)

    def _tasks(self, account: Rival, left_out: tuple[str, ...], first: int) -> tuple[Task, ...]:
        return fit_tasks(
            self.trials,
            account,
            self.sampler,
            points=self.points,
            quick=self.quick,
            left_out=left_out,
            first=first,
        )


@final
@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """What came of it.

    Attributes
    ----------
    problem
        The trials.
    posteriors
        Of all trials, one per account.
    older
        Of the trials before ``since``, in the same order.
    comparison
        By trials left out.
    held_out
        The newest trials, by account, in the order of the posteriors.
    since
        Their first year.
    """

    problem: Problem
    posteriors: tuple[Posterior, ...]
    older: tuple[Posterior, ...]
    comparison: Comparison
    held_out: tuple[HeldOut, ...]
    since: int


def contest(
    setup: Setup, accounts: Sequence[Rival], execute: Execute, *, refit: bool = True, since: int = SINCE
) -> Contest:
    """Fit, leave out, refit where importance weights fail, and predict the newest trials.

    Parameters
    ----------
    setup, accounts
        How to fit, and what.
    execute
        Runs tasks of the runner and gives their results in order.
    refit
        Whether to fit anew without the trials whose weights are unreliable.
    since
        First year of the trials that are predicted from the others.

    Raises
    ------
    InputError
        The accounts cannot be compared, or all trials are on one side of ``since``.
    """
    problem = setup.problem()
    newest = newer(problem, since)
    wishes: list[_Wish] = [(account, left) for left in ((), newest) for account in accounts]
    posteriors = setup.fits(problem, wishes, execute)
    whole, older = posteriors[: len(accounts)], posteriors[len(accounts) :]
    left_out = [leave_one_out(posterior) for posterior in whole]
    if refit:
        left_out = _refitted(setup, problem, accounts, left_out, execute)
    predicted = tuple(held_out(posterior, newest) for posterior in older)
    return Contest(problem, tuple(whole), tuple(older), compare(left_out), predicted, since)


def _refitted(
    setup: Setup, problem: Problem, accounts: Sequence[Rival], found: Sequence[LeftOut], execute: Execute
) -> list[LeftOut]:
    pairs = [(account, trial) for account, one in zip(accounts, found, strict=True) for trial in one.to_refit]
    refits = setup.fits(problem, [(account, (trial,)) for account, trial in pairs], execute)
    return [
        with_refits(
            one, {trial: refit for (own, trial), refit in zip(pairs, refits, strict=True) if own.name == one.account}
        )
        for one in found
    ]
