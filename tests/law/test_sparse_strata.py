"""Laws of Mantel-Haenszel and Peto: symmetries, closed special cases, batches, refusals."""

import json

import numpy as np
import pytest

from dualtrace.effects.binary import TwoByTwo
from dualtrace.errors import FitError, InputError
from dualtrace.pooling.likelihood import Array
from dualtrace.pooling.sparse import strata
from dualtrace.pooling.sparse.common import mantel_haenszel, peto

TABLE_MEASURES = ("OR", "RR", "RD")


def tables(seed: int, k: int = 12) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    n1, n2 = rng.integers(5, 60, (2, k)).astype(float)
    return {"ai": rng.binomial(n1.astype(int), 0.1), "n1i": n1, "ci": rng.binomial(n2.astype(int), 0.2), "n2i": n2}


def rates(seed: int, k: int = 9) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    t1, t2 = rng.uniform(50.0, 900.0, (2, k))
    return {"x1i": rng.poisson(0.01 * t1), "t1i": t1, "x2i": rng.poisson(0.02 * t2), "t2i": t2}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("measure", TABLE_MEASURES)
def test_law_swapping_arms_turns_the_sign(measure: str, seed: int) -> None:
    c = tables(seed)
    swapped = {"ai": c["ci"], "n1i": c["n2i"], "ci": c["ai"], "n2i": c["n1i"]}
    one, other = mantel_haenszel(measure, c), mantel_haenszel(measure, swapped)
    assert other.beta == pytest.approx(-one.beta, rel=1e-12)
    keys = ("se", "CMH", "BD", "TA")
    assert [getattr(other, key) for key in keys] == pytest.approx([getattr(one, key) for key in keys], nan_ok=True)
    assert (other.ci_lb, other.ci_ub) == pytest.approx((-one.ci_ub, -one.ci_lb))
    assert peto(swapped).beta == pytest.approx(-peto(c).beta, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("measure", ["OR", "RD"])
def test_law_swapping_events_and_others_turns_the_sign(measure: str, seed: int) -> None:
    c = tables(seed)
    swapped = {**c, "ai": c["n1i"] - c["ai"], "ci": c["n2i"] - c["ci"]}
    one, other = mantel_haenszel(measure, c), mantel_haenszel(measure, swapped)
    assert (other.beta, other.se) == pytest.approx((-one.beta, one.se), rel=1e-12)
    assert pytest.approx((one.CMH, one.BD), nan_ok=True) == (other.CMH, other.BD)
    assert peto(swapped).beta == pytest.approx(-peto(c).beta, rel=1e-12)


@pytest.mark.parametrize("measure", ["IRR", "IRD"])
def test_law_swapping_arms_of_rates_turns_the_sign(measure: str) -> None:
    c = rates(3)
    swapped = {"x1i": c["x2i"], "t1i": c["t2i"], "x2i": c["x1i"], "t2i": c["t1i"]}
    one, other = mantel_haenszel(measure, c), mantel_haenszel(measure, swapped)
    assert (other.beta, other.se, other.CMH) == pytest.approx((-one.beta, one.se, one.CMH), rel=1e-10)


def test_law_one_table_gives_its_own_estimate() -> None:
    c = {"ai": [7], "n1i": [30], "ci": [12], "n2i": [40]}
    found = mantel_haenszel("OR", c)
    assert found.beta == pytest.approx(np.log(7 * 28 / (23 * 12)), rel=1e-12)
    assert found.se == pytest.approx(np.sqrt(1 / 7 + 1 / 23 + 1 / 12 + 1 / 28), rel=1e-12)
    assert mantel_haenszel("RR", c).beta == pytest.approx(np.log(7 / 30 / (12 / 40)), rel=1e-12)
    assert mantel_haenszel("RD", c).beta == pytest.approx(7 / 30 - 12 / 40, rel=1e-12)


def test_law_matched_pairs_give_mcnemar() -> None:
    """31 pairs in which only the first had the event, 11 in which only the second had it, 20 with both, 15 none."""
    first = np.repeat([1.0, 0.0, 1.0, 0.0], [31, 11, 20, 15])
    second = np.repeat([0.0, 1.0, 1.0, 0.0], [31, 11, 20, 15])
    found = mantel_haenszel("OR", {"ai": first, "n1i": 1.0, "ci": second, "n2i": 1.0}, correct=False)
    assert found.beta == pytest.approx(np.log(31 / 11), rel=1e-12)
    assert found.se == pytest.approx(np.sqrt(1 / 31 + 1 / 11), rel=1e-12)
    assert pytest.approx((31 - 11) ** 2 / (31 + 11), rel=1e-12) == found.CMH
    assert (found.k, found.informed) == (77, 42)


def test_law_tables_without_events_change_no_ratio() -> None:
    c = tables(1)
    more = {k: np.append(v, [0.0, 0.0] if k in {"ai", "ci"} else [40.0, 25.0]) for k, v in c.items()}
    for measure in ("OR", "RR"):
        one, other = mantel_haenszel(measure, c), mantel_haenszel(measure, more)
        assert (other.beta, other.se, other.QE) == pytest.approx((one.beta, one.se, one.QE), rel=1e-12)
        assert other.informed == one.informed
    assert peto(more).beta == pytest.approx(peto(c).beta, rel=1e-12)
    assert abs(mantel_haenszel("RD", more).beta) < abs(
        mantel_haenszel("RD", c).beta
    )  # no event in either: no difference


def test_law_tables_of_one_odds_ratio_are_homogeneous() -> None:
    """Expected tables under odds ratio 3: the estimate is ln 3 and Breslow-Day finds nothing."""
    n1, n2, risk = np.array([40.0, 90.0, 25.0]), np.array([60.0, 30.0, 25.0]), np.array([0.1, 0.3, 0.6])
    odds = 3.0 * risk / (1.0 - risk)
    found = mantel_haenszel("OR", {"ai": n1 * odds / (1.0 + odds), "n1i": n1, "ci": n2 * risk, "n2i": n2})
    assert found.beta == pytest.approx(np.log(3.0), rel=1e-12)
    assert pytest.approx((0.0, 0.0), abs=1e-18) == (found.BD, found.TA)


def test_law_many_meta_analyses_run_at_once() -> None:
    sets = [tables(seed) for seed in range(20)]
    batch = TwoByTwo(*(np.stack([s[name].astype(float) for s in sets]) for name in ("ai", "n1i", "ci", "n2i")))
    common, (day, tarone) = strata.odds_ratio(batch), strata.breslow_day(batch, strata.odds_ratio(batch).beta)
    pool = strata.peto(batch)
    for i, single in enumerate(sets):
        found = mantel_haenszel("OR", single)
        assert (common.beta[i], common.se[i]) == pytest.approx((found.beta, found.se), rel=1e-12)
        assert (day.Q[i], tarone.Q[i]) == pytest.approx((found.BD, found.TA), rel=1e-12)
        assert (pool[0].beta[i], pool[1].Q[i]) == pytest.approx((peto(single).beta, peto(single).QE), rel=1e-12)


def test_law_one_empty_arm_has_a_finite_peto_answer_and_a_sentence_otherwise() -> None:
    c = {"ai": [0, 0, 0], "n1i": [20, 30, 25], "ci": [3, 2, 0], "n2i": [22, 28, 25]}
    for measure in ("OR", "RR"):
        with pytest.raises(FitError, match="is not finite: over all tables, the events"):
            mantel_haenszel(measure, c)
    assert mantel_haenszel("RD", c).beta < 0.0
    assert peto(c).ci_ub < 0.0
    nothing = {**c, "ci": [0, 0, 0]}
    with pytest.raises(FitError, match="No table has both events and others"):
        peto(nothing)
    with pytest.raises(FitError, match="No table has an event"):
        mantel_haenszel("RD", nothing)
    with pytest.raises(FitError, match="No row has all of ai, n1i, ci, n2i"):
        peto({**c, "ai": [np.nan] * 3})
    with pytest.raises(InputError, match="ai must be no larger than n1i; given 99 in row 2"):
        peto({**c, "ai": [0, 99, 0]})
    with pytest.raises(InputError, match="measure must be one of OR, RR, RD, IRR, IRD"):
        mantel_haenszel("SMD", c)


def test_law_results_print_and_serialise() -> None:
    c = tables(2)
    found = mantel_haenszel(
        "OR", {**c, "ai": np.where(np.arange(12) == 3, np.nan, c["ai"])}, slab=[f"t{i}" for i in range(12)]
    )
    assert found.notes == ("Left out for a missing value: row t3.",)
    assert "odds ratio" in str(found)
    assert "Breslow-Day" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["k"] == 11
    assert json.loads(json.dumps(mantel_haenszel("RD", c).to_dict()))["BD"] is None
