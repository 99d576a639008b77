"""Small protocols for tests of virtual trials, and their patients in every arm: compiled once per text and process."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from dualtrace.simulation.block import Block, simulate_block
from dualtrace.simulation.devices import prepare_jax
from dualtrace.simulation.draws import key_of, uniforms
from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.mechanism import Mechanism, lookup_in
from dualtrace.simulation.patients import count_of
from dualtrace.simulation.plan import Plan, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

PLACEBO = "{id: placebo, label: placebo, agent: placebo}"
PRE = "{id: pre, label: before, agent: d-cycloserine, dose_mg: 50, give: before, minutes: 60}"
POST = "{id: post, label: after, agent: d-cycloserine, dose_mg: 50, give: after, minutes: 0}"
EARNED = "{id: earned, label: earned, agent: d-cycloserine, dose_mg: 50, give: after, minutes: 0, if: last_suds < 40}"
SCORED = (
    "{id: scored, label: by score, agent: d-cycloserine, dose_mg: 50, give: before, minutes: 60, sessions: [2, 3], "
    "if: score < 0.95 * baseline and last_suds < 70}"
)
SESSIONS = "{count: 3, minutes: 60, exposures: 10, exposure_minutes: 5}"
VISITS = (
    "{id: mid, timepoint: mid, after_session: 1, instruments: [LSAS]}",
    "{id: post, timepoint: post, days_after_last: 7, instruments: [LSAS, CGI-I]}",
    "{id: month, timepoint: followup, weeks_after_last: 4, instruments: [LSAS]}",
)


def text_of(
    arms: Sequence[str],
    *,
    sessions: str = SESSIONS,
    visits: Sequence[str] = VISITS,
    more: str = "",
    every_days: float = 7,
) -> str:
    """A protocol of social anxiety disorder in words of YAML."""
    return "\n".join(
        [
            "{id: virtual, title: a protocol for tests, disorder: SAD, patients: 60,",
            f"arms: [{', '.join(arms)}],",
            f"therapy: {{every_days: {every_days}, sessions: [{sessions}]}},",
            "assessments: [{id: baseline, timepoint: baseline, instruments: [LSAS]},",
            f"{', '.join(visits)}]{',' if more else ''}",
            f"{more}}}",
        ]
    )


SMALL = text_of([EARNED, SCORED, PLACEBO], more="randomisation: {blocks: [3, 6], strata: severity}")
"""What most tests of the whole engine run: two rules, three visits, two scales, blocks within strata."""


def numbers_of(plan: Plan, patients: NDArray[np.integer[Any]] | range, *, seed: int = 1) -> jax.Array:
    """Uniform numbers of some patients, as the engine draws them."""
    ids = jnp.asarray(np.asarray(patients, np.uint32))
    return jnp.asarray(uniforms(jnp.asarray(key_of(seed)), ids, count_of(plan), np.float64))


@functools.cache
def compiled_block(text: str, memory: str, softness: float | None) -> tuple[Plan, Callable[..., Block]]:
    """The plan of a protocol, and ``(values, uniform) -> Block`` compiled."""
    prepare_jax()
    plan, mechanism = plan_of(parse_protocol(text)), Mechanism(memory)

    def simulate(values: dict[str, Any], uniform: jax.Array) -> Block:
        return simulate_block(plan, mechanism, lookup_in(values, uniform.dtype), uniform, softness)

    return plan, jax.jit(simulate)


def arms_of(
    text: str,
    patients: NDArray[np.integer[Any]] | range = range(512),
    *,
    seed: int = 1,
    memory: str = "dual_trace",
    softness: float | None = None,
    dtype: Any = np.float64,
    **changes: float,
) -> dict[str, Any]:
    """Every arm of a protocol by name, for some patients; ``changes`` name constants with ``__`` for the dot."""
    plan, simulate = compiled_block(text, memory, softness)
    values = Mechanism(changes={name.replace("__", "."): value for name, value in changes.items()}).values()
    block = simulate(values, numbers_of(plan, patients, seed=seed).astype(dtype))
    block = jax.tree.map(np.asarray, block)
    return {arm.source.id: course for arm, course in zip(plan.arms, block.arms, strict=True)}
