"""Cluster-robust covariance matrices of the coefficients, with degrees of freedom for few clusters.

With residuals r, working covariance M = V + ZΨZ', C = (X'M⁻¹X)⁻¹ and clusters i,

    V_R = C [Σ X_i'W_i A_i r_i r_i'A_i'W_i X_i] C,

CR0: A = 1; CR1: √(m/(m-1)); CR1p: √(m/(m-p)); CR2: A_i = D_i'B_i^(-1/2)D_i with M_i = D_i'D_i and
B_i = D_i(M_i - X_iCX_i')D_i', which makes V_R unbiased when M is right; CR3: A_i = (I - X_iCX_i'W_i)⁻¹, close to
leaving clusters out.

Sources: Bell & McCaffrey 2002, Survey Methodology 28:169; Hedges, Tipton & Johnson 2010, doi:10.1002/jrsm.5;
Pustejovsky & Tipton 2018, doi:10.1080/07350015.2016.1247004.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, get_args

import numpy as np
from scipy import special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.contract import freeze, require_choice
from dualtrace.pooling.multilevel.known_v import KnownV
from dualtrace.pooling.multilevel.layout import layout
from dualtrace.pooling.multilevel.likelihood import Solved, solve
from dualtrace.pooling.multilevel.rows import unstacked
from dualtrace.pooling.multilevel.terms import cluster_code
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number, p_value
from dualtrace.printed import table

if TYPE_CHECKING:
    from pandas import DataFrame

    from dualtrace.pooling.likelihood import Array, Ints
    from dualtrace.pooling.multilevel.contract import Multilevel
    from dualtrace.pooling.multilevel.layout import Layout
    from dualtrace.pooling.multilevel.terms import Column

Type = Literal["CR0", "CR1", "CR1p", "CR2", "CR3"]
"""Small-sample adjustment."""

Dfs = Literal["satterthwaite", "residual"]
"""Degrees of freedom: matched to the variance of V_R, or clusters minus coefficients."""

SINGULAR = 1e-10
"""Share of a direction's variance below which a cluster is called fitted exactly in it."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Robust(Result):
    """Coefficients with cluster-robust inference.

    Attributes
    ----------
    names, beta, se, tval, df, pval, ci_lb, ci_ub, vb
        Coefficients: estimate, robust standard error, t with its degrees of freedom, p, interval, covariance.
    F, F_df1, F_df2, Fp
        Joint test of all coefficients but the intercept: approximate Hotelling test under Satterthwaite degrees of
        freedom, F with clusters minus coefficients otherwise. NaN where the degrees of freedom do not suffice.
    clusters, type, dfs, level
        Number of clusters, adjustment, kind of degrees of freedom, confidence level.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("tipton2015", "pustejovsky2018")

    names: tuple[str, ...]
    beta: Array
    se: Array
    tval: Array
    df: Array
    pval: Array
    ci_lb: Array
    ci_ub: Array
    vb: Array
    F: float
    F_df1: int
    F_df2: float
    Fp: float
    clusters: int
    type: Type
    dfs: Dfs
    level: float

    def __post_init__(self) -> None:
        freeze(self)

    def to_frame(self) -> DataFrame:
        """One row per coefficient."""
        from pandas import DataFrame

        keys = ("beta", "se", "tval", "df", "pval", "ci_lb", "ci_ub")
        return DataFrame({key: getattr(self, key) for key in keys}, index=list(self.names))

    def __str__(self) -> str:
        """As a paper's table."""
        columns = (self.beta, self.se, self.tval, self.df, self.pval, self.ci_lb, self.ci_ub)
        rows = (
            (
                name,
                number(b),
                number(se),
                number(t),
                number(df, 1),
                p_value(p).removeprefix("= "),
                interval(low, high),
            )
            for name, b, se, t, df, p, low, high in zip(self.names, *columns, strict=True)
        )
        lines = [
            f"Cluster-robust inference ({self.type}), {self.clusters} clusters",
            "",
            table(("", "estimate", "se", "t", "df", "p", f"{100.0 * self.level:g}% CI"), rows),
        ]
        if len(self.names) > 1 and np.isfinite(self.F):
            law = f"F({self.F_df1}, {number(self.F_df2, 1)})"
            lines += ["", f"Moderators: {law} = {number(self.F)}, p {p_value(self.Fp)}"]
        return "\n".join(lines)


def robust(
    found: Multilevel,
    cluster: Column,
    *,
    type: Type = "CR2",  # noqa: A002 - the field's word
    dfs: Dfs = "satterthwaite",
    level: float | None = None,
) -> Robust:
    """Cluster-robust inference for the coefficients of a fit.

    Parameters
    ----------
    found
        A fit.
    cluster
        Cluster of each row; independent of each other under the fit for CR2, CR3 and Satterthwaite degrees of
        freedom.
    type
        CR0, CR1, CR1p, CR2 or CR3.
    dfs
        ``satterthwaite``, or ``residual``: clusters minus coefficients.
    level
        Confidence level; that of the fit when absent.

    Raises
    ------
    FitError
        If there are no more clusters than coefficients, or the fit ties clusters together.
    InputError
        If type or dfs is not one there is.
    """
    require_choice("type", type, get_args(Type))
    require_choice("dfs", dfs, get_args(Dfs))
    wanted = found.level if level is None else level
    if not 0.0 < wanted < 1.0:
        raise InputError(f"level must lie between 0 and 1, for example 0.95; given {wanted:g}.")
    code, _ = cluster_code(cluster, found.k)
    m, p = int(code.max()) + 1, found.p
    if m <= p:
        raise FitError(f"Robust inference needs more clusters than coefficients; given {m} clusters for p = {p}.")
    pieces = _pieces(found, code, m)
    if pieces is None and (type in {"CR2", "CR3"} or dfs == "satterthwaite"):
        raise FitError(
            "The random effects or V tie rows of different clusters together; CR2, CR3 and Satterthwaite degrees of "
            "freedom need clusters that hold every group of every random term. Use coarser clusters, or CR1 with "
            "dfs='residual'."
        )
    factor = {"CR1": m / (m - 1.0), "CR1p": m / float(m - p)}.get(type, 1.0)
    if pieces is None:
        vb = factor * _plain(found, code, m)
        return _inference(found, vb, np.full(p, float(m - p)), (float(m - p), "residual"), m, type, dfs, wanted)
    scores, spread = _adjusted(pieces, type, factor)
    vb = scores.T @ scores
    if dfs == "residual":
        return _inference(found, vb, np.full(p, float(m - p)), (float(m - p), dfs), m, type, dfs, wanted)
    eta = _hotelling(spread, found.source.tested)
    return _inference(found, vb, _satterthwaite(spread), (eta, dfs), m, type, dfs, wanted)


class _Piece(NamedTuple):
    """Clusters of similar size: covariance, its inverse, design, residuals, and M⁻¹XC for the design's columns."""

    M: Array  # (b, m, m)
    W: Array  # (b, m, m)
    X: Array  # (b, m, p)
    e: Array  # W r, (b, m)
    lean: Array  # W X C T', (b, m, p)
    C: Array  # (p, p)


class _Spread(NamedTuple):
    """What the expectation and variance of V_R are made of.

    Attributes
    ----------
    own
        G_i'M_iG_i with G_i = A_i'W_iX_iCT', (m, p, p).
    shared
        C^(1/2)'X_i'G_i, (m, r, p).
    """

    own: Array
    shared: Array


def _pieces(found: Multilevel, code: Ints, m: int) -> list[_Piece] | None:
    """Blocks that are whole clusters; None when the fit ties clusters together."""
    src = found.source
    unit2 = src.unit**2
    V = KnownV(src.V.variance / unit2, src.V.row, src.V.column, src.V.covariance / unit2)
    where = layout(V, src.coded.terms, src.basis, src.slab, together=code)
    if int(where.block.max()) + 1 != m:
        return None
    now = solve(where, src.sets, src.entries)
    return [_piece(where, now, s, found) for s in range(len(where.stacks))]


def _piece(where: Layout, now: Solved, s: int, found: Multilevel) -> _Piece:
    src, stack = found.source, where.stacks[s]
    a, b, m, _ = stack.E.shape
    M = stack.V + (src.entries[:, where.inside] @ stack.E.reshape(a, b * m * m)).reshape(b, m, m)
    C = now.cov[0]
    # in the units of the effects: y is in units of src.unit
    lean = now.U[s][0] @ C @ src.T.T
    return _Piece(M, now.weights[s][0], stack.N, now.e[s][0] * src.unit, lean, C)


def _adjusted(pieces: list[_Piece], type_: Type, factor: float) -> tuple[Array, _Spread]:
    """Contribution of every cluster to the coefficients, (m, p), and its spread."""
    scores, own, shared = [], [], []
    for piece in pieces:
        G = piece.lean * np.sqrt(factor)
        if type_ == "CR2":
            G = _root_product(piece, -0.5).swapaxes(1, 2) @ G
        elif type_ == "CR3":
            G = _root_product(piece, -1.0) @ piece.M @ G
        resid = (piece.M @ piece.e[..., None])[..., 0]
        scores.append(np.einsum("bmp,bm->bp", G, resid))
        own.append(G.swapaxes(1, 2) @ piece.M @ G)
        half = np.linalg.cholesky(piece.C)
        shared.append(half.T @ piece.X.swapaxes(1, 2) @ G)
    return np.concatenate(scores), _Spread(np.concatenate(own), np.concatenate(shared))


def _root_product(piece: _Piece, power: float) -> Array:
    """D'Bⁿ D, (b, m, m); directions a cluster fits exactly are left out of the negative power.

    With n = -1/2 this is A of CR2; with n = -1 it is (M_i - X_iCX_i')⁻¹, and A of CR3 is M_i times it.
    """
    D = np.linalg.cholesky(piece.M).swapaxes(1, 2)
    B = D @ (piece.M - piece.X @ piece.C @ piece.X.swapaxes(1, 2)) @ D.swapaxes(1, 2)
    values, vectors = np.linalg.eigh(B)
    kept = values > SINGULAR * values.max(axis=1, keepdims=True)
    scale = np.where(kept, np.where(kept, values, 1.0) ** power, 0.0)
    product: Array = D.swapaxes(1, 2) @ (vectors * scale[:, None, :]) @ vectors.swapaxes(1, 2) @ D
    return product


def _plain(found: Multilevel, code: Ints, m: int) -> Array:
    """CR0 when clusters are not independent under the fit: scores X'M⁻¹ of a cluster's rows times its residuals."""
    src = found.source
    now = solve(src.where, src.sets, src.entries)
    p = found.p
    MX = (unstacked(src.where, now.U) @ (np.eye(src.where.p + src.where.q)[:, :p] - now.K0 @ now.G[:, :, :p]))[0]
    resid = src.y - src.X @ found.beta
    scores = np.zeros((m, p))
    np.add.at(scores, code, MX * resid[:, None])
    scores = scores @ now.cov[0] @ src.T.T
    covariance: Array = scores.T @ scores
    return covariance


def _satterthwaite(spread: _Spread) -> Array:
    """ν = 2E(V_R)²/Var(V_R) for each coefficient, (p,).

    With P_ij = δ_ij own_i - shared_i'shared_j:  ν = (Σ P_ii)² / Σ_ij P_ij².
    """
    d = np.einsum("mpp->mp", spread.own)
    q = spread.shared
    length = np.einsum("mrp,mrp->mp", q, q)
    gram = np.einsum("mrp,msp->prs", q, q)
    squares = (d**2 - 2.0 * d * length).sum(0) + np.einsum("prs,prs->p", gram, gram)
    nu: Array = (d - length).sum(0) ** 2 / squares
    return nu


def _hotelling(spread: _Spread, tested: list[int]) -> float:
    """Degrees of freedom η of the approximate Hotelling test.

    η = q(q+1)/Σ_st Var(d_st), d the covariance of the q coefficients after scaling to expectation 1.

    Source: Tipton & Pustejovsky 2015, doi:10.3102/1076998615606099.
    """
    own, shared = spread.own[:, tested][:, :, tested], spread.shared[:, :, tested]
    expected = (own - shared.swapaxes(1, 2) @ shared).sum(0)
    values, vectors = np.linalg.eigh(expected)
    if values[0] <= 0.0:
        return float("nan")
    root = (vectors * values**-0.5) @ vectors.T
    own, shared = root @ own @ root, shared @ root
    q = len(tested)
    m = len(own)
    P = -np.einsum("mrs,nrt->stmn", shared, shared, optimize=True)
    P[:, :, np.arange(m), np.arange(m)] += own.transpose(1, 2, 0)
    diagonal = np.einsum("ssmn->mn", P)
    variance = float((diagonal**2).sum() + np.einsum("stmn,tsmn->", P, P))
    return q * (q + 1.0) / variance


def _inference(
    found: Multilevel,
    vb: Array,
    df: Array,
    joint: tuple[float, str],
    m: int,
    type_: Type,
    dfs: Dfs,
    level: float,
) -> Robust:
    """Tests and intervals from a robust covariance matrix."""
    se = np.sqrt(np.diag(vb))
    t = found.beta / se
    half = special.stdtrit(df, 0.5 * (1.0 + level)) * se
    tested = found.source.tested
    q = len(tested)
    b = found.beta[tested]
    Q = float(b @ np.linalg.solve(vb[np.ix_(tested, tested)], b))
    eta = joint[0]
    df2 = eta - q + 1.0 if joint[1] == "satterthwaite" else eta
    F = (df2 / (eta * q) if joint[1] == "satterthwaite" else 1.0 / q) * Q if df2 > 0.0 else float("nan")
    return Robust(
        names=found.names,
        beta=found.beta.copy(),
        se=se,
        tval=t,
        df=df,
        pval=2.0 * special.stdtr(df, -np.abs(t)),
        ci_lb=found.beta - half,
        ci_ub=found.beta + half,
        vb=vb,
        F=F,
        F_df1=q,
        F_df2=df2 if df2 > 0.0 else float("nan"),
        Fp=float(special.fdtrc(q, df2, F)) if df2 > 0.0 else float("nan"),
        clusters=m,
        type=type_,
        dfs=dfs,
        level=level,
    )
