"""Pruning and quantisation-aware training by tensorflow-model-optimization.

A scheme is one step; a run's `scheme` tuple lists the steps in order, ("prune", "qat") say.
"""

from __future__ import annotations

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

from zoo.errors import ZooError

_PRUNED = (tf_keras.layers.Conv2D, tf_keras.layers.Dense)  # exactly these, no subclass
_quantize = tfmot.quantization.keras
_prune = tfmot.sparsity.keras


def for_pruning(model: tf_keras.Model, sparsity: float, steps: int) -> tf_keras.Model:
    """A copy whose hidden convolutions and dense layers are pruned by magnitude while it trains.

    The sparsity of each kernel rises from a quarter of the goal along a cubic (Zhu & Gupta 2017)
    during the first half of the steps, then stays. The first convolution and the classifier are
    left alone: they are the most sensitive ones. So are depthwise convolutions, which hold few
    weights, and what has no kernel.

    Args:
        model: trained, functional; its weights are copied.
        sparsity: final share of zeros in each pruned kernel, 0 to 1.
        steps: training steps to come.

    Raises:
        ZooError: the sparsity is not within [0, 0.99].
    """
    if not 0 <= sparsity <= 0.99:
        raise ZooError(
            "impossible sparsity", where="--prune_sparsity", expected="0 to 0.99", got=sparsity
        )
    hidden = [layer.name for layer in model.layers if type(layer) in _PRUNED][1:-1]
    schedule = _prune.PolynomialDecay(
        initial_sparsity=sparsity / 4,
        final_sparsity=sparsity,
        begin_step=0,
        end_step=reached_at(steps),
        frequency=max(1, steps // 40),
    )

    def wrap(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        if layer.name in hidden:
            return _prune.prune_low_magnitude(layer, pruning_schedule=schedule)
        return layer.__class__.from_config(layer.get_config())

    pruned = tf_keras.models.clone_model(model, clone_function=wrap)
    for layer in pruned.layers:
        own = model.get_layer(layer.layer.name if hasattr(layer, "layer") else layer.name)
        (layer.layer if hasattr(layer, "layer") else layer).set_weights(own.get_weights())
    return pruned


def reached_at(steps: int) -> int:
    """The step by which the final sparsity is reached."""
    return max(1, steps // 2)


def pruning_callback() -> tf_keras.callbacks.Callback:
    """The callback that pruned models need while they train."""
    return _prune.UpdatePruningStep()


def strip_pruning(model: tf_keras.Model) -> tf_keras.Model:
    """The plain network with the pruned weights."""
    return _prune.strip_pruning(model)


def for_qat(model: tf_keras.Model, preserve_sparsity: bool) -> tf_keras.Model:
    """A copy with fake quantisation (int8, per-channel weights) in the forward pass.

    Args:
        model: functional, without wrappers; its weights are copied.
        preserve_sparsity: keep every weight that is zero at zero (tfmot's PQAT).

    Raises:
        ZooError: the network has a layer that tfmot can't quantise.
    """
    try:
        if not preserve_sparsity:
            return _quantize.quantize_model(model)
        scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
        return _quantize.quantize_apply(_quantize.quantize_annotate_model(model), scheme)
    except (RuntimeError, ValueError) as error:
        raise ZooError(
            f"{model.name} can't be trained for int8",
            got=str(error).splitlines()[0],
            remedy="convert it with --precisions=int8, which calibrates instead of training",
        ) from error


def zeros(model: tf_keras.Model) -> float:
    """Share of zeros among all convolution, depthwise and dense kernels, 0 to 1."""
    kernels = [
        w.numpy() for w in model.weights if "kernel" in w.name.split("/")[-1] and w.shape.rank >= 2
    ]
    return float(sum((k == 0).sum() for k in kernels) / max(1, sum(np.size(k) for k in kernels)))
