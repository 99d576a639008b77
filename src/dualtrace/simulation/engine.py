"""The engine: blocks of patients through every arm, compiled once, in bounded memory, the same bytes however cut.

Patients are simulated in blocks of one fixed size; what a block gives depends on nothing but the plan, the constants,
the seed and the numbers of its patients. Chunks, devices and workers only say how many blocks go through at once.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, final

import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.allotment import BY_CHANCE, allot
from dualtrace.simulation.block import Block, follow_block
from dualtrace.simulation.devices import prepare_jax
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
"""Blocks per device that go through in one call."""


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
        Blocks per device and call; more need more memory and nothing else changes.
    """

    plan: Plan
    mechanism: Mechanism
    precision: Precision = "float64"
    chunk: int = _CHUNK

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise InputError(f"a chunk is 1 or more blocks; given {self.chunk}")

    def sums(self, patients: int, seed: int, *, share: int | None = None) -> Tally:
        """Sums over patients ``0 .. patients - 1``, or over one share of them (see :data:`SHARE`).

        Raises
        ------
        InputError
            There are no patients or too many.
        """
        _require_patients(patients)
        shares = range(shares_of(patients)) if share is None else [share]
        return add([self._share_sum(patients, seed, place) for place in shares])

    def _share_sum(self, patients: int, seed: int, share: int) -> Tally:
        parts: list[Tally] = []
        for first, count in self._chunks(patients, share):
            found = self._run("tally", patients, seed, first, count)
            there = min(count, -(-patients // BLOCK) - first)
            parts += [Tally(*(leaf[b] for leaf in found)) for b in range(there)]
        return add(parts)

    def rows(self, patients: int, seed: int) -> Rows:
        """Rows of patients ``0 .. patients - 1``, arrays ``(..., patients)``."""
        import jax

        _require_patients(patients)
        parts = [
            self._run("rows", patients, seed, first, count)
            for share in range(shares_of(patients))
            for first, count in self._chunks(patients, share)
        ]

        def joined(*leaves: NDArray[Any]) -> NDArray[Any]:
            flat = [np.moveaxis(leaf, 0, -2).reshape(*leaf.shape[1:-1], -1) for leaf in leaves]
            return np.concatenate(flat, axis=-1)[..., :patients]

        whole: Rows = jax.tree.map(joined, *parts)
        return whole

    def _chunks(self, patients: int, share: int) -> Iterator[tuple[int, int]]:
        """First block and number of blocks of each chunk of a share: large ones, then small ones for the rest.

        There are only two sizes, so that a program is compiled at most twice.
        """
        import jax

        small = len(jax.local_devices())
        first = share * (SHARE // BLOCK)
        last = min(first + SHARE // BLOCK, -(-patients // BLOCK))
        while first < last:
            large = self.chunk * small
            size = large if last - first > large // 2 else small
            yield first, size
            first += size

    def _run(self, what: str, patients: int, seed: int, first: int, count: int) -> Any:  # noqa: ANN401
        """One chunk: ``count`` blocks from the ``first`` on, some of which may lie beyond the last patient."""
        import jax

        places = np.arange(first * BLOCK, (first + count) * BLOCK).reshape(count, BLOCK)
        ids, counted = (places % 2**32).astype(np.uint32), places < patients
        arms = self._arms(patients, seed)
        program = _compiled(_Structure(self.plan, self.mechanism, self.precision, what))
        chosen = np.full(ids.shape, BY_CHANCE, np.int8) if arms is None else _taken(arms, ids, counted)
        found = program(self.mechanism.values(), key_of(seed), ids, chosen, counted)
        return jax.tree.map(np.asarray, found)

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

    @property
    def text(self) -> str:
        return f"{self.plan.identity} {self.mechanism.memory} {self.mechanism.switches} {self.precision} {self.what}"

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Structure) and self.text == other.text


@functools.lru_cache(maxsize=32)
def _compiled(structure: _Structure) -> Callable[..., Any]:
    """Compile one of the engine's outputs for chunks of blocks, shared among the devices."""
    import jax

    prepare_jax()
    plan, mechanism, dtype = structure.plan, structure.mechanism, np.dtype(structure.precision)

    def people(values: dict[str, Array], key: Array, ids: Array) -> Patients:
        return patients_of(plan, lookup_in(values, dtype), uniforms(key, ids, count_of(plan), dtype))

    def one(values: dict[str, Array], patients: Patients, chosen: Array, counted: Array) -> Any:  # noqa: ANN401
        block = follow_block(plan, mechanism, lookup_in(values, dtype), patients)
        arm_of = xp.where(chosen == BY_CHANCE, _by_chance(plan, block), chosen)
        return tally(plan, block, arm_of, counted) if structure.what == "tally" else rows_of(plan, block, arm_of)

    def blocks(values: dict[str, Array], key: Array, ids: Array, *parts: Array) -> Any:  # noqa: ANN401
        # Two loops, because what one loop leaves behind is worked out once; in one loop the compiler makes a
        # patient's random numbers again wherever they are used.
        made = jax.lax.map(lambda block: people(values, key, block), ids)
        return jax.lax.map(lambda part: one(values, *part), (made, *parts))

    mesh = jax.sharding.Mesh(np.array(jax.local_devices()), ("patients",))
    spec: Any = jax.sharding.PartitionSpec
    whole, cut = spec(), spec("patients")
    return jax.jit(
        jax.shard_map(blocks, mesh=mesh, in_specs=(whole, whole, cut, cut, cut), out_specs=cut, check_vma=False)
    )


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
