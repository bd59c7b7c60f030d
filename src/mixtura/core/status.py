"""How a fit can end."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """The end of a fit: each member's value is the sentence that the user reads, with the remedy where there is one."""

    CONVERGED = "Converged: what is left to gain is below the tolerance, by the measured gradient."
    PRECISION = "Converged as far as double precision allows: no step raises the objective any more."
    MAX_ITER = (
        "Stopped at the limit of passes before converging: raise max_iter, or go on from this model "
        "(warm_start=True, or pass it as the start)."
    )
    STALLED = (
        "Stopped without converging: rounding errors hide the way up. "
        "Rescale the columns, use fewer components or a plainer covariance family."
    )
    SINGULAR = (
        "Failed: a covariance matrix became singular, so the likelihood has no maximum here. "
        "Leave reg_covar at its default, use fewer components or a plainer covariance family."
    )
    STOPPED = "Stopped on request before converging: this is the best model so far."

    @property
    def converged(self) -> bool:
        """Whether the model is a maximum of the objective, as measured."""
        return self in (Status.CONVERGED, Status.PRECISION)

    @property
    def failed(self) -> bool:
        """Whether the model should not be used."""
        return self is Status.SINGULAR

    def __str__(self) -> str:
        return self.value
