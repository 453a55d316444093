"""Compares .tflite files with their Keras networks, or with their manifests, on test images.

    zoo verify
    zoo verify ANY.tflite --runtime=litert_gpu,litert_npu --soc=SM8650
    zoo verify --artifact=squeezenet_v1_1-fashion_mnist-pruned-int8 --layers
    zoo verify --runtime=litert --max_relative=int8:0.1 --json
    zoo verify --output=release --all

Runs each artifact in a child process: in every installed TFLite runtime, with XNNPACK and with
plain kernels, on LiteRT's GPU engine, the one of phones, which computes on SwiftShader where there
is no GPU, and, if asked for, on the emulator of a Snapdragon's NPU (--runtime=litert_npu). Runs the
Keras network of its run, too, which must be in OUTPUT/runs. Prints errors of the logits (largest,
mean, relative, SQNR in dB), the share of images with the same top-1 class, both accuracies on these
images, and the number of nodes that the delegate took. The exit code is 1 if a precision exceeds a
limit or a case failed.

Files given as arguments may be of any maker, and need neither run nor manifest: what each engine
computes is compared with LiteRT's XNNPACK, on test images if a manifest names their dataset, else
on random values. Where they depart, the graph is cut to find the first operator whose output
departs; activations beyond float16's range are listed.

If a limit is exceeded, the first layer at which the error jumps is named: its signal-to-noise ratio
is more than 10 dB below the worst of its inputs, or falls below 10 dB. The reference is the float32
artifact of the same run, or else the layers of the Keras network.

--all needs no runs: it checks every artifact in --output (or those of --artifact), packed or not,
against its manifest, and measures its accuracy on the whole test set, which must be within 0.1
points of the manifest's. An artifact without an accuracy in its manifest, such as a new conversion,
counts as failed. Of the other flags, --all uses only --timeout_secs.
"""

from __future__ import annotations

import contextlib
import sys

from absl import flags

from converters.parity.limits import LIMITS, changed
from scripts.common import cli, engine_flags
from zoo import runtime
from zoo.io.tf_import import import_tensorflow
from zoo.runtime.interpreter import DELEGATES

FLAGS = flags.FLAGS
# The NPU only on demand: it runs no file that its compiler does not take whole.
_DEFAULT = tuple(name for name in runtime.RUNTIMES if name != "litert_npu")
cli.define_output()
engine_flags.define(_DEFAULT, timeout_s=600)
flags.DEFINE_integer("images", 200, "number of test images; always the same ones", lower_bound=1)
flags.DEFINE_list(
    "delegate",
    list(DELEGATES),
    "of the interpreters: xnnpack, none (plain kernels) or both",
)
flags.DEFINE_list(
    "max_relative",
    [],
    "maximum relative error of the logits, PRECISION:LIMIT,… (default: "
    + ", ".join(f"{name}:{limits.relative:g}" for name, limits in LIMITS.items())
    + ")",
)
flags.DEFINE_list(
    "min_agreement",
    [],
    "minimum share of images with the same top-1 class, PRECISION:LIMIT,… (default: "
    + ", ".join(f"{name}:{limits.agreement:g}" for name, limits in LIMITS.items())
    + ")",
)
flags.DEFINE_bool("layers", False, "print the error of every layer, even if no limit is exceeded")
flags.DEFINE_bool("all", False, "check artifacts against their manifests, not Keras (see above)")
flags.DEFINE_bool("json", False, "print one JSON object instead of tables")


def main(argv: list[str]) -> int:
    """Prints one row per case; returns 1 if a limit is exceeded or a case failed."""
    files = list(dict.fromkeys(argv[1:]))
    if FLAGS.all:
        from scripts.common.verify_release import verify_release

        return verify_release(cli.output(), FLAGS.artifact, FLAGS.timeout_secs)
    if files:
        return _files(files)
    delegates = cli.choices("delegate", DELEGATES)
    limits = changed(FLAGS.max_relative, FLAGS.min_agreement)
    subjects = engine_flags.subjects()
    with contextlib.ExitStack() as stack:
        runners = engine_flags.runners(_DEFAULT, stack)
        import_tensorflow()
        from converters.parity import show, verify

        plan = verify.VerifyPlan(
            cli.output(), FLAGS.images, delegates, limits, FLAGS.layers, FLAGS.soc
        )
        results = list(verify.verify(subjects, runners, plan, engine_flags.progress))
    if FLAGS.json:
        cli.say(show.as_json(results))
    else:
        show.tables(results, sys.stdout, FLAGS.layers)
    return 1 if show.wrong(results) else 0


def _files(files: list[str]) -> int:
    from scripts.common.verify_engines import verify_engines

    with contextlib.ExitStack() as stack:
        runners = [
            (runner, delegate)
            for runner in engine_flags.runners(_DEFAULT, stack)
            for delegate in runtime.delegates(runner.runtime, ["xnnpack"], FLAGS.soc)
            if runner.runtime != "litert"
        ]
        return verify_engines(
            files, runners, FLAGS.images, FLAGS.timeout_secs, FLAGS.json, engine_flags.progress
        )


if __name__ == "__main__":
    cli.run(main, positional=True)
