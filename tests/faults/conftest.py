from __future__ import annotations

import pytest
from fault_cases import FITS, bits


@pytest.fixture(scope="session")
def alone():
    """The bits that each of the fits gives when nothing happens."""
    return {name: bits(fit().model) for name, fit in FITS.items()}
