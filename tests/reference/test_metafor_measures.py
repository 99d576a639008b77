"""Agreement with metafor's escalc on 26 tables, and with printed numbers; script and versions are in ``metafor/``.

All are closed forms: 1e-10 relative, on every row, empty cells and undefined rows included.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualtrace.effects.measures import MEASURES, effect_sizes
from dualtrace.effects.single import proportion_from_freeman_tukey
from dualtrace.pooling.univariate import fit

STORED = json.loads((Path(__file__).parent / "metafor" / "measures.json").read_text(encoding="utf-8"))
TABLES: dict[str, Any] = STORED["tables"]


def label(case: dict[str, Any]) -> str:
    words = (case["measure"], case["table"], case["vtype"], case["to"])
    return "-".join(word for word in words if word)


@pytest.mark.parametrize("case", STORED["cases"], ids=label)
def test_reference_measure_equals_metafor(case: dict[str, Any]) -> None:
    options = {key: case[key] for key in ("vtype", "add", "to") if case[key] is not None}
    table = TABLES[case["table"]]
    found = effect_sizes(case["measure"], table, **options)
    yi, vi = np.array(case["yi"], dtype=float), np.array(case["vi"], dtype=float)
    if case["measure"] == "RD":
        # metafor also shifts the difference of a corrected table; ours is the one counted, which has no bias
        a, n1, c, n2 = (np.array(table[name], dtype=float) for name in ("ai", "n1i", "ci", "n2i"))
        yi = a / n1 - c / n2
    assert found.yi == pytest.approx(yi, rel=1e-10, abs=1e-14, nan_ok=True)
    assert found.vi == pytest.approx(vi, rel=1e-10, abs=1e-14, nan_ok=True)


def test_reference_covers_every_measure_that_metafor_has() -> None:
    # SMCRP (pooled standard deviation) came to metafor after the stored version; a law holds it instead
    assert set(MEASURES) - {case["measure"] for case in STORED["cases"]} == {"SMCRP"}
    assert len(TABLES) >= 12


@pytest.mark.parametrize("name", STORED["ipft"])
def test_reference_double_arcsine_way_back_equals_metafor(name: str) -> None:
    stored, table = STORED["ipft"][name], TABLES[name]
    estimates = effect_sizes("PFT", table)
    back = proportion_from_freeman_tukey(estimates.yi, table["ni"])
    assert back == pytest.approx(np.array(stored["each"]), abs=1e-12)
    pooled = fit(estimates.yi, estimates.vi, method="EE")
    ends = [pooled.beta[0], pooled.ci_lb[0], pooled.ci_ub[0]]
    assert proportion_from_freeman_tukey(ends, stored["harmonic"]) == pytest.approx(stored["pooled"], abs=1e-10)


def test_reference_miller_1978_worked_example() -> None:
    """Four samples; the pooled double arcsine leads back to the printed .3164 to four digits.

    Miller 1978, doi:10.1080/00031305.1978.10479283, p. 138.
    """
    x, n = np.array([3, 6, 10, 1]), np.array([11, 17, 21, 6])
    estimates = effect_sizes("PFT", {"xi": x, "ni": n})
    assert proportion_from_freeman_tukey(estimates.yi, n) == pytest.approx(x / n, abs=1e-12)
    mean = float(np.mean(estimates.yi))
    weighted = float(fit(estimates.yi, estimates.vi, method="EE").beta[0])
    harmonic = 1.0 / np.mean(1.0 / n)
    assert float(proportion_from_freeman_tukey(mean, harmonic)) == pytest.approx(0.3164, abs=5e-5)
    assert float(proportion_from_freeman_tukey(weighted, harmonic)) == pytest.approx(0.3595, abs=5e-5)


def test_reference_morris_2008_table_5() -> None:
    """Difference of standardised changes, treated less control (doi:10.1177/1094428106291059, Table 5)."""
    treated, control = (effect_sizes("SMCR", TABLES[f"morris2008_{arm}"]).yi for arm in ("treated", "control"))
    assert treated - control == pytest.approx([0.7421, 0.9524, 1.8054, 1.1514, 0.5050], abs=5e-5)
