"""What every memory model does: ``init``, ``present`` one event, ``rest`` for a while. The loop lives here, once.

A model sees *elements*: the cues, then the contexts. State and constants are tuples of arrays whose leading
axes are a batch (draws of the constants, groups of an experiment); equations follow the arrays they get
(NumPy or JAX), so one model runs the scoreboard, thousands of prior draws, and gradient-based fits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from dualtrace.mechanism.arrays import scan, xp

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.parameters import Lookup

Theta = TypeVar("Theta", bound=tuple[Any, ...])
State = TypeVar("State", bound=tuple[Any, ...])


class Sizes(NamedTuple):
    """How many of everything: the batch, cues, contexts, and rows of the timeline."""

    batch: tuple[int, ...]
    cues: int
    contexts: int
    rows: int

    @property
    def elements(self) -> int:
        """Cues and contexts together."""
        return self.cues + self.contexts


class Event(NamedTuple):
    """One presentation. A row of zeros presents nothing and must leave every state as it was.

    Attributes
    ----------
    cue
        Intensity of each cue, 0 when absent, shape ``(..., cues)``.
    context
        1 for the context in which it happens, shape ``(..., contexts)``.
    us
        Strength of the unconditioned stimulus, 0 when omitted, shape ``(...)`` as all below.
    length
        Length in expected US intervals: 1 for a cue presentation, a share for the rest of a context exposure.
    quality
        Share of the exposure that is taken in; below 1 for avoidance or inattention.
    drug
        NMDA gain on board while it happens, relative to no drug (0).
    stress
        1 for a stressor, which is neither cue nor US.
    """

    cue: Array
    context: Array
    us: Array
    length: Array
    quality: Array
    drug: Array
    stress: Array


class Rest(NamedTuple):
    """The time before the next event, all of shape ``(...)``.

    Attributes
    ----------
    hours
        How long; 0 must leave every state as it was unless ``closes``.
    closes
        1 when a session has just ended: what it left open is consolidated now.
    safety_gain, threat_gain
        NMDA gain relative to no drug (0; -1 is full block) averaged over the consolidation window, for what
        is stored as safety and for what is stored as threat. Equal for an NMDA drug.
    """

    hours: Array
    closes: Array
    safety_gain: Array
    threat_gain: Array


class Info(NamedTuple):
    """What a reader wants to know of one event; all of shape ``(...)``.

    ``fear`` is expressed fear between 0 and 1, ``expectation`` the US expected before it came, ``error`` what
    came minus what was expected.
    """

    fear: Array
    expectation: Array
    error: Array


class Memory(ABC, Generic[Theta, State]):
    """A memory model: constants in, a pure function of events out (abstract)."""

    name: str
    title: str
    source: str
    """DOI, or where the model is described."""

    constants: tuple[str, ...]
    """Its parameters in ``parameters.yaml``."""

    @abstractmethod
    def theta(self, lookup: Lookup) -> Theta:
        """Return the constants; each a number or an array that broadcasts against the batch."""

    @abstractmethod
    def init(self, theta: Theta, sizes: Sizes) -> State:
        """Return the state of a naive learner; every array has the full batch shape."""

    @abstractmethod
    def present(self, theta: Theta, state: State, event: Event) -> tuple[State, Info]:
        """Present one event."""

    @abstractmethod
    def rest(self, theta: Theta, state: State, rest: Rest) -> State:
        """Let time pass."""


class Timeline(NamedTuple):
    """Rows in order: each is a rest and then an event. Time is the first axis of every array.

    ``gate`` is the fear of the row before above which the drug of this row's rest is withheld (``inf``: never).
    """

    rest: Rest
    event: Event
    gate: Array


def follow(model: Memory[Theta, State], theta: Theta, timeline: Timeline, sizes: Sizes) -> Info:
    """Run one model over a timeline; time is the first axis of every array of the result."""
    parts = len(Rest._fields)

    def step(carried: tuple[Any, Array], row: tuple[Array, ...]) -> tuple[tuple[Any, Array], Info]:
        state, last_fear = carried
        rest, event, gate = Rest(*row[:parts]), Event(*row[parts:-1]), row[-1]
        given = xp.where(last_fear <= gate, 1.0, 0.0)
        rest = rest._replace(safety_gain=rest.safety_gain * given, threat_gain=rest.threat_gain * given)
        state, info = model.present(theta, model.rest(theta, state, rest), event)
        happened = xp.sum(event.context, axis=-1) > 0
        return (state, xp.where(happened, info.fear, last_fear)), info

    start = model.init(theta, sizes), xp.zeros_like(timeline.gate, shape=sizes.batch)
    return Info(*scan(step, start, (*timeline.rest, *timeline.event, timeline.gate)))


def elements(event: Event, context_salience: ArrayLike) -> Array:
    """Intensity of every element: cues as they are; the context at its salience beside a cue, whole on its own."""
    cue_is_there = xp.sum(event.cue, axis=-1, keepdims=True) > 0
    context = event.context * xp.where(cue_is_there, per_element(context_salience), 1.0)
    lead = xp.broadcast_shapes(event.cue.shape[:-1], context.shape[:-1])
    cue = xp.broadcast_to(event.cue, (*lead, event.cue.shape[-1]))
    return xp.concatenate([cue, xp.broadcast_to(context, (*lead, context.shape[-1]))], axis=-1)


def per_element(value: ArrayLike, axes: int = 1) -> Array:
    """A constant or a state of the batch with trailing axes of length one, to meet arrays over elements."""
    array = xp.asarray(value)
    return array.reshape(*array.shape, *(1,) * axes)
