"""Spark: ``pyspark.ml``, its usual interface. It takes no start: only the time compares."""

import numpy as np
import pandas as pd
from pyspark.ml.clustering import GaussianMixture
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame

from benchmarks.cases import Parameters
from benchmarks.measure import processors
from benchmarks.rivals.adapters.spark_session import VERSION, processes, session

__all__ = ["VERSION", "fit", "prepare", "processes"]


def prepare(rows: np.ndarray, start: Parameters) -> DataFrame:  # noqa: ARG001
    names = [f"x{i}" for i in range(rows.shape[1])]
    frame = session.createDataFrame(pd.DataFrame(rows, columns=names))
    vectors = VectorAssembler(inputCols=names, outputCol="features").transform(frame)
    cached = vectors.select("features").repartition(processors()).cache()
    cached.count()
    return cached


def fit(data: DataFrame, start: Parameters, iterations: int) -> Parameters:
    model = GaussianMixture(k=len(start.weights), maxIter=iterations, tol=0.0, seed=1).fit(data)
    if model.summary.numIter != iterations:
        raise RuntimeError(f"{model.summary.numIter} iterations instead of {iterations}")
    means = np.stack([each.mean.toArray() for each in model.gaussians])
    covariances = np.stack([each.cov.toArray() for each in model.gaussians])
    return Parameters(np.array(model.weights), means, covariances, start.family)
