"""What there is to know about noise before a fit: the region that it may fill, and which rows look like it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from mixtura.core.noise import INITIAL_WEIGHT, Noise
from mixtura.core.statistics import Array
from mixtura.covariance.idle import LEAST_SIZE, NULL_VARIANCE
from mixtura.sources.record import recordable
from mixtura.sources.sketch import Box, Sample
from mixtura.sources.source import Block, Source

#: In a direction in which the rows do not vary, as long an edge as makes the noise as dense as the nominal variance
#: makes the Gaussians: such a direction then says nothing about who is noise.
LEAST_EDGE = float(np.sqrt(2 * np.pi * NULL_VARIANCE))
#: Neighbours whose distance tells how sparse the surroundings of a row are.
NEIGHBOURS = 10
#: Steps of EM for telling sparse surroundings from dense ones.
STEPS = 100
#: Logarithms of volumes are drawn in to this distance from their median: none overflows.
FAR = 50.0


def noise_over(source: Source, sample: Sample) -> Noise:
    """Noise that fills the region of the rows: of two boxes around them the one with the smaller volume.

    One box is along the columns, the other along the principal components of the sample (mclust's ``hypvol``, but with
    standardised columns, so that their units have no say).
    """
    _, spread = sample.middle_and_spread
    size = np.abs(sample.rows[0])
    unit = np.where(spread > 0, spread, np.where(size > LEAST_SIZE, size, 1.0))
    share = sample.weights / sample.weights.sum()
    middle = share @ sample.rows
    standard = (sample.rows - middle) / unit
    _, axes = np.linalg.eigh((standard * share[:, None]).T @ standard)
    extent = source.total(partial(_extent, middle, unit, axes))
    plain, turned = (np.maximum(e.high - e.low, LEAST_EDGE) for e in (extent.plain, extent.turned))
    if np.log(turned).sum() < np.log(plain).sum():
        origin, edges = middle + unit * (axes @ extent.turned.low), unit[:, None] * axes * turned
    else:
        origin, edges = middle + unit * extent.plain.low, np.diag(unit * plain)
    return Noise.region(origin, edges, INITIAL_WEIGHT, estimated=True)


@recordable
@dataclass(frozen=True, eq=False)
class _Extent:
    """The boxes along the columns and along other axes."""

    plain: Box
    turned: Box

    def __add__(self, other: _Extent) -> _Extent:
        return _Extent(self.plain + other.plain, self.turned + other.turned)


def _extent(middle: Array, unit: Array, axes: Array, block: Block) -> _Extent:
    rows = (np.asarray(block.rows[block.each > 0], dtype=np.float64) - middle) / unit
    return _Extent(Box.around(rows), Box.around(rows @ axes))


def without_noise(sample: Sample) -> Sample:
    """The rows whose surroundings are dense."""
    noise = looks_like_noise(sample)
    return Sample(sample.rows[~noise], sample.weights[~noise], sample.complete)


def looks_like_noise(sample: Sample) -> NDArray[np.bool_]:
    """(N,) whether the surroundings of each row are sparse.

    The volume that holds the nearest neighbours of a row is gamma distributed where rows are scattered evenly; a
    mixture of two such distributions tells sparse from dense surroundings (Byers & Raftery, "Nearest-neighbor clutter
    removal", JASA 93 (1998)). Copies of a row count by their weight.
    """
    near = min(NEIGHBOURS, sample.n_rows - 1)
    if near < 1:
        return np.zeros(sample.n_rows, dtype=np.bool_)
    distance, which = KDTree(sample.standard).query(sample.standard, near + 1)
    with np.errstate(divide="ignore"):
        log_volume = sample.n_features * np.log(distance[:, -1]) - np.log(sample.weights[which].sum(1))
    log_volume -= np.median(log_volume)
    volume = np.exp(np.clip(log_volume, -FAR, FAR))
    share = sample.weights / sample.weights.sum()
    sparse = (volume > share @ volume).astype(np.float64)
    for _ in range(STEPS):
        parts = np.stack([1 - sparse, sparse], axis=1) * share[:, None]
        total = parts.sum(0)
        if not total.all():  # all alike
            break
        rate = near * total / (volume @ parts)
        log_joint = np.log(total) + near * np.log(rate) - rate * volume[:, None]
        before, sparse = sparse, 1 / (1 + np.exp(np.clip(log_joint[:, 0] - log_joint[:, 1], -FAR, FAR)))
        if np.abs(sparse - before).max() < 1e-6:
            break
    return sparse > 0.5
