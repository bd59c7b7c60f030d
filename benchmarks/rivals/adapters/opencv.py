"""OpenCV: ``cv2.ml.EM``, which is in its versions before 5."""

import cv2
import numpy as np

from benchmarks.cases import Parameters

VERSION = cv2.__version__


def fit(data: np.ndarray, start: Parameters, iterations: int) -> Parameters:
    diagonal = start.family == "diag"
    model = cv2.ml.EM_create()
    model.setClustersNumber(len(start.weights))
    model.setCovarianceMatrixType(cv2.ml.EM_COV_MAT_DIAGONAL if diagonal else cv2.ml.EM_COV_MAT_GENERIC)
    # it counts E-steps, and there is one more of them
    model.setTermCriteria((cv2.TERM_CRITERIA_MAX_ITER, iterations + 1, 0.0))
    dense = np.stack([np.diag(each) if diagonal else each for each in start.covariances])
    model.trainE(data, start.means, covs0=cv2.Mat(dense, wrap_channels=False), weights0=start.weights[None])
    covariances = np.stack(model.getCovs())
    if diagonal:
        covariances = np.diagonal(covariances, axis1=1, axis2=2)
    return Parameters(model.getWeights().ravel(), model.getMeans(), covariances, start.family)
