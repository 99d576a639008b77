"""A patient as a learner: one feared situation, met in sessions; what a memory model makes of it.

Any memory model can be the learner (:class:`AnyLearner`). The dual trace has a form of its own for one cue in one
place (:mod:`dualtrace.simulation.dual_trace_learner`), equal to the general one and some fifty times faster.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, final

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.memory.contract import Event, Rest, Sizes

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.memory.contract import Memory
    from dualtrace.mechanism.parameters import Lookup

State = TypeVar("State", bound=tuple[Any, ...])
Pace = TypeVar("Pace")


class Traits(NamedTuple):
    """What differs between patients as learners, each of shape ``(n,)``.

    Attributes
    ----------
    threat
        Strength of the threat trace before treatment.
    learning
        Factor on the rate of safety learning.
    generalisation
        Share of the safety learned in sessions that comes to mind in daily life.
    """

    threat: Array
    learning: Array
    generalisation: Array


class Learner(ABC, Generic[State, Pace]):
    """One patient's memory through a course of sessions (abstract); every array has the shape ``(n,)``."""

    @abstractmethod
    def start(self) -> State:
        """Before treatment: the threat is there, no safety."""

    @abstractmethod
    def wait(self, state: State, hours: ArrayLike) -> State:
        """Let time pass between sessions."""

    @abstractmethod
    def pace(self, state: State, hours: ArrayLike) -> Pace:
        """What time does between two exposures of a session; worked out once a session."""

    @abstractmethod
    def expose(self, state: State, pace: Pace, quality: Array, drug: Array) -> State:
        """Let one exposure pass in which nothing bad happens, after a wait of ``pace``."""

    @abstractmethod
    def expose_often(self, state: State, pace: Pace, quality: Array, drug: Array, shown: Array) -> State:
        """Let exposures pass one after the other, those of which ``shown`` is true, shape ``(exposures,)``."""

    @abstractmethod
    def mishap(self, state: State, happens: Array, quality: Array, drug: Array) -> State:
        """Let the feared event come true, where ``happens`` is 1."""

    @abstractmethod
    def close(self, state: State, gain: Array) -> State:
        """End the session; ``gain`` is the boost ``M`` of what is consolidated now."""

    @abstractmethod
    def fear(self, state: State) -> Array:
        """Fear (0 to 1) of the situation as it is met in sessions."""

    @abstractmethod
    def fear_outside(self, state: State) -> Array:
        """Fear (0 to 1) of the situation in daily life."""


_LEAK = "context_leak"
_ONSET = 12
"""Reinforced meetings by which a general model acquires its threat; enough for the models shipped to settle."""


@final
class AnyLearner(Learner[Any, Any]):
    """Any memory model: sessions are its first context, daily life its second.

    The threat is acquired in daily life from US of the patient's strength. Where the model has a constant for the
    leak between contexts, it is the patient's generalisation; where it has a rate of safety, that varies too.

    Parameters
    ----------
    model, lookup
        The memory model and its constants.
    traits
        The patients.
    acquired
        State after the onset, where it is known (for tests); otherwise the model is conditioned.
    """

    def __init__(self, model: Memory[Any, Any], lookup: Lookup, traits: Traits, acquired: Any = None) -> None:  # noqa: ANN401
        def of_patients(name: str, unit: str) -> Any:  # noqa: ANN401
            value = xp.asarray(lookup(name, unit), traits.threat.dtype)
            if name.endswith(_LEAK):
                return traits.generalisation
            return value * traits.learning if name.endswith("safety_rate") else value

        self.model, self.traits, self.acquired = model, traits, acquired
        self.theta = model.theta(of_patients)
        none = xp.zeros_like(traits.threat)
        self.none, self.one = none, none + 1
        self.cue = self.one[..., None]
        self.places = (xp.stack([self.one, none], axis=-1), xp.stack([none, self.one], axis=-1))

    def start(self) -> Any:  # noqa: ANN401
        """Condition the naive learner."""
        if self.acquired is not None:
            return self.acquired
        state = self.model.init(self.theta, Sizes(self.none.shape, 1, 2, _ONSET))
        for _ in range(_ONSET):
            state, _ = self.model.present(self.theta, state, self._event(1, us=self.traits.threat))
            state = self._rest(state, 24.0, closes=self.one)
        return state

    def wait(self, state: Any, hours: ArrayLike) -> Any:  # noqa: ANN401
        """Rest."""
        return self._rest(state, hours)

    def pace(self, state: Any, hours: ArrayLike) -> Any:  # noqa: ANN401, ARG002
        """Hours between exposures."""
        return hours

    def expose(self, state: Any, pace: Any, quality: Array, drug: Array) -> Any:  # noqa: ANN401
        """Rest, then present the situation without US."""
        rested = self._rest(state, pace)
        return self.model.present(self.theta, rested, self._event(0, quality=quality, drug=drug))[0]

    def expose_often(self, state: Any, pace: Any, quality: Array, drug: Array, shown: Array) -> Any:  # noqa: ANN401
        """Repeat :meth:`expose`."""
        import jax

        def step(at: Any, is_shown: Array) -> tuple[Any, None]:  # noqa: ANN401
            after = self.expose(at, pace, quality, drug)
            return jax.tree.map(lambda new, old: xp.where(is_shown, new, old), after, at), None

        return jax.lax.scan(step, state, shown)[0]

    def mishap(self, state: Any, happens: Array, quality: Array, drug: Array) -> Any:  # noqa: ANN401
        """Present the situation with US; a row of zeros where it does not happen."""
        event = self._event(0, us=happens, quality=quality, drug=drug * happens)
        event = event._replace(cue=event.cue * happens[..., None], context=event.context * happens[..., None])
        return self.model.present(self.theta, state, event._replace(length=event.length * happens))[0]

    def close(self, state: Any, gain: Array) -> Any:  # noqa: ANN401
        """Rest of no length that closes."""
        return self._rest(state, 0.0, closes=self.one, gain=gain)

    def fear(self, state: Any) -> Array:  # noqa: ANN401
        """Probe in the first context."""
        return self._probe(state, 0)

    def fear_outside(self, state: Any) -> Array:  # noqa: ANN401
        """Probe in the second context."""
        return self._probe(state, 1)

    def _probe(self, state: Any, place: int) -> Array:  # noqa: ANN401
        return self.model.present(self.theta, state, self._event(place))[1].fear

    def _event(self, place: int, us: Any = 0.0, quality: Any = 1.0, drug: Any = 0.0) -> Event:  # noqa: ANN401
        none = self.none
        return Event(self.cue, self.places[place], none + us, self.one, none + quality, none + drug, none)

    def _rest(self, state: Any, hours: ArrayLike, closes: Any = 0.0, gain: Any = 0.0) -> Any:  # noqa: ANN401
        none = self.none
        return self.model.rest(self.theta, state, Rest(none + hours, none + closes, none + gain, none + gain))
