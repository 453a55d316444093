"""Finds a Python for ARM processors that QEMU emulates here, and with it LiteRT's kernels for ARM.

`zoo.runtime.sandbox.Sandbox` runs an interpreter in it. Values are those of a phone's processor;
times say nothing. docs/arm_kernels.md tells how the folder is made.
"""

from __future__ import annotations

import os
from pathlib import Path

from zoo.errors import ZooError

VARIABLE = "MODEL_ZOO_ARM64"
# With the products of four int8 and the float16 arithmetic that phones have had since 2018.
DEFAULT_CPU = "cortex-a76"
_EMULATOR, _ROOT, _PACKAGES = "qemu-aarch64", "root", "site"
_PYTHON = f"{_ROOT}/usr/bin/python3.11"


def python(cpu: str = DEFAULT_CPU) -> tuple[str, ...]:
    """Returns the command of the emulated Python.

    Args:
        cpu: A processor of `qemu-aarch64 -cpu help`, which decides about the kernels.

    Raises:
        ZooError: if the variable MODEL_ZOO_ARM64 names no folder that has it.
    """
    remedy = f"make the folder as docs/arm_kernels.md tells, and set {VARIABLE} to it"
    named = os.environ.get(VARIABLE)
    if not named:
        raise ZooError("no emulated ARM processor", got=f"{VARIABLE} is not set", remedy=remedy)
    folder = Path(named).resolve()
    for part in (_EMULATOR, _PYTHON, _PACKAGES):
        if not (folder / part).exists():
            raise ZooError("no emulated ARM processor", where=folder, expected=part, remedy=remedy)
    packages = f"PYTHONPATH={folder / _PACKAGES}"
    emulator = (str(folder / _EMULATOR), "-cpu", cpu, "-E", packages, "-L", str(folder / _ROOT))
    return (*emulator, str(folder / _PYTHON))
