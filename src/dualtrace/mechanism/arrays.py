"""One set of equations for NumPy and JAX: each function here follows the arrays it is given.

Plain numbers and NumPy arrays are worked on by NumPy, without importing JAX (which takes longer than a whole
simulation); as soon as an array or a tracer of JAX comes in, JAX does the work, so that the same equations
can be compiled, vectorised and differentiated.

Double precision is the default of the mechanism: importing this module asks JAX for it, whether JAX is
already there or comes later (``JAX_ENABLE_X64=0`` in the environment says otherwise). JAX arrays that come
in as float32 stay float32.

A population needs no ``vmap``: give kinetic parameters two trailing axes of length one (times, doses), all
other parameters one (times), and the people axes come first in every result.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import jax.numpy as xp
    from jax import Array
    from jax.typing import ArrayLike

__all__ = ["Array", "ArrayLike", "compiled", "marked", "otherwise", "scan", "uses_jax", "xp"]

if "jax" in sys.modules:
    sys.modules["jax"].config.update("jax_enable_x64", True)
else:
    os.environ.setdefault("JAX_ENABLE_X64", "1")

F = TypeVar("F", bound="Callable[..., Any]")
State = TypeVar("State")


def uses_jax(*values: Any) -> bool:  # noqa: ANN401
    """Whether a JAX array, or a tracer, is among the values or inside their tuples, lists and mappings."""
    jax = sys.modules.get("jax")
    return jax is not None and any(_holds(value, jax.Array) for value in values)


def _holds(value: Any, kind: type) -> bool:  # noqa: ANN401
    if isinstance(value, tuple | list):
        return any(_holds(item, kind) for item in value)
    if isinstance(value, dict):
        return any(_holds(item, kind) for item in value.values())
    return isinstance(value, kind)


class _Functions:
    """The functions of ``numpy`` and ``jax.numpy`` by name, chosen call by call."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        plain = getattr(np, name)
        if not callable(plain):
            return plain

        def function(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if "jax" in sys.modules and uses_jax(args, kwargs):
                return getattr(sys.modules["jax"].numpy, name)(*args, **kwargs)
            return plain(*args, **kwargs)

        setattr(self, name, function)
        return function


if not TYPE_CHECKING:
    xp = _Functions()
    Array = ArrayLike = Any


def compiled(*static: str) -> Callable[[F], F]:
    """Compile a function for JAX arrays and keep its signature; ``static`` names arguments that set shapes.

    For NumPy arrays it runs as it is, without warnings: what is not finite shows in the result.
    """

    def compile_it(function: F) -> F:
        @functools.cache
        def fast() -> Callable[..., Any]:
            import jax

            return jax.jit(function, static_argnames=static)

        @functools.wraps(function)
        def either(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if uses_jax(args, kwargs):
                return fast()(*args, **kwargs)
            with np.errstate(all="ignore"):
                return function(*args, **kwargs)

        return cast("F", either)

    return compile_it


def scan(step: Callable[[State, Any], tuple[State, Any]], start: State, rows: tuple[Any, ...]) -> Any:  # noqa: ANN401
    """Carry a state along the first axis of the arrays in ``rows``; return what each step puts out, stacked.

    ``step(state, row)`` returns the next state and an array or a tuple of arrays.
    """
    if uses_jax(start, rows):
        import jax

        return jax.lax.scan(step, start, rows)[1]
    state, outs = start, []
    for row in zip(*rows, strict=True):
        state, out = step(state, row)
        outs.append(out)
    if outs and isinstance(outs[0], tuple):
        return tuple(np.stack(column) for column in zip(*outs, strict=True))
    return np.stack(outs)


def otherwise(condition: ArrayLike, changed: Callable[[State, Any], State], state: State, now: ArrayLike) -> State:
    """``changed(state, now)`` where the condition holds, the state itself otherwise."""
    if uses_jax(condition, state, now):
        import jax

        return cast("State", jax.lax.cond(condition, changed, lambda same, _: same, state, now))
    return changed(state, now) if condition else state


def marked(index: Array, count: int) -> Array:
    """``count`` flags, set at every index below ``count``."""
    if uses_jax(index):
        return xp.zeros_like(index, shape=count, dtype=bool).at[index.ravel()].set(True, mode="drop")
    flags = np.zeros(count, bool)
    flags[index[index < count]] = True
    return cast("Array", flags)
