"""What a search found, as plain, JSON-able numbers. How they are shown is the matter of mixtura.text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.choice import TIE, Cell, LeftOut, aic, bic, ranked, ties
from mixtura.core.em import Fit, n_parameters
from mixtura.core.mixture import NOISE, Mixture
from mixtura.core.overlap import Separation, overlapping
from mixtura.core.status import Status
from mixtura.covariance import registry
from mixtura.ground import Observer, Progress
from mixtura.kernels import Rows
from mixtura.sources.source import Block, Source

#: Models named in one remark.
MOST_NAMED = 5
#: Pairs of components are told of when their overlap, ω_ij + ω_ji, is at least this; no more than so many.
LEAST_OVERLAP = 0.1
MOST_OVERLAPS = 10
#: Rows labelled between two reports of how far that is.
SCORED_ROWS = 262_144

Summary = dict[str, Any]


def summarise(
    cells: Sequence[Cell],
    best: Cell,
    criterion: str,
    columns: Sequence[str],
    rows: int,
    *,
    separation: Separation,
    left_out: Sequence[LeftOut] = (),
) -> Summary:
    """Plain, JSON-able numbers of a search and of the model chosen from it."""
    fit = best.fit
    if fit is None:
        raise ValueError("the chosen cell has no fit")
    fitted = [cell for cell in ranked(cells, criterion) if cell is not best]
    return {
        "rows": rows,
        "weight": fit.statistics.weight,
        "columns": list(columns),
        "criterion": criterion,
        "chosen": {
            **_row(best, criterion, best),
            "status": fit.status.name.lower(),
            "sentence": fit.status.value,
            "converged": fit.converged,
            "gradient_norm": fit.gradient_norm,
            "gap": fit.gap,
            "passes": fit.n_iter,
            "starts": best.n_starts,
            "starts_failed": best.n_failed,
            "starts_agreeing": best.n_agreeing,
            "entropy": separation.entropy,
            "error_rate": separation.error_rate,
        },
        "components": _components(fit.model, columns, fit.statistics.n),
        "noise": _noise(fit.model, fit.statistics.noise),
        "overlaps": _overlaps(fit.model),
        "rivals": [_row(cell, criterion, best) for cell in fitted],
        "failed": [
            {"n_components": c.n_components, "covariance": c.covariance, "reason": c.reason}
            for c in cells
            if c.fit is None
        ],
        "not_tried": [{"covariances": list(each.covariances), "reason": each.reason} for each in left_out],
        "notes": [str(note) for note in best.notes if note.about == "fit"],
        "about_rows": [str(note) for note in best.notes if note.about == "rows"],
        "findings": [note.as_dict() for note in best.notes],
        "advice": _advice(cells, best, criterion, fitted) + [_about(each) for each in left_out],
    }


#: What a saved model may tell of its fit beside itself, and of which type each is.
_REMEMBERED = {
    **dict.fromkeys(("loglik", "bic", "icl", "aic", "gradient_norm", "gap", "entropy", "error_rate"), float),
    **dict.fromkeys(("n_parameters", "passes", "starts", "starts_failed", "starts_agreeing"), int),
    **dict.fromkeys(("status", "sentence"), str),
    "converged": bool,
}


def describe(model: Mixture, family: str, metadata: Mapping[str, Any]) -> Summary:
    """The summary of a model alone; of its fit, what ``remember`` put into the metadata."""
    columns = column_names(model)
    known = registry.get(family)

    def told(key: str, kind: type) -> Any:
        return metadata[key] if _is(kind, metadata.get(key)) else None

    chosen, weight = told("chosen", dict) or {}, told("weight", float)
    return {
        **({"command": metadata["command"]} if told("command", str) else {}),
        "rows": told("rows", int),
        "weight": weight,
        "columns": list(columns),
        "criterion": told("criterion", str),
        "chosen": {
            "n_components": model.n_components,
            "covariance": known.name,
            "mclust": known.mclust,
            "n_parameters": n_parameters(model, known),
            **{key: chosen[key] for key, kind in _REMEMBERED.items() if _is(kind, chosen.get(key))},
        },
        "components": _components(model, columns, None if weight is None else weight * model.weights),
        "noise": _noise(model, None if weight is None or model.noise is None else weight * model.noise.weight),
        "overlaps": _overlaps(model),
        "rivals": [],
        "failed": [],
        **{key: [note for note in told(key, list) or [] if isinstance(note, str)] for key in ("notes", "about_rows")},
        "findings": [],
        "advice": [],
    }


def describe_fit(fit: Fit) -> Summary:
    """The summary of a fit alone, without a search."""
    weight, loglik, free = fit.statistics.weight, fit.loglik, fit.n_parameters
    return describe(
        fit.model,
        fit.family.name,
        {
            "weight": weight,
            "chosen": {
                "status": fit.status.name.lower(),
                "sentence": fit.status.value,
                "converged": fit.converged,
                "gap": fit.gap,
                "gradient_norm": fit.gradient_norm,
                "passes": fit.n_iter,
                "loglik": loglik,
                "bic": bic(loglik, free, weight),
                "aic": aic(loglik, free),
                "n_parameters": free,
            },
        },
    )


def remember(summary: Summary) -> dict[str, Any]:
    """What of a summary belongs into the metadata of a model file; the rest is in the model itself."""
    chosen = {key: summary["chosen"][key] for key in _REMEMBERED}
    kept = {key: summary[key] for key in ("rows", "weight", "criterion", "notes", "about_rows")}
    return finite({**kept, "chosen": chosen})


def _is(kind: type, value: object) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def column_names(model: Mixture) -> tuple[str, ...]:
    """The columns' names, or x1 … xD where they have none."""
    return model.columns or tuple(f"x{j}" for j in range(1, model.n_features + 1))


def _components(model: Mixture, columns: Sequence[str], n: NDArray[np.float64] | None) -> list[Summary]:
    deviations = np.sqrt(model.structure.variances())
    return [
        {
            "component": k,
            "weight": float(model.weights[k]),
            **({} if n is None else {"rows": float(n[k])}),
            "mean": {name: float(x) for name, x in zip(columns, model.means[k], strict=True)},
            "sd": {name: float(x) for name, x in zip(columns, deviations[k], strict=True)},
        }
        for k in range(model.n_components)
    ]


def _noise(model: Mixture, n: float | None) -> Summary | None:
    """The noise component, if there is one: its weight, the rows that it holds, and its density."""
    if model.noise is None:
        return None
    held = {} if n is None else {"rows": n}
    return {"weight": model.noise.weight, **held, "log_density": model.noise.log_density}


def _overlaps(model: Mixture) -> list[Summary]:
    """The pairs of components that overlap, most first: ω_ij and ω_ji."""
    pairs = overlapping(model, LEAST_OVERLAP, MOST_OVERLAPS)
    return [{"components": [i, j], "mistaken": [ij, ji]} for i, j, ij, ji in pairs]


def correlations(model: Mixture) -> list[list[list[float]]]:
    """The correlation matrix of each component, (K, D, D)."""
    factors = (model.structure.factor(k) for k in range(model.n_components))
    units = (factor / np.linalg.norm(factor, axis=1)[:, None] for factor in factors)
    return [(unit @ unit.T).tolist() for unit in units]


def per_row(model: Mixture, rows: Rows, progress: Observer | None = None) -> dict[str, NDArray[Any]]:
    """Columns for each row: ``label``, its ``probability``, ``log_density``, and p0 … p(K−1) of all (S10).

    With a noise component, whose label is −1, its probability stands before those of the others, in ``noise``.
    ``progress`` is told of the rows that are done; its stage is "rows".
    """
    n = len(rows)
    density, share = np.empty(n), np.empty((n, model.n_components))
    edges = [*range(0, n - SCORED_ROWS + 1, SCORED_ROWS), n] if n >= 2 * SCORED_ROWS else [0, n]
    for start, end in pairwise(edges):
        if progress is not None:
            progress(Progress("rows", 1, n - start, n))
        density[start:end], share[start:end] = model.posterior(rows[start:end])
    noise = model.noise_share(density)
    top, called = share.max(1), share.argmax(1)
    return {
        "label": np.where(noise > top, NOISE, called),
        "probability": np.maximum(noise, top),
        "log_density": density,
        **({} if model.noise is None else {"noise": noise}),
        **{f"p{k}": share[:, k] for k in range(model.n_components)},
    }


def totals(model: Mixture, family: str, rows: Source, free: int | None = None) -> dict[str, float]:
    """How well a model describes rows: the log-likelihood (S11), its mean, and BIC as if it were fitted to them.

    ``free`` is the number of its free parameters, if something was fixed.
    """
    loglik, weight = rows.total(partial(_loglik, model)), rows.weight
    free = n_parameters(model, registry.get(family)) if free is None else free
    return {
        "rows": rows.n_rows,
        "weight": weight,
        "loglik": loglik,
        "mean_loglik": loglik / weight,
        "n_parameters": free,
        "bic": bic(loglik, free, weight),
    }


def _loglik(model: Mixture, block: Block) -> float:
    return model.loglik(block.rows, block.weights)


def _row(cell: Cell, criterion: str, best: Cell) -> Summary:
    return {
        "n_components": cell.n_components,
        "covariance": cell.covariance,
        "mclust": cell.mclust,
        "n_parameters": cell.n_parameters,
        "loglik": cell.loglik,
        "bic": cell.bic,
        "icl": cell.icl,
        "aic": cell.aic,
        **({"cv": cell.cv, "cv_error": cell.cv_error} if criterion == "cv" else {}),
        "behind": getattr(cell, criterion) - getattr(best, criterion),
        "eligible": cell.eligible,
    }


def _advice(cells: Sequence[Cell], best: Cell, criterion: str, fitted: Sequence[Cell]) -> list[Summary]:
    """What to do next, most useful first: sentences, each with the arguments of ``fit`` to change, if any."""
    advice: list[Summary] = []

    def say(sentence: str, **change: Any) -> None:
        advice.append({"sentence": sentence, "change": change})

    if best.fit is not None and best.fit.status is Status.MAX_ITER:
        say("The chosen model has not converged; it needs more passes.", max_iter=10 * best.fit.n_iter)
    elif best.n_starts > 1 and best.n_agreeing == 1:
        say(f"Only one of {best.n_starts} starts led here; another may lead higher.", n_init=4 * best.n_starts)
    tried = [c.n_components for c in cells]
    most = max(tried)
    if len(set(tried)) > 1 and best.n_components == most:
        further = [*range(most, 2 * most + 1)]
        say("The largest number of components tried was chosen; more may be better.", n_components=further)
    close = ties(cells, best, criterion)
    same = [c for c in close if _same(c, best)]
    if same:
        say(f"The same model under other names: {_named(same)}.")
    if len(close) > len(same):
        others = [c for c in close if c not in same]
        say(f"Within {TIE:g} {criterion.upper()} units of the chosen model, so as good: {_named(others)}.")
    spurned = [c for c in fitted if not c.eligible and getattr(c, criterion) < getattr(best, criterion)]
    if spurned:
        say(
            f"Passed over in spite of a better {criterion.upper()}, "
            f"for a component collapsed or empty: {_named(spurned[:MOST_NAMED])}. "
            f"Of the first: {next(note.sentence for note in spurned[0].notes if not note.healthy)}"
        )
    return advice


def _about(left_out: LeftOut) -> Summary:
    """What to say of families that were not tried."""
    names = ", ".join(left_out.covariances)
    return {"sentence": f"Not tried: {names}; {left_out.reason}.", "change": {"covariance": "all"}}


def _same(one: Cell, other: Cell) -> bool:
    """Whether two families coincide here, as they may for one column or one component."""
    size = (one.n_components, one.n_parameters) == (other.n_components, other.n_parameters)
    return size and math.isclose(one.loglik, other.loglik, rel_tol=1e-6)


def _named(cells: Iterable[Cell]) -> str:
    return ", ".join(f"{c.n_components} {c.covariance}" for c in cells)


def finite(value: Any) -> Any:
    """The same value with None for each number that JSON cannot hold."""
    if isinstance(value, Mapping):
        return {key: finite(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [finite(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_json(summary: Mapping[str, Any]) -> str:
    """As JSON, in ASCII; what JSON has no form for, such as a date, as text."""
    return json.dumps(finite(summary), indent=1, allow_nan=False, default=str)
