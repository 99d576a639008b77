"""Tables of the chapter on the calibration: accounts, constants, influence and checks, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.calibration.compare import BASELINE
from dualtrace.calibration.laboratories import rests_on
from dualtrace.calibration.reliability_text import HEAD, row_of
from dualtrace.calibration.rivals import rival
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.report.document import Table
from dualtrace.report.words import count, estimate, interval, listing, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualtrace.calibration.findings import Account, Findings, Influence, Parameter, Row
    from dualtrace.calibration.identifiability import Identified
    from dualtrace.calibration.reliability import Reliability

_NOTHING, _LITTLE, _MUCH = 0.1, 0.3, 0.6
_SENSITIVE = 0.05
_FEW = 6
_ACCOUNTS = (
    "Log predictive densities, higher is better; a difference counts from two standard errors on. Weight: in the "
    "mixture of accounts that predicts best. The last column names trials, and first authors with several, any one "
    "of which alone decides the reading."
)
_CONSTANTS = (
    "Contraction: share of the prior's spread that the data took off. Where the answer hangs on the prior, weighing "
    "the priors up or down moves it."
)
_ALONE = (
    "Were all else known: the contraction that the data would bring then, at the draws of the posterior; far above "
    "the contraction, the constant is told apart from others only in combination."
)
_COMBINATIONS = (
    "Eigenvalues of the information of the likelihood in units of the priors', averaged over {draws} draws of the "
    "posterior. In brackets: weights, in prior standard deviations, of the constants that weigh most. The count is "
    "rough: the least of all is {least}, and below 0 the density bends the other way where draws lie."
)
_PRIORS = (
    "The band has sampling error and the trials' own deviations in it. Far fewer than 90 % within: the prior is too "
    "sure."
)
_MODERATORS = (
    "Estimate over its standard error; positive: the more of it, the more the drug helps. Expected: median and 90 % "
    "of the posterior, without sampling error. Accounts without a mechanism expect 0."
)
KINDS = {
    "number": "numbers",
    "interval": "intervals",
    "direction": "directions",
    "moderator": "moderator findings",
}


def accounts_table(shown: Findings) -> Table:
    """Accounts from the one that predicts unseen trials best."""
    found = shown.comparison()
    baseline = next(one for one in found.accounts if one.account == BASELINE)
    rows = []
    for one, difference, weight in zip(found.accounts, found.differences, found.weights, strict=True):
        own = shown.account(one.account)
        single = difference.rests_on
        named = single if len(single) <= _FEW else (f"any of {len(single)} trials",)
        alone = [*named, *(f"all of {name}" for name in rests_on(one, baseline, shown.laboratories))]
        plain = one.account == BASELINE
        rows.append(
            (
                (rival(one.account).title,),
                (rival(one.account).idea,),
                (number(one.total, 1),),
                ("–" if plain else f"{number(difference.difference, 1)} ({number(difference.se, 1)})",),
                (number(weight),),
                (number(sum(own.newest_elpd), 1),),
                (_fits(own, len(one.to_refit), shown.provenance.chains),),
                ("–" if plain else listing(alone) or "none",),
            )
        )
    return Table(
        "why_accounts",
        "Accounts, by what they say of trials that they have not seen",
        (
            "Account",
            "Idea",
            "Left out in turn",
            "Less one effect per disorder (SE)",
            "Weight",
            f"From {shown.provenance.since} on",
            "Fits",
            "Would read otherwise without",
        ),
        tuple(rows),
        numeric=(2, 3, 4, 5),
        note=(_ACCOUNTS,),
    )


def reliability_table(found: Reliability, other: str) -> Table:
    """Readings of the dual trace against another account, on trials made up from a known one."""
    return Table(
        f"why_reliability_{other}",
        f"The dual trace against {rival(other).title.lower()}, on trials made up from a known account",
        tuple(text.capitalize() for text in HEAD),
        tuple(tuple((text,) for text in row_of(cell, other)) for cell in found.cells),
        numeric=(2,),
        note=(
            f"Brackets: 95 % interval (Wilson). Each fit: {found.draws} draws, {found.points} quasi-random patients.",
        ),
    )


def _fits(own: Account, unreliable: int, chains: int) -> str:
    """Whether the fits passed, how many trials were fitted without or should have been, and what it took."""
    parts = ["checks failed" if own.failures else "passed"]
    parts += [f"{own.refitted} refitted"] if own.refitted else []
    parts += [f"{unreliable} unreliable"] if unreliable else []
    parts += [f"{own.chains} chains"] if own.chains > chains else []
    parts += [f"{count(own.sampled_again, 'chain', 'chains')} again, smaller steps"] if own.sampled_again else []
    return "; ".join(parts)


def parameters_table(account: Account, alone: Mapping[str, float] | None = None) -> Table:
    """Constants of an account before and after, and in words what the data did.

    Parameters
    ----------
    account
        Whose constants.
    alone
        By constant the contraction were all others known.
    """
    head = ["Constant", "Meaning", "Prior, 90 %", "Posterior, 90 %", "The data say", "Contraction", "R-hat", "Draws"]
    if alone is not None:
        head.insert(6, "Were all else known")
    return Table(
        f"why_constants_{account.name}",
        f"Constants of the account {rival(account.name).title.lower()}",
        tuple(head),
        tuple(
            (
                (one.name,),
                (load_parameters().parameter(one.name).meaning,),
                (_spread(one.prior),),
                (_spread(one.posterior),),
                (in_words(one),),
                (number(one.contraction),),
                *(() if alone is None else ((number(alone[one.name]),),)),
                ("–" if one.rhat is None else number(one.rhat, 3),),
                ("–" if one.ess is None else number(one.ess, 0),),
            )
            for one in account.parameters
        ),
        numeric=tuple(range(5, len(head))),
        note=(_CONSTANTS if alone is None else f"{_CONSTANTS} {_ALONE}",),
    )


def combinations_table(found: Identified) -> Table:
    """Combinations of constants of which the trials tell more than the priors."""
    return Table(
        "why_combinations",
        "Combinations of constants of which the trials tell more than the priors",
        ("Told, over the priors", "Mostly"),
        tuple(
            ((number(one.told, 1),), (listing([f"{name} ({number(weight)})" for name, weight in one.parts]),))
            for one in found.leading
        ),
        numeric=(0,),
        note=(_COMBINATIONS.format(draws=found.draws, least=number(found.told[-1], 1)),),
    )


def in_words(one: Parameter) -> str:
    """What the data say of a constant."""
    said = (
        "nothing"
        if one.contraction < _NOTHING
        else "little"
        if one.contraction < _LITTLE
        else "something"
        if one.contraction < _MUCH
        else "much"
    )
    hangs = one.sensitivity is not None and one.sensitivity > _SENSITIVE
    return f"{said}; hangs on the prior" if hangs else said


def said_nothing(account: Account) -> list[str]:
    """Meanings of the constants of which the data say nothing."""
    return [one.name for one in account.parameters if one.contraction < _NOTHING]


def _spread(values: tuple[float, float, float]) -> str:
    low, middle, high = values
    digits = 2 if max(abs(low), abs(high)) < 100 else 0
    return estimate(middle, low, high, digits)


def moderators_table(shown: Findings) -> Table:
    """What trials found about when the drug helps, beside what mechanisms expect."""
    accounts = [one for one in shown.accounts if rival(one.name).is_mechanism]
    expected = [list(shown.moderations(one)) for one in accounts]
    return Table(
        "why_moderators",
        "When does the drug help? Statistic of drug by how exposure went, reported and expected",
        ("Trial", "The more", "Reported", *(rival(one.name).title for one in accounts)),
        tuple(
            (
                (row.label,),
                (row.standard.replace("_", " "),),
                (_ends(row),),
                *((estimate(band[2], band[0], band[-1], 1),) for _, band in bands),
            )
            for bands in zip(*expected, strict=True)
            for row in (bands[0][0],)
        ),
        numeric=tuple(range(3, 3 + len(accounts))),
        note=(_MODERATORS,),
    )


def _ends(row: Row) -> str:
    if row.lower is None:
        return "any" if row.upper is None else f"below {number(row.upper)}"
    return f"above {number(row.lower)}" if row.upper is None else interval(row.lower, row.upper)


def kinds_table(shown: Findings) -> Table:
    """Influence of each kind of information."""
    return _influences("why_kinds", "What each kind of information does to the dual trace", "Without", shown.by_kind)


def influence_table(shown: Findings) -> Table:
    """Influence of each trial, the largest first."""
    ordered = tuple(sorted(shown.by_trial, key=lambda one: -abs(one.most_shift)))
    return _influences("why_influence", "What each trial does to the dual trace", "Without", ordered)


def _influences(key: str, caption: str, first: str, found: tuple[Influence, ...]) -> Table:
    return Table(
        key,
        caption,
        (first, "Shift of the drug's strength", "Moves most", "By", "Weights are worth", "Pareto k"),
        tuple(
            (
                (KINDS.get(one.left_out, one.left_out),),
                (number(one.shift),),
                (one.most,),
                (number(one.most_shift),),
                (f"{number(one.effective, 0)} draws",),
                ("–" if one.pareto_k is None else number(one.pareto_k),)
                if one.is_reliable
                else (f"{'–' if one.pareto_k is None else number(one.pareto_k)}: unreliable",),
            )
            for one in found
        ),
        numeric=(1, 3),
        note=("Shifts in posterior standard deviations, by importance weights; no fit was made without them.",),
    )


def checks_table(shown: Findings) -> Table:
    """What priors expected before any trial was seen."""
    return Table(
        "why_priors",
        "Before any trial was seen: reports within the 90 % band of what the prior expects",
        ("Account", "Numbers within", "Intervals met", "Draws"),
        tuple(
            (
                (rival(one.name).title,),
                (f"{check.within} of {check.numbers}",),
                (f"{check.met} of {check.intervals}",),
                (str(check.draws),),
            )
            for one in shown.accounts
            if (check := one.prior_check) is not None
        ),
        numeric=(3,),
        note=(_PRIORS,),
    )
