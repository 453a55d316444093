"""Finds released models by name, dataset, precision, size, accuracy or latency.

    zoo search
    zoo search fashion --max_kb=400 --min_top1=93
    zoo search --dataset=cifar10_jpeg --precision=int8 --sort=top1 --descending
    zoo search --engine=gpu,npu
    zoo search --device="Pixel 7" --max_ms=5

Shows the models whose names contain all of the given words. kB is what is transferred: the packed
file if the release has one. Parameters are counted in the file, so they differ from those of the
network in `zoo list`. Accuracy is top-1 of the released file on the whole test set of its dataset.
Latency is the lowest one measured on --device, since latencies of different devices are not
comparable. The columns GPU and NPU tell whether the engine of that accelerator runs the file whole
or in part, and was shown to compute what the CPU does (`zoo prove`). `zoo download NAME` downloads
a model. Needs no TensorFlow, and in a clone no network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from absl import flags

from scripts.common import cli, help, source_flags
from zoo.catalog.precisions import PRECISIONS
from zoo.errors import UnknownNameError, ZooError
from zoo.hub import index
from zoo.schema.release import Entry

_KEYS: dict[str, Callable[[Entry], float | str]] = {
    "name": lambda entry: entry.name,
    "size": lambda entry: entry.download.bytes,
    "parameters": lambda entry: entry.parameters,
    "top1": lambda entry: entry.top1 or 0.0,
    "latency": lambda entry: _latency_ms(entry) or float("inf"),
}
_ENGINES = ("gpu", "npu")

FLAGS = flags.FLAGS
source_flags.define()
flags.DEFINE_list("task", [], "tasks; so far all models have image-classification")
flags.DEFINE_list("dataset", [], "datasets the models were trained on")
flags.DEFINE_list("model", [], "names in the catalog, see zoo list")
flags.DEFINE_list(
    "precision",
    [],
    f"any of {', '.join(PRECISIONS)}, and checkpoint: the weights for further training",
)
flags.DEFINE_list(
    "engine", [], "gpu, npu: accelerators that run the whole file, with right results"
)
flags.DEFINE_float("max_kb", None, "maximum size of the transfer, in kilobytes of 1000 bytes")
flags.DEFINE_float("min_top1", None, "minimum top-1 accuracy, in percent")
flags.DEFINE_string(
    "device", None, "device whose latencies are used; needed if several were measured"
)
flags.DEFINE_float("max_ms", None, "maximum latency on --device, in milliseconds")
flags.DEFINE_string("sort", "name", f"sort by {', '.join(_KEYS)}")
flags.DEFINE_bool("descending", False, "reverse the order")
flags.DEFINE_bool("json", False, "print one JSON array with an object per model")
help.group(
    "Filters",
    "task",
    "dataset",
    "model",
    "precision",
    "engine",
    "max_kb",
    "min_top1",
    "device",
    "max_ms",
)
help.group("Output", "sort", "descending", "json")


def main(argv: list[str]) -> None:
    """Prints the models that pass the filters."""
    if FLAGS.sort not in _KEYS:
        raise UnknownNameError("--sort", FLAGS.sort, _KEYS)
    entries = index.index(source_flags.chosen()).entries
    for flag in ("task", "dataset", "model", "precision"):
        known = {getattr(entry, flag) for entry in entries}
        for value in FLAGS[flag].value:
            if value not in known:
                raise UnknownNameError(f"--{flag}", value, known)
    if FLAGS.engine:
        cli.choices("engine", _ENGINES)
    _device(entries)
    matches = [entry for entry in entries if _matches(entry, argv[1:])]
    matches.sort(key=_KEYS[FLAGS.sort], reverse=FLAGS.descending)
    if FLAGS.json:
        import json

        cli.say(json.dumps([entry.model_dump(mode="json") for entry in matches], indent=1))
    elif not matches:
        raise ZooError("no model passes the filters", remedy="see all models with zoo search")
    else:
        _table(matches)


def _device(entries: Sequence[Entry]) -> None:
    """Checks --device, and sets it if only one device was measured."""
    known = sorted({device for entry in entries for device in entry.latency_us})
    if FLAGS.device is None and len(known) == 1:
        FLAGS.device = known[0]
    elif FLAGS.device is not None and FLAGS.device not in known:
        raise UnknownNameError("--device", FLAGS.device, known)
    elif FLAGS.device is None and (FLAGS.max_ms is not None or FLAGS.sort == "latency"):
        raise ZooError(
            "--device is required for latencies",
            expected=f"one of {', '.join(known)}" if known else None,
            got=None if known else "a release without latencies",
        )


def _latency_ms(entry: Entry) -> float | None:
    latency_us = entry.latency_us.get(FLAGS.device) if FLAGS.device else None
    return None if latency_us is None else latency_us / 1e3


def _matches(entry: Entry, words: Sequence[str]) -> bool:
    latency = _latency_ms(entry)
    return (
        all(word.lower() in entry.name.lower() for word in words)
        and (not FLAGS.task or entry.task in FLAGS.task)
        and (not FLAGS.dataset or entry.dataset in FLAGS.dataset)
        and (not FLAGS.model or entry.model in FLAGS.model)
        and (not FLAGS.precision or entry.precision in FLAGS.precision)
        and all(entry.engines.get(name) == "whole" for name in FLAGS.engine)
        and (FLAGS.max_kb is None or entry.download.bytes <= 1e3 * FLAGS.max_kb)
        and (FLAGS.min_top1 is None or 100 * (entry.top1 or 0.0) >= FLAGS.min_top1)
        and (FLAGS.max_ms is None or (latency is not None and latency <= FLAGS.max_ms))
    )


def _table(entries: Sequence[Entry]) -> None:
    widest = max(len(entry.name) for entry in entries)
    title = f"ms, {FLAGS.device}" if FLAGS.device else "ms"
    cli.say(
        f"{'name':{widest}}  {'kB':>9}  {'parameters':>10}  {'top-1 %':>7}  "
        f"{'GPU':7}  {'NPU':7}  {title:>8}"
    )
    for entry in entries:
        latency = _latency_ms(entry)
        cli.say(
            f"{entry.name:{widest}}  {entry.download.bytes / 1e3:9,.1f}  {entry.parameters:10,}  "
            f"{'–' if entry.top1 is None else f'{100 * entry.top1:.2f}':>7}  "
            f"{entry.engines.get('gpu', '–'):7}  {entry.engines.get('npu', '–'):7}  "
            f"{'–' if latency is None else f'{latency:.3g}':>8}"
        )


if __name__ == "__main__":
    cli.run(main, positional=True)
