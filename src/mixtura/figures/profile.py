"""Which columns tell the components apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import entr

from mixtura.core.mixture import Labels, Mixture
from mixtura.core.statistics import Array
from mixtura.kernels.reference import softmax
from mixtura.summary import column_names

#: The integrals along a column: places about each component, no fewer than the least and, for all components
#: together, about the most; and how far they reach, in standard deviations.
LEAST_PLACES, MOST_PLACES = 33, 6000
FAR = 8.0


@dataclass(frozen=True, eq=False)
class Profile:
    """The components, column by column.

    Attributes
    ----------
    columns : tuple of str
    means : ndarray of shape (K, D)
        (μ_kj − E x_j)/sd x_j: the means in standard deviations of the mixture from its mean.
    deviations : ndarray of shape (K, D)
        The standard deviations of the components in those units.
    information : ndarray of shape (D,)
        I(z; x_j)/H(z): which share of what is not known of a row's component its value in this column alone tells. From
        0 (nothing) to 1 (everything).
    each : ndarray of shape (K, D)
        The same for the question whether a row is of component k or not.
    """

    columns: tuple[str, ...]
    means: Array
    deviations: Array
    information: Array
    each: Array

    @property
    def order(self) -> Labels:
        """The columns, the most telling first."""
        return np.argsort(-self.information, kind="stable")


def profile(model: Mixture) -> Profile:
    """Which columns tell the components apart, each taken alone.

    The measure is the mutual information of the component z and the column, by the entropy of z (Theil's uncertainty
    coefficient; Cover & Thomas, Elements of Information Theory, 2nd ed. (2006), section 2.4). Unlike a ratio of
    variances between and within, it sees components that differ in spread alone, and what one component shares with
    none. It is integrated numerically, to about five digits. A column that tells something only together with another
    may score low; ``projection`` sees it.

    Parameters
    ----------
    model : Mixture
        A noise component plays no part.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import Mixture
    >>> from mixtura.figures import profile
    >>> model = Mixture([0.5, 0.5], [[0, 0, 0], [9, 0, 0]], [np.eye(3), np.diag([1, 1, 100])])
    >>> profile(model).information.round(2)
    array([1.  , 0.  , 0.63])
    """
    gaussians = model.without_noise()
    scale = np.sqrt(np.diagonal(gaussians.cov))
    own = np.sqrt(np.square(gaussians.cholesky).sum(2))
    places = max(LEAST_PLACES, MOST_PLACES // model.n_components)
    told = [_told(gaussians.marginal(j), places) for j in range(model.n_features)]
    information, each = (np.stack(part, axis=-1) for part in zip(*told, strict=True))
    return Profile(column_names(model), (gaussians.means - gaussians.mean) / scale, own / scale, information, each)


def _told(along: Mixture, places: int) -> tuple[Array, Array]:
    """I(z; x)/H(z), and for each component k that of its indicator, (K,)."""
    x = np.unique(along.means + along.cholesky[:, :, 0] * np.linspace(-FAR, FAR, places))[:, None]
    density, share = softmax(along.log_joint(x), x, along.whitened)
    step = np.gradient(x[:, 0]) * np.exp(density)  # the trapezoidal rule
    weights = along.weights
    left = step @ np.column_stack([entr(share).sum(1), entr(share) + entr(1 - share)])
    most = np.concatenate([[entr(weights).sum()], entr(weights) + entr(1 - weights)])
    told = np.clip(1 - np.divide(left, most, out=np.ones_like(most), where=most > 0), 0.0, 1.0)
    return told[0], told[1:]
