"""One task: a function by name, its inputs and a seed; together, a hash under which the result is stored."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dualtrace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = 1
"""Of what is hashed and how results are laid out; a store of another format is refused."""

_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_DEEPEST = 50
_SEEDS = 2**63


@cache
def package_version() -> str:
    """Version of dualtrace; part of every hash, so that another version computes anew."""
    return version("dualtrace")


@final
@dataclass(frozen=True, slots=True)
class Task:
    """A function with its inputs and seed.

    The function is called as ``f(inputs, seed)`` with ``inputs`` as dictionaries, lists, numbers and text; it
    returns :data:`~dualtrace.runner.tables.Tables`. It must depend on nothing else: whoever changes the code of a
    function under the same version of dualtrace gets the old results from an old store, and should start a new one.

    Attributes
    ----------
    function
        ``package.module:name`` of a function that every worker can import.
    inputs
        Text, whole numbers, finite numbers, true, false, null, and lists and mappings of these; NumPy numbers
        become plain ones, -0.0 becomes 0.0, so that equal inputs have one spelling. Held read-only.
    seed
        Of the function's random numbers, at least 0 and below 2^63.
    key
        SHA-256 of all of these, the version of dualtrace and the format of the store, in hexadecimal.

    Raises
    ------
    InputError
        The name is not one, the seed is out of range, or a field of the inputs cannot be written as JSON; says which.
    """

    function: str = field(compare=False)
    inputs: Mapping[str, Any] = field(compare=False)
    seed: int = field(compare=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_name(self.function)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < _SEEDS:
            raise InputError(f"the seed of a task must be a whole number from 0 to 2^63 - 1; given {self.seed!r}")
        if not isinstance(self.inputs, Mapping):
            raise InputError(
                f"the inputs of a task must be a mapping of names to values; given {type(self.inputs).__name__}"
            )
        object.__setattr__(self, "inputs", _frozen(self.inputs, "inputs", 0))
        object.__setattr__(self, "key", hashlib.sha256(self._hashed().encode()).hexdigest())

    def __str__(self) -> str:
        """``package.module:name (seed 3, 0f1e2d3c4b5a)``, as messages name it."""
        return f"{self.function} (seed {self.seed}, {self.key[:12]})"

    def plain(self) -> dict[str, Any]:
        """Return function, inputs and seed as fresh dictionaries and lists."""
        return {"function": self.function, "inputs": _thawed(self.inputs), "seed": self.seed}

    def resolve(self) -> Callable[[dict[str, Any], int], Any]:
        """Import the function.

        Raises
        ------
        InputError
            The module or the function in it is not there.
        """
        module, _, name = self.function.partition(":")
        try:
            found = getattr(import_module(module), name, None)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            raise InputError(
                f"the function of a task must be importable; there is no module {error.name} for {self.function}: "
                "install its package where the workers run, or put its folder on PYTHONPATH"
            ) from None
        if not callable(found):
            raise InputError(f"the function of a task must exist; module {module} has no function {name}")
        return found  # type: ignore[no-any-return] # what a module holds has no type

    def _hashed(self) -> str:
        return canonical({**self.plain(), "version": package_version(), "format": FORMAT})


def canonical(content: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    """JSON with one spelling: keys sorted, no spaces, ASCII, shortest decimal form of every float."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _check_name(function: str) -> None:
    if not isinstance(function, str) or not _FUNCTION.fullmatch(function):
        raise InputError(f"the function of a task must be named 'package.module:name'; given {function!r}")
    if function.startswith("__main__:"):
        raise InputError(
            f"the function of a task must live in a module that workers can import; given {function!r}: move it out "
            "of the script"
        )


def _frozen(value: Any, where: str, depth: int) -> Any:  # noqa: ANN401
    if depth > _DEEPEST:
        raise InputError(f"inputs of a task must not nest deeper than {_DEEPEST} levels; {where[:60]}... does")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return _frozen_mapping(value, where, depth)
    if isinstance(value, list | tuple):
        return tuple(_frozen(entry, f"{where}[{i}]", depth + 1) for i, entry in enumerate(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"inputs of a task must be finite; {where} is {value!r}: leave it out or use null")
        return float(value) + 0.0
    if value is None or type(value) in (bool, int, str):
        return value
    hint = ": give the result of its .tolist()" if isinstance(value, np.ndarray) else ""
    raise InputError(
        f"inputs of a task must be text, numbers, true, false, null, or lists and mappings of these; {where} is of "
        f"type {type(value).__name__}{hint}"
    )


def _frozen_mapping(value: Mapping[Any, Any], where: str, depth: int) -> Mapping[str, Any]:
    for name in value:
        if type(name) is not str:
            raise InputError(f"names within the inputs of a task must be text; {where} has the name {name!r}")
    return MappingProxyType({name: _frozen(entry, f"{where}.{name}", depth + 1) for name, entry in value.items()})


def _thawed(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return {name: _thawed(entry) for name, entry in value.items()}
    return [_thawed(entry) for entry in value] if isinstance(value, tuple) else value
