"""Figures of a training run for TensorBoard, written without it.

`tf_keras.callbacks.TensorBoard` needs the package tensorboard, which TensorFlow no longer brings;
who looks at the figures installs it and runs `tensorboard --logdir OUTPUT/runs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

_METADATA = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
)


class TensorBoardLog:
    """Writes a point of each figure an epoch. A run that goes on adds a file to the folder.

    Args:
        folder: gets the event files.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._writer: tf.summary.SummaryWriter | None = None

    def write(self, epoch: int, figures: Mapping[str, float], learning_rate: float) -> None:
        """Adds the figures of an epoch (from 1) and the learning rate after it.

        Raises:
            tf.errors.OpError: they can't be written.
        """
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self._folder))
        with self._writer.as_default():
            for name, value in {**figures, "learning_rate": learning_rate}.items():
                if name != "epoch":
                    tf.summary.write(name, tf.constant(value, tf.float32), epoch, _METADATA)
        self._writer.flush()
