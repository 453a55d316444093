"""Versions in records."""

import sys

import numpy as np

from zoo.io import provenance


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(provenance, "_PACKAGES", ("no-such-package", "numpy"))
    python = ".".join(map(str, sys.version_info[:3]))
    assert provenance.versions() == {"python": python, "numpy": np.__version__}
