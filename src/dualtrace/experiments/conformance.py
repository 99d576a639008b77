"""What every memory model must keep to, ours or a stranger's: named checks that say what went wrong.

A model of another package is tested with ``assert not conformance(MyModel())``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.memory.contract import Event, Info, Rest, Sizes, Timeline, follow
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualtrace.mechanism.memory.contract import Memory

_ROWS = 24
_CUES, _CONTEXTS, _GROUPS = 2, 2, 3


def conformance(model: Memory[Any, Any], *, seed: int = 1) -> tuple[str, ...]:
    """Run every check on a model; an empty answer means that it conforms."""
    rng = np.random.default_rng(seed)
    return tuple(f"{check.__name__}: {complaint}" for check in CHECKS for complaint in check(model, rng))


def random_timeline(rng: np.random.Generator, rows: int = _ROWS) -> Timeline:
    """A random procedure: sessions of random presentations with gaps, drugs and contexts; one draw, three groups."""
    shape = (rows, 1, _GROUPS)
    closes = (rng.random(shape) < 0.2).astype(float)
    hours = np.where(closes > 0, rng.uniform(0.5, 200, shape), rng.uniform(0.01, 0.1, shape))
    gain = closes * rng.uniform(-1, 1, shape)
    cue = (rng.random((*shape, _CUES)) < 0.6).astype(float)
    context = np.eye(_CONTEXTS)[rng.integers(_CONTEXTS, size=shape)]
    us = (rng.random(shape) < 0.5).astype(float)
    one, zero = np.ones(shape), np.zeros(shape)
    event = Event(*map(xp.asarray, (cue, context, us, one, one, zero, zero)))
    rest = Rest(*map(xp.asarray, (hours, closes, gain, gain)))
    return Timeline(rest, event, xp.asarray(np.full(shape, np.inf)))


def observe(model: Memory[Any, Any], timeline: Timeline) -> Info:
    """Follow a model at its own constants."""
    rows, draws, groups = timeline.gate.shape
    sizes = Sizes((draws, groups), timeline.event.cue.shape[-1], timeline.event.context.shape[-1], rows)
    return follow(model, model.theta(load_parameters().number), timeline, sizes)


def fear_is_a_share(model: Memory[Any, Any], rng: np.random.Generator) -> Iterator[str]:
    """Fear lies between 0 and 1 whatever happens."""
    fear = np.asarray(observe(model, random_timeline(rng)).fear)
    if not np.isfinite(fear).all() or fear.min() < 0 or fear.max() > 1:
        yield f"fear must be finite and between 0 and 1; it runs from {fear.min():g} to {fear.max():g}"


def pairings_are_learned(model: Memory[Any, Any], rng: np.random.Generator) -> Iterator[str]:  # noqa: ARG001
    """Five pairings of a cue raise fear of it."""
    shape = (6, 1, 1)
    zero, one, cue = xp.zeros(shape), xp.ones(shape), xp.ones((*shape, 1))
    event = Event(cue, cue, one, one, one, zero, zero)
    fear = np.asarray(observe(model, Timeline(Rest(zero, zero, zero, zero), event, zero + np.inf)).fear)[:, 0, 0]
    if not fear[-1] > fear[0]:
        yield f"five pairings must raise fear; it goes from {fear[0]:g} to {fear[-1]:g}"


def nothing_changes_nothing(model: Memory[Any, Any], rng: np.random.Generator) -> Iterator[str]:
    """A row of zeros, and a rest of no time that closes nothing, leave every state as it was."""
    timeline = random_timeline(rng)
    rows, draws, groups = timeline.gate.shape
    theta = model.theta(load_parameters().number)
    state = model.init(theta, Sizes((draws, groups), _CUES, _CONTEXTS, rows + 1))
    for t in range(rows):
        state = model.rest(theta, state, Rest(*(part[t] for part in timeline.rest)))
        state, _ = model.present(theta, state, Event(*(part[t] for part in timeline.event)))
    zero = Event(*(xp.zeros_like(part[0]) for part in timeline.event))
    after, _ = model.present(theta, state, zero)
    rested = model.rest(theta, state, Rest(*(xp.zeros_like(part[0]) for part in timeline.rest)))
    for name, other in (("a row of zeros", after), ("a rest of no time", rested)):
        changed = [
            field
            for field, before, now in zip(_fields(state), state, other, strict=True)
            if not np.allclose(before, now, rtol=0, atol=1e-12)
        ]
        if changed:
            yield f"{name} must leave the state as it was; it changes {', '.join(changed)}"


def padding_is_harmless(model: Memory[Any, Any], rng: np.random.Generator) -> Iterator[str]:
    """Rows of zeros at the end, as groups of unequal length get, change nothing before them."""
    timeline = random_timeline(rng)
    padded = _map(timeline, lambda part: np.concatenate([part, np.zeros_like(part[:5])]))
    yield from _same(observe(model, timeline), observe(model, padded), "rows of zeros at the end")


def groups_do_not_meet(model: Memory[Any, Any], rng: np.random.Generator) -> Iterator[str]:
    """Groups run together or alone give the same."""
    timeline = random_timeline(rng)
    alone = [observe(model, _map(timeline, lambda part, g=g: part[:, :, g : g + 1])) for g in range(_GROUPS)]
    together = xp.concatenate([info.fear for info in alone], axis=2)
    yield from _same(observe(model, timeline), Info(together, together, together), "running groups alone")


def cues_are_alike(model: Memory[Any, Any], rng: np.random.Generator) -> Iterator[str]:
    """The order in which cues are numbered does not matter."""
    timeline = random_timeline(rng)
    turned = timeline._replace(event=timeline.event._replace(cue=timeline.event.cue[..., ::-1]))
    yield from _same(observe(model, timeline), observe(model, turned), "numbering the cues the other way round")


def nothing_is_written_into(model: Memory[Any, Any], rng: np.random.Generator) -> Iterator[str]:
    """Running a model leaves its input alone and gives the same again."""
    timeline = random_timeline(rng)
    copy = _map(timeline, np.copy)
    first = observe(model, timeline)
    if not all(np.array_equal(a, b) for a, b in zip(_leaves(timeline), _leaves(copy), strict=True)):
        yield "the arrays of the timeline were changed"
    yield from _same(first, observe(model, timeline), "running it again")


def numpy_and_jax_agree(model: Memory[Any, Any], rng: np.random.Generator) -> Iterator[str]:
    """The same equations run on both kinds of array."""
    import jax.numpy as jnp

    timeline = random_timeline(rng)
    yield from _same(observe(model, timeline), observe(model, _map(timeline, jnp.asarray)), "running it in JAX")


CHECKS: tuple[Callable[[Memory[Any, Any], np.random.Generator], Iterator[str]], ...] = (
    fear_is_a_share,
    pairings_are_learned,
    nothing_changes_nothing,
    padding_is_harmless,
    groups_do_not_meet,
    cues_are_alike,
    nothing_is_written_into,
    numpy_and_jax_agree,
)


def _same(one: Info, other: Info, what: str) -> Iterator[str]:
    first = np.asarray(one.fear)
    gap = float(np.abs(first - np.asarray(other.fear)[: len(first)]).max())
    if not gap <= 1e-9:
        yield f"{what} changes fear by up to {gap:.3g}"


def _map(timeline: Timeline, change: Callable[..., Any]) -> Timeline:
    return Timeline(
        Rest(*(change(part) for part in timeline.rest)),
        Event(*(change(part) for part in timeline.event)),
        change(timeline.gate),
    )


def _leaves(timeline: Timeline) -> tuple[Any, ...]:
    return (*timeline.rest, *timeline.event, timeline.gate)


def _fields(state: Any) -> tuple[str, ...]:  # noqa: ANN401
    return tuple(getattr(state, "_fields", ())) or tuple(str(i) for i in range(len(state)))
