"""Whether a phone computes what this computer computes: real pictures through benchmark_model.

For each picture the tool runs once, in one job of the phone: `--input_layer_value_files` gives it
the raw input tensor, `--output_filepath` takes the raw output tensors, one after the other, after
the last inference. Older builds don't know the latter, warn, and go on; and no word is said where
the file can't be opened.

How far the outputs are apart is a number, not a verdict: a GPU computes in half precision. No
output, one of a wrong size, NaN, or a run that was not the delegate's is a failure.
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

# The tool goes by the order of inputs and only warns of a name that is not the model's. So no name
# from a file gets into a flag, where `:` and `,` mean something.
_INPUT = "input"
_OUTPUT = "output"  # in the job's folder
_OUTPUTS = "outputs"  # all of them, as text: adb's shell changes line ends on Android 6


@dataclass(frozen=True)
class OutputCheck:
    """What a phone's run of all pictures is worth: a comparison, or reasons why there is none."""

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
    """Yields one row per case, in order, whatever goes wrong; the phone's lock is held.

    Args:
        phone: that is ready.
        rows: makes its rows.
        cases: with `benchmark_model` as their runtime.
        binary: the tool for this phone.
        references: what this computer says.
        timeout_s: limit of all pictures of a case.
        recovery_s: how long a lost phone is waited for, before the rest is given up.
        log: gets a line for each case.
    """
    gone = ""
    for number, case in enumerate(cases, start=1):
        if gone:
            yield rows.agreement(
                case, valid=False, reasons=(f"not run, the phone is gone: {gone}",)
            )
            continue
        delegate = case.configuration.delegate
        what = f"outputs {number}/{len(cases)} {case.model} {case.precision}, {delegate}"
        log(f"phone {phone.id}: {what}")
        try:
            reference = references.of(case, log)
            found = verify_on_phone(phone, case, binary, reference, timeout_s)
        except PhoneLost as lost:
            if not phone.wait_ready(recovery_s):
                gone = rows.clean(reason_of(lost))
            yield rows.agreement(case, valid=False, reasons=(reason_of(lost),))
        except ZooError as error:
            yield rows.agreement(case, valid=False, reasons=(reason_of(error),))
        else:
            yield _row(rows, case, reference, found)


def verify_on_phone(
    phone: Phone, case: Case, binary: Binary, reference: OutputReference, timeout_s: float = 300.0
) -> OutputCheck:
    """Runs every picture on the phone and compares the outputs.

    Raises:
        PhoneLost: the phone dropped out for longer than its link tolerates.
        ZooError: a file can't be pushed, the outputs are too large, or no end within `timeout_s`.
    """
    if output_bytes(reference) * hexdump.TEXT_BYTES > FILE_BYTES:
        raise ZooError(
            "the outputs are too large to be fetched from the phone",
            expected=f"at most {int(FILE_BYTES / hexdump.TEXT_BYTES)} bytes",
            got=output_bytes(reference),
            remedy="run fewer pictures",
        )
    if tool_of(binary.path) is not TFLITE:
        raise ZooError(
            "this tool takes no pictures",
            expected="TFLite's benchmark_model",
            got="LiteRT's",
            remedy="--tool=tflite",
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
    """The pictures one after the other, up to the first that fails.

    Marks tell what belongs to which: `begin-MARK` before each run's lines in both streams and
    before its output, `end-MARK CODE` after its lines.
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
    """Judges the job; never raises, whatever the phone printed."""
    count = len(reference.inputs)
    runs = _runs(done, mark, delegate)
    texts = done.files.get(_OUTPUTS, "").split(f"begin-{mark}\n")[1:]
    outputs = []
    for number in range(count):
        which = f"picture {number + 1} of {count}"
        placement = runs[number].placement if number < len(runs) else None
        if number >= len(runs):
            return OutputCheck(None, None, (f"{which}: the run left no trace (cut off?)",))
        if problems := runs[number].problems:
            return OutputCheck(placement, None, tuple(map(_explained, problems)))
        if number >= len(texts):
            return OutputCheck(placement, None, (f"{which}: benchmark_model saved no output",))
        try:
            outputs.append(values(hexdump.read(texts[number]), reference.output))
        except ZooError as error:
            return OutputCheck(placement, None, (f"{which}: {error}",))
    if len({run.placement for run in runs}) > 1:
        return OutputCheck(None, None, ("the runs of the pictures were placed differently",))
    return OutputCheck(runs[0].placement, compare(reference.outputs, outputs, reference.output))


def _runs(done: JobResult, mark: str, delegate: str) -> list[ToolResult]:
    """Each run of the tool, judged as strictly as one that is timed."""
    block = rf"^begin-{mark}\n(.*?)^end-{mark} (\d{{1,3}})$"
    found = re.findall(block, done.stdout, re.MULTILINE | re.DOTALL)
    errors = done.stderr.split(f"begin-{mark}\n")[1:]
    errors += [""] * (len(found) - len(errors))
    return [
        TFLITE.parse(stdout, stderr, int(code), delegate)
        for (stdout, code), stderr in zip(found, errors, strict=False)
    ]


def _explained(problem: str) -> str:
    if "does not know a flag" in problem and "--output_filepath" in problem:
        return (
            "this build of benchmark_model can't save outputs: it does not know --output_filepath; "
            "give a newer one with --benchmark_binary"
        )
    return problem


def _row(rows: PhoneRows, case: Case, reference: OutputReference, found: OutputCheck) -> Agreement:
    told = found.comparison
    return rows.agreement(
        case,
        placement=found.placement,
        reference=reference.runtime,
        pictures=reference.pictures,
        images=len(reference.inputs),
        top1_agreement=told.top1_agreement if told else None,
        largest_difference=told.largest_difference if told else None,
        relative_difference=told.relative_difference if told else None,
        valid=told is not None,
        reasons=found.reasons,
    )
