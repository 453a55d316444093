"""Low-rank factorization: splits a layer into two thinner ones by a truncated SVD of its kernel.

The layer NAME becomes NAME_low_rank, without bias and activation, followed by NAME:

* a dense layer in → out becomes two dense layers in → r → out (Denton et al. 2014);
* a k×k convolution becomes a k×k convolution to r channels and a 1×1 convolution (Zhang et al.
  2015, https://arxiv.org/abs/1505.06798);
* with the spatial option, it becomes a k×1 convolution to r channels and a 1×k convolution
  (Jaderberg et al. 2014, https://arxiv.org/abs/1405.3866).

At each rank, the product is the best least-squares approximation of the kernel as a matrix. Grouped
and depthwise convolutions are not split. A stored run is rebuilt from the catalog and its ranks.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras

from zoo.compression import kernels, schemes
from zoo.compression.interface import FineTuning, SchemeInput
from zoo.compression.rank_selection import Spectrum, by_energy, by_size
from zoo.errors import ZooError
from zoo.schema.run import LowRank

SUFFIX = "_low_rank"


def begin(start: SchemeInput) -> FineTuning:
    """Splits convolutions and dense layers where that saves weights, except the first layer.

    Raises:
        ZooError: if the requested rank, energy or size is invalid, or no split saves weights.
    """
    ranks = _ranks(start)
    if not ranks:
        raise ZooError(
            "splitting saves no weights in any layer",
            where=start.model.name,
            remedy="lower --low_rank_keep, --low_rank_energy or --low_rank_rank",
        )
    how = LowRank(spatial=start.recipe.low_rank_spatial, ranks=ranks)
    model = factorized(start.model, how)
    set_weights(model, start.model, how)
    before, after = start.model.count_params(), model.count_params()
    counted = f"{after:,} of {before:,} parameters"
    return FineTuning(
        model,
        (f"splitting {len(ranks)} layers, {counted} remain",),
        reached=lambda trained: f"{len(ranks)} layers of rank {_range(ranks)}, {counted}",
        low_rank=how,
    )


def _range(ranks: dict[str, int]) -> str:
    low, high = min(ranks.values()), max(ranks.values())
    return f"{low}" if low == high else f"{low} to {high}"


def _ranks(start: SchemeInput) -> dict[str, int]:
    recipe, model = start.recipe, start.model
    names = [n for n in kernels.plain(model) if getattr(model.get_layer(n), "groups", 1) == 1]
    spectra = {n: spectrum(model.get_layer(n), recipe.low_rank_spatial) for n in names}
    hidden = {n: spectra[n] for n in names[1:] if spectra[n].largest >= 1}
    if recipe.low_rank_rank:
        if recipe.low_rank_rank < 1:
            raise ZooError(
                "invalid rank", where="--low_rank_rank", expected="1 or more, or 0 to disable"
            )
        defaults = dict.fromkeys(hidden, recipe.low_rank_rank)
    elif recipe.low_rank_energy:
        _check_share("--low_rank_energy", recipe.low_rank_energy)
        defaults = {n: by_energy(s, recipe.low_rank_energy) for n, s in hidden.items()}
    else:
        _check_share("--low_rank_keep", recipe.low_rank_keep)
        defaults = by_size(hidden, recipe.low_rank_keep)
    for name, rank in start.per_layer.layers.items():
        if name in spectra and rank > spectra[name].largest:
            raise ZooError(
                f"rank {rank:g} of layer {name} saves no weights",
                where=model.name,
                expected=f"at most {spectra[name].largest}" if spectra[name].largest else "0",
            )
    selected = schemes.chosen(start.per_layer, 1, defaults, names)
    ranks = {n: int(start.per_layer.layers.get(n, defaults.get(n, 0))) for n in selected}
    return {n: r for n, r in ranks.items() if 1 <= r <= spectra[n].largest}


def _check_share(flag: str, share: float) -> None:
    if not 0 < share < 1:
        raise ZooError("invalid share", where=flag, expected="above 0 and below 1", got=share)


def _matrix(kernel: np.ndarray, spatial: bool) -> np.ndarray:
    """Returns the kernel as the matrix to factorize: (in, out), (h·w·in, out) or (h·in, w·out)."""
    if kernel.ndim == 4 and spatial:
        height, width, inputs, filters = kernel.shape
        return kernel.transpose(0, 2, 1, 3).reshape(height * inputs, width * filters)
    return kernel.reshape(-1, kernel.shape[-1])


def spectrum(layer: tf_keras.layers.Layer, spatial: bool) -> Spectrum:
    """Returns the singular values of a layer's kernel, and the weights per unit of rank.

    Args:
        layer: Built dense layer or ungrouped convolution.
        spatial: Whether convolutions are split into k×1 and 1×k.
    """
    matrix = _matrix(layer.kernel.numpy(), spatial)
    return Spectrum(
        values=np.linalg.svd(matrix, compute_uv=False), weights=matrix.size, each=sum(matrix.shape)
    )


@dataclass(frozen=True)
class _Pair:
    """Keras configurations of the two layers that replace one."""

    first: dict[str, Any]
    second: dict[str, Any]


def _pair(layer: tf_keras.layers.Layer, rank: int, spatial: bool) -> _Pair:
    """Returns the configurations of the two layers.

    The second layer keeps the bias, the activation and their regularizers; both keep the kernel's
    regularizer and constraint.
    """
    config = layer.get_config()
    first, second = copy.deepcopy(config), copy.deepcopy(config)
    first.update(
        name=f"{config['name']}{SUFFIX}",
        use_bias=False,
        activation="linear",
        bias_regularizer=None,
        bias_constraint=None,
        activity_regularizer=None,
    )
    # Both layers keep the dtype, which is float32 in the last layer because the loss requires it.
    if isinstance(layer, tf_keras.layers.Dense):
        first.update(units=rank)
        return _Pair(first, second)
    first.update(filters=rank)
    pointwise = {
        "kernel_size": (1, 1),
        "strides": (1, 1),
        "dilation_rate": (1, 1),
        "padding": "valid",
    }
    if not spatial:
        second.update(pointwise)
        return _Pair(first, second)
    for key in ("kernel_size", "strides", "dilation_rate"):
        rows, columns = config[key]
        first[key], second[key] = (rows, 1), (1, columns)
    return _Pair(first, second)


def factorized(model: tf_keras.Model, how: LowRank) -> tf_keras.Model:
    """Returns the network with the layers of `how` split, with newly initialized weights.

    Args:
        model: Functional network in which each layer to split is called once.
        how: Layers to split, their ranks, and the kind of split.

    Raises:
        ZooError: if a layer is missing or can't be split, for example because the ranks belong to
            another network.
    """
    config = model.get_config()
    by_name = {layer["name"]: layer for layer in config["layers"]}
    for name, rank in how.ranks.items():
        if name not in kernels.plain(model) or len(by_name[name]["inbound_nodes"]) != 1:
            raise ZooError(
                f"layer {name!r} can't be split",
                where=model.name,
                expected="a convolution or dense layer of the network, used once",
            )
        entry = by_name[name]
        pair = _pair(model.get_layer(name), rank, how.spatial)
        config["layers"].append(
            {
                **entry,
                "name": pair.first["name"],
                "config": pair.first,
                "inbound_nodes": entry["inbound_nodes"],
            }
        )
        entry["config"] = pair.second
        entry["inbound_nodes"] = [[[pair.first["name"], 0, 0, {}]]]
    return tf_keras.Model.from_config(config)


def set_weights(model: tf_keras.Model, dense: tf_keras.Model, how: LowRank) -> None:
    """Sets the split network's weights from the unsplit network's, truncated to the ranks.

    Args:
        model: Network returned by `factorized`.
        dense: The unsplit network.
        how: Split layers and their ranks.
    """
    for layer in dense.layers:
        second = model.get_layer(layer.name)
        if layer.name not in how.ranks:
            second.set_weights(layer.get_weights())
            continue
        kernel, *bias = layer.get_weights()
        first = model.get_layer(f"{layer.name}{SUFFIX}")
        first_kernel, second_kernel = factors(kernel, how.ranks[layer.name], how.spatial)
        first.set_weights([first_kernel.reshape(first.kernel.shape)])
        second.set_weights([second_kernel, *bias])


def factors(kernel: np.ndarray, rank: int, spatial: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns two kernels of equal norm whose product best approximates a kernel.

    Args:
        kernel: Kernel of shape (in, out) or (h, w, in, out).
        rank: Channels between the two layers.
        spatial: Whether to split a convolution into k×1 and 1×k; see `LowRank`.

    Returns:
        Kernels of shape (in, rank) and (rank, out) for a dense layer; (h, w, in, rank) and
        (1, 1, rank, out) for a convolution; (h, 1, in, rank) and (1, w, rank, out) if spatial.
    """
    left, values, right = np.linalg.svd(_matrix(kernel, spatial), full_matrices=False)
    root = np.sqrt(values[:rank])
    first, second = left[:, :rank] * root, root[:, np.newaxis] * right[:rank]
    if kernel.ndim == 2:
        return first, second
    height, width, inputs, filters = kernel.shape
    if not spatial:
        return first.reshape(height, width, inputs, rank), second.reshape(1, 1, rank, filters)
    return (
        first.reshape(height, 1, inputs, rank),
        second.reshape(rank, width, filters).transpose(1, 0, 2)[np.newaxis],
    )
