"""Contract: every memory model, ours or a stranger's, keeps to the same rules."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dualtrace.errors import InputError
from dualtrace.experiments.conformance import conformance
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.memory import registry
from dualtrace.mechanism.memory.contract import Info, Memory
from dualtrace.mechanism.memory.dual_trace import DualTrace
from dualtrace.mechanism.memory.pinned import Pinned
from dualtrace.mechanism.memory.registry import ablations, memory_model, memory_models
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from dualtrace.mechanism.memory.contract import Event, Rest, Sizes


@pytest.mark.parametrize("model", memory_models().values(), ids=lambda m: m.name)
def test_every_model_conforms(model: Memory[Any, Any]) -> None:
    assert conformance(model) == ()


@pytest.mark.parametrize("model", [*memory_models().values(), *ablations()], ids=lambda m: m.name)
def test_constants_have_priors_and_sources(model: Memory[Any, Any]) -> None:
    table = load_parameters()
    for name in model.constants:
        entry = table.parameter(name)
        assert entry.range is not None or not entry.is_uncertain, name
        assert entry.source == "assumption" or entry.source in table.sources
    assert model.title
    assert model.source


class Broken(Memory[tuple[()], tuple[Any, ...]]):
    """Fear beyond 1, drifting at rest, and deaf to pairings."""

    name = "broken"
    title = "Broken"
    source = "this test"
    constants = ()

    def theta(self, lookup: Any) -> tuple[()]:  # noqa: ARG002
        return ()

    def init(self, theta: tuple[()], sizes: Sizes) -> tuple[Any, ...]:  # noqa: ARG002
        return (xp.zeros(sizes.batch),)

    def present(self, theta: tuple[()], state: tuple[Any, ...], event: Event) -> tuple[tuple[Any, ...], Info]:  # noqa: ARG002
        level = 1.5 + 0 * event.us
        return (state[0] + 1,), Info(level, level, level)

    def rest(self, theta: tuple[()], state: tuple[Any, ...], rest: Rest) -> tuple[Any, ...]:  # noqa: ARG002
        return (state[0] + 1,)


def test_a_model_that_does_not_conform_is_told_why() -> None:
    complaints = "\n".join(conformance(Broken()))
    assert "fear must be finite and between 0 and 1; it runs from 1.5 to 1.5" in complaints
    assert "five pairings must raise fear" in complaints
    assert "a row of zeros must leave the state as it was" in complaints
    assert "a rest of no time must leave the state as it was" in complaints


def _register(monkeypatch: pytest.MonkeyPatch, target: Any) -> None:
    class Entry(EntryPoint):
        def load(self) -> Any:
            return target

    entry = Entry("mine", "my_package:Mine", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == registry.ENTRY_POINTS else [])
    memory_models.cache_clear()


def test_a_stranger_registers_a_model_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, Broken)
    try:
        assert memory_model("broken").title == "Broken"
        assert next(iter(memory_models())) == "dual_trace"
    finally:
        memory_models.cache_clear()


def test_an_entry_point_that_is_no_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, 3)
    with pytest.raises(InputError, match=r"mine = my_package:Mine must give a dualtrace memory model; it gives 3"):
        memory_models()
    memory_models.cache_clear()


def test_a_name_that_is_taken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, DualTrace)
    with pytest.raises(InputError, match=r"two memory models are called dual_trace; my_package:Mine needs another"):
        memory_models()
    memory_models.cache_clear()


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(InputError, match=r"a memory model must be one of dual_trace, .*; given 'hal'"):
        memory_model("hal")


def test_a_pin_must_be_a_constant_of_the_model() -> None:
    with pytest.raises(ValueError, match=r"dual_trace has no constant dual_trace.hope; it has"):
        Pinned(DualTrace(), {"dual_trace.hope": 1.0}, name="x", title="x")


def test_a_pin_holds_a_constant_at_its_value_and_takes_it_from_the_free_ones() -> None:
    pinned = Pinned(DualTrace(), {"dual_trace.spacing": 0.25}, name="x", title="x")
    theta = pinned.theta(load_parameters().number)
    assert theta.spacing == pytest.approx(0.25)
    assert "dual_trace.spacing" not in pinned.constants
    assert len(pinned.constants) == len(DualTrace().constants) - 1


def test_a_pin_may_follow_another_constant() -> None:
    pinned = Pinned(DualTrace(), {"dual_trace.lability_closes": "dual_trace.storage_opens"}, name="x", title="x")
    draws = {"dual_trace.storage_opens": np.array([0.3, 0.6])}
    theta = pinned.theta(load_parameters().lookup_with(draws))
    np.testing.assert_array_equal(theta.lability_closes, [0.3, 0.6])
