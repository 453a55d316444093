"""Importing TensorFlow, late and without its chatter."""

from __future__ import annotations

import os

from absl import logging

from zoo.errors import ZooError
from zoo.io.stderr import quiet


def import_tensorflow() -> None:
    """Imports TensorFlow without its start-up chatter, which comes from C++ straight to stderr.

    What it says is shown only where the import fails. Takes seconds: call it late.

    Raises:
        ZooError: TensorFlow is not installed or does not load.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # tfmot wants tf_keras
    try:
        with quiet():
            import tensorflow as tf

            tf.config.list_physical_devices()
    except ImportError as error:
        raise ZooError(
            "TensorFlow can't be imported",
            got=error,
            remedy="pip install 'mobile-model-zoo[train]', or run make setup",
        ) from error
    logging.set_verbosity(logging.WARNING)
