"""How each library is driven: one module a library, imported in that library's own environment.

A module has

- ``VERSION``: a string, read from the library;
- ``fit(data, start, iterations)``: run exactly so many iterations of plain EM from the start, without a tolerance and
  without regularisation where the library lets one choose, and return the parameters;
- ``prepare(rows, start)``, where rows must be converted first: what ``fit`` is given for ``data``; not timed;
- ``processes()``, where the work is done elsewhere: the numbers of the processes whose memory counts.

An ``ImportError`` or ``OSError`` on import says that the library is not installed.
"""
