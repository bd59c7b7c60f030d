"""A local Spark with as many threads as there are cores."""

from pyspark.sql import SparkSession

from benchmarks.measure import processors

SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.maxResultSize": "4g",
    "spark.driver.memory": "7g",
    "spark.log.level": "ERROR",
    "spark.rpc.message.maxSize": "1024",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.enabled": "false",
}

_builder = SparkSession.builder.master(f"local[{processors()}]")
for _name, _value in SETTINGS.items():
    _builder = _builder.config(_name, _value)
try:
    session = _builder.getOrCreate()
except Exception as error:  # whatever keeps Java from starting
    raise ImportError(f"Spark did not start (it needs Java): {error}") from error
session.sparkContext.setLogLevel("OFF")
VERSION = session.version


def processes() -> list[int]:
    """The Java process."""
    return [int(session.sparkContext._jvm.java.lang.ProcessHandle.current().pid())]
