"""The command ``mixtura``: parse, one library call, print.

Results go to standard output; progress, remarks and errors go to standard error. Nothing heavy is imported before a
command needs it.
"""

from mixtura.cli.program import main

__all__ = ["main"]
