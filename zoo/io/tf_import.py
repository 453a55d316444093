"""Importing TensorFlow quietly."""

from __future__ import annotations

import os

from absl import logging

from zoo.errors import ZooError
from zoo.io.stderr import quiet

REMEDY = "pip install 'mobile-model-zoo[train]', or run make setup"


def set_environment() -> None:
    """Sets the variables that TensorFlow reads when it is imported, unless they are set already.

    Child processes inherit them.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # tfmot requires tf_keras
    # TensorFlow turns oneDNN on by itself only for processors with AVX-512. Without AVX-512 it
    # trains two to three times as fast, too, and has gradients of dilated convolutions.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def import_tensorflow() -> None:
    """Imports TensorFlow without its startup messages, which C++ code writes to stderr.

    This takes seconds, so call it only when TensorFlow is needed.

    Raises:
        ZooError: if TensorFlow is not installed or can't be loaded.
    """
    set_environment()
    try:
        with quiet():
            import tensorflow as tf

            tf.config.list_physical_devices()
    except ImportError as error:
        raise ZooError(
            "TensorFlow can't be imported",
            got=error,
            remedy=REMEDY,
        ) from error
    logging.set_verbosity(logging.WARNING)
