"""Where tasks run: in this process, in processes on this machine, or on a Dask cluster."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from dualtrace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL = "local"
"""In place of a cluster's address: a Dask cluster on this machine, for as long as the run lasts."""

_ADDRESS = re.compile(r"[a-z]+://\S+")
_NAME = re.compile(r"[A-Za-z_]\w*")
_DEFAULTS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NPROC": "1",  # of XLA on a CPU
    "PYTHONHASHSEED": "1",
}
"""One thread each, as workers share the cores and the last digits of a sum must not depend on their number; and one
order of sets."""


@final
@dataclass(frozen=True, slots=True)
class Workers:
    """Where tasks run; by default one after another in this process.

    Attributes
    ----------
    processes
        Worker processes on this machine; 0 for none.
    cluster
        Address of a Dask scheduler, for example ``tcp://10.0.0.5:8786``, which brings its own workers; or ``local``
        for a Dask cluster of ``processes`` on this machine.
    environment
        Variables that worker processes get before they import anything, for example ``XLA_FLAGS``. Linear algebra
        and compiled programs have one thread each per worker unless they or this process's own variables say
        otherwise. Only for workers that the run starts itself.

    Raises
    ------
    InputError
        These do not go together; says why.
    """

    processes: int = 0
    cluster: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.processes, bool) or not isinstance(self.processes, int) or self.processes < 0:
            raise InputError(f"the number of worker processes must be 0 or more; given {self.processes!r}")
        self._check_cluster()
        self._check_environment()
        object.__setattr__(self, "environment", MappingProxyType(dict(self.environment)))

    @property
    def variables(self) -> dict[str, str]:
        """Variables of worker processes that differ from those of this process."""
        return {**{name: value for name, value in _DEFAULTS.items() if name not in os.environ}, **self.environment}

    @property
    def is_remote(self) -> bool:
        """Whether the workers belong to a cluster that others started."""
        return self.cluster is not None and self.cluster != LOCAL

    def _check_cluster(self) -> None:
        if self.cluster is None:
            return
        if self.cluster == LOCAL:
            if self.processes < 1:
                raise InputError("a local cluster needs at least 1 worker process; given 0")
        elif not _ADDRESS.fullmatch(self.cluster):
            raise InputError(
                f"the cluster must be {LOCAL} or the address of a Dask scheduler such as tcp://10.0.0.5:8786; given "
                f"{self.cluster!r}"
            )
        elif self.processes:
            raise InputError(
                f"a cluster at an address brings its own workers; given {self.processes} processes beside it: leave "
                "them out"
            )

    def _check_environment(self) -> None:
        for name, value in self.environment.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(value, str) or "\0" in value:
                raise InputError(f"the environment of workers must hold variables as text; given {name!r}: {value!r}")
        if self.environment and (self.processes == 0 or self.is_remote):
            raise InputError(
                "an environment needs worker processes that the run starts itself; for this process or a cluster at "
                "an address set the variables before it starts"
            )
