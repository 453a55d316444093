"""Measures relative latencies of converted networks within one run on this computer.

    python -m scripts.studies.converted_speed --markdown=docs/speed.md

Two tables: our MobileNets relative to `tf_keras.applications` converted with the default settings,
and the precisions of each network relative to float32. LiteRT with XNNPACK, one thread. The weights
are random, which does not affect latency, with batch normalization statistics set. Only ratios are
printed, since absolute times depend on what else the computer does.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from scripts.common import cli
from zoo.catalog import MODELS, build, model_spec, precisions, published_config
from zoo.errors import ZooError, one_line
from zoo.io.files import write_bytes, write_text
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.runtime import host
from zoo.runtime.sandbox import Sandbox

FLAGS = flags.FLAGS
_PEERS = ("mobilenet_v1", "mobilenet_v2")
_BY_HAND = "## Why"
_PEER_PRECISIONS = (precisions.BASE, "int8")
_PRECISIONS = precisions.USUAL[1:]  # all but what they are compared with
flags.DEFINE_list("peers", list(_PEERS), "networks of tf_keras.applications to compare ours with")
flags.DEFINE_list(
    "model",
    [
        "squeezenet_v1_0", "squeezenet_v1_1", "alexnet", "mobilenet_v1", "mobilenet_v2",
        "mobilenet_v3_small", "resnet20", "resnet50", "efficientnet_lite0", "shufflenet_v2",
        "mobilenet_v2_cse_mix", "shiftresnet20_e3", "shiftnet_b", "as_resnet_w32",
        "ssl_as_resnet_w32",
    ],
    "networks in the catalog whose precisions are compared",
)  # fmt: skip
flags.DEFINE_integer(
    "turns", 9, "number of turns, each with all files in random order", lower_bound=3
)
flags.DEFINE_float("secs", 0.3, "running time per file and turn, in seconds", lower_bound=0.01)
flags.DEFINE_string("markdown", None, "write the tables to this file; text below them is kept")


def main(_: list[str]) -> None:
    """Prints both tables and writes them to --markdown."""
    models = cli.choices("model", MODELS)
    peers = cli.choices("peers", _PEERS) if FLAGS.peers else []
    import_tensorflow()
    lines = [
        "# Speed of converted networks",
        "",
        f"`{' '.join(Provenance.here().command)}` on {host.device().name}, one thread, LiteRT "
        f"with XNNPACK, {datetime.now(UTC).date()}. Relative latencies: median "
        f"over {FLAGS.turns} turns, with the interquartile range in parentheses.",
        "",
        "## Relative to tf_keras.applications",
        "",
        "Theirs are converted by `TFLiteConverter.from_keras_model` with the default settings: the "
        "batch size is dynamic and a softmax follows. Below 1, ours is faster; the goal is at "
        "most 1.",
        "",
        f"| network | {' | '.join(_PEER_PRECISIONS)} |",
        "|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder, Sandbox("litert") as runner:
        for name in peers:
            pair = [_against_peer(name, p, Path(folder), runner) for p in _PEER_PRECISIONS]
            lines.append(f"| {name} | " + " | ".join(pair) + " |")
            cli.say(lines[-1])
        lines += [
            "",
            f"## Precisions relative to {precisions.BASE}",
            "",
            "Below 1, the precision is faster than float32 of the same network. The goal for int8 "
            "is at most 0.67 if most of the work is in ordinary convolutions.",
            "",
            "| network | " + " | ".join(_PRECISIONS) + " |",
            "|---" * (1 + len(_PRECISIONS)) + "|",
        ]
        for name in models:
            lines.append(
                f"| {name} | " + " | ".join(_precisions(name, Path(folder), runner)) + " |"
            )
            cli.say(lines[-1])
    if FLAGS.markdown:
        path = Path(FLAGS.markdown)
        # Keep the text below the tables, which is written by hand.
        old = path.read_text() if path.exists() else ""
        below = old[old.index(_BY_HAND) :] if _BY_HAND in old else ""
        write_text(path, "\n".join([*lines, "", below]).rstrip() + "\n")


def _against_peer(name: str, precision: str, folder: Path, runner: Sandbox) -> str:
    from converters.studies import latency_ratios

    ours = _written(folder, f"{name}-{precision}", _conversions(name).flatbuffer(precision))
    plain = _written(folder, f"{name}-{precision}-plain", _plain(name, precision))
    (ratio,) = latency_ratios.measure(
        plain, [ours], runner, FLAGS.turns, FLAGS.secs, lambda _: None
    )
    return str(ratio)


def _precisions(name: str, folder: Path, runner: Sandbox) -> list[str]:
    from converters.studies import latency_ratios

    conversions = _conversions(name)
    base = _written(folder, f"{name}-{precisions.BASE}", conversions.flatbuffer(precisions.BASE))
    files = {}
    errors = {}
    for precision in _PRECISIONS:
        try:
            files[precision] = _written(
                folder, f"{name}-{precision}", conversions.flatbuffer(precision)
            )
        except ZooError as error:
            errors[precision] = one_line(error, 120)
    ratios = latency_ratios.measure(
        base, list(files.values()), runner, FLAGS.turns, FLAGS.secs, lambda _: None
    )
    cells = dict(zip(files, map(str, ratios), strict=True)) | errors
    return [cells[precision] for precision in _PRECISIONS]


def _conversions(name: str) -> Any:
    from converters.conversion.from_keras import Conversions
    from converters.conversion.quantize import Calibration
    from converters.studies.coverage import settle

    spec = model_spec(name)
    model = build(published_config(spec))
    low, high = Calibration.limits(spec.preprocessing)
    noise = _noise(model.input_shape[1:], low, high)
    settle(model, noise)
    return Conversions(model, Calibration(noise, low, high))


def _noise(shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    return np.random.default_rng(1).uniform(low, high, (4, *shape)).astype(np.float32)


def _plain(name: str, precision: str) -> bytes:
    import tensorflow as tf
    import tf_keras

    from converters.studies.coverage import settle
    from zoo.io.stderr import quiet

    kinds = {
        "mobilenet_v1": tf_keras.applications.MobileNet,
        "mobilenet_v2": tf_keras.applications.MobileNetV2,
    }
    model = kinds[name](weights=None)
    noise = _noise(model.input_shape[1:], -1, 1)
    settle(model, noise)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision != precisions.BASE:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in noise)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    with quiet():
        return bytes(converter.convert())


def _written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / f"{name}.tflite"
    write_bytes(path, content)
    return path


if __name__ == "__main__":
    cli.run(main)
