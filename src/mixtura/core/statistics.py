"""The one record that crosses from the E-step to the M-step.

A pass over rows, under a model with K components in D columns, leaves behind

====== ======================= ======================================================
n      (K,)                    n_k  = Σ w γ                     sum of responsibilities
s1     (K, D)                  s1_k = Σ w γ (x − c_k)
s2     by ``kind``, see below  s2_k = Σ w γ (x − c_k)(x − c_k)ᵀ
====== ======================= ======================================================

together with the log-likelihood (S11), the total row weight, the number of rows and, where the model has a noise
component, the sum of its responsibilities. The centres c are the
means in force during the pass: that keeps the sums plain and the arithmetic safe, wherever the data lie.
Records with the same centres add; anything that can sum them can fit a mixture.

======== ============ ==================================================
kind     shape of s2  meaning
======== ============ ==================================================
full     (K, D, D)    one matrix a component
tied     (D, D)       the sum of those matrices over the components
diagonal (K, D)       their diagonals
======== ============ ==================================================
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mixtura.lazy import cached_property
from mixtura.sources.record import recordable

Kind = Literal["full", "tied", "diagonal"]
Array = NDArray[np.float64]


def outer(kind: Kind, n: Array, a: Array, b: Array) -> Array:
    """Σ over nothing, k or the diagonal (by kind) of n_k a_k b_kᵀ, for (K, D) arrays a and b."""
    if kind == "full":
        return (n[:, None] * a)[:, :, None] * b[:, None, :]
    if kind == "tied":
        return (n[:, None] * a).T @ b
    return n[:, None] * a * b


def reduced(matrices: Array, kind: Kind) -> Array:
    """What a kind keeps of (K, D, D) matrices: all, their sum or their diagonals."""
    if kind == "full":
        return matrices
    return matrices.sum(0) if kind == "tied" else np.diagonal(matrices, axis1=1, axis2=2)


@recordable
@dataclass(frozen=True, eq=False)
class Statistics:
    """What one pass over the rows knows about them, given a mixture (see the head of this module).

    Attributes
    ----------
    kind : {"full", "tied", "diagonal"}
        What ``s2`` holds.
    centre : ndarray of shape (K, D)
        The points about which ``s1`` and ``s2`` are taken.
    n, s1, s2 : ndarray
        Sums of weighted responsibilities, first and second moments.
    loglik : float
        Σ w log p(x) of the rows (S11), in nats.
    weight : float
        Σ w; equal to ``rows`` when the rows carry no weights.
    rows : int
        How many rows were seen.
    noise : float
        Σ w γ_0, the responsibilities of the noise component; 0 where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import Mixture, e_step
    >>> model = Mixture([0.5, 0.5], [-1.0, 1.0], [1.0, 1.0])
    >>> rows = np.array([[-2.0], [0.5], [3.0]])
    >>> whole = e_step(model, rows)
    >>> halves = e_step(model, rows[:1]) + e_step(model, rows[1:])
    >>> bool(np.allclose(whole.s2, halves.s2)), whole.rows
    (True, 3)
    """

    kind: Kind
    centre: Array
    n: Array
    s1: Array
    s2: Array
    loglik: float
    weight: float
    rows: int
    noise: float = 0.0

    @classmethod
    def zero(cls, kind: Kind, centre: Array) -> Statistics:
        """The record of no rows: the neutral element of ``+``."""
        n, s1 = np.zeros(len(centre)), np.zeros_like(centre)
        return cls(kind, centre, n, s1, outer(kind, n, s1, s1), 0.0, 0.0, 0)

    def __add__(self, other: Statistics) -> Statistics:
        """The record of both sets of rows.

        Raises
        ------
        ValueError
            If the two differ in kind or centre; ``recentre`` one of them first.
        """
        if self.kind != other.kind:
            raise ValueError(f"cannot add statistics of kind {other.kind!r} to {self.kind!r}")
        if self.centre is not other.centre and not np.array_equal(self.centre, other.centre):
            raise ValueError("cannot add statistics about different centres: call recentre(centre) on one of them")
        return replace(
            self,
            n=self.n + other.n,
            s1=self.s1 + other.s1,
            s2=self.s2 + other.s2,
            loglik=self.loglik + other.loglik,
            weight=self.weight + other.weight,
            rows=self.rows + other.rows,
            noise=self.noise + other.noise,
        )

    @property
    def row_weight(self) -> float:
        """What a row weighs on average: the unit for "a row's worth", whatever the unit of the weights."""
        return self.weight / self.rows

    def scale(self, factor: float) -> Statistics:
        """The record in which every row weighs ``factor`` times as much."""
        return replace(
            self,
            n=factor * self.n,
            s1=factor * self.s1,
            s2=factor * self.s2,
            loglik=factor * self.loglik,
            weight=factor * self.weight,
            noise=factor * self.noise,
        )

    def recentre(self, centre: Array) -> Statistics:
        """The same sums about other points, by the parallel-axis rule (exact but for rounding)."""
        there = np.broadcast_to(np.asarray(centre, dtype=np.float64), self.centre.shape)
        shift = there - self.centre
        one = np.ones(len(self.n))
        cross = outer(self.kind, one, self.s1, shift)
        back = outer(self.kind, one, shift, self.s1)
        return replace(
            self,
            centre=there,
            s1=self.s1 - self.n[:, None] * shift,
            s2=self.s2 - cross - back + outer(self.kind, self.n, shift, shift),
        )

    def moved(self, factor: float, change: Statistics) -> Statistics:
        """The sums and that many times the others, about the same centres; weight and rows remain."""
        return replace(
            self,
            n=self.n + factor * change.n,
            s1=self.s1 + factor * change.s1,
            s2=self.s2 + factor * change.s2,
            loglik=self.loglik + factor * change.loglik,
            noise=self.noise + factor * change.noise,
        )

    def beyond(self, before: Statistics, share: float) -> Statistics:
        """The record this much further on the way from an earlier one, in parts of that way; about these centres."""
        return self.moved(share, self.moved(-1.0, before.recentre(self.centre)))

    def take(self, order: NDArray[np.intp]) -> Statistics:
        """The record with its components in another order."""
        s2 = self.s2 if self.kind == "tied" else self.s2[order]
        return replace(self, centre=self.centre[order], n=self.n[order], s1=self.s1[order], s2=s2)

    def shift(self) -> Array:
        """How far each component's mean lies from its centre, s1/n, (K, D); 0 where n = 0."""
        return self._shift

    @cached_property
    def _shift(self) -> Array:
        return self.s1 / np.where(self.n > 0, self.n, 1.0)[:, None]

    def scatter(self) -> Array:
        """W = Σ w γ (x − x̄_k)(x − x̄_k)ᵀ about each component's own mean, in the shape of ``s2``."""
        shift = self.shift()
        between = outer(self.kind, self.n, shift, shift)
        return np.subtract(self.s2, between, out=between)
