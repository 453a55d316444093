"""The engines that run a `.tflite` on this computer: one row each.

Two are interpreters, for which a computer's processor is the real thing. The other two compute what
the accelerators of phones compute: their outputs can be trusted, but where they run on a stand-in
for the accelerator, their times say nothing.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoo.errors import UnknownNameError, ZooError
from zoo.runtime.net import Net
from zoo.runtime.npu_compiler import DEFAULT_SOC, SOCS
from zoo.schema.measurement import Placement


@dataclass(frozen=True)
class Engine:
    """A row of `RUNTIMES`.

    Attributes:
        package: Distribution whose version is the engine's.
        delegates: Names of `--delegate` that it knows. `npu` may be followed by a SoC, as in
            `npu:SM8650`, see `zoo.runtime.npu_compiler.SOCS`.
        load: Loads a file, see `load`.
        check: Raises a ZooError if the engine lacks something here that is not a package.
        placement: Tells where the operators of a file run, see `placement`.
        remedy: What to do if the package is not installed.
    """

    package: str
    delegates: tuple[str, ...]
    load: Callable[[bytes, str, str, int, object], Net]
    placement: Callable[[bytes, str, str, object], Placement]
    check: Callable[[], object]
    remedy: str


def _interpreter(content: bytes, name: str, delegate: str, threads: int, where: object) -> Net:
    from zoo.runtime import interpreter

    return interpreter.load(content, name, delegate, threads, where)


def _on_interpreter(content: bytes, name: str, delegate: str, where: object) -> Placement:
    from zoo.runtime import interpreter

    loaded = interpreter.interpreter(content, name, delegate, 1, where)
    return interpreter.placement(loaded._get_ops_details())


def _import_interpreter() -> None:
    import zoo.runtime.interpreter  # noqa: F401


def _vulkan() -> object:
    from zoo.runtime import vulkan

    return vulkan.prepare()


def _gpu(content: bytes, name: str, delegate: str, threads: int, where: object) -> Net:
    from zoo.runtime import gpu

    return gpu.load(content, where)


def _on_gpu(content: bytes, name: str, delegate: str, where: object) -> Placement:
    from zoo.runtime import gpu

    return gpu.placement(content, where)


def _npu(content: bytes, name: str, delegate: str, threads: int, where: object) -> Net:
    from zoo.runtime import npu_emulator

    return npu_emulator.load(content, _soc(delegate), where)


def _on_npu(content: bytes, name: str, delegate: str, where: object) -> Placement:
    from zoo.runtime import npu_emulator

    return npu_emulator.placement(content, _soc(delegate), where)


def _emulator() -> None:
    from zoo.runtime import npu_emulator

    npu_emulator.check()


def _soc(delegate: str) -> str:
    return delegate.partition(":")[2] or DEFAULT_SOC


INTERPRETERS = ("litert", "tflite_runtime")
_CPU = ("xnnpack", "none")
# By their names on the command line.
RUNTIMES = {
    "litert": Engine(
        "ai-edge-litert", _CPU, _interpreter, _on_interpreter, _import_interpreter,
        "pip install ai-edge-litert",
    ),
    "tflite_runtime": Engine(
        "tflite-runtime", _CPU, _interpreter, _on_interpreter, _import_interpreter,
        "pip install tflite-runtime (Python 3.11 only), or use --runtime=litert",
    ),
    "litert_gpu": Engine(
        "ai-edge-litert", ("gpu",), _gpu, _on_gpu, _vulkan, "pip install ai-edge-litert"
    ),
    "litert_npu": Engine(
        "onnxruntime-qnn", ("npu",), _npu, _on_npu, _emulator,
        "make setup-npu, or pip install 'mobile-model-zoo[npu]' (Linux on x86-64 only)",
    ),
}  # fmt: skip
# What is compared with LiteRT's XNNPACK before a file is released.
COMPARED = tuple(name for name in RUNTIMES if name != "litert")
# Delegate → engine, for delegates that only one engine has.
ACCELERATORS = {
    engine.delegates[0]: name for name, engine in RUNTIMES.items() if name not in INTERPRETERS
}
DELEGATES = tuple(dict.fromkeys(name for engine in RUNTIMES.values() for name in engine.delegates))


def version(runtime: str) -> str:
    """Returns the installed version of an engine.

    Args:
        runtime: A key of `RUNTIMES`.

    Raises:
        UnknownNameError: if the engine is unknown.
        ZooError: if it is not installed.
    """
    engine = _engine(runtime)
    try:
        return importlib.metadata.version(engine.package)
    except importlib.metadata.PackageNotFoundError as error:
        raise ZooError(f"the runtime {runtime} is not installed", remedy=engine.remedy) from error


def check(runtime: str) -> None:
    """Does nothing, if the engine works here.

    Raises:
        UnknownNameError: if the engine is unknown.
        ZooError: if it is not installed, or something that it needs is missing.
    """
    version(runtime)
    _engine(runtime).check()


def delegates(runtime: str, chosen: Sequence[str], soc: str = DEFAULT_SOC) -> tuple[str, ...]:
    """Returns the delegates that a file is run with: those of the engine among the chosen ones.

    An engine that has a single delegate uses it whatever is chosen.

    Args:
        runtime: A key of `RUNTIMES`.
        chosen: Names of delegates.
        soc: A key of `zoo.runtime.npu_compiler.SOCS`, which the NPU's name gets.

    Raises:
        UnknownNameError: if the engine or the SoC is unknown.
        ZooError: if the engine has none of the chosen delegates.
    """
    known = _engine(runtime).delegates
    if soc not in SOCS:
        raise UnknownNameError("--soc", soc, SOCS)
    if len(known) == 1:
        return tuple(f"{name}:{soc}" if name == "npu" else name for name in known)
    found = tuple(name for name in chosen if name in known)
    if not found:
        others = [name for name, row in RUNTIMES.items() if set(chosen) & set(row.delegates)]
        raise ZooError(
            f"{runtime} has none of these delegates",
            where="--delegate",
            expected=", ".join(known),
            got=", ".join(chosen),
            remedy=f"add --runtime={','.join(others)}" if others else None,
        )
    return found


def load(content: bytes, runtime: str, delegate: str, threads: int, where: object) -> Net:
    """Loads a `.tflite` with one input, one output and batch size 1; as `load_any`.

    Raises:
        ZooError: if `load_any` does, or the file has several inputs or outputs or another batch
            size.
    """
    net = load_any(content, runtime, delegate, threads, where)
    net.check_image(where)
    return net


def load_any(content: bytes, runtime: str, delegate: str, threads: int, where: object) -> Net:
    """Loads any `.tflite`.

    Args:
        content: Content of the file, whose hash must have been checked.
        runtime: A key of `RUNTIMES`.
        delegate: One of the engine's.
        threads: Number of CPU threads, at least 1; accelerators ignore it.
        where: Name of the file, shown in error messages.

    Raises:
        ZooError: if the runtime or delegate is unknown or not available here, or the engine cannot
            load the file.
    """
    return _checked(runtime, delegate).load(content, runtime, delegate, threads, where)


def placement(content: bytes, runtime: str, delegate: str, where: object) -> Placement:
    """Returns how many operators of any `.tflite` run on the delegate.

    Arguments and errors as in `load_any`.
    """
    return _checked(runtime, delegate).placement(content, runtime, delegate, where)


def _checked(runtime: str, delegate: str) -> Engine:
    version(runtime)
    engine = RUNTIMES[runtime]
    if delegate.partition(":")[0] not in engine.delegates:
        raise UnknownNameError(f"delegate of {runtime}", delegate, engine.delegates)
    return engine


def _engine(runtime: str) -> Engine:
    if runtime not in RUNTIMES:
        raise UnknownNameError("runtime", runtime, RUNTIMES)
    return RUNTIMES[runtime]
