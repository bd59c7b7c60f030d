"""Every kind of source, in which small tables are treated as large ones are."""

from __future__ import annotations

import pytest
from everywhere import KINDS, Kind

from mixtura.sources import memory, opening, stored, stream


@pytest.fixture
def streaming(monkeypatch):
    """Nothing is so small that it is read at once; blocks and what is read together are small."""
    monkeypatch.setattr(memory, "BLOCK_ROWS", 97)
    monkeypatch.setattr(opening, "SMALL", -1)
    monkeypatch.setattr(opening, "LARGE", -1)
    monkeypatch.setattr(stream, "HELD", 1000)
    monkeypatch.setattr(stored, "BATCH_ROWS", 50)
    monkeypatch.setattr(stored, "SEGMENT_ROWS", 200)
    monkeypatch.setattr(stored, "CSV_BLOCK", 1 << 12)


@pytest.fixture(params=KINDS)
def kind(request) -> Kind:
    return KINDS[request.param]
