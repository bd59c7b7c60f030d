"""scikit-learn's own tests of its GaussianMixture, run on Mixtura's with the imported name replaced and nothing else.

Their source is that of the installed scikit-learn. What must fail is listed with the reason, and must go on failing.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

SPEC = find_spec("sklearn.mixture.tests.test_gaussian_mixture")
if SPEC is None or SPEC.origin is None:
    pytest.skip("this scikit-learn comes without its tests", allow_module_level=True)

THEIRS = "from sklearn.mixture import GaussianMixture\n"
OURS = "from mixtura import GaussianMixture\n"

EXPECTED_FAILURES: dict[str, str] = {
}


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def global_dtype(request):
    return request.param


@pytest.fixture
def global_random_seed():
    return 42


SOURCE = Path(SPEC.origin).read_text(encoding="utf-8")
assert SOURCE.count(THEIRS) == 1
exec(compile(SOURCE.replace(THEIRS, OURS), SPEC.origin, "exec"))

for _name, _reason in EXPECTED_FAILURES.items():
    globals()[_name] = pytest.mark.xfail(reason=_reason, strict=True)(globals()[_name])
