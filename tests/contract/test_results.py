"""Contract of what analyses return: every result prints, turns into a dictionary and a table, and names its method."""

from __future__ import annotations

import importlib
import json
import pkgutil
from typing import Any

import numpy as np
import pytest

import dualtrace.pooling
from dualtrace.evidence.load import references
from dualtrace.pooling import location_scale, partial_nested, univariate
from dualtrace.pooling.contract import METHOD_SOURCES, TEST_SOURCES
from dualtrace.pooling.result import Result
from dualtrace.pooling.robustness.influence import baujat
from dualtrace.pooling.small_study.asymmetry import pet_peese, rank_test, regression_test
from dualtrace.pooling.small_study.fail_safe import fail_safe_n
from dualtrace.pooling.small_study.limit import limit_meta_analysis
from dualtrace.pooling.small_study.selection import selection_model
from dualtrace.pooling.small_study.significance import excess_significance
from dualtrace.pooling.small_study.trim_and_fill import trim_and_fill
from dualtrace.pooling.tau2_interval import tau2_interval

Y = np.array([0.5, 0.3, -0.1, 0.2, 0.6, 0.05, 0.45])
V = np.array([0.04, 0.0225, 0.0625, 0.01, 0.09, 0.0144, 0.03])
OUR_OWN = {"PartialPooled", "PartialNested", "PartialRefits", "Comparison", "Joint", "ModelTest"}
"""Our own likelihood, and tests that any textbook has: nothing to cite."""


def every_result() -> list[type[Result]]:
    for module in pkgutil.walk_packages(dualtrace.pooling.__path__, "dualtrace.pooling."):
        importlib.import_module(module.name)
    return sorted(Result.__subclasses__(), key=lambda kind: (kind.__module__, kind.__name__))


@pytest.mark.parametrize("kind", every_result(), ids=lambda kind: f"{kind.__module__[18:]}.{kind.__name__}")
def test_every_result_names_publications_that_can_be_opened_or_is_our_own(kind: type[Result]) -> None:
    assert set(kind.SOURCES) <= set(references())
    says = kind.SOURCES or "citations" in kind.__dict__
    assert bool(says) is (kind.__name__ not in OUR_OWN)


def test_every_estimator_and_test_has_a_publication_that_can_be_opened() -> None:
    keys = {*METHOD_SOURCES.values(), *(key for keys in TEST_SOURCES.values() for key in keys)}
    assert keys <= set(references())
    fitted = univariate.fit(Y, V, method="SJ", test="adhoc")
    assert fitted.citations == ("sidik2005", "knapp2003", "rover2015", "viechtbauer2007", "riley2011")
    assert univariate.fit(Y, V, method="EE").citations == ("hedges1985",)


RESULTS: list[Result] = [
    univariate.fit(Y, V),
    location_scale.fit_location_scale(Y, V, np.column_stack([np.ones(7), np.arange(7.0)])),
    partial_nested.fit(Y, V, list("aabbccd")),
    baujat(Y, V),
    regression_test(Y, V),
    rank_test(Y, V),
    pet_peese(Y, V),
    fail_safe_n(Y, V),
    fail_safe_n(Y, V, kind="Orwin"),
    limit_meta_analysis(Y, V),
    selection_model(Y, V, kind="stepfun", steps=(0.025,)),
    selection_model(Y, V, kind="beta"),
    excess_significance(Y, V),
    trim_and_fill(Y, V),
    tau2_interval(Y, V),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_results_print_and_turn_into_json_and_tables(result: Any) -> None:
    assert str(result)
    found = result.to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    frame = result.to_frame()
    assert len(frame) >= 1
    for column in frame.columns:
        if column in found and isinstance(found[column], list):
            assert [None if x != x else x for x in frame[column].tolist()] == found[column]
    assert set(result.citations) <= set(references())
