"""A command to which something happens, at a step that is known and not at a time.

    python -m tests.support.mishap kill_at_step=6 scripts.train FLAGS…

kill_at_step: SIGKILL ends it in its Nth training step. file_bytes: no file may grow beyond these,
as on a full disk. cpus: TensorFlow sees that many, for tf.distribute.
"""

from __future__ import annotations

import os
import resource
import runpy
import signal
import sys
from typing import Any


def kill_at_step(step: int) -> None:
    """Ends this process once Keras has computed so many steps of training."""
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
    """Lets no file grow beyond `most` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def cpus(count: int) -> None:
    """Has TensorFlow take this computer's processor for several, and mirror over them."""
    import tensorflow as tf

    one = tf.config.LogicalDeviceConfiguration()
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [one] * count)
    mirrored = tf.distribute.MirroredStrategy([f"/cpu:{n}" for n in range(count)])
    tf.distribute.MirroredStrategy = lambda: mirrored


if __name__ == "__main__":
    name, value = sys.argv[1].split("=")
    {"kill_at_step": kill_at_step, "file_bytes": file_bytes, "cpus": cpus}[name](int(value))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
