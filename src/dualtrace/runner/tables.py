"""Results of tasks: named tables of columns, checked, and written to Parquet with the same bytes on every run.

pyarrow loads with the first table, not with this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualtrace.errors import InputError

Tables = Mapping[str, Mapping[str, NDArray[Any]]]
"""Tables by name, columns by name; the columns of a table are of one length.

A column holds floats of 32 or 64 bits, whole numbers, booleans or text.
"""

_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")
_NUMBERS = frozenset(np.dtype(kind) for kind in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"))


def checked(tables: Any) -> dict[str, dict[str, NDArray[Any]]]:  # noqa: ANN401 - what a task returned is to be seen
    """Return tables as what is stored: arrays of the native byte order, text as ``str`` arrays.

    Raises
    ------
    InputError
        They are not :data:`Tables`; says which table and column, and what was given.
    """
    if not isinstance(tables, Mapping) or not tables:
        raise InputError(f"a task must return a mapping of names to tables, at least one; got {_given(tables)}")
    return {_name(name): _checked_table(name, table) for name, table in tables.items()}


def _name(name: Any) -> str:  # noqa: ANN401
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"a table that a task returns must be named with lower-case letters, digits and underscores, 64 at most; "
            f"got {name!r}"
        )
    return name


def _checked_table(name: str, table: Any) -> dict[str, NDArray[Any]]:  # noqa: ANN401
    if not isinstance(table, Mapping) or not table:
        raise InputError(
            f"table {name} must be a mapping of column names to arrays, at least one; got {_given(table)}"
        )
    columns = {_column_name(name, column): _column(f"{name}.{column}", array) for column, array in table.items()}
    lengths = {column: len(array) for column, array in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{column} {length}" for column, length in lengths.items())
        raise InputError(f"the columns of table {name} must be of one length; got {said}")
    return columns


def _column_name(table: str, column: Any) -> str:  # noqa: ANN401
    if not isinstance(column, str) or not column or not _can_be_stored(column):
        raise InputError(f"columns of table {table} must be named with text; got {column!r}")
    return column


def _column(where: str, given: Any) -> NDArray[Any]:  # noqa: ANN401
    if isinstance(given, np.ma.MaskedArray):
        raise InputError(f"column {where} must not be a masked array: fill it, or drop the masked rows")
    array = np.asarray(given)
    if array.ndim != 1:
        raise InputError(f"column {where} must have one dimension; got shape {array.shape}")
    if array.dtype.kind in "OUT":
        return _text(where, array)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.dtype not in _NUMBERS:
        raise InputError(
            f"column {where} must hold floats of 32 or 64 bits, whole numbers, booleans or text; got {array.dtype}"
        )
    return native


def _text(where: str, array: NDArray[Any]) -> NDArray[Any]:
    entries = array.tolist()
    for i, entry in enumerate(entries):
        if not isinstance(entry, str):
            raise InputError(f"column {where} must hold text throughout; entry {i} is {entry!r}")
        if not _can_be_stored(entry):
            raise InputError(
                f"column {where} must hold text of Unicode characters that ends in no NUL; entry {i} is {entry!r}"
            )
    return np.array(entries, dtype=str)


def _can_be_stored(text: str) -> bool:
    """Whether text is the same after a round trip through UTF-8 and a NumPy array."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not text.endswith("\0")


def _given(value: Any) -> str:  # noqa: ANN401
    return "an empty one" if isinstance(value, Mapping) else type(value).__name__


def to_parquet(table: Mapping[str, NDArray[Any]]) -> memoryview:
    """One checked table as the bytes of a Parquet file; equal tables give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    columns = [_stored(array) for array in table.values()]
    pq.write_table(pa.Table.from_arrays(columns, names=list(table)), sink, compression="zstd")
    return memoryview(sink.getvalue())


def _stored(array: NDArray[Any]) -> Any:  # noqa: ANN401 - pyarrow has no stubs
    """Return an Arrow array of the buffers; ``pyarrow.array`` would import pandas to look at what it is given."""
    import pyarrow as pa

    if array.dtype.kind == "U":
        entries = [entry.encode() for entry in array.tolist()]
        ends = np.cumsum([0, *map(len, entries)], dtype=np.int64)
        buffers, kind = [pa.py_buffer(ends), pa.py_buffer(b"".join(entries))], pa.large_string()
    elif array.dtype.kind == "b":
        buffers, kind = [pa.py_buffer(np.packbits(array, bitorder="little"))], pa.bool_()
    else:
        buffers, kind = [pa.py_buffer(np.ascontiguousarray(array))], pa.from_numpy_dtype(array.dtype)
    return pa.Array.from_buffers(kind, len(array), [None, *buffers])


def from_parquet(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the table of a Parquet file as read-only arrays."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content), use_threads=False)
    return {name: _array(table.column(name)) for name in table.column_names}


def _array(column: Any) -> NDArray[Any]:  # noqa: ANN401
    values = column.to_numpy()
    array = np.array(values, dtype=str) if values.dtype.kind == "O" else np.array(values)
    array.setflags(write=False)
    return array
