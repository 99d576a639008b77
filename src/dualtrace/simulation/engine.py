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
from typing import TYPE_CHECKING, Any, Literal, cast, final, get_args

import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.allotment import BY_CHANCE, allot
from dualtrace.simulation.block import Block, follow_block
from dualtrace.simulation.devices import cores, prepare_jax
from dualtrace.simulation.draws import key_of, uniforms
from dualtrace.simulation.mechanism import Mechanism, lookup_in
from dualtrace.simulation.patients import count_of, patients_of, strata_of
from dualtrace.simulation.rows import outcomes_of, rows_of
from dualtrace.simulation.tally import Tally, add, tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dualtrace.mechanism.arrays import Array
    from dualtrace.simulation.patients import Patients
    from dualtrace.simulation.plan import Plan
    from dualtrace.simulation.rows import Outcomes, Rows

Precision = Literal["float32", "float64"]

BLOCK = 1024
"""Patients that are simulated together: their arrays fit the cache of a core."""

SHARE = 128 * BLOCK
"""Patients of one share of the work: a task, and the unit in which sums are added up."""

MOST_PATIENTS = 2**32
_CHUNK = 32
"""Blocks that go through in one call, and those for which a program has room at least."""


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
        whole: Rows = self._each("rows", patients, seed)
        return whole

    def outcomes(self, patients: int, seed: int, *, trials: int = 1) -> Outcomes:
        """Outcomes of trials of ``patients`` each that follow one another, arrays ``(..., trials * patients)``.

        Patient ``i`` of trial ``r`` is patient ``r * patients + i``; each trial is randomised by itself, the first as
        if it were alone.

        Raises
        ------
        InputError
            There are no patients or too many.
        """
        whole: Outcomes = self._each("outcomes", patients, seed, trials)
        return whole

    def _each(self, what: str, patients: int, seed: int, trials: int = 1) -> Any:  # noqa: ANN401
        import jax

        total = patients * trials
        _require_patients(total)
        chunks = [one for share in range(shares_of(total)) for one in self._chunks(total, share)]
        parts = list(self._found(what, patients, seed, chunks, trials))

        def joined(*leaves: NDArray[Any]) -> NDArray[Any]:
            flat = [np.moveaxis(leaf, 0, -2).reshape(*leaf.shape[1:-1], -1) for leaf in leaves]
            return np.concatenate(flat, axis=-1)[..., :total]

        return jax.tree.map(joined, *parts)

    def _chunks(self, patients: int, share: int) -> list[tuple[int, int]]:
        """First block and number of blocks of each chunk of a share."""
        first = share * (SHARE // BLOCK)
        last = min(first + SHARE // BLOCK, -(-patients // BLOCK))
        size = min(self.chunk, -(-(last - first) // self.threads))
        return [(start, min(size, last - start)) for start in range(first, last, size)]

    def _found(
        self, what: str, patients: int, seed: int, chunks: list[tuple[int, int]], trials: int = 1
    ) -> Iterator[Any]:
        """What each chunk gives, in order; its leaves have the blocks as first axis."""
        import jax

        room = max(self.chunk, _CHUNK)
        key, values, arms = key_of(seed), self.mechanism.values(), self._arms(patients, seed, trials)
        program = _compiled(_Structure(self.plan, self.mechanism, self.precision, what, room))

        def run(chunk: tuple[int, int]) -> Any:  # noqa: ANN401
            first, count = chunk
            places = np.arange(first * BLOCK, (first + room) * BLOCK).reshape(room, BLOCK)
            ids, counted = (places % 2**32).astype(np.uint32), places < patients * trials
            chosen = np.full(ids.shape, BY_CHANCE, np.int8) if arms is None else _taken(arms, ids, counted)
            found = program(values, key, np.int64(count), ids, chosen, counted)
            return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], found)

        with ThreadPoolExecutor(self.threads) as pool:
            yield from pool.map(run, chunks)

    @functools.cached_property
    def _dealt(self) -> dict[tuple[int, int, int], NDArray[np.int8]]:
        return {}

    def _arms(self, patients: int, seed: int, trials: int) -> NDArray[np.int8] | None:
        """Allotment in blocks, worked out once; ``None``: by chance, worked out in the blocks."""
        if not self.plan.protocol.randomisation.blocks:
            return None
        given = (patients, seed, trials)
        if given not in self._dealt:
            self._dealt[given] = _allotted(self.plan, patients, seed, trials)
        return self._dealt[given]


def shares_of(patients: int) -> int:
    """Into how many shares that many patients are cut."""
    return -(-patients // SHARE)


def _require_patients(patients: int) -> None:
    if not 1 <= patients <= MOST_PATIENTS:
        raise InputError(f"there must be 1 to {MOST_PATIENTS:,} patients; given {patients:,}")


def _taken(arms: NDArray[np.int8], ids: NDArray[np.uint32], counted: NDArray[np.bool_]) -> NDArray[np.int8]:
    return np.where(counted, arms[np.minimum(ids, arms.size - 1)], 0).astype(np.int8)


def _allotted(plan: Plan, patients: int, seed: int, trials: int) -> NDArray[np.int8]:
    """Allotment in blocks needs to know the stratum of every patient beforehand."""
    key, total = key_of(seed), patients * trials
    strata = np.zeros(total, np.int8)
    if plan.protocol.randomisation.strata:
        for first in range(0, total, SHARE):
            some = np.arange(first, min(first + SHARE, total), dtype=np.uint32)
            strata[some] = strata_of(plan, key, some)
    return allot(plan, key, patients, strata, trials=trials)


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
        if structure.what == "tally":
            return tally(plan, block, arm_of, counted)
        return (rows_of if structure.what == "rows" else outcomes_of)(plan, block, arm_of)

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
