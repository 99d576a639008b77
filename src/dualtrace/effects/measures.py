"""Every effect measure by its usual short name, over whole tables: columns in, estimates and variances out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from dualtrace.effects import changes, means, single, tables
from dualtrace.effects.binary import TwoByTwo
from dualtrace.effects.continuity import Continuity, corrected, corrected_events
from dualtrace.errors import InputError, row_name

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]
Columns = Mapping[str, Any]


class Estimates(NamedTuple):
    """Estimates and their sampling variances, NaN where the measure is not defined for a row."""

    yi: Floats
    vi: Floats


class Options(NamedTuple):
    """How to treat empty cells (``add``, ``to``) and which variance to use (``vtype``)."""

    add: float
    to: Continuity
    vtype: str


@dataclass(frozen=True, slots=True)
class Measure:
    """An effect measure.

    Attributes
    ----------
    name
        Short name, as in metafor's escalc.
    title
        What it is.
    columns
        Columns it needs, in order.
    compute
        From columns and options to estimates and variances.
    vtypes
        Kinds of variance there are; the first is the default.
    back
        Name in ``single.BACK_TRANSFORMS`` of the way back to the scale people read; empty when there is none.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    compute: Callable[[list[Floats], Options], Pair]
    vtypes: tuple[str, ...] = ("LS",)
    back: str = ""


TWO_BY_TWO = ("ai", "n1i", "ci", "n2i")
MEANS = ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")
SPREADS = ("sd1i", "n1i", "sd2i", "n2i")
CHANGES = ("m1i", "sd1i", "m2i", "sd2i", "ri", "ni")
RATES = ("x1i", "t1i", "x2i", "t2i")
COUNTS = {"ai", "ci", "xi", "x1i", "x2i"}
POSITIVE = {"n1i", "n2i", "ni", "ti", "t1i", "t2i", "sd1i", "sd2i", "sdi"}
WITHIN = (("ai", "n1i"), ("ci", "n2i"), ("xi", "ni"))


def effect_sizes(
    measure: str,
    columns: Columns,
    *,
    add: float = 0.5,
    to: Continuity = "only0",
    vtype: str | None = None,
    slab: Sequence[Any] | None = None,
) -> Estimates:
    """Estimates and sampling variances of one measure for every row.

    Parameters
    ----------
    measure
        Short name, one of ``MEASURES``.
    columns
        A table, or a mapping from names to arrays that broadcast to one shape, with the columns the measure
        needs: ``ai, n1i, ci, n2i`` (events and sizes), ``m1i, sd1i, n1i, m2i, sd2i, n2i``,
        ``m1i, sd1i, m2i, sd2i, ri, ni`` (two occasions), ``x1i, t1i, x2i, t2i`` and ``xi, ti`` (events and
        time), ``xi, ni``, ``ri, ni``, ``mi, sdi, ni``; others are ignored. The last axis runs over the rows of
        one meta-analysis. NaN is a missing value and gives NaN.
    add, to
        Amount added to counts, and where; see ``continuity.Continuity``. Measures that are defined for empty
        cells (AS, PETO, PHI, PAS, PFT, IRS, IRFT, IRSD) take none. A risk difference is never shifted: the
        amount enters its variance only.
    vtype
        Kind of variance, where a measure has several.
    slab
        Labels of the rows, for messages; absent: 1, 2, ...

    Raises
    ------
    InputError
        If the measure, an option or a column is not one there is, or a value is impossible.

    Examples
    --------
    >>> print(effect_sizes("OR", {"ai": [4], "n1i": [20], "ci": [8], "n2i": [20]}).yi.round(3))
    [-0.981]
    """
    if measure not in MEASURES:
        raise InputError(f"measure must be one of {', '.join(MEASURES)}; given {measure!r}.")
    known = MEASURES[measure]
    kind = known.vtypes[0] if vtype is None else vtype
    if kind not in known.vtypes:
        raise InputError(f"vtype of {measure} must be one of {', '.join(known.vtypes)}; given {vtype!r}.")
    if to not in get_args(Continuity):
        raise InputError(f"to must be one of {', '.join(get_args(Continuity))}; given {to!r}.")
    if to in {"opposite_arm", "empirical"} and known.columns != TWO_BY_TWO:
        raise InputError(
            f"to = {to} looks at the sizes of two arms; {measure} has none. Use only0, all, if0all or none."
        )
    if not 0 <= add < np.inf:
        raise InputError(f"add, the amount added to empty cells, must be 0 or more; given {add:g}.")
    values = _columns(known, columns, slab)
    estimate, variance = known.compute(values, Options(add, to, kind))
    defined = np.isfinite(estimate) & np.isfinite(variance)
    return Estimates(np.where(defined, estimate, np.nan), np.where(defined, variance, np.nan))


def _columns(measure: Measure, given: Columns, slab: Sequence[Any] | None) -> list[Floats]:
    """Columns in the order the measure needs, broadcast to one shape and checked."""
    if not set(measure.columns) <= set(given):
        raise InputError(
            f"{measure.name} ({measure.title}) needs the columns {', '.join(measure.columns)}; "
            f"given {', '.join(given) or 'none'}."
        )
    try:
        arrays = np.broadcast_arrays(*(np.asarray(given[name], dtype=float) for name in measure.columns))
    except (TypeError, ValueError) as problem:
        raise InputError(f"Columns of {measure.name} must hold numbers, one per row: {problem}.") from None
    values = dict(zip(measure.columns, (np.atleast_1d(a) for a in arrays), strict=True))
    for name, value in values.items():
        if name in COUNTS:
            _require(name, value, value >= 0, "be 0 or more", slab)
        elif name in POSITIVE:
            _require(name, value, value > 0, "be positive", slab)
        elif name == "ri":
            _require(name, value, np.abs(value) <= 1, "lie between -1 and 1", slab)
    for part, whole in WITHIN:
        if part in values and whole in values:
            _require(part, values[part], values[part] <= values[whole], f"be no larger than {whole}", slab)
    return list(values.values())


def _require(name: str, values: Floats, holds: NDArray[np.bool_], what: str, slab: Sequence[Any] | None) -> None:
    """Refuse the first value for which a condition fails; NaN passes as missing, infinity does not."""
    bad = ~(holds & np.isfinite(values)) & ~np.isnan(values)
    if bad.any():
        at = np.argwhere(bad)[0]
        label = str(at[-1] + 1) if slab is None else str(slab[at[-1]])
        raise InputError(f"{name} must {what}; given {values[tuple(at)]:g} in {row_name(label)}.")


def _table(measure: Callable[[TwoByTwo], Pair]) -> Callable[[list[Floats], Options], Pair]:
    """Measure of a two-by-two table after correction of empty cells."""
    return lambda c, o: measure(corrected(TwoByTwo(*c), add=o.add, to=o.to))


def _raw(measure: Callable[[TwoByTwo], Pair]) -> Callable[[list[Floats], Options], Pair]:
    """Measure of a two-by-two table as it is."""
    return lambda c, _: measure(TwoByTwo(*c))


def _risk_difference(c: list[Floats], o: Options) -> Pair:
    """Difference of the risks as counted; variance after correction of empty cells."""
    p1, p2 = c[0] / c[1], c[2] / c[3]
    fixed = corrected(TwoByTwo(*c), add=o.add, to=o.to)
    q1, q2 = fixed.events1 / fixed.n1, fixed.events2 / fixed.n2
    return p1 - p2, q1 * (1 - q1) / fixed.n1 + q2 * (1 - q2) / fixed.n2


def _correlation(measure: Callable[..., Pair]) -> Callable[[list[Floats], Options], Pair]:
    """Measure of a correlation with a choice of variance."""
    return lambda c, o: measure(c[0], c[1], o.vtype)


def _proportion(measure: Callable[..., Pair]) -> Callable[[list[Floats], Options], Pair]:
    """Measure of a proportion, both counts corrected where one is 0."""

    def compute(c: list[Floats], o: Options) -> Pair:
        x, others = corrected_events(c[0], c[1] - c[0], add=o.add, to=o.to)
        return measure(x, x + others, o.vtype) if measure is single.proportion else measure(x, x + others)

    return compute


def _rate(measure: Callable[[Floats, Floats], Pair]) -> Callable[[list[Floats], Options], Pair]:
    """Measure of one rate, events corrected where there are none."""
    return lambda c, o: measure(corrected_events(c[0], add=o.add, to=o.to)[0], c[1])


def _rates(
    measure: Callable[[Floats, Floats, Floats, Floats], Pair],
) -> Callable[[list[Floats], Options], Pair]:
    """Measure of two rates, events of both corrected where one has none."""

    def compute(c: list[Floats], o: Options) -> Pair:
        x1, x2 = corrected_events(c[0], c[2], add=o.add, to=o.to)
        return measure(x1, c[1], x2, c[3])

    return compute


def _arms(measure: Callable[..., Pair], **options: object) -> Callable[[list[Floats], Options], Pair]:
    """Measure of two arms' means."""
    return lambda c, _: measure(means.Arms(*c), **options)


def _arms_by_vtype(measure: Callable[..., Pair]) -> Callable[[list[Floats], Options], Pair]:
    """Measure of two arms' means with a choice of variance."""
    return lambda c, o: measure(means.Arms(*c), o.vtype)


def _occasions(measure: Callable[[changes.Occasions], Pair]) -> Callable[[list[Floats], Options], Pair]:
    """Measure of one group's change."""
    return lambda c, _: measure(changes.Occasions(*c))


SMD_VARIANCES = get_args(means.SmdVariance)
LIST = (
    Measure("RR", "log risk ratio", TWO_BY_TWO, _table(tables.risk_ratio), back="exp"),
    Measure("OR", "log odds ratio", TWO_BY_TWO, _table(tables.odds_ratio), back="exp"),
    Measure("RD", "risk difference", TWO_BY_TWO, _risk_difference),
    Measure("AS", "arcsine difference", TWO_BY_TWO, _raw(tables.arcsine_difference)),
    Measure("PETO", "log odds ratio, Peto", TWO_BY_TWO, _raw(tables.peto_odds_ratio), back="exp"),
    Measure(
        "PHI",
        "phi coefficient",
        TWO_BY_TWO,
        lambda c, o: tables.phi(TwoByTwo(*c), stratified=o.vtype == "ST"),
        ("ST", "CS"),
    ),
    Measure("YUQ", "Yule's Q", TWO_BY_TWO, _table(tables.yule_q)),
    Measure("YUY", "Yule's Y", TWO_BY_TWO, _table(tables.yule_y)),
    Measure("PBIT", "probit difference", TWO_BY_TWO, _table(tables.probit_difference)),
    Measure("OR2DL", "odds ratio as SMD, logistic", TWO_BY_TWO, _table(tables.d_from_odds_ratio)),
    Measure(
        "OR2DN",
        "odds ratio as SMD, normal",
        TWO_BY_TWO,
        _table(lambda t: tables.d_from_odds_ratio(t, normal=True)),
    ),
    Measure(
        "MD",
        "mean difference",
        MEANS,
        lambda c, o: means.mean_difference(means.Arms(*c), homoscedastic=o.vtype == "HO"),
        ("LS", "HO"),
    ),
    Measure("SMD", "Hedges' g", MEANS, _arms_by_vtype(means.standardised), SMD_VARIANCES),
    Measure("SMDH", "SMD by average variance", MEANS, _arms(means.standardised_by_average)),
    Measure("SMD1", "Glass' delta", MEANS, _arms_by_vtype(means.glass), SMD_VARIANCES),
    Measure("SMD1H", "Glass' delta, unequal variances", MEANS, _arms(means.glass_unequal)),
    Measure(
        "ROM",
        "log ratio of means",
        MEANS,
        _arms_by_vtype(means.ratio_of_means),
        get_args(means.RatioVariance),
        back="exp",
    ),
    Measure("CVR", "log ratio of variation coefficients", MEANS, _arms(means.variation_ratio), back="exp"),
    Measure("VR", "log ratio of standard deviations", SPREADS, lambda c, _: means.variability_ratio(*c), back="exp"),
    Measure("D2ORL", "SMD as log odds ratio, logistic", MEANS, _arms(means.log_odds_ratio_from_means), back="exp"),
    Measure(
        "D2ORN",
        "SMD as log odds ratio, normal",
        MEANS,
        _arms(means.log_odds_ratio_from_means, normal=True),
        back="exp",
    ),
    Measure("MC", "mean change", CHANGES, _occasions(changes.mean_change)),
    Measure("SMCC", "change by its own SD", CHANGES, _occasions(changes.by_change_sd)),
    Measure("SMCR", "change by the first SD", CHANGES, _occasions(changes.by_raw_sd)),
    Measure("SMCRH", "change by the first SD, unequal", CHANGES, _occasions(changes.by_raw_sd_unequal)),
    Measure("SMCRP", "change by the pooled SD", CHANGES, _occasions(changes.by_pooled_sd)),
    Measure("ROMC", "log ratio of means, change", CHANGES, _occasions(changes.ratio_of_means), back="exp"),
    Measure("COR", "correlation", ("ri", "ni"), _correlation(single.correlation), ("LS", "AV")),
    Measure(
        "UCOR",
        "correlation without bias",
        ("ri", "ni"),
        _correlation(single.unbiased_correlation),
        get_args(single.SimpleVariance),
    ),
    Measure("ZCOR", "Fisher's z", ("ri", "ni"), lambda c, _: single.fisher_z(*c), back="tanh"),
    Measure("PR", "proportion", ("xi", "ni"), _proportion(single.proportion), get_args(single.SimpleVariance)),
    Measure("PLN", "log proportion", ("xi", "ni"), _proportion(single.log_proportion), back="exp"),
    Measure("PLO", "logit proportion", ("xi", "ni"), _proportion(single.logit_proportion), back="logistic"),
    Measure(
        "PAS",
        "arcsine proportion",
        ("xi", "ni"),
        lambda c, _: single.arcsine_proportion(*c),
        back="squared sine",
    ),
    Measure("PFT", "double arcsine proportion", ("xi", "ni"), lambda c, _: single.freeman_tukey_proportion(*c)),
    Measure("IR", "rate", ("xi", "ti"), _rate(single.rate)),
    Measure("IRLN", "log rate", ("xi", "ti"), _rate(single.log_rate), back="exp"),
    Measure("IRS", "root rate", ("xi", "ti"), lambda c, _: single.root_rate(*c), back="square"),
    Measure("IRFT", "Freeman-Tukey rate", ("xi", "ti"), lambda c, _: single.freeman_tukey_rate(*c)),
    Measure("IRR", "log rate ratio", RATES, _rates(single.log_rate_ratio), back="exp"),
    Measure("IRD", "rate difference", RATES, _rates(single.rate_difference)),
    Measure("IRSD", "root rate difference", RATES, lambda c, _: single.root_rate_difference(*c)),
    Measure("MN", "mean", ("mi", "sdi", "ni"), lambda c, _: (c[0], c[1] ** 2 / c[2])),
    Measure("MNLN", "log mean", ("mi", "sdi", "ni"), lambda c, _: single.log_mean(*c), back="exp"),
)
MEASURES = {measure.name: measure for measure in LIST}
"""Every measure by name."""
