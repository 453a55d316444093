"""Flags of the commands that compare artifacts on engines: which artifacts, on which engines."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from scripts.common import cli
from zoo import runtime
from zoo.errors import UnknownNameError, ZooError
from zoo.runtime.npu_compiler import DEFAULT_SOC, SOCS

if TYPE_CHECKING:
    from converters.parity.layers import Subject
    from zoo.runtime.sandbox import Sandbox

FLAGS = flags.FLAGS


def define(
    default: Sequence[str], timeout_s: float, known: Sequence[str] = tuple(runtime.RUNTIMES)
) -> None:
    """Defines --artifact, --runtime, --soc and --timeout_secs.

    Args:
        default: Engines that --runtime stands for if it is not given.
        timeout_s: Default of --timeout_secs.
        known: Engines that --runtime may name.
    """
    flags.DEFINE_list(
        "artifact", [], "artifact names (default: every artifact in OUTPUT/artifacts)"
    )
    flags.DEFINE_list(
        "runtime",
        [],
        f"any of {', '.join(known)} (default: {', '.join(default)}, if they work here)",
    )
    flags.DEFINE_string("soc", DEFAULT_SOC, f"of --runtime=litert_npu: {', '.join(SOCS)}")
    flags.DEFINE_float(
        "timeout_secs",
        timeout_s,
        "timeout per case, in seconds; then the child process is stopped",
        1,
    )


def subjects() -> list[Subject]:
    """Returns the artifacts of --artifact, those of one run one after another."""
    from android_bench.tasks.cases import candidates
    from converters.parity.layers import Subject

    found = []
    for candidate in candidates(FLAGS.artifact, cli.output() / "artifacts"):
        if candidate.artifact is None:
            raise ZooError(
                "the file has no manifest, so its Keras network and dataset are unknown",
                where=candidate.path,
                remedy="name artifacts that zoo convert wrote with --artifact",
            )
        found.append(Subject(candidate.path, candidate.artifact))
    return sorted(found, key=lambda subject: subject.artifact.parent_run)


def runners(
    default: Sequence[str],
    stack: contextlib.ExitStack,
    known: Sequence[str] = tuple(runtime.RUNTIMES),
) -> list[Sandbox]:
    """Starts the engines of --runtime, or those of the default ones that work here.

    Args:
        default: As in `define`.
        stack: Closes them.
        known: As in `define`.
    """
    from zoo.runtime.sandbox import Sandbox

    for name in FLAGS.runtime:
        if name not in known:
            raise UnknownNameError("--runtime", name, known)
    found = []
    for name in dict.fromkeys(FLAGS.runtime or default):
        try:
            runner = stack.enter_context(Sandbox(name, FLAGS.timeout_secs))
            if not FLAGS.runtime:
                runner.check()
            found.append(runner)
        except ZooError as error:
            if FLAGS.runtime:
                raise
            progress(f"{name}: skipped | {error}")
    return found


def progress(text: str) -> None:
    """Prints a progress message to stderr, since stdout has the result."""
    print(text, file=sys.stderr, flush=True)
