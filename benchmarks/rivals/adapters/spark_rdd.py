"""Spark: ``pyspark.mllib``, the interface that takes a start."""

import numpy as np
from pyspark.mllib.clustering import GaussianMixtureModel
from pyspark.mllib.common import _py2java, callJavaFunc
from pyspark.mllib.linalg import DenseMatrix, Vectors

from benchmarks.cases import Parameters
from benchmarks.measure import processors
from benchmarks.rivals.adapters.spark_session import VERSION, processes, session

__all__ = ["VERSION", "fit", "prepare", "processes"]


def prepare(rows: np.ndarray, start: Parameters) -> object:  # noqa: ARG001
    context = session.sparkContext
    parts = context.parallelize(np.array_split(rows, 8 * processors()), processors())
    cached = _py2java(context, parts.flatMap(lambda part: [Vectors.dense(row) for row in part])).cache()
    cached.count()
    return cached


def fit(data: object, start: Parameters, iterations: int) -> Parameters:
    context, (k, d) = session.sparkContext, start.means.shape
    api = context._jvm.org.apache.spark.mllib.api.python.PythonMLLibAPI()
    model = GaussianMixtureModel(
        callJavaFunc(
            context, api.trainGaussianMixtureModel, data, k, 0.0, iterations, 1,
            [float(weight) for weight in start.weights],
            [Vectors.dense(mean) for mean in start.means],
            [DenseMatrix(d, d, covariance.ravel()) for covariance in start.covariances],
        )
    )  # fmt: skip
    means = np.stack([each.mu.toArray() for each in model.gaussians])
    covariances = np.stack([each.sigma.toArray() for each in model.gaussians])
    return Parameters(np.array(model.weights), means, covariances, start.family)
