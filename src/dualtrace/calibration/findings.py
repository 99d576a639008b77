"""Findings of a calibration as data: all that the report shows of it, and from which trials and settings it comes."""

from __future__ import annotations

import json
import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from pydantic import ValidationError, model_validator

from dualtrace.calibration.compare import BASELINE, MECHANISM, Comparison, compare
from dualtrace.calibration.identifiability import Identified
from dualtrace.calibration.leave_out import LeftOut
from dualtrace.calibration.posterior import PARETO_K
from dualtrace.calibration.rounding import Band
from dualtrace.errors import InputError
from dualtrace.frozen import Frozen, Text

if TYPE_CHECKING:
    from collections.abc import Iterator


FORMAT = "dualtrace findings 1"
SHIPPED = Path(str(resources.files("dualtrace"))) / "data" / "calibration" / "findings.json"
COMMAND = "dualtrace calibrate findings --out FILE"
"""What makes such a file."""


@final
class Provenance(Frozen):
    """Where the findings come from.

    Attributes
    ----------
    dualtrace, model, trials
        Version, and SHA-256 of the model (version of its equations, and constants) and of the trials that were used.
    method
        ``nuts``, or ``laplace`` for an approximation.
    points, seed, chains, warmup, draws
        Quasi-random patients, and how draws were made; an approximation has as many as all chains together.
    since
        First year of the trials that were predicted from the others.
    """

    dualtrace: Text
    model: Text
    trials: Text
    method: Text
    points: int
    seed: int
    chains: int
    warmup: int
    draws: int
    since: int


@final
class Row(Frozen):
    """One thing that a trial reports: an estimate with its standard error, or the ends of an interval.

    Attributes
    ----------
    kind
        ``number``, ``interval``, ``direction``, ``moderator`` or ``placebo`` (a change with placebo).
    standard
        ``score``, ``change`` (SMD), ``response``, ``remission`` (log odds ratios), ``placebo``, or the covariate of a
        moderator, whose ends are those of the statistic of drug by covariate.
    """

    trial: Text
    label: Text
    year: int | None
    disorder: Text
    kind: Text
    standard: Text
    timepoint: Text
    estimate: float | None = None
    se: float
    lower: float | None = None
    upper: float | None = None

    @property
    def is_effect(self) -> bool:
        """Whether it is an effect of the drug, not a change with placebo nor a moderator."""
        return self.kind in ("number", "interval", "direction")


@final
class Parameter(Frozen):
    """One shared constant of an account: 5, 50 and 95 % before and after, and what the data did to it."""

    name: Text
    prior: tuple[float, float, float]
    posterior: tuple[float, float, float]
    contraction: float
    sensitivity: float | None
    rhat: float | None
    ess: float | None


@final
class PriorCheck(Frozen):
    """What the prior of an account says of the trials before it has seen any: reports within its 90 % band."""

    draws: int
    numbers: int
    within: int
    intervals: int
    met: int


@final
class Account(Frozen):
    """One account.

    Attributes
    ----------
    failures, divergences, chains, sampled_again
        What its fit to all trials did not pass, divergent transitions, chains (more than asked for where these did
        not tell enough), and how many of them were sampled again with smaller steps, since they had diverged.
    elpd, pareto_k, left_out_failures
        Of each trial left out, in the order of the trials (k is none where the account was fitted without it), and
        what speaks against any of these fits.
    newest_elpd, newest_failures
        The same of the newest trials, after a fit to the others.
    predicted
        Of every row after the fit to all trials.
    newest_predicted
        Of the rows of the newest trials, in their order, after the fit to the others.
    """

    name: Text
    failures: tuple[Text, ...]
    divergences: int
    chains: int
    sampled_again: int
    elpd: tuple[float, ...]
    pareto_k: tuple[float | None, ...]
    left_out_failures: tuple[Text, ...]
    newest_elpd: tuple[float, ...]
    newest_failures: tuple[Text, ...]
    parameters: tuple[Parameter, ...]
    predicted: tuple[Band, ...]
    newest_predicted: tuple[Band, ...]
    prior_check: PriorCheck | None

    @property
    def refitted(self) -> int:
        """Trials that the account was fitted without."""
        return sum(k is None for k in self.pareto_k)


@final
class Influence(Frozen):
    """What leaving something out does to the posterior of the mechanism, by importance weights.

    Attributes
    ----------
    left_out
        Id of a trial, or kind of information.
    shift
        Of the strength of the drug's boost, in posterior SDs.
    most, most_shift
        The parameter that moves most, and how far.
    pareto_k, effective
        Of the weights; None where they could not be smoothed.
    """

    left_out: Text
    shift: float
    most: Text
    most_shift: float
    pareto_k: float | None
    effective: float

    @property
    def is_reliable(self) -> bool:
        """Whether the weights may be used."""
        return self.pareto_k is not None and self.pareto_k <= PARETO_K


@final
class PointsCheck(Frozen):
    """Change of the predicted effects when the quasi-random patients are doubled: largest, median, and in SEs."""

    points: int
    largest: float
    median: float
    largest_in_se: float


@final
class OnTrace(Frozen):
    """Change of a memory trace by the drug in the usual course, as a share of what it is with placebo."""

    trace: Text
    disorder: Text
    prior: Band
    posterior: Band


@final
class Curve(Frozen):
    """Effect of the drug in the usual course along one setting; ``shares`` of patients along end-of-session fear."""

    disorder: Text
    setting: Text
    x: tuple[float, ...]
    bands: tuple[Band | None, ...]
    shares: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _columns_match(self) -> Curve:
        if len(self.bands) != len(self.x) or len(self.shares) not in (0, len(self.x)):
            raise ValueError(f"the curve of {self.setting} in {self.disorder} has {len(self.x)} points, bands differ")
        return self


@final
class Findings(Frozen):
    """Everything that the chapter on the calibration shows.

    Attributes
    ----------
    trials, newest
        Ids in the order of ``elpd`` of the accounts; those that were predicted from the others.
    laboratories
        Trials by first author, which stands for the laboratory: the records name none.
    accounts
        The account of the verdict and plain meta-regression among them.
    identified
        What the trials tell of the constants of the account of the verdict.
    """

    format: Text = FORMAT
    provenance: Provenance
    trials: tuple[Text, ...]
    newest: tuple[Text, ...]
    laboratories: dict[Text, tuple[Text, ...]]
    rows: tuple[Row, ...]
    accounts: tuple[Account, ...]
    points: tuple[PointsCheck, ...]
    identified: Identified
    by_trial: tuple[Influence, ...]
    by_kind: tuple[Influence, ...]
    traces: tuple[OnTrace, ...]
    curves: tuple[Curve, ...]

    @model_validator(mode="after")
    def _parts_fit(self) -> Findings:
        names = [one.name for one in self.accounts]
        if missing := [name for name in (BASELINE, MECHANISM) if name not in names]:
            raise ValueError(f"the accounts {BASELINE} and {MECHANISM} must be there; missing: {', '.join(missing)}")
        newest = sum(row.trial in self.newest for row in self.rows)
        for one in self.accounts:
            sizes = (len(one.elpd), len(one.pareto_k), len(one.predicted), len(one.newest_elpd))
            wanted = (len(self.trials), len(self.trials), len(self.rows), len(self.newest))
            if sizes != wanted or len(one.newest_predicted) != newest:
                raise ValueError(
                    f"the account {one.name} does not fit {len(self.trials)} trials, {len(self.rows)} rows"
                )
        return self

    def account(self, name: str) -> Account:
        """The account of that name; ``KeyError`` when there is none."""
        for one in self.accounts:
            if one.name == name:
                return one
        raise KeyError(name)

    def comparison(self) -> Comparison:
        """The accounts compared by trials left out, best first."""
        return compare([_left_out(self, one) for one in self.accounts])

    def effects(self, account: Account) -> Iterator[tuple[Row, Band]]:
        """Every effect of the drug with what an account makes of it."""
        return ((row, band) for row, band in zip(self.rows, account.predicted, strict=True) if row.is_effect)

    def newest_effects(self, account: Account) -> Iterator[tuple[Row, Band]]:
        """Every effect of the newest trials with what an account predicts of it that has not seen them."""
        rows = [row for row in self.rows if row.trial in self.newest]
        return ((row, band) for row, band in zip(rows, account.newest_predicted, strict=True) if row.is_effect)

    def moderations(self, account: Account) -> Iterator[tuple[Row, Band]]:
        """Every finding on when the drug helps with what an account makes of it."""
        pairs = zip(self.rows, account.predicted, strict=True)
        return ((row, band) for row, band in pairs if row.kind == "moderator")

    def count(self, *kinds: str) -> int:
        """How many rows are of these kinds."""
        return sum(row.kind in kinds for row in self.rows)

    def save(self, path: Path) -> None:
        """Write as JSON.

        Raises
        ------
        InputError
            The file cannot be written.
        """
        content = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=1, allow_nan=False)
        try:
            path.write_text(content + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"findings must go to a file that can be written; given {path}: {error}") from None


def _left_out(findings: Findings, one: Account) -> LeftOut:
    k = np.array([math.nan if value is None else value for value in one.pareto_k])
    return LeftOut(one.name, findings.trials, np.array(one.elpd), k, one.left_out_failures)


def load_findings(path: Path | None = None) -> Findings:
    """Read findings: those of the package, or of a file that ``dualtrace calibrate findings`` wrote.

    Raises
    ------
    InputError
        The file cannot be read, is of another format, or lacks something.
    """
    where = path or SHIPPED
    try:
        content: Any = json.loads(where.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(_foreign(where, str(error))) from None
    given = content.get("format") if isinstance(content, dict) else None
    if given != FORMAT:
        raise InputError(_foreign(where, f"its format must be {FORMAT!r}; given {given!r}"))
    try:
        return Findings.model_validate_json(json.dumps(content))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise InputError(_foreign(where, f"{place}: {said}" if place else said)) from None


def _foreign(path: Path, why: str) -> str:
    return f"{path} must hold findings of a calibration; {why}; make it anew: {COMMAND}"
