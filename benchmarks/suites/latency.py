"""What a fresh interpreter waits for."""

from __future__ import annotations


class FreshInterpreter:
    """Each in a process of its own, the interpreter's own start included."""

    def timeraw_import(self) -> str:
        return "import mixtura"

    def timeraw_first_small_fit(self) -> str:
        return "import mixtura; mixtura.GaussianMixture(2, random_state=0).fit([[i, i * i % 7] for i in range(50)])"

    def timeraw_choose_for_a_small_table(self) -> str:
        return "import mixtura; mixtura.fit([[i, i * i % 7] for i in range(50)], [1, 2], random_state=0)"
