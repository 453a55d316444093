"""Magnitude pruning: tensorflow-model-optimization's where it can, our own masks for blocks.

The sparsity of each kernel rises from a quarter of the goal along a cubic (Zhu & Gupta 2017,
https://arxiv.org/abs/1710.01878) during the first half of the steps, then stays.

Patterns:
    any: the smallest weights of a kernel go, wherever they are.
    2:4: two of each four neighbors along the input channels, once, at the second step.
    1x4: blocks of four neighboring input channels of one filter, at one place of the window.
    4x1: blocks of four neighboring filters at one input channel and place.
    xnnpack: any, in the 1×1 convolutions of stride 1 alone, which XNNPACK can run sparse.
"""

from __future__ import annotations

import tensorflow_model_optimization as tfmot
import tf_keras

from zoo.compression import kernels, schemes
from zoo.compression.block_pruning import Blocks
from zoo.compression.interface import FineTuning, SchemeInput, clone, zeros_of
from zoo.errors import UnknownNameError, ZooError

PATTERNS = ("any", "2:4", "1x4", "4x1", "xnnpack")
_BLOCKS = {"1x4": (1, 4), "4x1": (4, 1)}  # filters, input channels
_UPDATES = 40  # times that the masks change
_LEAST_FOR_XNNPACK = 2 / 3
_prune = tfmot.sparsity.keras


def begin(start: SchemeInput) -> FineTuning:
    """Prunes the hidden convolutions and dense layers, or those that were named.

    The first convolution and the classifier are left alone: they are the most sensitive ones. So
    are depthwise convolutions, which hold few weights, and what has no kernel.

    Raises:
        ZooError: an impossible sparsity or pattern, or no layer to prune.
    """
    pattern = start.recipe.prune_pattern
    if pattern not in PATTERNS:
        raise UnknownNameError("--prune_pattern", pattern, PATTERNS)
    goals = _goals(start, pattern)
    frequency = max(1, start.steps // _UPDATES)
    # A multiple of the frequency, since the goal is reached at a change of the masks.
    end = max(1, start.steps // 2 // frequency * frequency)
    names = list(goals)
    begun = [
        f"pruning {len(names)} layers to {100 * _mean(start.model, goals):.0f} % zeros"
        + ("" if pattern == "any" else f", pattern {pattern}")
    ]
    if pattern == "xnnpack":
        begun += _verdict(start.model, goals)
    if pattern in _BLOCKS:
        model = clone(start.model)
        callback = Blocks(goals, _BLOCKS[pattern], end, frequency)
    else:
        model = _wrapped(start.model, goals, end, frequency, pattern == "2:4")
        callback = _prune.UpdatePruningStep()
    return FineTuning(
        model,
        tuple(begun),
        callbacks=(callback,),
        eligible=lambda epoch: epoch * start.per_epoch > end,
        strip=None if pattern in _BLOCKS else _stripped,
        reached=lambda done: (
            f"{100 * zeros_of(done, names):.1f} % of the weights of {len(names)} pruned layers are"
            " zero"
        ),
    )


def _stripped(model: tf_keras.Model) -> tf_keras.Model:
    plain = _prune.strip_pruning(model)
    for kernel in kernels.variables(plain).values():
        kernel.assign(kernel + 0.0)  # tfmot's masks leave -0.0, which costs size once compressed
    return plain


def _goals(start: SchemeInput, pattern: str) -> dict[str, float]:
    uniform = 0.5 if pattern == "2:4" else start.recipe.prune_sparsity
    if not 0 <= uniform <= 0.99:
        raise ZooError(
            "impossible sparsity", where="--prune_sparsity", expected="0 to 0.99", got=uniform
        )
    every = kernels.plain(start.model)
    usual = [name for name in every[1:-1] if _fits(start.model.get_layer(name), pattern)]
    goals = schemes.chosen(start.per_layer, uniform, usual, kernels.variables(start.model))
    unfit = [name for name in goals if not _fits(start.model.get_layer(name), pattern)]
    if unfit:
        raise ZooError(
            f"layer {unfit[0]} can't be pruned",
            where=f"--prune_pattern={pattern}",
            remedy="leave it out of --layers and --plan",
        )
    if pattern == "2:4" and any(goal != 0.5 for goal in goals.values()):
        raise ZooError("2:4 makes half of the weights zero", expected="0 or 0.5 for each layer")
    if not goals and uniform != 0:
        raise ZooError(
            "no layer to prune", where=start.model.name, got=f"--prune_pattern={pattern}"
        )
    return goals


def _fits(layer: tf_keras.layers.Layer, pattern: str) -> bool:
    """Whether tfmot, or for blocks our masks, can prune the layer so."""
    if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
        return False
    if pattern == "2:4":
        return bool(layer.kernel.shape[-2] % 4 == 0)  # else a group would reach over two places
    if pattern == "xnnpack":
        policy = _prune.PruneForLatencyOnXNNPack()
        return policy.allow_pruning(layer) and layer.strides == (1, 1) and layer.groups == 1
    return True


def _mean(model: tf_keras.Model, goals: dict[str, float]) -> float:
    sizes = {name: kernels.variables(model)[name].shape.num_elements() for name in goals}
    return sum(goals[n] * size for n, size in sizes.items()) / max(1, sum(sizes.values()))


def _verdict(model: tf_keras.Model, goals: dict[str, float]) -> list[str]:
    """What speaks against sparse inference of the whole network."""
    said = []
    try:
        _prune.PruneForLatencyOnXNNPack().ensure_model_supports_pruning(model)
    except ValueError as error:
        reason = str(error).split(" is not supported")[0]
        reason += " does not run sparse" if reason.startswith("Layer ") else ""
        said.append(f"XNNPACK will not run this network sparse, it only gets smaller: {reason}")
    if _mean(model, goals) < _LEAST_FOR_XNNPACK:
        said.append("XNNPACK wants at least two thirds of zeros: raise --prune_sparsity")
    return said


def _wrapped(
    model: tf_keras.Model, goals: dict[str, float], end: int, frequency: int, two_of_four: bool
) -> tf_keras.Model:
    """A copy whose layers prune themselves."""
    pattern = {"sparsity_m_by_n": (2, 4)} if two_of_four else {}

    def wrap(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        if layer.name not in goals:
            return layer.__class__.from_config(layer.get_config())
        schedule = _prune.PolynomialDecay(
            initial_sparsity=goals[layer.name] / 4,
            final_sparsity=goals[layer.name],
            begin_step=0,
            end_step=end,
            frequency=frequency,
        )
        return _prune.prune_low_magnitude(layer, pruning_schedule=schedule, **pattern)

    pruned = tf_keras.models.clone_model(model, clone_function=wrap)
    for layer in pruned.layers:
        own = kernels.layer_of(layer)
        own.set_weights(model.get_layer(own.name).get_weights())
    return pruned
