"""Writes TensorBoard scalars of a training run without the tensorboard package.

`tf_keras.callbacks.TensorBoard` needs that package, which TensorFlow no longer installs. To view
the scalars, install it and run `tensorboard --logdir OUTPUT/runs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

_METADATA = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
)


class TensorBoardLog:
    """Writes one point per metric and epoch. A resumed run adds another event file.

    Args:
        folder: Folder for the event files.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._writer: tf.summary.SummaryWriter | None = None

    def write(self, epoch: int, figures: Mapping[str, float], learning_rate: float) -> None:
        """Adds the metrics of an epoch.

        Args:
            epoch: Number of the epoch, counted from 1.
            figures: Metric name → value; `epoch` is skipped.
            learning_rate: Learning rate after the epoch.

        Raises:
            tf.errors.OpError: if the file can't be written.
        """
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self._folder))
        with self._writer.as_default():
            for name, value in {**figures, "learning_rate": learning_rate}.items():
                if name != "epoch":
                    tf.summary.write(name, tf.constant(value, tf.float32), epoch, _METADATA)
        self._writer.flush()
