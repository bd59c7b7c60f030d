"""The one place that knows scikit-learn's callback protocol: new in 1.9 and experimental there, absent before.

Importing it brings rich along, so that is left until a callback is attached to an estimator; without one, everything
here does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from importlib.util import find_spec
from typing import Any, Self, TypeVar

from mixtura.ground import Progress

Method = TypeVar("Method", bound=Callable[..., Any])


class CallbackSupport:
    """What scikit-learn's CallbackSupportMixin offers, where there is one."""

    if find_spec("sklearn.callback"):

        def set_callbacks(self, *callbacks: Any) -> Self:
            """Set callbacks for the estimator.

            Parameters
            ----------
            *callbacks : callback instances
                For example ``sklearn.callback.ProgressBar()``. Each pass over the rows is one task; a callback that
                asks to stop ends the fit with the best model so far and the status ``STOPPED``.

            Returns
            -------
            self : estimator instance
            """
            from sklearn.callback import CallbackSupportMixin

            mixin: Any = CallbackSupportMixin
            return mixin.set_callbacks(self, *callbacks)


def with_callbacks(fit: Method) -> Method:
    """The method, with the estimator's callbacks torn down after it, however it ends."""

    @wraps(fit)
    def managed(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        if not _attached(estimator):
            return fit(estimator, *args, **kwargs)
        from sklearn.callback import with_callbacks as manage

        return manage(fit)(estimator, *args, **kwargs)

    return managed  # pyright: ignore[reportReturnType]


class FitTask:
    """A fit as the callbacks see it: a task, each pass over the rows being a task within.

    Parameters
    ----------
    estimator : estimator instance
        Within one of its methods that are decorated ``with_callbacks``.
    data : mapping
        ``X``, ``y`` and ``metadata``, for callbacks that ask for them.
    """

    def __init__(self, estimator: Any, data: Mapping[str, Any]) -> None:
        self._estimator, self._data = estimator, data
        self._context = None
        self._stopped = False
        if _attached(estimator):
            from sklearn.callback import CallbackSupportMixin

            mixin: Any = CallbackSupportMixin
            self._context = mixin._init_callback_context(estimator, max_subtasks=None)
            self._context.call_on_fit_task_begin(estimator=estimator, **data)

    def passed(self, progress: Progress) -> bool:
        """Tell of a pass; whether a callback has asked to stop, now or before."""
        if self._context is not None and not self._stopped:
            step = self._context.subcontext(task_name=progress.stage)
            step.call_on_fit_task_begin(estimator=self._estimator, **self._data)
            self._stopped = step.call_on_fit_task_end(estimator=self._estimator, **self._data)
        return self._stopped

    def ended(self, fitted: Mapping[str, Any]) -> None:
        """Tell of the end, with the fitted attributes."""
        if self._context is not None:
            self._context.call_on_fit_task_end(
                estimator=self._estimator, **self._data, reconstruction_attributes=dict(fitted)
            )


def _attached(estimator: Any) -> bool:
    """Whether the estimator has callbacks, or is part of one that has."""
    return hasattr(estimator, "_skl_callbacks") or hasattr(estimator, "_parent_callback_ctx")
