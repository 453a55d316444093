"""Limits of the differences: what breaks them, and flags that change them."""

import numpy as np
import pytest

from converters.parity.difference import compare
from converters.parity.limits import LIMITS, changed
from zoo.errors import ZooError


def test_limits():
    reference = np.eye(4)
    found = compare(reference, reference[::-1])
    assert len(LIMITS["int8"].broken(found)) == 2
    loose = changed(["int8:inf"], ["int8:0"])
    assert loose["int8"].broken(found) == ()
    assert loose["int8_qat"] == LIMITS["int8_qat"]
    for bad in ("int8", "int8:x", "int8:-1", "int8:nan", "int9:1", ":", ""):
        with pytest.raises(ZooError, match=r"not a limit|unknown precision"):
            changed([bad], [])
    with pytest.raises(ZooError, match="not a limit"):
        changed([], ["int8:1.5"])
