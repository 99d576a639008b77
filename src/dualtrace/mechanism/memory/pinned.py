"""A model with some constants held at other values: rivals that differ in one idea, and ablations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from dualtrace.mechanism.memory.contract import Memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualtrace.mechanism.memory.contract import Event, Info, Rest, Sizes
    from dualtrace.mechanism.parameters import Lookup


@final
class Pinned(Memory[Any, Any]):
    """Another model with constants pinned.

    Parameters
    ----------
    base
        The model.
    pins
        Name of a constant to its value, or to the name of the constant whose value it takes.
    name, title
        Of the new model.

    Raises
    ------
    ValueError
        A pin names a constant that the model does not have.
    """

    def __init__(self, base: Memory[Any, Any], pins: Mapping[str, float | str], *, name: str, title: str) -> None:
        if unknown := set(pins) - set(base.constants):
            raise ValueError(
                f"{base.name} has no constant {', '.join(sorted(unknown))}; it has {', '.join(base.constants)}"
            )
        self.base, self.pins, self.name, self.title, self.source = base, dict(pins), name, title, base.source
        self.constants = tuple(constant for constant in base.constants if constant not in pins)

    def theta(self, lookup: Lookup) -> Any:  # noqa: ANN401
        """Constants of the model, the pinned ones in their places."""

        def pinned(name: str, unit: str) -> Any:  # noqa: ANN401
            pin = self.pins.get(name, name)
            return lookup(pin, unit) if isinstance(pin, str) else pin

        return self.base.theta(pinned)

    def init(self, theta: Any, sizes: Sizes) -> Any:  # noqa: ANN401
        """As the model."""
        return self.base.init(theta, sizes)

    def present(self, theta: Any, state: Any, event: Event) -> tuple[Any, Info]:  # noqa: ANN401
        """As the model."""
        return self.base.present(theta, state, event)

    def rest(self, theta: Any, state: Any, rest: Rest) -> Any:  # noqa: ANN401
        """As the model."""
        return self.base.rest(theta, state, rest)
