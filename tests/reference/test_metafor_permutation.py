"""Agreement with metafor's exact permutation tests: the same permutations, so the same p values."""

from typing import Any

import numpy as np
import pytest
from stored_robustness import SETS, STORED, assert_close

from dualtrace.pooling.robustness.permutation import permutation_test


@pytest.mark.parametrize("stored", STORED["permutation"], ids=lambda c: f"{c['set']}-{c['method']}")
def test_reference_exact_sign_flips_equal_metafor(stored: dict[str, Any]) -> None:
    k = stored["rows"]
    rows = SETS[stored["set"]]
    y, v = rows["yi"][:k], rows["vi"][:k]
    wanted = "ci" in stored and stored["ci"] is not None
    mine = permutation_test(y, v, method=stored["method"], intervals=wanted)
    assert mine.exact
    assert mine.pval[0] == pytest.approx(stored["pval"], abs=1e-12)
    if wanted:
        # p values are steps, so an end is where one is crossed; metafor was asked to find it to 1e-7
        ends = np.array(stored["ci"], dtype=float)
        reach = float(np.ptp(y))
        assert_close([mine.ci_lb[0], mine.ci_ub[0]], ends, 1e-6, size=reach)


@pytest.mark.parametrize("stored", STORED["permutation_mods"], ids=lambda c: f"{c['set']}-{c['test']}")
def test_reference_exact_permutations_of_moderators_equal_metafor(stored: dict[str, Any]) -> None:
    rows, picked = SETS[stored["set"]], np.array(stored["rows"]) - 1
    y, v, X = (np.array(rows[key])[picked] for key in ("yi", "vi", "X"))
    mine = permutation_test(y, v, X=X, method="DL", test=stored["test"], iterations=10_000)
    assert mine.exact
    assert mine.iterations == stored["m"]
    assert mine.pval == pytest.approx(np.array(stored["pval"]), abs=1e-12)
    assert pytest.approx(stored["QMp"], abs=1e-12) == mine.QMp
