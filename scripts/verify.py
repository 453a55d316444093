"""Compares artifacts with the Keras networks that they were made from, on real test images.

    python -m scripts.verify
    python -m scripts.verify --artifact=squeezenet_v1_1-fashion_mnist-pruned-int8 --layers
    python -m scripts.verify --runtime=litert --max_relative=int8:0.1 --json

Each artifact runs in every TFLite runtime that is installed, with XNNPACK and with plain kernels,
in a child process. Printed are the differences of the logits (largest, mean, relative to what the
logits say, in dB), how often the largest logit is the same, both accuracies on the same images,
and how many of the graph's nodes the delegate took.

With --all, which needs no runs, every artifact of --output, packed or not, is looked at again and
scored again on its whole test set: each must be what its manifest says, within 0.1 point of the
accuracy there. A manifest without one, as converting leaves it, is told as such. What can't be read
is a row with its reason like the others.

    python -m scripts.verify --output=release --all

The exit code is 1 where a precision breaks a limit, or a case failed. Then the first layer whose
error jumps is named: its signal-to-noise ratio is over 10 dB below the worst of its inputs', or
falls below 10 dB. Reference is the float32 artifact of the same run, else Keras' layers.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from absl import flags

from converters.parity.limits import LIMITS, changed
from scripts.common import cli
from zoo import runtime
from zoo.errors import UnknownNameError, ZooError
from zoo.io.tf_import import import_tensorflow

if TYPE_CHECKING:
    from converters.parity.layers import Subject
    from zoo.runtime.sandbox import Sandbox

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_list("artifact", [], "artifact names (default: every artifact)")
flags.DEFINE_integer("images", 200, "test images, the same in each run", lower_bound=1)
flags.DEFINE_list(
    "runtime", [], f"of {', '.join(runtime.RUNTIMES)} (default: all that are installed)"
)
flags.DEFINE_list("delegate", list(runtime.DELEGATES), "xnnpack, or none for plain kernels")
flags.DEFINE_list(
    "max_relative",
    [],
    "PRECISION:LIMIT of the relative error (default: "
    + ", ".join(f"{name}:{limits.relative:g}" for name, limits in LIMITS.items())
    + ")",
)
flags.DEFINE_list(
    "min_agreement",
    [],
    "PRECISION:LIMIT of the share with the same largest logit (default: "
    + ", ".join(f"{name}:{limits.agreement:g}" for name, limits in LIMITS.items())
    + ")",
)
flags.DEFINE_bool("layers", False, "print every layer's error, of sound artifacts too")
flags.DEFINE_float("timeout_secs", 600, "for one case; a child that takes longer is ended", 1)
flags.DEFINE_bool("all", False, "check every artifact, and its accuracy, against its manifest")
flags.DEFINE_bool("json", False, "print one JSON object instead of tables")


def main(_: list[str]) -> int:
    """Prints a row a case; 1 where a limit is broken or a case failed."""
    if FLAGS.all:
        from scripts.verify_all import verify_all

        return verify_all(cli.output(), FLAGS.artifact, FLAGS.timeout_secs)
    delegates = cli.choices("delegate", runtime.DELEGATES)
    limits = changed(FLAGS.max_relative, FLAGS.min_agreement)
    subjects = _subjects()
    with contextlib.ExitStack() as stack:
        runners = [stack.enter_context(runner) for runner in _runners()]
        import_tensorflow()
        from converters.parity import show, verify

        plan = verify.VerifyPlan(cli.output(), FLAGS.images, delegates, limits, FLAGS.layers)
        found = list(verify.verify(subjects, runners, plan, _progress))
    if FLAGS.json:
        cli.say(show.as_json(found))
    else:
        show.tables(found, sys.stdout, FLAGS.layers)
    return 1 if show.wrong(found) else 0


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _subjects() -> list[Subject]:
    from android_bench.tasks.cases import candidates
    from converters.parity.layers import Subject

    found = []
    for candidate in candidates(FLAGS.artifact, cli.output() / "artifacts"):
        if candidate.artifact is None:
            raise ZooError(
                "the .tflite has no manifest, so its Keras network is unknown",
                where=candidate.path,
                remedy="name artifacts of scripts.convert",
            )
        found.append(Subject(candidate.path, candidate.artifact))
    # Artifacts of one run one after the other: its network is then rebuilt once.
    return sorted(found, key=lambda subject: subject.artifact.parent_run)


def _runners() -> list[Sandbox]:
    from zoo.runtime.sandbox import Sandbox

    for name in FLAGS.runtime:
        if name not in runtime.RUNTIMES:
            raise UnknownNameError("--runtime", name, runtime.RUNTIMES)
    found = []
    for name in dict.fromkeys(FLAGS.runtime or runtime.RUNTIMES):
        try:
            found.append(Sandbox(name, FLAGS.timeout_secs))
        except ZooError as error:
            if FLAGS.runtime:
                raise
            _progress(f"{name}: skipped | {error}")
    return found


if __name__ == "__main__":
    cli.run(main)
