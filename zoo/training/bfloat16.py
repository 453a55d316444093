"""Training in bfloat16 on a CPU: what oneDNN can compute so, with float32 weights and sums."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from zoo.errors import ZooError

_INSTRUCTIONS = {"avx512_bf16", "amx_bf16"}
_CPUINFO = Path("/proc/cpuinfo")
# Depthwise convolutions stay float32: in bfloat16 they are slower, and with kernels as wide as
# those of learned shifts they can hang. TensorFlow reads the variable whenever it compiles a graph.
_DEPTHWISE_VARIABLE = "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_ALLOWLIST_REMOVE"
_DEPTHWISE = ",".join(
    f"DepthwiseConv2dNative{part}" for part in ("", "BackpropInput", "BackpropFilter")
)
_OPTION = "auto_mixed_precision_onednn_bfloat16"


@contextmanager
def bfloat16() -> Iterator[None]:
    """Within, graphs that are compiled anew use bfloat16 where TensorFlow holds it to be safe.

    TensorFlow's graph optimizer puts the casts in; the network, its weights and its checkpoints
    stay float32.

    Raises:
        ZooError: the processor would only pretend to.
    """
    if not _INSTRUCTIONS & _instructions():
        raise ZooError(
            "this processor does not compute in bfloat16",
            where="--bfloat16",
            expected=f"one of {', '.join(sorted(_INSTRUCTIONS))} in {_CPUINFO}",
            remedy="leave the flag out",
        )
    kept = os.environ.get(_DEPTHWISE_VARIABLE)
    os.environ[_DEPTHWISE_VARIABLE] = _DEPTHWISE
    before = tf.config.optimizer.get_experimental_options().get(_OPTION, False)
    tf.config.optimizer.set_experimental_options({_OPTION: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_OPTION: before})
        if kept is None:
            del os.environ[_DEPTHWISE_VARIABLE]
        else:
            os.environ[_DEPTHWISE_VARIABLE] = kept


def _instructions() -> set[str]:
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
