"""A property that is computed when it is first asked for.

That of Python 3.11 computes under a lock which all objects of a class share: fits in several threads would wait for
each other, and a process that is forked meanwhile for ever. Later versions have none; should two threads ask at once,
both compute, and get the same.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property(functools.cached_property):  # noqa: N801 (it takes the place of one)
        """``functools.cached_property`` without its lock."""

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            held = instance.__dict__
            if self.attrname not in held:
                held[self.attrname] = self.func(instance)
            return held[self.attrname]


__all__ = ["cached_property"]
