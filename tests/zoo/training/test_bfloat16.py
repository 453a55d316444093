"""bfloat16 on a CPU: which operators compute so, and that nothing is left switched on."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import ZooError
from zoo.training import bfloat16

CPU = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
needs_bfloat16 = pytest.mark.skipif(
    "avx512_bf16" not in CPU and "amx_bf16" not in CPU,
    reason="this processor does not compute in bfloat16",
)


def outputs():
    """A convolution's and a depthwise convolution's, with gradients, from a graph compiled now."""
    draw = tf.random.Generator.from_seed(3)
    x = draw.normal((4, 16, 16, 32))
    kernels = draw.normal((3, 3, 32, 32)), draw.normal((3, 3, 32, 1))

    @tf.function
    def compute(x):
        found = []
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(kernels)
            convolved = tf.nn.relu(tf.nn.conv2d(x, kernels[0], 1, "SAME"))
            channelwise = tf.nn.relu(tf.nn.depthwise_conv2d(x, kernels[1], [1, 1, 1, 1], "SAME"))
        for kernel, y in zip(kernels, (convolved, channelwise), strict=True):
            found += [y, tape.gradient(y, kernel)]
        return found

    return [y.numpy() for y in compute(x)]


@needs_bfloat16
def test_what_oneDNN_can_is_bfloat16_and_depthwise_is_not():
    exact = outputs()
    with bfloat16.bfloat16():
        rounded = outputs()
    after = outputs()
    for number, (one, other, again) in enumerate(zip(exact, rounded, after, strict=True)):
        np.testing.assert_array_equal(one, again)
        error = np.abs(one - other).max() / np.abs(one).max()
        assert 1e-4 < error < 0.05 if number < 2 else error < 1e-6, (number, error)
        assert other.dtype == np.float32


@needs_bfloat16
def test_a_failure_within_leaves_it_off():
    with pytest.raises(RuntimeError), bfloat16.bfloat16():
        raise RuntimeError
    assert not tf.config.optimizer.get_experimental_options()[bfloat16._OPTION]


def test_other_processors_are_told(tmp_path, monkeypatch):
    cpu = tmp_path / "cpuinfo"
    cpu.write_text("model name\t: an older one\nflags\t\t: fpu avx2 avx512f avx512_vnni\n")
    monkeypatch.setattr(bfloat16, "_CPUINFO", cpu)
    with pytest.raises(ZooError, match=r"--bfloat16.*avx512_bf16.*run without --bfloat16"):
        bfloat16.bfloat16().__enter__()
