"""Mixed-precision training on CPUs: bfloat16 where oneDNN supports it, float32 weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from zoo.errors import ZooError

_INSTRUCTIONS = {"avx512_bf16", "amx_bf16"}
_CPUINFO = Path("/proc/cpuinfo")
# Depthwise convolutions stay float32: they are slower in bfloat16 and can hang with kernels as wide
# as those of learned shifts. TensorFlow reads the variable each time it compiles a graph.
_DEPTHWISE_VARIABLE = "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_ALLOWLIST_REMOVE"
_DEPTHWISE = ",".join(
    f"DepthwiseConv2dNative{part}" for part in ("", "BackpropInput", "BackpropFilter")
)
_OPTION = "auto_mixed_precision_onednn_bfloat16"


@contextmanager
def bfloat16() -> Iterator[None]:
    """Context manager in which newly compiled graphs use bfloat16 where TensorFlow allows it.

    TensorFlow's graph optimizer inserts the casts. The network, its weights and its checkpoints
    stay float32.

    Raises:
        ZooError: if the processor has no bfloat16 instructions.
    """
    if not _INSTRUCTIONS & _instructions():
        raise ZooError(
            "this processor does not support bfloat16",
            where="--bfloat16",
            expected=f"one of the flags {', '.join(sorted(_INSTRUCTIONS))} in {_CPUINFO}",
            remedy="run without --bfloat16",
        )
    old_value = os.environ.get(_DEPTHWISE_VARIABLE)
    os.environ[_DEPTHWISE_VARIABLE] = _DEPTHWISE
    old_option = tf.config.optimizer.get_experimental_options().get(_OPTION, False)
    tf.config.optimizer.set_experimental_options({_OPTION: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_OPTION: old_option})
        if old_value is None:
            del os.environ[_DEPTHWISE_VARIABLE]
        else:
            os.environ[_DEPTHWISE_VARIABLE] = old_value


def _instructions() -> set[str]:
    """Returns the flags of the first processor in /proc/cpuinfo, or an empty set without it."""
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
