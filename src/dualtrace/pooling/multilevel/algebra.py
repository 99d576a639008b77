"""Matrices in stacks: small ones all together, large ones with the sparsity of their patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array

LARGE = 64
"""Size beyond which patterns are multiplied as sparse matrices, one by one."""


def inverse(matrix: Array) -> Array:
    """Inverse of each matrix of a stack."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def inverse_and_log_det(matrix: Array) -> tuple[Array, Array]:
    """Inverse and log-determinant of positive definite matrices (..., m, m)."""
    m = matrix.shape[-1]
    if m == 1:
        return 1.0 / matrix, np.log(matrix[..., 0, 0])
    return inverse(matrix), np.linalg.slogdet(matrix)[1]


def pattern_products(E: Array, W: Array) -> Array:
    """W E for symmetric 0/1 patterns E (A, b, m, m) and symmetric W (n, b, m, m): (n, A, b, m, m)."""
    if E.shape[-1] <= LARGE:
        return W[:, None] @ E
    found = np.empty((W.shape[0], *E.shape))
    for a, b, sparse in _sparse(E):
        for n in range(W.shape[0]):
            found[n, a, b] = (sparse @ W[n, b]).T
    return found


def pattern_times(E: Array, U: Array) -> Array:
    """E U for patterns E (A, b, m, m) and U (n, b, m, c): (n, A, b, m, c)."""
    if E.shape[-1] <= LARGE:
        return E @ U[:, None]
    found = np.empty((U.shape[0], *E.shape[:2], *U.shape[2:]))
    for a, b, sparse in _sparse(E):
        for n in range(U.shape[0]):
            found[n, a, b] = sparse @ U[n, b]
    return found


def _sparse(E: Array) -> Sequence[tuple[int, int, csr_array]]:
    return [(a, b, csr_array(E[a, b])) for a in range(E.shape[0]) for b in range(E.shape[1])]
