"""The engine: blocks of patients through every arm, compiled once, in bounded memory, the same bytes however cut.

Patients are simulated in blocks of one fixed size; what a block gives depends on nothing but the plan, the constants,
the seed and the numbers of its patients. Chunks, threads and workers only say how many blocks go through at once.

All of them run one program: compiled for another number of devices, or for a loop of another known length, it would
round differently.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast, final, get_args

import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.allotment import BY_CHANCE, allot
from dualtrace.simulation.block import Block, follow_block
from dualtrace.simulation.devices import cores, prepare_jax
from dualtrace.simulation.draws import key_of, uniforms
from dualtrace.simulation.mechanism import Mechanism, lookup_in
from dualtrace.simulation.patients import count_of, patients_of
from dualtrace.simulation.tally import Tally, add, tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dualtrace.mechanism.arrays import Array
    from dualtrace.simulation.patients import Patients
    from dualtrace.simulation.plan import Plan

Precision = Literal["float32", "float64"]

BLOCK = 512
"""Patients that are simulated together: their arrays fit the cache of a core."""

SHARE = 256 * BLOCK
"""Patients of one share of the work: a task, and the unit in which sums are added up."""

MOST_PATIENTS = 2**32
_CHUNK = 32
"""Blocks that go through in one call, and those for which a program has room at least."""


class Rows(NamedTuple):
    """What tables keep of every patient; the patients are the last axis, arms and visits come before.

    Attributes
    ----------
    arm
        Place of the arm the patient was allotted to.
    observed
        Scores in that arm, ``(visits, scales, n)``, NaN where not assessed or gone.
    twin
        True primary score in every arm, ``(arms, visits, n)``.
    lived
        What happened in that arm, session by session, ``(sessions, n)`` by name.
    person
        Traits of the patient by name.
    known
        What each arm's dosing rule knew, ``(names, sessions, n)`` by arm; empty without rules.
    """

    arm: Array
    observed: Array
    twin: Array
    lived: dict[str, Array]
    person: dict[str, Array]
    known: dict[str, Array]


@final
@dataclass(frozen=True, eq=False)
class Engine:
    """One plan on one mechanism.

    Attributes
    ----------
    plan, mechanism
        What is simulated.
    precision
        ``float64``, or ``float32``: about twice as fast, the same patients, means equal to about six digits.
    chunk
        Blocks per call; more need more memory and nothing else changes.
    threads
        Calls at a time.
    """

    plan: Plan
    mechanism: Mechanism
    precision: Precision = "float64"
    chunk: int = _CHUNK
    threads: int = field(default_factory=cores)

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise InputError(f"a chunk is 1 or more blocks; given {self.chunk}")
        if self.threads < 1:
            raise InputError(f"there must be 1 or more threads; given {self.threads}")
        if self.precision not in get_args(Precision):
            raise InputError(f"the precision must be {' or '.join(get_args(Precision))}; given {self.precision!r}")

    def sums(self, patients: int, seed: int, *, share: int | None = None) -> Tally:
        """Sums over patients ``0 .. patients - 1``, or over one share of them (see :data:`SHARE`).

        Raises
        ------
        InputError
            There are no patients or too many, or there is no such share of them.
        """
        _require_patients(patients)
        if share is not None and not 0 <= share < shares_of(patients):
            raise InputError(f"shares of {patients:,} patients are 0 to {shares_of(patients) - 1}; given {share}")
        shares = range(shares_of(patients)) if share is None else [share]
        return add([self._share_sum(patients, seed, place) for place in shares])

    def _share_sum(self, patients: int, seed: int, share: int) -> Tally:
        parts: list[Tally] = []
        for found in self._found("tally", patients, seed, self._chunks(patients, share)):
            parts += [Tally(*leaves) for leaves in zip(*found, strict=True)]
        return add(parts)

    def rows(self, patients: int, seed: int) -> Rows:
        """Rows of patients ``0 .. patients - 1``, arrays ``(..., patients)``."""
        import jax

        _require_patients(patients)
        chunks = [one for share in range(shares_of(patients)) for one in self._chunks(patients, share)]
        parts = list(self._found("rows", patients, seed, chunks))

        def joined(*leaves: NDArray[Any]) -> NDArray[Any]:
            flat = [np.moveaxis(leaf, 0, -2).reshape(*leaf.shape[1:-1], -1) for leaf in leaves]
            return np.concatenate(flat, axis=-1)[..., :patients]

        whole: Rows = jax.tree.map(joined, *parts)
        return whole

    def _chunks(self, patients: int, share: int) -> list[tuple[int, int]]:
        """First block and number of blocks of each chunk of a share."""
        first = share * (SHARE // BLOCK)
        last = min(first + SHARE // BLOCK, -(-patients // BLOCK))
        size = min(self.chunk, -(-(last - first) // self.threads))
        return [(start, min(size, last - start)) for start in range(first, last, size)]

    def _found(self, what: str, patients: int, seed: int, chunks: list[tuple[int, int]]) -> Iterator[Any]:
        """What each chunk gives, in order; its leaves have the blocks as first axis."""
        import jax

        room = max(self.chunk, _CHUNK)
        key, values, arms = key_of(seed), self.mechanism.values(), self._arms(patients, seed)
        program = _compiled(_Structure(self.plan, self.mechanism, self.precision, what, room))

        def run(chunk: tuple[int, int]) -> Any:  # noqa: ANN401
            first, count = chunk
            places = np.arange(first * BLOCK, (first + room) * BLOCK).reshape(room, BLOCK)
            ids, counted = (places % 2**32).astype(np.uint32), places < patients
            chosen = np.full(ids.shape, BY_CHANCE, np.int8) if arms is None else _taken(arms, ids, counted)
            found = program(values, key, np.int64(count), ids, chosen, counted)
            return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], found)

        with ThreadPoolExecutor(self.threads) as pool:
            yield from pool.map(run, chunks)

    @functools.cached_property
    def _dealt(self) -> dict[tuple[int, int], NDArray[np.int8]]:
        return {}

    def _arms(self, patients: int, seed: int) -> NDArray[np.int8] | None:
        """Allotment in blocks, worked out once; ``None``: by chance, worked out in the blocks."""
        if not self.plan.protocol.randomisation.blocks:
            return None
        if (patients, seed) not in self._dealt:
            self._dealt[patients, seed] = _allotted(self.plan, patients, seed)
        return self._dealt[patients, seed]


def shares_of(patients: int) -> int:
    """Into how many shares that many patients are cut."""
    return -(-patients // SHARE)


def _require_patients(patients: int) -> None:
    if not 1 <= patients <= MOST_PATIENTS:
        raise InputError(f"there must be 1 to {MOST_PATIENTS:,} patients; given {patients:,}")


def _taken(arms: NDArray[np.int8], ids: NDArray[np.uint32], counted: NDArray[np.bool_]) -> NDArray[np.int8]:
    return np.where(counted, arms[np.minimum(ids, arms.size - 1)], 0).astype(np.int8)


def _allotted(plan: Plan, patients: int, seed: int) -> NDArray[np.int8]:
    """Allotment in blocks needs to know the stratum of every patient beforehand."""
    key = key_of(seed)
    strata = np.zeros(patients, np.int8)
    wanted = plan.protocol.randomisation.strata
    if wanted:
        ids = xp.asarray(np.arange(patients, dtype=np.uint32))
        lookup = lookup_in(Mechanism().values(), np.float64)
        people = patients_of(plan, lookup, uniforms(xp.asarray(key), ids, count_of(plan), np.float64))
        on = {"antidepressants": people.antidepressant > 0, "severity": people.severity > 0}
        for name in wanted:
            strata = (2 * strata + on[name]).astype(np.int8)
    return allot(plan, key, patients, strata)


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Structure:
    """What a compiled program depends on; the values of the constants are its argument."""

    plan: Plan
    mechanism: Mechanism
    precision: Precision
    what: str
    room: int

    @property
    def text(self) -> str:
        of = self.mechanism
        return f"{self.plan.identity} {of.memory} {of.switches} {self.precision} {self.what} {self.room}"

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Structure) and self.text == other.text


@functools.lru_cache(maxsize=32)
def _compiled(structure: _Structure) -> Callable[..., Any]:
    """Compile one of the engine's outputs for chunks of blocks; the program may run on several threads at a time."""
    import jax

    prepare_jax()
    plan, mechanism, room = structure.plan, structure.mechanism, structure.room
    dtype = np.dtype(structure.precision)

    def people(values: dict[str, Array], key: Array, ids: Array) -> Patients:
        return patients_of(plan, lookup_in(values, dtype), uniforms(key, ids, count_of(plan), dtype))

    def followed(values: dict[str, Array], patients: Patients, chosen: Array, counted: Array) -> Any:  # noqa: ANN401
        block = follow_block(plan, mechanism, lookup_in(values, dtype), patients)
        arm_of = xp.where(chosen == BY_CHANCE, _by_chance(plan, block), chosen)
        return tally(plan, block, arm_of, counted) if structure.what == "tally" else rows_of(plan, block, arm_of)

    def looped(one: Callable[..., Any], count: Array, *parts: Any) -> Any:  # noqa: ANN401
        # The number of blocks is an argument: a loop of known length may be unrolled, and would round otherwise.
        def at(place: Array) -> list[Any]:
            return [jax.tree.map(lambda leaf: leaf[place], part) for part in parts]

        def step(place: Array, kept: Any) -> Any:  # noqa: ANN401
            return jax.tree.map(lambda whole, new: whole.at[place].set(new), kept, one(*at(place)))

        shapes = jax.eval_shape(one, *at(xp.asarray(0)))
        empty = jax.tree.map(lambda leaf: xp.zeros_like(count, leaf.dtype, shape=(room, *leaf.shape)), shapes)
        return jax.lax.fori_loop(0, count, step, empty)

    def blocks(values: dict[str, Array], key: Array, count: Array, ids: Array, *parts: Array) -> Any:  # noqa: ANN401
        # Two loops, because what one loop leaves behind is worked out once; in one loop the compiler makes a
        # patient's random numbers again wherever they are used.
        made = looped(functools.partial(people, values, key), count, ids)
        return looped(functools.partial(followed, values), count, made, *parts)

    sizes = [np.zeros((room, BLOCK), kind) for kind in (np.uint32, np.int8, np.bool_)]
    lowered = jax.jit(blocks).lower(mechanism.values(), key_of(0), np.int64(0), *sizes)
    return cast("Callable[..., Any]", lowered.compile())


def _by_chance(plan: Plan, block: Block) -> Array:
    """Arm of each patient by one uniform number."""
    ratio = np.array(plan.protocol.ratio, float)
    edges = xp.asarray(np.cumsum(ratio)[:-1] / ratio.sum(), block.patients.place.dtype)
    return xp.searchsorted(edges, block.patients.place, side="right").astype(np.int8)


def rows_of(plan: Plan, block: Block, arm_of: Array) -> Rows:
    """Keep of a block what tables show."""

    def mine(leaves: list[Array]) -> Array:
        chosen = leaves[0]
        for place, leaf in enumerate(leaves[1:], 1):
            chosen = xp.where(arm_of == place, leaf, chosen)
        return chosen

    arms = block.arms
    gone = xp.full_like(arms[0].lived.stays[0], xp.nan)
    observed = mine([arm.scores.observed for arm in arms])
    stays = mine([arm.lived.stays for arm in arms])
    there = xp.stack([xp.ones_like(gone), *(stays[visit.session - 1] for visit in plan.visits)])
    shown = (there[:, None] > 0) & plan.measured[:, :, None]
    fields = [name for name in arms[0].lived._fields if name != "known"]
    people = block.patients
    return Rows(
        arm=arm_of,
        observed=xp.where(shown, observed, gone),
        twin=xp.stack([arm.scores.true[:, 0] for arm in arms]),
        lived={name: mine([getattr(arm.lived, name) for arm in arms]) for name in fields},
        person={
            "severity": people.severity,
            "weight_kg": xp.asarray(people.covariates.weight),
            "antidepressant": people.antidepressant,
            "threat": people.traits.threat,
            "learning": people.traits.learning,
            "generalisation": people.traits.generalisation,
        },
        known={
            plan_arm.source.id: xp.stack(arm.lived.known)
            for plan_arm, arm in zip(plan.arms, arms, strict=True)
            if arm.lived.known
        },
    )
