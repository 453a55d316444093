"""Compares a phone's outputs with the host's, by running real images through benchmark_model.

One job on the phone runs the tool once per image: `--input_layer_value_files` passes the raw input
tensor, and `--output_filepath` saves the raw output tensors after the last inference. Older builds
do not support `--output_filepath` and only warn. If the file can't be opened, no build reports it.

The difference of the outputs is a figure, not a verdict, because GPUs compute in half precision. A
missing output, a wrong size, NaN, or a run without the requested delegate is a failure.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from shlex import quote

from android_bench.adb.link import PhoneLost
from android_bench.outputs.compare import Comparison, compare, values
from android_bench.outputs.reference import OutputReference, References, output_bytes
from android_bench.phone import hexdump, probe
from android_bench.phone.jobs import FILE_BYTES, JobResult
from android_bench.phone.phone import Phone
from android_bench.tasks.cases import Case
from android_bench.tasks.phone_rows import PhoneRows, reason_of
from android_bench.tools.binary import Binary
from android_bench.tools.output import ToolResult
from android_bench.tools.tool import TFLITE, tool_of
from zoo.errors import ZooError
from zoo.io.log import Log
from zoo.schema.measurement import Agreement, Placement

# The tool matches inputs by position and only warns about unknown names. A fixed name keeps names
# from the model, which may contain `:` or `,`, out of the flags.
_INPUT = "input"
_OUTPUT = "output"  # file in the job's folder
_OUTPUTS = "outputs"  # all outputs as text, because adb's shell changes line ends on Android 6


@dataclass(frozen=True)
class OutputCheck:
    """Result of running all images on a phone.

    Attributes:
        placement: Which part of the graph the delegate ran; None if unknown.
        comparison: Comparison with the host; None if a run failed.
        reasons: Why there is no comparison.
    """

    placement: Placement | None
    comparison: Comparison | None
    reasons: tuple[str, ...] = ()


def agreements_on_phone(
    phone: Phone,
    rows: PhoneRows,
    cases: Sequence[Case],
    binary: Binary,
    references: References,
    *,
    timeout_s: float = 300.0,
    recovery_s: float = 60.0,
    log: Log = lambda _: None,
) -> Iterator[Agreement]:
    """Yields one row per case, in order, also for failures.

    Args:
        phone: A locked phone that is ready.
        rows: Builds the rows.
        cases: Cases with the runtime `benchmark_model`.
        binary: The benchmark executable for this phone.
        references: Outputs of the host.
        timeout_s: Time limit for all images of a case.
        recovery_s: How long to wait for a lost phone before the remaining cases are skipped.
        log: Called with a progress message for each case.
    """
    gone = ""
    for number, case in enumerate(cases, start=1):
        if gone:
            yield rows.agreement(
                case, valid=False, reasons=(f"not run because the phone is gone: {gone}",)
            )
            continue
        delegate = case.configuration.delegate
        what = f"outputs {number}/{len(cases)} {case.model} {case.precision}, {delegate}"
        log(f"phone {phone.id}: {what}")
        try:
            reference = references.of(case, log)
            check = verify_on_phone(phone, case, binary, reference, timeout_s)
        except PhoneLost as lost:
            if not phone.wait_ready(recovery_s):
                gone = rows.clean(reason_of(lost))
            yield rows.agreement(case, valid=False, reasons=(reason_of(lost),))
        except ZooError as error:
            yield rows.agreement(case, valid=False, reasons=(reason_of(error),))
        else:
            yield _row(rows, case, reference, check)


def verify_on_phone(
    phone: Phone, case: Case, binary: Binary, reference: OutputReference, timeout_s: float = 300.0
) -> OutputCheck:
    """Runs all images on the phone and compares the outputs.

    Raises:
        PhoneLost: if the phone is unreachable for longer than its link tolerates.
        ZooError: if a file can't be pushed, the outputs are too large, or `timeout_s` is exceeded.
    """
    if output_bytes(reference) * hexdump.TEXT_BYTES > FILE_BYTES:
        raise ZooError(
            "the outputs are too large to fetch from the phone",
            expected=f"at most {int(FILE_BYTES / hexdump.TEXT_BYTES)} bytes",
            got=output_bytes(reference),
            remedy="use fewer images",
        )
    if tool_of(binary.path) is not TFLITE:
        raise ZooError(
            "this benchmark tool does not accept images",
            expected="TFLite's benchmark_model",
            got="LiteRT's",
            remedy="pass --tool=tflite",
        )
    tool = phone.push(binary.path, binary.sha256, executable=True)
    graph = phone.push(case.path, case.sha256)
    inputs = [phone.push(path, sha256) for path, sha256 in reference.inputs]
    c = case.configuration
    flags = TFLITE.flags(graph, c.delegate, c.threads, num_runs=1, min_secs=0, warmup_secs=0)
    shape = ",".join(map(str, reference.input_shape))
    flags += [f"--input_layer={_INPUT}", f"--input_layer_shape={shape}"]
    command = TFLITE.command(tool, [*flags, f"--output_filepath={_OUTPUT}"], c.delegate)
    if c.cores:
        command = f"taskset {probe.mask(phone.clusters(), c.cores)} {command}"
    mark = secrets.token_hex(8)
    done = phone.run(_job(command, inputs, mark), timeout_s, (_OUTPUTS,))
    return judge(done, mark, reference, c.delegate)


def _job(command: str, inputs: Sequence[str], mark: str) -> str:
    """Returns a shell script that runs the tool on each image, up to the first failure.

    `begin-MARK` precedes each run's lines in both streams and its output; `end-MARK CODE` follows
    its lines in stdout.
    """
    return (
        f"for picture in {' '.join(map(quote, inputs))}; do\n"
        f"rm -f {_OUTPUT}; echo begin-{mark}; echo begin-{mark} >&2\n"
        f'{command} --input_layer_value_files={_INPUT}:"$picture"\n'
        f"code=$?; echo; echo end-{mark} $code\n"
        f"[ $code -eq 0 ] && [ -f {_OUTPUT} ] || break\n"
        f"echo begin-{mark} >>{_OUTPUTS}; {hexdump.dump(_OUTPUT)} >>{_OUTPUTS}\n"
        "done"
    )


def judge(done: JobResult, mark: str, reference: OutputReference, delegate: str) -> OutputCheck:
    """Parses and checks the job's output, which is untrusted; never raises.

    Args:
        done: Result of the job.
        mark: The random mark that separates the runs.
        reference: Outputs of the host.
        delegate: Name of the requested delegate.
    """
    count = len(reference.inputs)
    runs = _runs(done, mark, delegate)
    texts = done.files.get(_OUTPUTS, "").split(f"begin-{mark}\n")[1:]
    outputs = []
    for number in range(count):
        which = f"image {number + 1} of {count}"
        placement = runs[number].placement if number < len(runs) else None
        if number >= len(runs):
            return OutputCheck(None, None, (f"{which}: the run's output is missing or truncated",))
        if problems := runs[number].problems:
            return OutputCheck(placement, None, tuple(map(_explained, problems)))
        if number >= len(texts):
            return OutputCheck(placement, None, (f"{which}: benchmark_model saved no output",))
        try:
            outputs.append(values(hexdump.read(texts[number]), reference.output))
        except ZooError as error:
            return OutputCheck(placement, None, (f"{which}: {error}",))
    if len({run.placement for run in runs}) > 1:
        return OutputCheck(None, None, ("the node placement differed between the images",))
    return OutputCheck(runs[0].placement, compare(reference.outputs, outputs, reference.output))


def _runs(done: JobResult, mark: str, delegate: str) -> list[ToolResult]:
    """Parses each run of the tool, as strictly as a timed run."""
    block = rf"^begin-{mark}\n(.*?)^end-{mark} (\d{{1,3}})$"
    matches = re.findall(block, done.stdout, re.MULTILINE | re.DOTALL)
    errors = done.stderr.split(f"begin-{mark}\n")[1:]
    errors += [""] * (len(matches) - len(errors))
    return [
        TFLITE.parse(stdout, stderr, int(code), delegate)
        for (stdout, code), stderr in zip(matches, errors, strict=False)
    ]


def _explained(problem: str) -> str:
    if "does not know a flag" in problem and "--output_filepath" in problem:
        return (
            "this build of benchmark_model can't save outputs: it has no --output_filepath; "
            "pass a newer one with --benchmark_binary"
        )
    return problem


def _row(rows: PhoneRows, case: Case, reference: OutputReference, check: OutputCheck) -> Agreement:
    comparison = check.comparison
    return rows.agreement(
        case,
        placement=check.placement,
        reference=reference.runtime,
        pictures=reference.pictures,
        images=len(reference.inputs),
        top1_agreement=comparison.top1_agreement if comparison else None,
        largest_difference=comparison.largest_difference if comparison else None,
        relative_difference=comparison.relative_difference if comparison else None,
        valid=comparison is not None,
        reasons=check.reasons,
    )
