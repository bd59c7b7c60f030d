"""AnnData, by what it has: a matrix X, others in ``layers`` and ``obsm``, and what is known of the rows in ``obs``."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtura.sources.coerce import TableError, select
from mixtura.sources.reader import Opened, Request
from mixtura.sources.where import filter_of


def open_anndata(table: Any, request: Request) -> Opened | None:
    """The matrix ``request.part`` of an AnnData object: "X", the default, "layers/NAME", "obsm/NAME" or NAME alone.

    The weights and the filter may name columns of ``obs``.
    """
    if not hasattr(table, "obsm"):
        return None
    from mixtura.sources.open import as_source

    part = request.part or "X"
    matrix, names = _matrix(table, part)
    if hasattr(matrix, "columns"):  # a data frame in obsm
        names, matrix = [str(name) for name in matrix.columns], matrix.to_numpy()
    weights = request.weights
    if isinstance(request.named_weights, str) and request.named_weights in table.obs:
        weights = np.asarray(table.obs[request.named_weights], dtype=np.float64)
    kept = slice(None) if request.where is None else _kept(table, matrix, names, request.where)
    if request.where is not None and weights is not None and not isinstance(weights, str | int):
        weights = np.asarray(weights)[kept]
    columns = _places(names, request.columns, part)
    if isinstance(weights, str):
        weights = _places(names, [weights], part)[0]
    rows = matrix if request.where is None else matrix[kept]
    found = as_source(rows, columns=columns, weights=weights, n_threads=request.n_threads, spool=request.spool)
    chosen = range(len(names)) if columns is None else columns
    called = [names[j] for j in chosen if j != weights or not isinstance(weights, int)]
    return Opened(found.source, tuple(called) if len(set(called)) == len(called) else None)


def _matrix(table: Any, part: str) -> tuple[Any, list[str]]:
    """A matrix, and the names of its columns."""
    where, _, key = part.strip("/").rpartition("/")
    variables = [str(name) for name in table.var_names]
    if key == "X" and not where:
        return table.X, variables
    if key in table.layers and where in {"", "layers"}:
        return table.layers[key], variables
    if key in table.obsm and where in {"", "obsm"}:
        matrix = table.obsm[key]
        return matrix, [f"{key}{j + 1}" for j in range(matrix.shape[1])]
    known = ["X", *(f"layers/{name}" for name in table.layers), *(f"obsm/{name}" for name in table.obsm)]
    raise TableError(f"the AnnData object has no matrix {part!r}: it has {', '.join(known)}")


def _places(names: list[str], columns: Any, part: str) -> Any:
    """Columns by their numbers."""
    return None if columns is None else select(names, len(names), columns, part)


def _kept(table: Any, matrix: Any, names: list[str], where: Any) -> Any:
    """The numbers of the rows that a filter takes, which looks at ``obs`` and at the matrix."""
    import pandas as pd
    import pyarrow as pa

    from mixtura.sources.open import kept_rows

    known = pa.Schema.from_pandas(table.obs, preserve_index=False)
    own = [name for name in names if name not in known.names]
    schema = pa.schema([*known, *((name, pa.float64()) for name in own)])
    looked_at = filter_of(where, schema, "the AnnData object").columns
    values = {name: np.asarray(matrix[:, names.index(name)]).reshape(-1) for name in looked_at if name in own}
    seen = pd.DataFrame(values, index=table.obs.index)
    return kept_rows(pd.concat([table.obs[[name for name in looked_at if name in known.names]], seen], axis=1), where)
