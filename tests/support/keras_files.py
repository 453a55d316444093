"""Writes `.tflite` files with TensorFlow's converter.

    python -m tests.support.keras_files FOLDER

Prints the name of each file, and Keras's counts of its parameters and multiply-accumulates, as
JSON.
"""

import json
import sys
from pathlib import Path

from zoo.io.tf_import import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402
import tf_keras  # noqa: E402

from zoo import catalog  # noqa: E402
from zoo.models import macs as counting  # noqa: E402
from zoo.schema.run import ModelConfig  # noqa: E402


def main(folder: Path) -> None:
    """Writes the files to `folder`."""
    tf_keras.utils.set_random_seed(1)
    k, bias = tf_keras.layers, {"bias_initializer": "random_normal"}
    image = k.Input((16, 16, 4), batch_size=1)
    x = k.Conv2D(8, 3, strides=2, padding="same", **bias)(image)
    x = k.Conv2D(8, 3, groups=4, **bias)(x)
    x = k.DepthwiseConv2D(5, padding="same", depth_multiplier=2, **bias)(x)
    x = k.Conv2DTranspose(6, 3, strides=2, padding="same", **bias)(x)
    mixed = tf_keras.Model(image, k.Dense(7, **bias)(k.Flatten()(x)))
    net = catalog.build(ModelConfig(model="squeezenet_v1_1", input_shape=(32, 32, 3), classes=10))
    for layer in net.layers:  # converters may drop a bias of zeros
        layer.set_weights([w + tf.random.normal(w.shape, 0, 0.01) for w in layer.get_weights()])
    counts = []
    for name, model, macs in (("mixed", mixed, 0), ("squeezenet", net, counting.macs(net))):
        function = tf.function(lambda x, m=model: m(x, training=False))
        spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
        call = function.get_concrete_function(spec)
        content = tf.lite.TFLiteConverter.from_concrete_functions([call], model).convert()
        (folder / f"{name}.tflite").write_bytes(content)
        counts.append((name, model.count_params(), macs))
    print("SAID " + json.dumps(counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
