"""Laws of scoring: three-way outcomes, margins, shares of people, contingent doses, draws beside single runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dualtrace.experiments.board import board, flips, prior_draws, prior_share, regimes
from dualtrace.experiments.defaults import Variant
from dualtrace.experiments.load import catalogue
from dualtrace.experiments.pharmacology import session_gain
from dualtrace.experiments.procedure import procedure_of
from dualtrace.experiments.record import Experiment, Strength
from dualtrace.experiments.run import compiled_follow, run
from dualtrace.experiments.score import Outcome, score
from dualtrace.experiments.tune import CENTRE, decode, loss, search_space, tune
from dualtrace.mechanism.memory.contract import follow
from dualtrace.mechanism.memory.registry import ablations, memory_model, memory_models
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.source_map import parse_yaml, validate

if TYPE_CHECKING:
    from dualtrace.mechanism.memory.contract import Memory

LINE = "acquisition=A: 4X+ | extinction=A: {n}X- @24h | test=A: 1X- @24h"


def experiment(*contrasts: str, extra: str = "", margin: str = "", **levels: str) -> Experiment:
    design = "\n".join(f'  {name}: "{line}"' for name, line in levels.items())
    findings = "\n".join(f'  - {{says: "x", contrast: "{c}"{margin}}}' for c in contrasts)
    text = f"""\
id: t
title: "t"
family: basic/t
paradigm: cued
species: rat
strength: core
split: training
citation: "t"
where: {{text: "t", place: t}}
design:
{design}
{extra}findings:
{findings}
"""
    return validate(Experiment, parse_yaml(text, Path("t.yaml")))


def outcomes(record: Experiment, model: str = "rescorla_wagner") -> list[Outcome]:
    return [s.outcome for s in score(run(memory_model(model), [record]))]


TWO = {"few": LINE.format(n=2), "many": LINE.format(n=12)}


def test_a_difference_is_less_more_or_none_and_exactly_one_of_them() -> None:
    """< beyond the margin, > beyond it, and ~ within it exclude each other and leave nothing out."""
    for n in (2, 3, 5, 8, 12):
        pair = {"few": LINE.format(n=2), "many": LINE.format(n=n)}
        held = [
            outcomes(experiment(f"fear[few@test] {relation} fear[many@test]", **pair))[0] is Outcome.PASS
            for relation in "<>~"
        ]
        assert sum(held) == 1


def test_the_wrong_direction_is_opposite_and_no_difference_is_not() -> None:
    wrong, same = outcomes(
        experiment("fear[few@test] < fear[many@test]", "fear[few@test] < fear[few@test] + 0", **TWO)
    )
    assert wrong is Outcome.OPPOSITE
    assert same is Outcome.FAIL


def test_a_chain_is_as_strong_as_its_weakest_link() -> None:
    three = {**TWO, "none": LINE.format(n=1)}
    right = "fear[many@test] < fear[few@test] < fear[none@test]"
    broken = "fear[many@test] < fear[none@test] < fear[few@test]"
    scored = score(
        run(memory_model("rescorla_wagner"), [experiment(right, broken, margin=", margin: 0.01", **three)])
    )
    assert [s.holds[0] for s in scored] == [True, False]
    assert scored[1].outcome is Outcome.OPPOSITE


def test_slack_counts_in_margins() -> None:
    values = {
        m: score(
            run(
                memory_model("rescorla_wagner"),
                [experiment("fear[many@test] < fear[few@test]", margin=f", margin: {m}", **TWO)],
            )
        )[0]
        for m in (0.05, 0.1)
    }
    difference = [float(values[m].slack[0] + 1) * m for m in (0.05, 0.1)]
    assert difference[0] == pytest.approx(difference[1])


def test_weak_inequalities_allow_equality() -> None:
    assert outcomes(experiment("fear[few@test] <= fear[few@test]", margin=", margin: 0", **TWO)) == [Outcome.PASS]


@pytest.mark.parametrize("model", ["dual_trace", "latent_cause", "refined_rescorla_wagner"])
def test_many_draws_at_once_are_many_single_runs(model: str) -> None:
    chosen = [e for e in catalogue() if e.id in {"REC-05", "BAS-08", "PHA-12", "HUM-13"}]
    drawn = prior_draws(memory_model(model), 5, seed=4)
    together = score(run(memory_model(model), chosen, draws=drawn))
    for i in range(5):
        alone = score(run(memory_model(model), chosen, draws={k: v[i : i + 1] for k, v in drawn.items()}))
        for one, all_of_them in zip(alone, together, strict=True):
            np.testing.assert_allclose(one.slack[0], np.broadcast_to(all_of_them.slack, 5)[i], rtol=1e-9, atol=1e-9)


def test_an_experiment_gives_the_same_alone_and_among_others() -> None:
    whole = {(s.experiment.id, s.number): s for s in score(run(memory_model("dual_trace"), catalogue()))}
    for record in catalogue()[::7]:
        for scored in score(run(memory_model("dual_trace"), [record])):
            np.testing.assert_allclose(scored.slack, whole[record.id, scored.number].slack, rtol=1e-9, atol=1e-9)


def test_groups_of_people_count_by_their_share() -> None:
    record = next(e for e in catalogue() if e.id == "HUM-13")
    done = run(memory_model("dual_trace"), [record])
    whole = record.findings[0].parsed.sides[1].terms[0]
    parts = sum(
        record.people[name].share * done.quantity(0, whole.__class__("fear", frozenset({"PBO", name}), "test", "", 1))
        for name in record.people
    )
    np.testing.assert_allclose(done.quantity(0, whole), parts, rtol=1e-12)


def test_a_contingent_dose_lies_between_never_and_always() -> None:
    """A threshold of 1 is always dosing, of 0 never; the rule in between doses some sessions only."""
    record = next(e for e in catalogue() if e.id == "HUM-13")
    fears = {}
    for threshold in (0.0, 0.4, 1.0):
        changed = record.model_dump(mode="json", exclude_none=True)
        changed["factors"]["arm"]["tailored"]["exposure.drug"]["only_if_end_fear_below"] = threshold
        done = run(memory_model("dual_trace"), [Experiment.model_validate(changed)])
        fears[threshold] = {arm: done.courses[0, (arm, "low")].fear[-1, 0] for arm in ("PBO", "post", "tailored")}
    assert fears[1.0]["tailored"] == pytest.approx(fears[1.0]["post"], abs=1e-12)
    assert fears[0.0]["tailored"] == pytest.approx(fears[0.0]["PBO"], abs=1e-12)


def _gain(line: str) -> tuple[float, float]:
    record = experiment("fear[a@test] < 1", a=line)
    procedure = procedure_of(record, ("a",))
    row = next(row for row in procedure.rows if row.closed)
    gain = session_gain(row.closed, procedure.doses, load_parameters().number)
    return float(gain.safety[0]), float(gain.threat[0])


def test_a_late_dose_does_less_and_a_block_is_never_more_than_full() -> None:
    now, later = (_gain(f"A: 4X+ {{dcs high after {h}h}} | A: 1X- @24h")[0] for h in (0, 3))
    tau = load_parameters().number("consolidation.tau", "h")
    assert later == pytest.approx(now * np.exp(-3 / tau))
    twice = _gain("A: 4X+ {mk801 high after 0h} {anisomycin high after 0h} | A: 1X- @24h")
    assert twice == (-1.0, -1.0)


def test_a_drug_that_acts_on_one_trace_leaves_the_other() -> None:
    assert _gain("A: 4X+ {midazolam high after 0h} | A: 1X- @24h")[0] == 0
    assert _gain("A: 4X+ {pepa high after 0h} | A: 1X- @24h")[1] == 0


def test_more_milligrams_are_more_gain_and_no_milligrams_none() -> None:
    gains = [_gain(f"A: 4X+ {{dcs {mg}mg before 1h}} | A: 1X- @24h")[0] for mg in (0, 50, 100, 500)]
    assert gains[0] == 0
    assert (np.diff(gains) > 0).all()


def test_doses_before_conditioning_blunt_the_dose_that_counts() -> None:
    plain = _gain("A: 4X+ {dcs high after 0h} | A: 1X- @24h")[0]
    record = next(e for e in catalogue() if e.id == "PHA-12")
    lookup = load_parameters().number
    sizes = {}
    for history in ("none", "five", "five_28d"):
        procedure = procedure_of(record, ("DCS", history))
        row = [row for row in procedure.rows if row.closed][-1]
        sizes[history] = float(session_gain(row.closed, procedure.doses, lookup).safety[0])
    assert sizes["none"] == pytest.approx(plain)
    assert sizes["five"] < 0.5 * sizes["none"]
    assert sizes["five_28d"] > 0.8 * sizes["none"]


def test_shares_of_the_prior_do_not_depend_on_chunks_and_repeat_by_seed() -> None:
    chosen = [e for e in catalogue() if e.id in {"REC-20", "REC-22", "BAS-07"}]
    one = prior_share(memory_model("dual_trace"), chosen, draws=130, seed=2)
    two = prior_share(memory_model("dual_trace"), chosen, draws=130, seed=2)
    np.testing.assert_array_equal(one.holds, two.holds)
    assert one.holds.shape == (130, len(one.scored))
    (pair,) = regimes(one)
    assert pair.only_first + pair.only_second + pair.both + pair.neither == pytest.approx(1.0)


def test_tallies_add_up() -> None:
    found = board([memory_model("rescorla_wagner")], catalogue())
    name = "rescorla_wagner"
    whole = found.tally(name)
    assert sum(found.tally(name, strength=s).total for s in Strength) == whole.total
    assert sum(found.tally(name, split=s).held for s in ("training", "held_out")) == whole.held
    assert (
        len(found.misses(name))
        == found.tally(name, strength=Strength.CORE).total - found.tally(name, strength=Strength.CORE).held
    )


def test_tuning_lowers_the_cost_and_never_sees_what_is_held_out() -> None:
    chosen = [e for e in catalogue() if e.id in {"BAS-04", "BAS-05", "BAS-07", "BAS-08"}]
    model = memory_model("rescorla_wagner")
    reached: list[float] = []
    best = tune(model, chosen, generations=6, starts=2, seed=1, progress=lambda *told: reached.append(told[2]))
    assert reached == sorted(reached, reverse=True)
    assert best.loss <= reached[-1] < reached[0]
    training = [e for e in chosen if e.split == "training"]
    assert 0 < len(training) < len(chosen)
    assert tune(model, training, generations=6, starts=2, seed=1) == best
    for name, value in best.constants.items():
        low, high = load_parameters().parameter(name).range or (value, value)
        assert low <= value <= high


def test_the_cost_of_tuned_constants_is_their_loss_and_a_little_for_leaving_the_middle() -> None:
    training = [e for e in catalogue() if e.id in {"BAS-03", "BAS-12"}]
    model = memory_model("rescorla_wagner")
    best = tune(model, training, generations=3, starts=1, seed=1)
    drawn = {name: np.array([value]) for name, value in best.constants.items()}
    rest = best.loss - float(loss(run(model, training, draws=drawn))[0])
    assert 0 <= rest <= CENTRE * len(best.constants)


def test_a_compiled_run_is_the_run() -> None:
    """JAX and NumPy follow the same equations: fear differs by rounding only."""
    chosen = [e for e in catalogue() if e.id in {"BAS-02", "REC-04e"}]
    for name in ("dual_trace", "kalman_filter"):
        plain, fast = (run(memory_model(name), chosen, through=how) for how in (follow, compiled_follow))
        for key, course in plain.courses.items():
            np.testing.assert_allclose(fast.courses[key].fear, course.fear, atol=1e-12)


def test_a_finding_that_holds_with_margins_to_spare_costs_nothing_and_a_far_miss_is_bounded() -> None:
    chosen = [e for e in catalogue() if e.id == "BAS-07"]
    model = memory_model("dual_trace")
    strong = {"dual_trace.safety_rate": np.array([0.3, 0.3]), "dual_trace.context_leak": np.array([0.0, 1.0])}
    spared, missed = loss(run(model, chosen, draws=strong))
    assert spared == 0
    assert 2 < missed <= 3.5


@pytest.mark.parametrize("model", memory_models().values(), ids=lambda m: m.name)
def test_the_search_covers_the_priors(model: Memory[Any, Any]) -> None:
    names, bounds = search_space(model)
    ends = decode(np.array([np.zeros(len(names)), np.ones(len(names))]), bounds)
    for name, low, high in zip(names, *ends, strict=True):
        share = np.array([0.001, 0.999])
        np.testing.assert_allclose([low, high], load_parameters().parameter(name).prior.quantile(share), rtol=1e-9)


def test_every_part_of_the_dual_trace_can_be_left_out() -> None:
    found = board(ablations(), [e for e in catalogue() if e.id in {"REC-04a", "REC-04b", "BAS-07"}])
    without = found.tally("without: no restabilisation")
    assert without.held < found.tally("without: no effect of stress").held


def test_assumptions_that_matter_are_those_whose_outcome_changes() -> None:
    """Independently: the board at the usual, the low and the high values, compared finding by finding."""
    chosen, model = catalogue(), memory_model("rescorla_wagner")
    usual, low, high = (board([model], chosen, variant=v).scored[model.name] for v in Variant)
    changed = [
        (a.experiment.id, a.number)
        for a, b, c in zip(usual, low, high, strict=True)
        if len({a.outcome, b.outcome, c.outcome}) > 1
    ]
    found = flips(model, chosen)
    assert [(f.scored.experiment.id, f.scored.number) for f in found] == changed
    assert 0 < len(found) < len(usual)
