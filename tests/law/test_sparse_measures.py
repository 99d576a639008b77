"""Laws of the effect measures: symmetries, limits, ways back, batches, refusals."""

from typing import Any

import numpy as np
import pytest

from dualtrace.effects.binary import TwoByTwo
from dualtrace.effects.continuity import added
from dualtrace.effects.measures import MEASURES, TWO_BY_TWO, effect_sizes
from dualtrace.effects.single import (
    BACK_TRANSFORMS,
    freeman_tukey_rate,
    proportion_from_freeman_tukey,
    rate_from_freeman_tukey,
)
from dualtrace.errors import InputError

RNG = np.random.default_rng(7)
N1, N2 = RNG.integers(4, 60, 40), RNG.integers(4, 60, 40)
COUNTS = {"ai": RNG.integers(0, N1 + 1), "n1i": N1, "ci": RNG.integers(0, N2 + 1), "n2i": N2}
BINARY = [m.name for m in MEASURES.values() if m.columns == TWO_BY_TWO]


@pytest.mark.parametrize("measure", BINARY)
def test_law_swapping_arms_turns_the_sign(measure: str) -> None:
    one = effect_sizes(measure, COUNTS)
    swapped = effect_sizes(measure, {"ai": COUNTS["ci"], "n1i": N2, "ci": COUNTS["ai"], "n2i": N1})
    assert swapped.yi == pytest.approx(-one.yi, abs=1e-12, nan_ok=True)
    assert swapped.vi == pytest.approx(one.vi, rel=1e-10, nan_ok=True)


@pytest.mark.parametrize("measure", sorted(set(BINARY) - {"RR"}))
def test_law_swapping_events_turns_the_sign(measure: str) -> None:
    one = effect_sizes(measure, COUNTS)
    swapped = effect_sizes(measure, {"ai": N1 - COUNTS["ai"], "n1i": N1, "ci": N2 - COUNTS["ci"], "n2i": N2})
    assert swapped.yi == pytest.approx(-one.yi, abs=1e-12, nan_ok=True)
    assert swapped.vi == pytest.approx(one.vi, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("to", ["opposite_arm", "empirical"])
def test_law_arm_wise_corrections_sum_to_one_and_grow_with_the_own_arm(to: str) -> None:
    table = TwoByTwo(*(COUNTS[name].astype(float) for name in TWO_BY_TWO))
    one, two = added(table, to=to)  # type: ignore[arg-type]  # a word from the list
    zero = table.has_zero
    assert zero.any()
    assert (one + two)[zero] == pytest.approx(1.0)
    assert not np.any((one + two)[~zero])
    if to == "opposite_arm":  # equal empty arms of any sizes: no effect
        empty = effect_sizes("OR", {"ai": [0, 0], "n1i": [10, 90], "ci": [0, 0], "n2i": [40, 20]}, to="opposite_arm")
        assert empty.yi == pytest.approx(0.0, abs=1e-12)


def test_law_ways_back_undo_the_measures() -> None:
    x, n = np.arange(0, 31), np.full(31, 30)
    for name, target in (("PAS", x / n), ("PFT", x / n)):
        y = effect_sizes(name, {"xi": x, "ni": n}).yi
        back = proportion_from_freeman_tukey(y, n) if name == "PFT" else BACK_TRANSFORMS[MEASURES[name].back](y)
        assert back == pytest.approx(target, abs=1e-12)
    inner = effect_sizes("PLO", {"xi": x[1:-1], "ni": n[1:-1]}).yi
    assert BACK_TRANSFORMS["logistic"](inner) == pytest.approx(x[1:-1] / 30)
    times = np.linspace(0.5, 40.0, 31)
    assert rate_from_freeman_tukey(freeman_tukey_rate(x.astype(float), times)[0], times) == pytest.approx(
        x / times, abs=1e-12
    )
    assert proportion_from_freeman_tukey([-0.1, 2.0], 12.0) == pytest.approx([0.0, 1.0])


def test_law_change_measures_agree_where_they_must() -> None:
    same = {"m1i": 12.0, "m2i": 10.0, "sd1i": 4.0, "sd2i": 4.0, "ri": 0.5, "ni": 1e6}
    values = [effect_sizes(name, same) for name in ("SMCC", "SMCR", "SMCRH", "SMCRP")]
    # r = 1/2 and equal spread make the change's standard deviation that of one occasion
    assert [float(v.yi[0]) for v in values] == pytest.approx([0.5] * 4, rel=1e-5)
    # two spreads tell more than one: halfway between one occasion and two independent samples
    assert float(values[3].vi[0]) == pytest.approx((1.0 + 0.25 * 1.25 / 4) / 1e6, rel=1e-5)


def test_law_pooled_change_variance_is_that_of_simulated_samples() -> None:
    """Evidence for SMCRP, which the stored metafor does not have: 40,000 samples of n = 60, r = .6."""
    rng = np.random.default_rng(20)
    r, n, delta = 0.6, 60, 0.8
    z = rng.multivariate_normal([delta, 0.0], [[1.0, r], [r, 1.0]], size=(40_000, n), method="cholesky")
    mean, sd = z.mean(axis=1), z.std(axis=1, ddof=1)
    found = effect_sizes(
        "SMCRP", {"m1i": mean[:, 0], "sd1i": sd[:, 0], "m2i": mean[:, 1], "sd2i": sd[:, 1], "ri": r, "ni": n}
    )
    assert found.yi.mean() == pytest.approx(delta, abs=4 * found.yi.std() / 200)
    assert found.vi.mean() == pytest.approx(found.yi.var(), rel=0.03)


@pytest.mark.parametrize("measure", MEASURES)
def test_law_rows_may_have_leading_axes_and_missing_values(measure: str) -> None:
    rng = np.random.default_rng(3)
    known = {
        "ai": rng.integers(0, 9, (2, 3, 5)),
        "ci": rng.integers(0, 9, (2, 3, 5)),
        "xi": rng.integers(0, 9, (2, 3, 5)),
        "x1i": rng.integers(0, 9, (2, 3, 5)),
        "x2i": rng.integers(0, 9, (2, 3, 5)),
        "ri": rng.uniform(-0.9, 0.9, (2, 3, 5)),
    }
    columns = {n: known.get(n, rng.uniform(10.0, 30.0, (2, 3, 5))) for n in MEASURES[measure].columns}
    kind = "LS" if "AV" in MEASURES[measure].vtypes else None
    whole = effect_sizes(measure, columns, vtype=kind)
    part = effect_sizes(measure, {name: c[1, 2] for name, c in columns.items()}, vtype=kind)
    assert whole.yi[1, 2] == pytest.approx(part.yi, nan_ok=True)
    assert whole.vi[1, 2] == pytest.approx(part.vi, nan_ok=True)
    first = MEASURES[measure].columns[0]
    holed = columns[first].astype(float)
    holed[0, 0, 0] = np.nan
    found = effect_sizes(measure, {**columns, first: holed}, vtype=kind)
    assert np.isnan(found.yi[0, 0, 0])
    assert found.yi[0, 0, 1:] == pytest.approx(whole.yi[0, 0, 1:], nan_ok=True)


@pytest.mark.parametrize(
    ("measure", "columns", "options", "sentence"),
    [
        ("XYZ", {}, {}, "measure must be one of RR, OR"),
        ("OR", {"ai": [1]}, {}, r"needs the columns ai, n1i, ci, n2i; given ai\."),
        ("PLO", {"xi": [1, 5], "ni": [4, 4]}, {}, r"xi must be no larger than ni; given 5 in row 2"),
        ("PLO", {"xi": [1, -5], "ni": [4, 4]}, {}, r"xi must be 0 or more; given -5 in row 2"),
        ("ZCOR", {"ri": [1.5], "ni": [4]}, {}, r"ri must lie between -1 and 1; given 1.5 in row 1"),
        ("IRLN", {"xi": [2], "ti": [0]}, {}, r"ti must be positive; given 0 in row 1"),
        ("IRLN", {"xi": ["a"], "ti": [1]}, {}, r"Columns of IRLN must hold numbers"),
        ("IRLN", {"xi": [1], "ti": [1]}, {"to": "opposite_arm"}, r"IRLN has none"),
        ("IRLN", {"xi": [1], "ti": [1]}, {"to": "some"}, r"to must be one of only0"),
        ("IRLN", {"xi": [1], "ti": [1]}, {"add": -1.0}, r"must be 0 or more; given -1"),
        ("MD", {}, {"vtype": "UB"}, r"vtype of MD must be one of LS, HO; given 'UB'"),
    ],
)
def test_law_what_cannot_be_used_is_refused(
    measure: str, columns: dict[str, object], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        effect_sizes(measure, columns, **options)
