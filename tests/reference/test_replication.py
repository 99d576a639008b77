"""Reference: published findings that the dual trace shows, with one set of constants, and rivals that cannot."""

from __future__ import annotations

import pytest

from dualtrace.experiments.board import board
from dualtrace.experiments.load import catalogue
from dualtrace.experiments.record import Strength
from dualtrace.experiments.score import Outcome
from dualtrace.mechanism.memory.registry import memory_model, memory_models

FOUND = board(list(memory_models().values()), catalogue())
DUAL_EFFECT = ("REC-04a", "REC-04b", "REC-04c", "REC-04d", "REC-04e")
WHOLE = (
    *DUAL_EFFECT,
    "REC-05",
    "PHA-07",
    "PHA-10",
    "PHA-11",
    "PHA-12",
    "PHA-13",
    "HUM-11",
    "HUM-12",
    "REC-10",
    "REC-15",
)


def outcomes(model: str, experiment: str) -> dict[str, Outcome]:
    return {s.finding.says: s.outcome for s in FOUND.scored[model] if s.experiment.id == experiment}


@pytest.mark.parametrize("experiment", WHOLE)
def test_the_dual_trace_shows_every_finding(experiment: str) -> None:
    assert set(outcomes("dual_trace", experiment).values()) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("experiment", "missed"),
    [
        ("PHA-08", {"not after D-cycloserine"}),
        ("HUM-13", {"D-cycloserine after sessions beats placebo", "at three months both are still better"}),
    ],
)
def test_the_dual_trace_shows_all_but_what_is_named(experiment: str, missed: set[str]) -> None:
    found = outcomes("dual_trace", experiment)
    assert {says for says, outcome in found.items() if outcome is not Outcome.PASS} == missed
    assert Outcome.OPPOSITE not in found.values()


@pytest.mark.parametrize("model", [name for name in memory_models() if name != "dual_trace"])
def test_no_rival_shows_the_dual_effect(model: str) -> None:
    """D-cycloserine helps after a long session and harms after a short one, MK-801 the other way round."""
    held = [outcome is Outcome.PASS for e in DUAL_EFFECT for outcome in outcomes(model, e).values()]
    assert not all(held)
    assert Outcome.PASS not in outcomes(model, "REC-04b").values()


def test_counts_of_the_documentation() -> None:
    training = FOUND.tally("dual_trace", split="training", strength=Strength.CORE)
    held_out = FOUND.tally("dual_trace", split="held_out", strength=Strength.CORE)
    assert (str(training), str(held_out)) == ("88/97", "38/54")
    for name in memory_models():
        if name != "dual_trace":
            assert FOUND.tally(name).weight < FOUND.tally("dual_trace").weight
            assert FOUND.tally(name, split="held_out", strength=Strength.CORE).held < held_out.held


def test_a_model_alone_scores_as_it_does_on_the_board() -> None:
    alone = board([memory_model("latent_cause")], catalogue())
    assert str(alone.tally("latent_cause")) == str(FOUND.tally("latent_cause"))
