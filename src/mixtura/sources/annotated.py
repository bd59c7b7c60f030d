"""AnnData, by what it has: a matrix X, others in ``layers`` and ``obsm``, and what is known of the rows in ``obs``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mixtura.sources.arrays import open_array
from mixtura.sources.coerce import Labels, TableError, is_sparse, select, unchecked
from mixtura.sources.reader import Opened, Request
from mixtura.sources.where import filter_of


def open_anndata(table: Any, request: Request) -> Opened | None:
    """The matrix ``request.part`` of an AnnData object: "X", the default, "layers/NAME", "obsm/NAME" or NAME alone.

    The weights and the filter may name columns of ``obs``.
    """
    if not hasattr(table, "obsm"):
        return None
    from mixtura.sources.opening import from_arrays

    part = request.part or "X"
    matrix, names = _matrix(table, part)
    weights, weight = request.weights, request.named_weights
    columns = select(names, len(names), request.columns, part)
    if isinstance(weight, str) and weight in table.obs:
        weights = np.asarray(table.obs[weight], dtype=np.float64)
    elif weight is not None:
        place = select(names, len(names), weight, part)[0]
        if place in columns and request.columns is not None:
            raise TableError(f"{part}: a column cannot be both data and weights: leave out one")
        columns = [j for j in columns if j != place]
        weights = np.asarray(matrix[:, place], dtype=np.float64)
    labels = Labels([names[j] for j in columns])
    if not isinstance(matrix, np.ndarray) and not is_sparse(matrix):  # it is still in its file
        if request.where is not None:
            raise TableError("where needs the AnnData object in memory: call its to_memory() first")
        rest = replace(request, part=None, columns=columns, weights=weights)
        return replace(open_array(matrix, rest), columns=labels.names)
    kept = None if request.where is None else _kept(table, matrix, names, request.where)
    called = "sample_weight" if weight is None else f"weights column {weight!r}"
    rows, _ = unchecked(matrix, columns)
    return from_arrays(rows, labels, weights, request, kept=kept, weights_name=called)


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
        if hasattr(matrix, "columns"):
            return matrix.to_numpy(), [str(name) for name in matrix.columns]
        return matrix, [f"{key}{j + 1}" for j in range(matrix.shape[1])]
    known = ["X", *(f"layers/{name}" for name in table.layers), *(f"obsm/{name}" for name in table.obsm)]
    raise TableError(f"the AnnData object has no matrix {part!r}: it has {', '.join(known)}")


def _kept(table: Any, matrix: Any, names: list[str], where: Any) -> Any:
    """The numbers of the rows that a filter takes, which looks at ``obs`` and at the matrix."""
    import pandas as pd
    import pyarrow as pa

    from mixtura.sources.opening import kept_rows

    known = pa.Schema.from_pandas(table.obs, preserve_index=False)
    own = [name for name in names if name not in known.names]
    schema = pa.schema([*known, *((name, pa.float64()) for name in own)])
    looked_at = filter_of(where, schema, "the AnnData object").columns
    values = {name: np.asarray(matrix[:, names.index(name)]).reshape(-1) for name in looked_at if name in own}
    seen = pd.DataFrame(values, index=table.obs.index)
    return kept_rows(pd.concat([table.obs[[name for name in looked_at if name in known.names]], seen], axis=1), where)
