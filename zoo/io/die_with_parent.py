"""Runs a command that ends together with its parent process. Arguments: PARENT_PID COMMAND….

Without it, a training process would outlive a killed sweep, or Qualcomm's compiler the process that
waits for it, and keep the machine busy unnoticed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def guarded(command: Sequence[str]) -> list[str]:
    """Returns a command that runs another one, which ends together with this process.

    Args:
        command: Absolute path of the program and its arguments.
    """
    # Isolated, as the modules beside this file must not be found before Python's own.
    return [sys.executable, "-I", __file__, str(os.getpid()), *command]


def main(parent: int, command: list[str]) -> None:
    """Asks the kernel to kill this process along with its parent, then executes the command.

    The kernel supports this only on Linux; elsewhere the command is executed without it.

    Args:
        parent: Process id of the parent.
        command: Absolute path of the program and its arguments.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the call
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
