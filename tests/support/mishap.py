"""Runs a command under a fault or a special setup, named by the first argument.

    python -m tests.support.mishap kill_at_step=6 scripts.train FLAGS…

kill_at_step=N   SIGKILL ends the command in its Nth training step, a moment that does not depend
                 on the speed of the computer
file_bytes=N     no file can grow beyond N bytes, which fails like a full disk
cpus=N           TensorFlow sees N CPU devices, for tf.distribute
"""

from __future__ import annotations

import os
import resource
import runpy
import signal
import sys
from typing import Any


def kill_at_step(step: int) -> None:
    """Kills this process at the end of training step `step`."""
    import tf_keras

    left = step
    whole = tf_keras.callbacks.CallbackList.on_train_batch_end

    def counted(self: Any, batch: int, logs: Any = None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        whole(self, batch, logs)

    tf_keras.callbacks.CallbackList.on_train_batch_end = counted


def file_bytes(most: int) -> None:
    """Limits the size of every file that this process writes to `most` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def cpus(count: int) -> None:
    """Splits the CPU into `count` logical devices over which MirroredStrategy replicates."""
    import tensorflow as tf

    device = tf.config.LogicalDeviceConfiguration()
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [device] * count)
    mirrored = tf.distribute.MirroredStrategy([f"/cpu:{n}" for n in range(count)])
    tf.distribute.MirroredStrategy = lambda: mirrored


if __name__ == "__main__":
    name, value = sys.argv[1].split("=")
    {"kill_at_step": kill_at_step, "file_bytes": file_bytes, "cpus": cpus}[name](int(value))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
