"""The child process that imports TensorFlow for `zoo doctor`; see `zoo.runtime.child`."""

from __future__ import annotations

from zoo.io.tf_import import import_tensorflow
from zoo.runtime.child import serve
from zoo.schema.base import Strict


class Request(Strict):
    """Asks for an import."""


class Answer(Strict):
    """Names of the accelerators that TensorFlow finds."""

    accelerators: tuple[str, ...] = ()


def answer(_: bytes) -> Answer:
    """Imports TensorFlow.

    Raises:
        ZooError: if it is not installed or can't be loaded.
    """
    import_tensorflow()
    import tensorflow as tf

    devices = tf.config.list_physical_devices()
    return Answer(accelerators=tuple(each.name for each in devices if each.device_type != "CPU"))


if __name__ == "__main__":
    serve(answer)
