"""The child process against NumPy, and with files that crash it."""

import os
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.tools import flatbuffer_utils
from hypothesis import given
from hypothesis import strategies as st

from tests.support.processes import HANG_S
from tests.support.tiny_tflite import tiny_model
from zoo import runtime
from zoo.errors import ZooError
from zoo.runtime import child as protocol
from zoo.runtime.sandbox import Sandbox, unique

IMAGES = np.random.default_rng(3).standard_normal((4, 16, 16, 1)).astype(np.float32)


def _installed(name):
    try:
        runtime.version(name)
    except ZooError as error:
        return pytest.mark.skip(str(error))
    return ()


@pytest.fixture(scope="module", autouse=True)
def patience():
    """A child may take as long as it takes to end by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "_EXIT_TIMEOUT_S", float(HANG_S))
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.tflite")


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=_installed(name)) for name in runtime.INTERPRETERS],
)
def runner(request):
    with Sandbox(request.param, HANG_S) as made:
        yield made


def by_numpy(path, image):
    """The tiny network's tensors from its own weights, in float64."""
    model = flatbuffer_utils.read_model(str(path))
    graph = model.subgraphs[0]

    def constant(name):
        tensor = next(t for t in graph.tensors if t.name.decode() == name)
        data = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32)
        return data.reshape(tensor.shape).astype(np.float64)

    padded = np.pad(image[:, :, 0].astype(np.float64), 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    hidden = np.einsum("yxij,fij->yxf", windows, constant("conv/kernel")[..., 0])
    hidden = np.maximum(hidden + constant("conv/bias"), 0)
    logits = constant("dense/kernel") @ hidden.reshape(-1) + constant("dense/bias")
    powers = np.exp(logits - logits.max())
    return {"conv/relu": hidden, "dense/logits": logits, "probabilities": powers / powers.sum()}


@pytest.mark.parametrize("delegate", ["xnnpack", "none"])
def test_outputs_equal_numpy(runner, tiny, delegate):
    found = runner.outputs(tiny, IMAGES, delegate)
    expected = [by_numpy(tiny, image)["probabilities"] for image in IMAGES]
    assert (found.dtype, found.shape) == (np.float32, (4, 10))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_tensors_equal_numpy(runner, tiny):
    found = runner.tensors(tiny, IMAGES[0])
    for name, expected in by_numpy(tiny, IMAGES[0]).items():
        assert found[name].shape[0] == 1
        np.testing.assert_allclose(found[name][0], expected, atol=1e-4, err_msg=name)
    np.testing.assert_array_equal(found["image"][0], IMAGES[0])
    assert "conv/kernel" in found
    computed = runner.tensors(tiny, IMAGES[0], constants=False)
    assert set(computed) == {"image", "conv/relu", "dense/logits", "probabilities"}


def test_placement(runner, tiny):
    full = runner.placement(tiny)
    assert (full.level, full.nodes, full.delegated) == ("full", 3, 3)
    assert runner.placement(tiny, "none").level == "none"


def test_latency(runner, tiny):
    times_us: list[float] = []
    seconds = 0.1
    while len(times_us) < 10:  # fewer only on a computer that hardly gives us time
        seconds *= 2
        began = time.perf_counter()
        times_us = runner.latency_us(tiny, "xnnpack", 1, seconds)
        assert time.perf_counter() - began >= 1.25 * seconds
    assert sum(times_us[:-1]) <= 1e6 * seconds, "all but the last ended within the time"
    assert min(times_us) > 0.1, "39,000 MACs take longer on any core"


def test_a_refused_file_costs_nothing(runner, tiny, tmp_path):
    runner.placement(tiny)
    child = runner.child.process.pid
    other = tmp_path / "other.tflite"
    content = tiny.read_bytes()
    other.write_bytes(content[:4] + b"ELSE" + content[8:])
    with pytest.raises(ZooError, match=f"{runner.runtime} cannot load.*other.tflite"):
        runner.outputs(other, IMAGES)
    with pytest.raises(ZooError, match="cannot read the model"):
        runner.placement(tmp_path / "missing.tflite")
    with pytest.raises(ZooError, match=r"do not fit.*expected: at least one of shape .16, 16, 1"):
        runner.outputs(tiny, IMAGES[:, :5])
    with pytest.raises(ZooError, match="do not fit"):
        runner.outputs(tiny, IMAGES[:0])
    with pytest.raises(ZooError, match=f"unknown delegate of {runner.runtime} 'gpu'"):
        runner.outputs(tiny, IMAGES, "gpu")
    with pytest.raises(ZooError, match="invalid request"):
        runner.outputs(tiny, IMAGES, threads=0)
    runner.placement(tiny)
    assert runner.child.process.pid == child


def cut(content):
    return content[:300]


def without_filters(content):
    """A convolution whose filters are declared as left out."""
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    model.subgraphs[0].operators[0].inputs = [0, -1, 2]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


@pytest.mark.parametrize("damage", [cut, without_filters])
def test_a_damaged_file_is_an_error_here(runner, tiny, tmp_path, damage):
    """The runtimes read where nothing is: what lies there decides whether they refuse or die."""
    path = tmp_path / "damaged.tflite"
    path.write_bytes(damage(tiny.read_bytes()))
    with pytest.raises(ZooError, match=f"{runner.runtime} (cannot load|died).*damaged.tflite"):
        runner.outputs(path, IMAGES)
    assert runner.outputs(tiny, IMAGES).shape == (4, 10)


def processor_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_crash_is_an_error_here(tiny):
    with Sandbox("litert", HANG_S) as runner, ThreadPoolExecutor(1) as pool:
        runner.placement(tiny)
        child = runner.child.process.pid
        idle_s = processor_s(child)
        call = pool.submit(runner.latency_us, tiny, "none", 1, 3600.0)
        while processor_s(child) < idle_s + 0.1:
            assert not call.done()
            time.sleep(0.02)
        os.kill(child, signal.SIGSEGV)
        with pytest.raises(ZooError, match=r"litert died.*tiny.tflite.*SIGSEGV"):
            call.result(HANG_S)
        assert runner.outputs(tiny, IMAGES).shape == (4, 10)


def test_a_killed_child_is_replaced(tiny):
    with Sandbox("litert", HANG_S) as runner:
        runner.placement(tiny)
        old = runner.child.process
        old.kill()
        old.wait()
        runner.placement(tiny)
        assert runner.child.process.pid != old.pid
        os.kill(runner.child.process.pid, signal.SIGSTOP)
        runner.child.timeout_s = 0.3
        hung = runner.child.process
        assert hung is not None
        with pytest.raises(ZooError, match=r"litert timed out.*no reply within 0.3 s"):
            runner.placement(tiny)
        assert hung.returncode == -signal.SIGKILL
        runner.child.timeout_s = HANG_S
        assert runner.placement(tiny).level == "full"


def test_nothing_is_left(tiny):
    with Sandbox("litert", HANG_S) as runner:
        assert runner.child.process is None
        runner.outputs(tiny, IMAGES)
        child, folder = runner.child.process, runner.child.folder()
        assert folder.stat().st_mode & 0o077 == 0
        assert [p.name for p in folder.glob("result*")] == []
    assert child is not None
    assert child.returncode == 0
    assert not folder.exists()
    assert not Path(f"/proc/{child.pid}").exists()
    assert runner.placement(tiny).level == "full"
    runner.close()


def test_a_child_ends_with_its_parent(tiny):
    code = f"""
from pathlib import Path
from zoo.runtime.sandbox import Sandbox
runner = Sandbox("litert", {HANG_S})
runner.placement(Path({str(tiny)!r}))
print(runner.child.process.pid, flush=True)
import os
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S, check=False
    )
    try:
        child = os.pidfd_open(int(done.stdout))
    except ProcessLookupError:
        return  # it has ended already
    try:
        assert select.select([child], [], [], HANG_S)[0], "the child still runs"
    finally:
        os.close(child)


def test_a_runtime_that_is_not_there(monkeypatch):
    with pytest.raises(ZooError, match=r"unknown runtime 'lite_rt'.*did you mean litert"):
        Sandbox("lite_rt")
    gone = replace(runtime.RUNTIMES["tflite_runtime"], package="no-such-package")
    monkeypatch.setitem(runtime.RUNTIMES, "tflite_runtime", gone)
    with pytest.raises(ZooError, match=r"not installed.*pip install"):
        Sandbox("tflite_runtime")


@given(st.lists(st.sampled_from(["", "a", "a#1", "a#2", "c/d"]), max_size=12))
def test_unique_names(names):
    found = unique(names)
    assert len(set(found)) == len(found) == len(names)
    for index, (before, after) in enumerate(zip(names, found, strict=True)):
        assert after.startswith(before)
        if before not in found[:index]:
            assert after == before
