"""Flags of `zoo benchmark`, and the options that they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from scripts.common import cli, help
from zoo import runtime
from zoo.errors import ZooError
from zoo.runtime.npu_compiler import DEFAULT_SOC, SOCS

if TYPE_CHECKING:
    from android_bench.outputs.reference import OutputImages
    from android_bench.power.metered import Metering
    from android_bench.session.options import RunOptions

FLAGS = flags.FLAGS
_PHONE_DELEGATES = ("xnnpack", "none", "gpu")
_LITERT_DELEGATES = ("xnnpack", "gpu")


def define() -> None:
    """Defines the flags, in groups."""
    flags.DEFINE_list(
        "artifact",
        [],
        "artifact names or .tflite paths (default: every artifact in OUTPUT/artifacts)",
    )
    cli.former_flag("models", "artifact")
    flags.DEFINE_list(
        "device",
        ["host"],
        "host (this computer), serials of phones, or all: this computer and every phone adb lists",
    )
    flags.DEFINE_list("runtime", ["litert"], f"on this computer: {', '.join(runtime.RUNTIMES)}")
    flags.DEFINE_list(
        "delegate",
        [],
        "xnnpack and none (or cpu, the same); on phones also gpu, nnapi and "
        "external:LIBRARY?NAME:VALUE (default: xnnpack and none, on phones also gpu)",
    )
    flags.DEFINE_string("soc", DEFAULT_SOC, f"of --runtime=litert_npu: {', '.join(SOCS)}")
    flags.DEFINE_list("threads", ["1"], "numbers of CPU threads; each one is measured")
    flags.DEFINE_list(
        "cores", [""], "on phones: big, little, prime, or masks such as f0 (default: any core)"
    )
    flags.DEFINE_integer("num_runs", 50, "minimum number of inferences per process", lower_bound=1)
    flags.DEFINE_float(
        "min_secs",
        0.5,
        "minimum duration of the measurement per process, in seconds",
        lower_bound=0,
    )
    flags.DEFINE_integer("processes", 3, "processes per case; results are medians over them", 1)
    flags.DEFINE_bool("energy", False, "also measure energy, in the first process of each case")
    # At least a window of 30 s; the tool's last second is not part of it.
    flags.DEFINE_float(
        "energy_secs", 60, "duration of the energy measurement, in seconds", lower_bound=32
    )
    flags.DEFINE_float(
        "idle_secs",
        20,
        "duration of the idle periods before and after it, in seconds",
        lower_bound=5,
    )
    flags.DEFINE_bool("op_profile", False, "profile the time per operator instead of the latency")
    flags.DEFINE_bool(
        "verify_outputs", False, "on phones: also compare the outputs with those of this computer"
    )
    flags.DEFINE_integer("verify_images", 8, "number of images for --verify_outputs", lower_bound=1)
    flags.DEFINE_string(
        "images", None, "images for files without a manifest: a .tar or a folder of JPEGs"
    )
    flags.DEFINE_float(
        "sustained_minutes",
        0,
        "duration of a sustained run, which records latency over time, in minutes; 0 for none",
        0,
    )
    flags.DEFINE_bool("fixed_performance", False, "turn on Android's fixed performance mode")
    flags.DEFINE_float(
        "start_c", 38, "highest battery temperature at which a process starts, in °C"
    )
    flags.DEFINE_float(
        "cool_down_secs", 300, "longest wait for the battery to cool to --start_c, in seconds", 0
    )
    flags.DEFINE_bool("latency", True, "on this computer: time the files")
    flags.DEFINE_bool("accuracy", True, "on this computer: score artifacts on their test split")
    flags.DEFINE_string("session", "", "any name; a new one measures everything again")
    flags.DEFINE_integer(
        "seed", 1, "seed of the random order and of the images of --verify_outputs"
    )
    flags.DEFINE_bool("plan", False, "only print what would be measured and how long it would take")
    flags.DEFINE_bool("dry_run", False, "only print the commands that would run on the phone")
    flags.DEFINE_float(
        "recovery_secs", 60, "longest wait for a disconnected phone, in seconds", lower_bound=0
    )
    flags.DEFINE_enum(
        "tool",
        "tflite",
        ["tflite", "litert"],
        "benchmark_model to download: TensorFlow Lite's or LiteRT's",
    )
    flags.DEFINE_string(
        "benchmark_binary", None, "path of your own benchmark_model (default: download)"
    )
    flags.DEFINE_string("adb", None, "path of adb (default: adb on PATH, else the one in adbutils)")
    help.group(
        "What is measured", "artifact", "device", "runtime", "delegate", "threads", "cores",
        "latency",
        "accuracy",
    )  # fmt: skip
    help.group("How long", "num_runs", "min_secs", "processes")
    help.group("Energy", "energy", "energy_secs", "idle_secs")
    help.group(
        "Phones", "op_profile", "sustained_minutes", "fixed_performance", "start_c",
        "cool_down_secs", "recovery_secs", "tool", "benchmark_binary", "adb",
    )  # fmt: skip
    help.group("Outputs", "verify_outputs", "verify_images", "images")


def check() -> None:
    """Checks names and combinations before anything is looked up or measured.

    Raises:
        ZooError: if two flags can't be combined, or a delegate or runtime is unknown.
    """
    if FLAGS.op_profile and FLAGS.sustained_minutes:
        raise ZooError(
            "--op_profile and --sustained_minutes can't be combined", remedy="pass only one of them"
        )
    if not FLAGS.latency and set(FLAGS.device) != {"host"}:
        raise ZooError(
            "only this computer scores files without timing them",
            where="--nolatency",
            expected="--device=host",
            got=f"--device={','.join(FLAGS.device)}",
        )
    _delegates(())
    for name in FLAGS.runtime:
        runtime.version(name)


def check_without_phones() -> None:
    """Checks that this computer has the delegates, if no phone is measured.

    Raises:
        ZooError: if only phones have one of them.
    """
    known = dict.fromkeys(
        delegate for name in FLAGS.runtime for delegate in runtime.RUNTIMES[name].delegates
    )
    absent = [name for name in _delegates(()) if name not in known]
    if absent:
        raise ZooError(
            "only phones have this delegate",
            where="--delegate",
            expected=", ".join(known),
            got=", ".join(absent),
            remedy="pass one of those, a phone with --device=SERIAL, or --runtime=litert_gpu",
        )


def threads() -> list[int]:
    """Returns the numbers of threads.

    Raises:
        ZooError: if one is not a number from 1 to 256, or there is none.
    """
    numbers = [int(text) if text.isdecimal() else 0 for text in FLAGS.threads]
    if not numbers or not all(1 <= number <= 256 for number in numbers):
        raise ZooError(
            "invalid number of threads",
            where="--threads",
            expected="numbers from 1 to 256, separated by commas",
            got=",".join(FLAGS.threads),
        )
    return numbers


def host_delegates() -> list[str]:
    """Returns the delegates to measure on this computer."""
    return _delegates(("xnnpack", "none"))


def phone_delegates() -> list[str]:
    """Returns the delegates to measure on phones; the default depends on --tool."""
    return _delegates(_PHONE_DELEGATES if FLAGS.tool == "tflite" else _LITERT_DELEGATES)


def _delegates(default: tuple[str, ...]) -> list[str]:
    from android_bench.tools.delegates import parse_delegate

    return list(dict.fromkeys(str(parse_delegate(name)) for name in FLAGS.delegate or default))


def metering() -> Metering | None:
    """Returns the energy measurement of each case; None without --energy."""
    from android_bench.power.metered import Metering

    return Metering(FLAGS.energy_secs, FLAGS.idle_secs) if FLAGS.energy else None


def output_images() -> OutputImages:
    """Returns which images --verify_outputs compares."""
    from android_bench.outputs.reference import OutputImages

    images = Path(FLAGS.images) if FLAGS.images else None
    return OutputImages(FLAGS.verify_images, FLAGS.seed, images)


def run_options() -> RunOptions:
    """Returns how each process runs on a phone."""
    from android_bench.session.options import RunOptions
    from android_bench.session.sustained import Sustaining

    return RunOptions(
        num_runs=FLAGS.num_runs,
        min_secs=FLAGS.min_secs,
        tolerance_s=min(20.0, FLAGS.recovery_secs),
        recovery_s=FLAGS.recovery_secs,
        metering=metering(),
        profiling=FLAGS.op_profile,
        sustaining=Sustaining(FLAGS.sustained_minutes) if FLAGS.sustained_minutes else None,
        fixed_performance=FLAGS.fixed_performance,
        start_c=FLAGS.start_c,
        cool_down_s=FLAGS.cool_down_secs,
    )
