"""Clusters whose workers read the table, while a command runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import click

from mixtura.cli.output import fail


def engine_of(name: str | None, scheduler: str | None) -> Any:
    """The client or session of an engine, which ends with the command; None for this machine alone."""
    if name is None:
        if scheduler is not None:
            raise click.UsageError("--scheduler goes with --engine.")
        return None
    return click.get_current_context().with_resource(ENGINES[name](scheduler))


@contextmanager
def _dask(scheduler: str | None) -> Generator[Any]:
    """A client of that scheduler, or of workers on this machine, one for each processor."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        fail("--engine dask needs Dask: pip install 'mixtura[dask]'", error)
    if scheduler is not None:
        try:
            client = Client(scheduler)
        except (OSError, ValueError) as error:
            fail(f"there is no scheduler of Dask at {scheduler}: {error}", error)
        with client:
            yield client
        return
    nowhere: Any = None
    with (
        LocalCluster(threads_per_worker=1, dashboard_address=nowhere, silence_logs=logging.CRITICAL) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _spark(scheduler: str | None) -> Generator[Any]:
    """A session of that master, or of the one that Spark's configuration names."""
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        fail("--engine spark needs Spark: pip install 'mixtura[spark]'", error)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("mixtura").config("spark.ui.showConsoleProgress", "false")
    try:
        session = (builder if scheduler is None else builder.master(scheduler)).getOrCreate()
    except PySparkException as error:
        fail(f"Spark does not start, which needs Java 17 or later: {str(error).splitlines()[0]}", error)
    session.sparkContext.setLogLevel("OFF")
    try:
        yield session
    finally:
        session.stop()


#: How each engine is started.
ENGINES: dict[str, Callable[[str | None], AbstractContextManager[Any]]] = {"dask": _dask, "spark": _spark}
