"""Finds released models by what they must do. Needs no TensorFlow, and no network in a clone.

    python -m scripts.search
    python -m scripts.search fashion --max_kb=400 --min_top1=93
    python -m scripts.search --dataset=cifar10_jpeg --precision=int8 --sort=top1 --descending
    python -m scripts.search --device="Pixel 7" --max_ms=5

Words are looked for in the names. Size is that of the download. Accuracy is top-1 on the whole test
set of the data the network was trained on, measured on the very file; latency is the best that was
measured on --device, so that figures of different devices are never mixed. python -m
scripts.download NAME fetches what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from absl import flags

from scripts.common import cli, source_flags
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

FLAGS = flags.FLAGS
source_flags.define()
flags.DEFINE_list("task", [], "only for these tasks")
flags.DEFINE_list("dataset", [], "only trained on these")
flags.DEFINE_list("model", [], "only of these catalog names")
flags.DEFINE_list("precision", [], "only these; checkpoint is the weights to train on from")
flags.DEFINE_float("max_kb", None, "only downloads of at most so many kilobytes")
flags.DEFINE_float("min_top1", None, "only with so many per cent of top-1 or more")
flags.DEFINE_string("device", None, "whose latencies; needed where several were measured")
flags.DEFINE_float("max_ms", None, "only with at most that latency there")
flags.DEFINE_string("sort", "name", f"sort by: {', '.join(_KEYS)}")
flags.DEFINE_bool("descending", False, "largest first")
flags.DEFINE_bool("json", False, "print one JSON array, one object a model")


def main(argv: list[str]) -> None:
    """Prints what passes the filters."""
    if FLAGS.sort not in _KEYS:
        raise UnknownNameError("--sort", FLAGS.sort, _KEYS)
    entries = index.index(source_flags.chosen()).entries
    for flag in ("task", "dataset", "model", "precision"):
        known = {getattr(entry, flag) for entry in entries}
        for value in FLAGS[flag].value:
            if value not in known:
                raise UnknownNameError(f"--{flag}", value, known)
    _device(entries)
    found = [entry for entry in entries if _wanted(entry, argv[1:])]
    found.sort(key=_KEYS[FLAGS.sort], reverse=FLAGS.descending)
    if FLAGS.json:
        import json

        cli.say(json.dumps([entry.model_dump(mode="json") for entry in found], indent=1))
    elif not found:
        raise ZooError("no model passes the filters", remedy="see python -m scripts.search")
    else:
        _table(found)


def _device(entries: Sequence[Entry]) -> None:
    """Settles whose latencies are meant."""
    known = sorted({device for entry in entries for device in entry.latency_us})
    if FLAGS.device is None and len(known) == 1:
        FLAGS.device = known[0]
    elif FLAGS.device is not None and FLAGS.device not in known:
        raise UnknownNameError("--device", FLAGS.device, known)
    elif FLAGS.device is None and (FLAGS.max_ms is not None or FLAGS.sort == "latency"):
        raise ZooError("whose latency?", where="--device", expected=", ".join(known) or "none was")


def _latency_ms(entry: Entry) -> float | None:
    found = entry.latency_us.get(FLAGS.device) if FLAGS.device else None
    return None if found is None else found / 1e3


def _wanted(entry: Entry, words: Sequence[str]) -> bool:
    latency = _latency_ms(entry)
    return (
        all(word.lower() in entry.name.lower() for word in words)
        and (not FLAGS.task or entry.task in FLAGS.task)
        and (not FLAGS.dataset or entry.dataset in FLAGS.dataset)
        and (not FLAGS.model or entry.model in FLAGS.model)
        and (not FLAGS.precision or entry.precision in FLAGS.precision)
        and (FLAGS.max_kb is None or entry.download.bytes <= 1e3 * FLAGS.max_kb)
        and (FLAGS.min_top1 is None or 100 * (entry.top1 or 0.0) >= FLAGS.min_top1)
        and (FLAGS.max_ms is None or (latency is not None and latency <= FLAGS.max_ms))
    )


def _table(entries: Sequence[Entry]) -> None:
    widest = max(len(entry.name) for entry in entries)
    title = f"ms, {FLAGS.device}" if FLAGS.device else "ms"
    cli.say(f"{'name':{widest}}  {'kB':>9}  {'parameters':>10}  {'top-1 %':>7}  {title:>8}")
    for entry in entries:
        latency = _latency_ms(entry)
        cli.say(
            f"{entry.name:{widest}}  {entry.download.bytes / 1e3:9,.1f}  {entry.parameters:10,}  "
            f"{'–' if entry.top1 is None else f'{100 * entry.top1:.2f}':>7}  "
            f"{'–' if latency is None else f'{latency:.3g}':>8}"
        )


if __name__ == "__main__":
    cli.run(main, positional=True)
