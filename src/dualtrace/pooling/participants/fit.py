"""Participants of several trials analysed together: one stage (one mixed model), and two stages to compare.

The treatment is coded -½ and +½, so that a random intercept is the average of both arms. A moderator is split into
its deviation from the trial's mean and that mean: only the first gives an interaction free of confounding between
trials.

Sources: Riley et al. 2020, doi:10.1002/sim.8516 (within- and across-trial interactions, stratified nuisance
parameters); Jackson et al. 2018, doi:10.1002/sim.7588 (coding in logistic mixed models).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from scipy import special

from dualtrace.errors import FitError
from dualtrace.pooling import check, univariate
from dualtrace.pooling.contract import require_choice, require_level
from dualtrace.pooling.participants import linear as mixed_linear
from dualtrace.pooling.participants import logistic as mixed_logistic
from dualtrace.pooling.participants.contract import Family, Intercept, OneStage, Residual, TwoStage

if TYPE_CHECKING:
    from dualtrace.pooling.contract import Pooled, Tau2Method, TestName
    from dualtrace.pooling.likelihood import Array, Ints


class People(NamedTuple):
    """Checked participants.

    Attributes
    ----------
    y
        Outcome, (n,).
    t
        Treatment, -½ or +½, (n,).
    trial, slab
        Number of each participant's trial, (n,), and the trials' labels.
    inside, mean
        Moderator less its mean in the trial, and that mean, (n,) each; None without a moderator.
    """

    y: Array
    t: Array
    trial: Ints
    slab: tuple[str, ...]
    inside: Array | None
    mean: Array | None

    @property
    def dummies(self) -> Array:
        """Indicator of each trial, (n, k)."""
        mine: Array = (self.trial[:, None] == np.arange(len(self.slab))).astype(float)
        return mine


class Design(NamedTuple):
    """Columns of the model: fixed X and random Z with their names."""

    X: Array
    names: tuple[str, ...]
    Z: Array
    random: tuple[str, ...]
    notes: tuple[str, ...]


def one_stage(
    outcome: Any,  # noqa: ANN401
    treatment: Any,  # noqa: ANN401
    trial: Any,  # noqa: ANN401
    *,
    moderator: Any | None = None,  # noqa: ANN401
    family: Family = "gaussian",
    intercept: Intercept = "stratified",
    random_interaction: bool = False,
    residual: Residual = "shared",
    method: Literal["REML", "ML"] = "REML",
    level: float = 0.95,
) -> OneStage:
    """Fit one mixed model to all participants; the treatment effect varies between trials.

    Parameters
    ----------
    outcome
        One number per participant; 0 or 1 for ``binomial``.
    treatment
        1 for the treatment, 0 for the reference.
    trial
        Trial of each participant.
    moderator
        A number per participant that may change the effect.
    family
        ``gaussian`` (linear) or ``binomial`` (logistic).
    intercept
        ``stratified``: a level, and a slope of the moderator, of each trial's own; ``random``: levels that vary
        around a common one, correlated with the effect.
    random_interaction
        Whether the interaction within trials varies between them too.
    residual
        One residual variance or one per trial; linear models only.
    method
        REML or ML; logistic models are always fitted by ML.
    level
        Confidence level.

    Raises
    ------
    FitError
        If the participants given determine no answer.
    InputError
        If an option is not one there is.
    """
    require_choice("family", family, get_args(Family))
    require_choice("intercept", intercept, get_args(Intercept))
    require_choice("residual", residual, get_args(Residual))
    require_choice("method", method, ("REML", "ML"))
    require_level(level)
    people = _people(outcome, treatment, trial, moderator)
    design = _design(people, intercept, random_interaction=random_interaction)
    if family == "binomial":
        _require_binary(people, intercept)
        found, method = _logistic(people, design), "ML"
    else:
        found = _linear(people, design, residual, method)
    se = np.sqrt(np.diag(found.vb))
    z = found.beta / se
    half = se * special.stdtrit(found.df, 0.5 * (1.0 + level))
    return OneStage(
        names=design.names,
        beta=found.beta,
        se=se,
        zval=z,
        pval=2.0 * special.stdtr(found.df, -np.abs(z)),
        ci_lb=found.beta - half,
        ci_ub=found.beta + half,
        df=found.df,
        vb=found.vb,
        random=design.random,
        psi=found.psi,
        sigma2=found.sigma2,
        ll=found.ll,
        n=len(people.y),
        k=len(people.slab),
        level=level,
        family=family,
        intercept=intercept,
        method=method,
        slab=people.slab,
        notes=design.notes,
    )


def two_stage(
    outcome: Any,  # noqa: ANN401
    treatment: Any,  # noqa: ANN401
    trial: Any,  # noqa: ANN401
    *,
    moderator: Any | None = None,  # noqa: ANN401
    family: Family = "gaussian",
    residual: Residual = "by_trial",
    method: Tau2Method = "REML",
    test: TestName = "knha",
    level: float = 0.95,
) -> TwoStage:
    """Analyse each trial by itself and pool; with a moderator its interaction is pooled from within trials.

    Parameters
    ----------
    outcome, treatment, trial, moderator, family
        As in ``one_stage``.
    residual
        Each trial's own residual variance, or one shared by all.
    method, test, level
        As in ``univariate.fit``.

    Raises
    ------
    FitError
        As ``one_stage``; also where a trial by itself determines no effect.
    InputError
        If an option is not one there is.
    """
    require_choice("family", family, get_args(Family))
    require_choice("residual", residual, get_args(Residual))
    people = _people(outcome, treatment, trial, moderator)
    if family == "binomial":
        _require_binary(people, "stratified")
    effects, variances = _first_stage(people, family, residual)

    def pool(column: int) -> Pooled:
        return univariate.fit(
            effects[:, column], variances[:, column], slab=people.slab, method=method, test=test, level=level
        )

    return TwoStage(
        yi=effects[:, 0],
        vi=variances[:, 0],
        treatment=pool(0),
        interaction=None if people.inside is None else pool(1),
        slab=people.slab,
    )


def _logistic(people: People, design: Design) -> mixed_linear.Fitted:
    """Fit the logistic model: no residual variance, and the normal distribution for its tests."""
    given = mixed_logistic.trials(people.y, design.X, design.Z, people.trial)
    found = mixed_logistic.fit(given, mixed_logistic.plain(people.y, design.X)[0])
    normal = np.full(len(design.names), np.inf)
    return mixed_linear.Fitted(found.beta, found.vb, normal, found.psi, np.empty(0), found.ll)


def _linear(people: People, design: Design, residual: Residual, method: Literal["REML", "ML"]) -> mixed_linear.Fitted:
    """Fit the linear model in the unit of the residuals without random effects."""
    coef = np.linalg.lstsq(design.X, people.y, rcond=None)[0]
    scale = float(np.sqrt(np.mean((people.y - design.X @ coef) ** 2)))
    if not scale > 1e-12 * np.abs(people.y).max():
        raise FitError(
            "The outcome does not vary once trial and treatment are accounted for; there is nothing to fit."
        )
    given = mixed_linear.blocks(
        people.y, design.X, design.Z, people.trial, shared=residual == "shared", restricted=method == "REML"
    )
    return mixed_linear.fit(given, scale)


def _design(people: People, intercept: Intercept, *, random_interaction: bool) -> Design:
    """Fixed and random columns."""
    stratified = intercept == "stratified"
    fixed = _levels(people.dummies, people.slab, "trial") if stratified else {"intercept": np.ones(len(people.y))}
    varying = {} if stratified else {"intercept": np.ones(len(people.y))}
    fixed["treatment"] = varying["treatment"] = people.t
    notes: tuple[str, ...] = ()
    if people.inside is not None and people.mean is not None:
        across = people.mean - people.mean.mean()
        varies = bool(np.ptp(people.mean) > 1e-8 * np.abs(people.mean + people.inside).max())
        if stratified:
            fixed |= _levels(people.dummies * people.inside[:, None], people.slab, "moderator")
        else:
            fixed["moderator"] = people.inside
            fixed |= {"moderator_mean": across} if varies else {}
        fixed["interaction_within"] = people.t * people.inside
        if varies and len(people.slab) > 2:
            fixed["interaction_across"] = people.t * across
        else:
            notes = ("The trials' means of the moderator do not tell more than two apart: no interaction across.",)
        if random_interaction:
            varying["interaction_within"] = people.t * people.inside
    elif random_interaction:
        raise FitError("An interaction can vary between trials only where a moderator is given.")
    X, Z = np.column_stack(list(fixed.values())), np.column_stack(list(varying.values()))
    check.basis(X, tuple(fixed))
    if len(X) <= X.shape[1]:
        raise FitError(f"{len(X)} participants cannot determine {X.shape[1]} coefficients; add trials or drop terms.")
    return Design(X, tuple(fixed), Z, tuple(varying), notes)


def _levels(columns: Array, slab: tuple[str, ...], name: str) -> dict[str, Array]:
    """One column per trial, named after it."""
    return {f"{name}[{label}]": columns[:, j] for j, label in enumerate(slab)}


def _first_stage(people: People, family: Family, residual: Residual) -> tuple[Array, Array]:
    """Coefficients of treatment and interaction by trial, and their variances, (k, 1 or 2) each."""
    found, spread, left = [], [], []
    for j, label in enumerate(people.slab):
        mine = people.trial == j
        columns = [np.ones(mine.sum()), people.t[mine]]
        if people.inside is not None:
            columns += [people.t[mine] * people.inside[mine], people.inside[mine]]
        X, y = np.column_stack(columns), people.y[mine]
        if len(y) <= X.shape[1] or np.linalg.matrix_rank(X) < X.shape[1]:
            raise FitError(
                f"Trial {label} has too few participants, or too little variation among them, for an analysis of "
                "its own; leave it out or use one_stage."
            )
        if family == "binomial":
            beta, cov = mixed_logistic.plain(y, X)
            if np.abs(beta).max() > 20.0:
                raise FitError(f"Trial {label}: an arm or the moderator separates the outcome; use one_stage.")
            rss, df = 1.0, 1.0
        else:
            cov = np.linalg.inv(X.T @ X)
            beta = cov @ X.T @ y
            rss, df = float(((y - X @ beta) ** 2).sum()), float(len(y) - X.shape[1])
        keep = slice(1, 2 if people.inside is None else 3)
        found.append(beta[keep])
        spread.append(np.diag(cov)[keep])
        left.append((rss, df))
    total = np.array(left)
    sigma2 = (
        total[:, 0] / total[:, 1]
        if residual == "by_trial"
        else np.full(len(left), total[:, 0].sum() / total[:, 1].sum())
    )
    return np.array(found), np.array(spread) * sigma2[:, None]


def _people(outcome: Any, treatment: Any, trial: Any, moderator: Any | None) -> People:  # noqa: ANN401
    """Check participants and bring them into one form."""
    y, t = check.column("outcome", outcome, None), check.column("treatment", treatment, None)
    z = None if moderator is None else check.column("moderator", moderator, None)
    columns = {"outcome": y, "treatment": t} | ({} if z is None else {"moderator": z})
    n = check.require_same_length({**columns, "trial": np.empty(len(trial))})
    rows = check.labels(None, n)
    for name, values in columns.items():
        check.require_effects(values, rows, name=name)
    odd = np.flatnonzero((t != 0.0) & (t != 1.0))
    if odd.size:
        raise FitError(f"treatment must be 1 or 0; given {t[odd[0]]:g} for participant {rows[odd[0]]}.")
    absent = [i for i, label in enumerate(trial) if label is None or label != label or str(label) == ""]
    if absent:
        raise FitError(f"Every participant needs a trial; participant {rows[absent[0]]} has none.")
    words = [str(label) for label in trial]
    slab = tuple(dict.fromkeys(words))
    number = {label: j for j, label in enumerate(slab)}
    code = np.array([number[word] for word in words])
    _require_arms(t, code, slab)
    if z is None:
        return People(y, t - 0.5, code, slab, None, None)
    mean = (np.bincount(code, weights=z) / np.bincount(code))[code]
    return People(y, t - 0.5, code, slab, z - mean, mean)


def _require_arms(t: Array, code: Ints, slab: tuple[str, ...]) -> None:
    """At least two trials, both arms in each."""
    if len(slab) < 2:
        raise FitError(f"Participants of at least two trials are needed to pool; all are in {slab[0]!r}.")
    treated, total = np.bincount(code, weights=t), np.bincount(code)
    alone = np.flatnonzero((treated == 0) | (treated == total))
    if alone.size:
        raise FitError(
            f"Trial {slab[alone[0]]} has one arm only, which says nothing about the treatment; leave it out."
        )


def _require_binary(people: People, intercept: Intercept) -> None:
    """Outcomes 0 or 1; with stratified levels both in every trial."""
    odd = np.flatnonzero((people.y != 0.0) & (people.y != 1.0))
    if odd.size:
        raise FitError(f"A binomial outcome must be 0 or 1; given {people.y[odd[0]]:g} for participant {odd[0] + 1}.")
    events, total = np.bincount(people.trial, weights=people.y), np.bincount(people.trial)
    same = np.flatnonzero((events == 0) | (events == total))
    if intercept == "stratified" and same.size:
        raise FitError(
            f"Trial {people.slab[same[0]]} has one outcome only, so its own level cannot be determined; "
            "leave it out, or use intercept='random'."
        )
