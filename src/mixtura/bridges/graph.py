"""A mixture as an ONNX graph, which runs wherever there is an ONNX runtime.

The arithmetic is in double precision whatever the rows are in, as everywhere in Mixtura, and follows the reference
kernel step by step; rows so far off that every density underflows get the nearest component.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mixtura._version import __version__
from mixtura.core.mixture import NOISE, Mixture
from mixtura.fitted import mixture_of
from mixtura.summary import column_names

#: The version of the operators: the first in which reductions take their axes as an input.
OPSET = 18
#: The version of the format that came with it; any later runtime reads it.
IR_VERSION = 8
#: The label of a row with a NaN, which has none.
NO_LABEL = -2
#: A file of this format holds at most 2 GiB; what is kept for the graph itself.
_MOST_BYTES = 2**31 - 2**20

Precision = Literal["float32", "float64"]


def to_onnx(found: Any, dtype: Precision = "float64") -> Any:
    """The mixture as an ONNX model: labels, probabilities and log density of rows.

    Parameters
    ----------
    found : Result, Fit, GaussianMixture or Mixture
        Of any covariance family, with or without noise.
    dtype : {"float64", "float32"}
        The type of the rows and of the results. The arithmetic between is in double precision for both.

    Returns
    -------
    onnx.ModelProto
        ``onnx.save(model, path)`` keeps it. Input ``X``, (N, D). Outputs ``labels``, (N,) int64: the most probable
        component, −1 for noise and −2 for a row with a NaN; ``probabilities``, (N, K): the responsibilities (S10);
        ``log_density``, (N,): log p(x) in nats (S3); and, if there is noise, ``noise_probability``, (N,). They are
        those of ``predict``, ``responsibilities``, ``logpdf`` and ``noise_probability``, to rounding. The names
        of the columns are in its metadata, separated by line breaks.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    TypeError
        If there is no mixture in what was passed.
    ValueError
        If the dtype is another one, or the parameters exceed the 2 GiB that ONNX allows.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.bridges import to_onnx
    >>> model = to_onnx(Mixture([0.5, 0.5], [0, 9], [1, 1]))
    >>> [output.name for output in model.graph.output]
    ['labels', 'probabilities', 'log_density']
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError('to_onnx needs the package onnx: pip install "mixtura[onnx]"') from error
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    model = mixture_of(found)
    size = model.whitened.whitening.nbytes + model.means.nbytes
    if size > _MOST_BYTES:
        raise ValueError(f"the parameters take {size / 2**30:.1f} GiB, but an ONNX model holds less than 2 GiB")
    made = onnx.helper.make_model(
        _Graph(model, dtype).made(),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mixtura",
        producer_version=__version__,
        doc_string=repr(model),
    )
    onnx.helper.set_model_props(made, {"columns": "\n".join(column_names(model))})
    return made


class _Graph:
    """The graph of a mixture, written node by node. K components, N rows, D columns."""

    def __init__(self, model: Mixture, dtype: Precision) -> None:
        import onnx

        self.model, self.helper, self.types = model, onnx.helper, onnx.TensorProto
        self.dtype = self.types.FLOAT if dtype == "float32" else self.types.DOUBLE
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def made(self) -> Any:
        """The graph with its inputs and outputs."""
        info = self.helper.make_tensor_value_info
        shapes = {"probabilities": ["N", self.model.n_components], "log_density": ["N"], "noise_probability": ["N"]}
        results = self._results()
        for name, found in results.items():
            self._node("Identity", found, to=name)
        return self.helper.make_graph(
            self.nodes,
            "mixture",
            [info("X", self.dtype, ["N", self.model.n_features])],
            [
                info("labels", self.types.INT64, ["N"]),
                *(info(name, self.dtype, shapes[name]) for name in results if name != "labels"),
            ],
            [self.constants[name] for name in self.constants],
        )

    def _results(self) -> dict[str, str]:
        """The node that each output is the value of."""
        rows = self._node("Cast", "X", to_type=self.types.DOUBLE)
        missing = self._missing(rows)
        joint, nearest = self._joint(rows)
        log_density, share, noise = self._softmax(joint, nearest)
        labels = self._node("ArgMax", share, axis=1, keepdims=0)
        told = {"probabilities": self._told(share, missing, keep=True), "log_density": self._told(log_density, missing)}
        if noise is not None:
            called = self._node("Greater", noise, self._over_columns("ReduceMax", share))
            labels = self._node("Where", self._flat(called), self._constant(NOISE), labels)
            told["noise_probability"] = self._told(noise, missing)
        labels = self._node("Where", self._flat(missing), self._constant(NO_LABEL), labels)
        return {"labels": labels, **told}

    def _joint(self, rows: str) -> tuple[str, str]:
        """log π_k + log N(x|μ_k,Σ_k) (S6), (N, K), and one-hot the component nearest in Mahalanobis distance.

        A row is scaled before it is whitened, so that its distance overflows only where double precision ends.
        """
        model, largest = self.model.whitened, np.finfo(np.float64).max
        between = self._node("Sub", self._unsqueeze(rows, 0), self._constant(model.means[:, None]))
        centred = self._node("Clip", between, self._constant(-largest), self._constant(largest))
        size = self._node("ReduceMax", self._node("Abs", centred), self._constant([2]), keepdims=1)
        size = self._node("Where", self._node("Greater", size, self._constant(0.0)), size, self._constant(1.0))
        unit = self._node("Div", centred, size)
        if model.kind == "diagonal":
            white = self._node("Mul", unit, self._constant(model.whitening[:, None]))
        else:
            white = self._node("MatMul", unit, self._constant(np.swapaxes(model.whitening, -1, -2)))
        square = self._node("ReduceSumSquare", white, self._constant([2]), keepdims=0)
        size = self._node("Squeeze", size, self._constant([2]))
        distance = self._node("Mul", size, self._node("Sqrt", square))
        half = self._node("Mul", self._constant(0.5), self._node("Mul", distance, distance))
        joint = self._node("Sub", self._constant(model.log_constants[:, None]), half)
        return self._node("Transpose", joint, perm=[1, 0]), self._nearest(size, square)

    def _nearest(self, size: str, square: str) -> str:
        """(N, K): 1 for the component at the least distance, by its logarithm; none of weight 0."""
        barred = np.where(self.model.weights > 0, 0.0, np.inf)
        half = self._node("Mul", self._constant(0.5), self._node("Log", square))
        logarithm = self._node("Add", self._node("Log", size), half)
        logarithm = self._node("Add", logarithm, self._constant(barred[:, None]))
        which = self._node("ArgMin", logarithm, axis=0, keepdims=0)
        numbers = self._constant(np.arange(self.model.n_components)[None])
        return self._node("Cast", self._node("Equal", self._unsqueeze(which, 1), numbers), to_type=self.types.DOUBLE)

    def _softmax(self, joint: str, nearest: str) -> tuple[str, str, str | None]:
        """log p(x) (N, 1) (S3, S9), responsibilities (N, K) (S10) and, if there is noise, its probability (N, 1)."""
        top = self._over_columns("ReduceMax", joint)
        noise = None if self.model.noise is None else self._constant(self.model.whitened.noise)
        if noise is not None:
            top = self._node("Max", top, noise)
        far = self._node("IsInf", top, detect_positive=0)
        level = self._node("Where", far, self._constant(0.0), top)
        share = self._node("Exp", self._node("Sub", joint, level))
        total = self._over_columns("ReduceSum", share)
        if noise is not None:
            total = self._node("Add", total, self._node("Exp", self._node("Sub", noise, level)))
        total = self._node("Where", far, self._constant(1.0), total)
        log_density = self._node("Add", top, self._node("Log", total))
        share = self._node("Where", far, nearest, self._node("Div", share, total))
        if noise is None:
            return log_density, share, None
        behind = self._node("Sub", noise, self._node("Where", far, self._constant(0.0), log_density))
        return log_density, share, self._node("Exp", self._node("Min", behind, self._constant(0.0)))

    def _missing(self, rows: str) -> str:
        """(N, 1): whether a row has a NaN."""
        marks = self._node("Cast", self._node("IsNaN", rows), to_type=self.types.INT64)
        return self._node("Greater", self._over_columns("ReduceMax", marks), self._constant(0))

    def _told(self, numbers: str, missing: str, *, keep: bool = False) -> str:
        """Numbers (N, …) as a result: NaN for rows with a NaN, in the type that was asked for."""
        numbers = self._node("Where", missing, self._constant(np.nan), numbers)
        return self._node("Cast", numbers if keep else self._flat(numbers), to_type=self.dtype)

    def _over_columns(self, reduction: str, name: str) -> str:
        return self._node(reduction, name, self._constant([1]), keepdims=1)

    def _flat(self, name: str) -> str:
        return self._node("Squeeze", name, self._constant([1]))

    def _unsqueeze(self, name: str, axis: int) -> str:
        return self._node("Unsqueeze", name, self._constant([axis]))

    def _node(
        self, kind: str, *inputs: str, to: str | None = None, to_type: int | None = None, **attributes: Any
    ) -> str:
        name = to or f"n{len(self.nodes)}"
        more = {} if to_type is None else {"to": to_type}
        self.nodes.append(self.helper.make_node(kind, list(inputs), [name], **attributes, **more))
        return name

    def _constant(self, value: Any) -> str:
        """A tensor of whole numbers or in double precision; the same one where it was used before."""
        import onnx

        array: NDArray[Any] = np.asarray(value)
        array = np.ascontiguousarray(array, dtype=np.int64 if array.dtype.kind == "i" else np.float64)
        array = array.reshape(np.shape(value))  # ascontiguousarray makes vectors of numbers
        key = f"{array.dtype}{array.shape}{array.tobytes().hex() if array.size < 4 else len(self.constants)}"
        if key not in self.constants:
            self.constants[key] = onnx.numpy_helper.from_array(array, f"c{len(self.constants)}")
        return self.constants[key].name
