"""The hot loops over rows, in two editions that agree to rounding and a quick third, and the rule that chooses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mixtura.core.statistics import Array, Kind
from mixtura.lazy import cached_property

if TYPE_CHECKING:
    from mixtura.kernels.compiled import Framed

Rows = NDArray[np.float64] | NDArray[np.float32]

#: From this much work on (rows × components × (8 + columns²), a pass) the compiled kernels repay their loading.
COMPILED_FROM = 4e6


class _Whitened(NamedTuple):
    kind: Kind
    means: Array
    whitening: Array
    log_constants: Array
    noise: float = -math.inf


class Whitened(_Whitened):
    """A mixture as the kernels take it: log π_k N(x|μ_k,Σ_k) = c_k − ½‖A_k (x − μ_k)‖².

    ``whitening`` holds A_k = L_k⁻¹: (K, D, D) lower triangular when full, (D, D) when tied, (K, D) when diagonal.
    ``noise`` is log π_0 − log V of the noise component; −inf where there is none.
    """

    @cached_property
    def rounded(self) -> Framed | None:
        """The model in single precision, or None where that loses too much: see ``single``."""
        from mixtura.kernels import single

        return single.rounded(self)


class Sums(NamedTuple):
    """What ``accumulate`` returns: see Statistics for n, s1, s2 and noise; the sums are centred at the means."""

    loglik: float
    n: Array
    s1: Array
    s2: Array
    noise: float = 0.0


class Kernel(Protocol):
    """The functions that every edition offers, for blocks of rows (B, D) in float64 or float32."""

    def log_joint(self, rows: Rows, model: Whitened) -> Array:
        """(B, K) log π_k + log N(x|μ_k,Σ_k) (S6); −inf where the density underflows even in logarithms."""
        ...

    def accumulate(self, rows: Rows, weights: Array | None, model: Whitened) -> Sums:
        """The sums of the E-step over these rows; NaN in ``loglik`` asks for the careful edition."""
        ...

    def accumulate_all(self, rows: Rows, weights: Array | None, models: Sequence[Whitened]) -> list[Sums]:
        """``accumulate`` under several models; one is the same bits whatever the others are."""
        ...


def choose(rows: int, n_components: int, n_features: int, *, single: bool = False) -> Kernel:
    """The edition for a problem of that size; in single precision, where that is safe, only if asked for."""
    if rows * n_components * (8.0 + n_features**2) >= COMPILED_FROM:
        from mixtura.kernels import compiled
        from mixtura.kernels import single as compiled_single

        return compiled_single if single else compiled
    from mixtura.kernels import reference

    return reference
