"""Low-rank factorization: a layer becomes two thinner ones, by truncating its singular values.

NAME becomes NAME_low_rank, without bias and activation, and NAME:

* a dense layer in → out, two dense layers in → r → out (Denton et al. 2014);
* a k×k convolution, k×k to r channels and 1×1 (Zhang et al. 2015, https://arxiv.org/abs/1505.06798);
* spatially, k×1 to r channels and 1×k (Jaderberg et al. 2014, https://arxiv.org/abs/1405.3866).

Each rank is the best approximation of the kernel as a matrix in the sense of least squares. Grouped
and depthwise convolutions are left alone. A network is rebuilt from the catalog and the ranks.
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
    """Splits convolutions and dense layers where that saves weights; not the first layer.

    Raises:
        ZooError: an impossible goal, or no layer that is worth splitting.
    """
    ranks = _ranks(start)
    if not ranks:
        raise ZooError(
            "no layer is worth splitting at that rank",
            where=start.model.name,
            remedy="lower --low_rank_keep, --low_rank_energy or --low_rank_rank",
        )
    how = LowRank(spatial=start.recipe.low_rank_spatial, ranks=ranks)
    model = factorized(start.model, how)
    set_weights(model, start.model, how)
    before, after = start.model.count_params(), model.count_params()
    counted = f"{after:,} parameters of {before:,}"
    return FineTuning(
        model,
        (f"splitting {len(ranks)} layers, {counted} left",),
        reached=lambda done: f"{len(ranks)} layers of rank {_range(ranks)}, {counted}",
        low_rank=how,
    )


def _range(ranks: dict[str, int]) -> str:
    low, high = min(ranks.values()), max(ranks.values())
    return f"{low}" if low == high else f"{low} to {high}"


def _ranks(start: SchemeInput) -> dict[str, int]:
    recipe, model = start.recipe, start.model
    names = [n for n in kernels.plain(model) if getattr(model.get_layer(n), "groups", 1) == 1]
    found = {n: spectrum(model.get_layer(n), recipe.low_rank_spatial) for n in names}
    hidden = {n: found[n] for n in names[1:] if found[n].largest >= 1}
    if recipe.low_rank_rank:
        if recipe.low_rank_rank < 1:
            raise ZooError(
                "impossible rank", where="--low_rank_rank", expected="1 or more, 0 for none"
            )
        usual = dict.fromkeys(hidden, recipe.low_rank_rank)
    elif recipe.low_rank_energy:
        _check_share("--low_rank_energy", recipe.low_rank_energy)
        usual = {n: by_energy(s, recipe.low_rank_energy) for n, s in hidden.items()}
    else:
        _check_share("--low_rank_keep", recipe.low_rank_keep)
        usual = by_size(hidden, recipe.low_rank_keep)
    for name, rank in start.per_layer.layers.items():
        if name in found and rank > found[name].largest:
            raise ZooError(
                f"rank {rank:g} of layer {name} saves no weights",
                where=model.name,
                expected=f"at most {found[name].largest}" if found[name].largest else "0",
            )
    wanted = schemes.chosen(start.per_layer, 1, usual, names)
    ranks = {n: int(start.per_layer.layers.get(n, usual.get(n, 0))) for n in wanted}
    return {n: r for n, r in ranks.items() if 1 <= r <= found[n].largest}


def _check_share(flag: str, share: float) -> None:
    if not 0 < share < 1:
        raise ZooError("impossible share", where=flag, expected="above 0, below 1", got=share)


def _matrix(kernel: np.ndarray, spatial: bool) -> np.ndarray:
    """The kernel as the matrix whose rank counts: (in, out), (h·w·in, out) or (h·in, w·out)."""
    if kernel.ndim == 4 and spatial:
        height, width, inputs, filters = kernel.shape
        return kernel.transpose(0, 2, 1, 3).reshape(height * inputs, width * filters)
    return kernel.reshape(-1, kernel.shape[-1])


def spectrum(layer: tf_keras.layers.Layer, spatial: bool) -> Spectrum:
    """Singular values of a layer's kernel, and what a rank costs."""
    matrix = _matrix(layer.kernel.numpy(), spatial)
    return Spectrum(
        values=np.linalg.svd(matrix, compute_uv=False), weights=matrix.size, each=sum(matrix.shape)
    )


@dataclass(frozen=True)
class _Pair:
    """The configurations of the two layers that stand for one."""

    first: dict[str, Any]
    second: dict[str, Any]


def _pair(layer: tf_keras.layers.Layer, rank: int, spatial: bool) -> _Pair:
    """Bias, activation and what regularizes them stay with the second; the kernels' with both."""
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
    # The loss wants a network's last layer in float32; the one before it needs no other dtype.
    if isinstance(layer, tf_keras.layers.Dense):
        first.update(units=rank)
        return _Pair(first, second)
    first.update(filters=rank)
    one = {"kernel_size": (1, 1), "strides": (1, 1), "dilation_rate": (1, 1), "padding": "valid"}
    if not spatial:
        second.update(one)
        return _Pair(first, second)
    for key in ("kernel_size", "strides", "dilation_rate"):
        rows, columns = config[key]
        first[key], second[key] = (rows, 1), (1, columns)
    return _Pair(first, second)


def factorized(model: tf_keras.Model, how: LowRank) -> tf_keras.Model:
    """The network with the layers of `how` split, with fresh weights.

    Args:
        model: functional; each split layer is called once.
        how: the layers and their ranks.

    Raises:
        ZooError: a layer is missing or can't be split, as where the ranks are another network's.
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
    """Gives the split network the weights of the whole one, cut to the ranks."""
    for layer in dense.layers:
        own = model.get_layer(layer.name)
        if layer.name not in how.ranks:
            own.set_weights(layer.get_weights())
            continue
        kernel, *bias = layer.get_weights()
        first = model.get_layer(f"{layer.name}{SUFFIX}")
        one, two = factors(kernel, how.ranks[layer.name], how.spatial)
        first.set_weights([one.reshape(first.kernel.shape)])
        own.set_weights([two, *bias])


def factors(kernel: np.ndarray, rank: int, spatial: bool) -> tuple[np.ndarray, np.ndarray]:
    """The two kernels whose product is nearest to one; both have the same norm.

    Args:
        kernel: (in, out) or (h, w, in, out).
        rank: columns of the first, channels between them.
        spatial: as in `LowRank`.

    Returns:
        (in, rank) and (rank, out); (h, w, in, rank) and (1, 1, rank, out); or spatially
        (h, 1, in, rank) and (1, w, rank, out).
    """
    left, values, right = np.linalg.svd(_matrix(kernel, spatial), full_matrices=False)
    root = np.sqrt(values[:rank])
    one, two = left[:, :rank] * root, root[:, np.newaxis] * right[:rank]
    if kernel.ndim == 2:
        return one, two
    height, width, inputs, filters = kernel.shape
    if not spatial:
        return one.reshape(height, width, inputs, rank), two.reshape(1, 1, rank, filters)
    return (
        one.reshape(height, 1, inputs, rank),
        two.reshape(rank, width, filters).transpose(1, 0, 2)[np.newaxis],
    )
