"""Components as a data frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtura.fitted import mixture_of
from mixtura.result import Result
from mixtura.summary import column_names


def to_frame(found: Any) -> Any:
    """The components as a pandas DataFrame, a row each.

    Parameters
    ----------
    found : Result, Fit, GaussianMixture or Mixture

    Returns
    -------
    pandas.DataFrame
        Indexed by ``component``, from 0, and −1 for noise, which comes last and has neither mean nor deviation.
        Columns: ``weight`` (π); for a Result ``rows``, the sum of the responsibilities; then, in the units of the
        data, ``mean C`` and ``sd C`` for each column C.

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError
        If there is no mixture in what was passed.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.bridges import to_frame
    >>> to_frame(Mixture([0.25, 0.75], [0, 5], [1, 4], columns=["wait"]))
               weight  mean wait  sd wait
    component
    0            0.25        0.0      1.0
    1            0.75        5.0      2.0
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("to_frame needs pandas: pip install pandas") from error
    model, names = mixture_of(found), _names(found)
    deviations = np.stack([np.linalg.norm(factor, axis=1) for factor in model.cholesky])
    columns: dict[str, Any] = {"weight": model.weights}
    if isinstance(found, Result):
        columns["rows"] = found.fit.statistics.n
    for what, numbers in (("mean", model.means), ("sd", deviations)):
        columns |= {f"{what} {name}": column for name, column in zip(names, numbers.T, strict=True)}
    frame = pd.DataFrame(columns, index=pd.RangeIndex(model.n_components, name="component"))
    if model.noise is not None:
        noise = {"weight": model.noise.weight}
        if isinstance(found, Result):
            noise["rows"] = found.fit.statistics.noise
        frame = frame.reindex([*frame.index, -1]).rename_axis("component")
        frame.loc[-1, list(noise)] = list(noise.values())
    return frame


def _names(found: Any) -> tuple[str, ...]:
    return found.columns if isinstance(found, Result) else column_names(mixture_of(found))
