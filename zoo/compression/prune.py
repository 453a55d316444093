"""Magnitude pruning with tensorflow-model-optimization (tfmot), and with our own masks for blocks.

Each kernel's sparsity rises from a quarter of its target to the target along a cubic schedule (Zhu
& Gupta 2017, https://arxiv.org/abs/1710.01878) during the first half of the steps, then stays.

Patterns:
    any: The smallest weights of a kernel, wherever they are.
    2:4: Two of every four neighboring input channels, all at once at the second step.
    1x4: Blocks of four neighboring input channels of one filter, at one kernel position.
    4x1: Blocks of four neighboring filters, at one input channel and kernel position.
    xnnpack: As `any`, but only in 1×1 convolutions of stride 1, which XNNPACK can run sparse.
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
_UPDATES = 40  # the masks are updated every 1/40 of the steps
_LEAST_FOR_XNNPACK = 2 / 3
_prune = tfmot.sparsity.keras


def begin(start: SchemeInput) -> FineTuning:
    """Prunes the hidden convolutions and dense layers, or only the named layers.

    By default the first convolution and the classifier are not pruned, since they are the most
    sensitive layers. Depthwise convolutions hold few weights and are never pruned.

    Raises:
        ZooError: if the sparsity or pattern is invalid, or no layer can be pruned.
    """
    pattern = start.recipe.prune_pattern
    if pattern not in PATTERNS:
        raise UnknownNameError("--prune_pattern", pattern, PATTERNS)
    goals = _goals(start, pattern)
    frequency = max(1, start.steps // _UPDATES)
    # A multiple of the frequency, because sparsity only changes when the masks are updated.
    end = max(1, start.steps // 2 // frequency * frequency)
    names = list(goals)
    messages = [
        f"pruning {len(names)} layers to {100 * _mean(start.model, goals):.0f} % zeros"
        + ("" if pattern == "any" else f", pattern {pattern}")
    ]
    if pattern == "xnnpack":
        messages += _verdict(start.model, goals)
    if pattern in _BLOCKS:
        model = clone(start.model)
        callback = Blocks(goals, _BLOCKS[pattern], end, frequency)
    else:
        model = _wrapped(start.model, goals, end, frequency, pattern == "2:4")
        callback = _prune.UpdatePruningStep()
    return FineTuning(
        model,
        tuple(messages),
        callbacks=(callback,),
        eligible=lambda epoch: epoch * start.per_epoch > end,
        strip=None if pattern in _BLOCKS else _stripped,
        reached=lambda trained: (
            f"{100 * zeros_of(trained, names):.1f} % of the weights in {len(names)} pruned layers"
            " are zero"
        ),
    )


def _stripped(model: tf_keras.Model) -> tf_keras.Model:
    plain = _prune.strip_pruning(model)
    for kernel in kernels.variables(plain).values():
        kernel.assign(kernel + 0.0)  # tfmot's masks leave -0.0, which compresses worse than 0.0
    return plain


def _goals(start: SchemeInput, pattern: str) -> dict[str, float]:
    uniform = 0.5 if pattern == "2:4" else start.recipe.prune_sparsity
    if not 0 <= uniform <= 0.99:
        raise ZooError(
            "invalid sparsity", where="--prune_sparsity", expected="0 to 0.99", got=uniform
        )
    plain = kernels.plain(start.model)
    defaults = [name for name in plain[1:-1] if _fits(start.model.get_layer(name), pattern)]
    goals = schemes.chosen(start.per_layer, uniform, defaults, kernels.variables(start.model))
    unfit = [name for name in goals if not _fits(start.model.get_layer(name), pattern)]
    if unfit:
        raise ZooError(
            f"layer {unfit[0]} can't be pruned with this pattern",
            where=f"--prune_pattern={pattern}",
            remedy="remove it from --layers and --plan",
        )
    if pattern == "2:4" and any(goal != 0.5 for goal in goals.values()):
        raise ZooError(
            "pattern 2:4 always zeroes half of the weights", expected="0 or 0.5 for each layer"
        )
    if not goals and uniform != 0:
        raise ZooError(
            "no layer can be pruned", where=start.model.name, got=f"--prune_pattern={pattern}"
        )
    return goals


def _fits(layer: tf_keras.layers.Layer, pattern: str) -> bool:
    """Returns whether tfmot, or our masks for blocks, can prune the layer with this pattern."""
    if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
        return False
    if pattern == "2:4":
        return bool(layer.kernel.shape[-2] % 4 == 0)  # else a group spans two positions
    if pattern == "xnnpack":
        policy = _prune.PruneForLatencyOnXNNPack()
        return policy.allow_pruning(layer) and layer.strides == (1, 1) and layer.groups == 1
    return True


def _mean(model: tf_keras.Model, goals: dict[str, float]) -> float:
    sizes = {name: kernels.variables(model)[name].shape.num_elements() for name in goals}
    return sum(goals[n] * size for n, size in sizes.items()) / max(1, sum(sizes.values()))


def _verdict(model: tf_keras.Model, goals: dict[str, float]) -> list[str]:
    """Returns log messages on what prevents sparse inference of the whole network."""
    messages = []
    try:
        _prune.PruneForLatencyOnXNNPack().ensure_model_supports_pruning(model)
    except ValueError as error:
        reason = str(error).split(" is not supported")[0]
        reason += " does not run sparse" if reason.startswith("Layer ") else ""
        messages.append(
            f"XNNPACK will not run this network sparse; pruning only makes it smaller: {reason}"
        )
    if _mean(model, goals) < _LEAST_FOR_XNNPACK:
        messages.append(
            "XNNPACK needs at least two thirds of zeros to run sparse: raise --prune_sparsity"
        )
    return messages


def _wrapped(
    model: tf_keras.Model, goals: dict[str, float], end: int, frequency: int, two_of_four: bool
) -> tf_keras.Model:
    """Returns a copy whose layers in `goals` are wrapped for pruning by tfmot."""
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
        inner = kernels.layer_of(layer)
        inner.set_weights(model.get_layer(inner.name).get_weights())
    return pruned
