"""A small network with its artifacts, copies of them that are broken on purpose, and graphs."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from ai_edge_litert.tools import flatbuffer_utils

from converters.parity.graph import ComputedTensor
from converters.parity.layers import Subject
from converters.parity.reference import Reference
from zoo import runs
from zoo.catalog import RECIPES, build
from zoo.io.files import sha256_of
from zoo.io.provenance import Provenance
from zoo.runtime.sandbox import Sandbox
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_model
from zoo.schema.run import ModelConfig, Run

RUN = "tiny-digits"
PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """A small SqueezeNet with random weights, as a run on digits, and its artifacts."""
    import tf_keras

    from converters import export

    folder = tmp_path_factory.mktemp("verify")
    config = ModelConfig(
        model="squeezenet_v1_1", input_shape=(16, 16, 1), classes=10, width=0.25, batch_norm=True
    )
    tf_keras.utils.set_random_seed(1)
    model = build(config)
    random = np.random.default_rng(1)
    for layer in model.layers:  # untrained they would do nothing, and vanish
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.set_weights([w + random.uniform(-0.2, 0.2, w.shape) for w in layer.get_weights()])
    place = folder / "runs" / RUN
    place.mkdir(parents=True)
    model.save_weights(place / "best.h5")
    run = Run(
        name=RUN,
        stage="train",
        config=config,
        dataset="digits",
        recipe=replace(RECIPES["digits_quick"], image_size=16),
        weights="best.h5",
        weights_sha256=sha256_of(place / "best.h5"),
        validation_accuracy=0.5,
        best_epoch=1,
        versions={},
    )
    runs.save(place, run)
    export.write(run, PRECISIONS, folder, Provenance.here(), lambda _: None)
    return folder


@pytest.fixture(scope="module")
def litert():
    with Sandbox("litert", 60) as runner:
        yield runner


def subject(output, precision):
    path = output / "artifacts" / f"{RUN}-{precision}.tflite"
    return Subject(path, read_model(path.with_suffix(".json"), Artifact, "manifest", ""))


@pytest.fixture(scope="module")
def reference(output):
    return Reference.of(subject(output, "float32").artifact, output, 60)


def broken(output, folder, precision, layer, change):
    """A copy of an artifact with one convolution's filters changed by `change(tensor, buffer)`."""
    sound = subject(output, precision)
    model = flatbuffer_utils.read_model(str(sound.path))
    graph = model.subgraphs[0]
    (operator,) = (
        o
        for o in graph.operators
        if f"/{layer}/Conv2D" in graph.tensors[o.outputs[0]].name.decode()
    )
    tensor = graph.tensors[operator.inputs[1]]
    change(tensor, model.buffers[tensor.buffer])
    content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    path = folder / sound.path.name
    path.write_bytes(content)
    artifact = sound.artifact.model_copy(
        update={"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    )
    path.with_suffix(".json").write_text(artifact.model_dump_json())
    return Subject(path, artifact)


def four_times_the_scale(tensor, _):
    tensor.quantization.scale = tensor.quantization.scale * np.float32(4)


def filters_upside_down(_, buffer):
    weights = np.frombuffer(bytes(buffer.data), np.float32)
    buffer.data = np.frombuffer(weights[::-1].tobytes(), np.uint8)


def chain(*names):
    """Steps with these names, each computed from the one before it."""
    before = ("image", *names)
    return [ComputedTensor(name, "CONV_2D", (before[i],)) for i, name in enumerate(names)]
