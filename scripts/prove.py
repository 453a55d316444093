"""Proves that artifacts compute on phones' engines what they compute on the CPU.

    zoo prove
    zoo prove --artifact=resnet20-fashion_mnist-int8 --runtime=litert_npu --soc=SM8750
    zoo prove --output=release

Runs each artifact on the same test images on LiteRT's XNNPACK and on each other engine: the other
TFLite runtime, the GPU engine of phones (on SwiftShader where there is no GPU), and the emulator of
a Snapdragon's NPU. Compares the outputs, the top-1 classes and the accuracy. Where the outputs
depart, the first wrong operator is named.

Each result becomes a line in OUTPUT/results.jsonl, keyed by the SHA-256 of the file and the version
of the engine. `zoo publish` asks for these lines. A case that has one is skipped, so the command
goes on where it was interrupted. Precisions that an engine is not for are left out. Expect minutes
for each artifact; no time of them is recorded. The exit code is 1 if an engine computes something
else, or fails to run an artifact.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from absl import flags

from scripts.common import cli, engine_flags
from zoo import runtime
from zoo.errors import ZooError
from zoo.io.provenance import Provenance

if TYPE_CHECKING:
    from zoo.schema.engine_check import EngineCheck

FLAGS = flags.FLAGS
cli.define_output()
engine_flags.define(runtime.COMPARED, timeout_s=1800, known=runtime.COMPARED)
flags.DEFINE_integer(
    "images",
    500,
    "number of test images; zoo publish asks for 500, or all of a smaller test split",
    lower_bound=1,
)
flags.DEFINE_bool("again", False, "also run the cases that have a result")


def main(_: list[str]) -> int:
    """Prints one line per case; returns 1 if an engine computes something else."""
    from converters.parity import evidence
    from zoo.report.wording import check_in_words, failure_of
    from zoo.runtime.sandbox import Sandbox
    from zoo.schema.json_files import append_record, read_records

    subjects = engine_flags.subjects()
    results = cli.output() / "results.jsonl"
    with contextlib.ExitStack() as stack:
        runners = engine_flags.runners(runtime.COMPARED, stack, runtime.COMPARED)
        cpu = stack.enter_context(Sandbox("litert", FLAGS.timeout_secs))
        cases = [
            evidence.Case(subject, runner, delegate)
            for subject in subjects
            for runner in runners
            if evidence.meant_for(subject.artifact.precision, runner.runtime)
            for delegate in runtime.delegates(runner.runtime, ["xnnpack"], FLAGS.soc)
        ]
        records = read_records(results)[0] if results.is_file() and not FLAGS.again else []
        left = evidence.missing(cases, records, FLAGS.images)
        provenance = Provenance.here()
        todo = sum(len(some) for _, some in left)
        engine_flags.progress(f"{todo} of {len(cases)} cases left")
        failed = False
        for subject, some in left:
            try:
                for line in evidence.prove(
                    subject, some, cpu, FLAGS.images, provenance, engine_flags.progress
                ):
                    append_record(results, line)
                    mark = "FAIL" if line.reasons else "pass"
                    words = failure_of(line) or check_in_words(line)
                    cli.say(f"{mark} {line.model}: {_engine(line)}: {words}")
            except ZooError as error:
                cli.complain(error)
                failed = True
    keys = {case.key for case in cases}
    lines = evidence.latest(read_records(results)[0]) if results.is_file() else {}
    wrong = [line for key, line in lines.items() if key in keys and line.reasons]
    if wrong:
        names = ", ".join(f"{line.model} on {_engine(line)}" for line in wrong)
        cli.say(f"{len(wrong)} of {len(cases)} cases fail: {names}")
    return int(failed or bool(wrong))


def _engine(line: EngineCheck) -> str:
    ran = line.configuration
    return f"{ran.runtime} {ran.runtime_version}, {ran.delegate}"


if __name__ == "__main__":
    cli.run(main)
