"""Compression schemes by name, their order, and per-layer values. Does not import TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from zoo.errors import UnknownNameError, ZooError
from zoo.schema.base import Strict
from zoo.schema.json_files import read_model
from zoo.schema.run import PerLayer, Run

_MOST_LAYERS = 4096
_LAYER = re.compile(r"[A-Za-z0-9_./-]{1,200}")


@dataclass(frozen=True)
class Scheme:
    """A compression scheme.

    Attributes:
        suffix: Appended to the parent's name to form the new run's name.
        what: Kind of the values in a plan; "" if the scheme takes no per-layer values.
        expected: Description of the allowed values for error messages.
        allows: Returns whether a nonzero value is allowed. 0 skips a layer and is always allowed.
    """

    suffix: str
    what: str = ""
    expected: str = ""
    allows: Callable[[float], bool] = lambda value: False


# In the order in which schemes may be applied to a run.
SCHEMES: dict[str, Scheme] = {
    "low_rank": Scheme(
        "low_rank", "rank", "a whole number, 0 or more", lambda v: v >= 1 and v.is_integer()
    ),
    "prune": Scheme("pruned", "sparsity", "0 to 0.99", lambda v: 0 < v <= 0.99),
    "cluster": Scheme(
        "clustered",
        "clusters",
        "a whole number, 2 to 256, or 0",
        lambda v: 2 <= v <= 256 and v.is_integer(),
    ),
    "qat": Scheme("qat"),
}
# Aliases of qat, with the earlier schemes that each requires.
AFTER: dict[str, tuple[str, ...]] = {
    "pqat": ("prune",),
    "cqat": ("cluster",),
    "pcqat": ("prune", "cluster"),
}
NAMES = (*SCHEMES, *AFTER)


def following(parent: Run, name: str) -> str:
    """Returns the scheme that `name` stands for, checked against the parent's schemes.

    Args:
        parent: Run to be compressed.
        name: One of `NAMES`.

    Raises:
        ZooError: if a required scheme is missing, or the scheme can't follow the parent's schemes.
    """
    missing = [scheme for scheme in AFTER.get(name, ()) if scheme not in parent.scheme]
    if missing:
        raise ZooError(
            f"{name} needs a run compressed by {' and '.join(AFTER[name])}",
            where=parent.name,
            got="+".join(parent.scheme) or "no compression",
            remedy=f"run --scheme={missing[0]} first",
        )
    scheme = "qat" if name in AFTER else name
    order = list(SCHEMES)
    if any(order.index(earlier) >= order.index(scheme) for earlier in parent.scheme):
        raise ZooError(
            f"{scheme} can't follow {'+'.join(parent.scheme)}",
            where=parent.name,
            expected=f"schemes in the order {', '.join(order)}, each at most once",
            remedy="start from an earlier run",
        )
    return scheme


class _Plan(Strict):
    """Contents of a plan file, as written by `scripts.sensitivity`."""

    format: Literal[1]
    what: Literal["sparsity", "clusters", "rank"]
    layers: Annotated[dict[str, float], Field(min_length=1, max_length=_MOST_LAYERS)]


def per_layer(scheme: str, plan: Path | None, entries: Iterable[str]) -> PerLayer:
    """Merges per-layer values from a plan file and --layers; --layers takes precedence.

    A plan is complete: layers that it does not name are skipped. Without a plan, layers that are
    not named use the recipe's value.

    Args:
        scheme: Key of `SCHEMES`.
        plan: JSON file, for example {"format": 1, "what": "sparsity", "layers": {"conv1": 0.3}};
            None for no plan.
        entries: Items of --layers, each "NAME:VALUE".

    Raises:
        ZooError: if the plan or an entry is malformed, the plan is for another scheme, the scheme
            takes no per-layer values, or a value is not allowed.
    """
    rules = SCHEMES[scheme]
    entries = list(entries)
    if (plan is not None or entries) and not rules.what:
        raise ZooError(f"{scheme} takes no per-layer values", where="--plan and --layers")
    values: dict[str, float] = {}
    if plan is not None:
        remedy = 'write {"format": 1, "what": "' + rules.what + '", "layers": {"NAME": VALUE}}'
        loaded = read_model(plan, _Plan, "the plan", remedy)
        if loaded.what != rules.what:
            raise ZooError(
                f"the plan is not for {scheme}", where=plan, expected=rules.what, got=loaded.what
            )
        _check(loaded.layers, rules, str(plan))
        values.update(loaded.layers)
    overrides = {}
    for pair in entries:
        name, _, text = pair.partition(":")
        try:
            overrides[name] = float(text)
        except ValueError as error:
            raise ZooError(
                "malformed per-layer value", where="--layers", expected="NAME:VALUE", got=pair
            ) from error
    _check(overrides, rules, "--layers")
    return PerLayer(layers={**values, **overrides}, others=plan is None)


def _check(values: dict[str, float], rules: Scheme, where: str) -> None:
    for name, value in values.items():
        if not _LAYER.fullmatch(name):
            raise ZooError("invalid layer name", where=where, got=name)
        if value != 0 and not rules.allows(value):
            raise ZooError(
                f"invalid {rules.what} value for layer {name}",
                where=where,
                expected=rules.expected,
                got=f"{value:g}",
            )


def chosen(
    requested: PerLayer, uniform: float, defaults: Iterable[str], possible: Iterable[str]
) -> dict[str, float]:
    """Returns layer name → value for the layers to change.

    Args:
        requested: Values from the plan and --layers.
        uniform: Value for layers that are not named.
        defaults: Layers that take the uniform value unless they are named.
        possible: Layers that may be named, in the order of the result.

    Raises:
        UnknownNameError: if a named layer is not among the possible ones.
    """
    possible = list(possible)
    for name in requested.layers:
        if name not in possible:
            raise UnknownNameError("layer", name, possible)
    values = dict.fromkeys(defaults, uniform) if requested.others else {}
    values.update(requested.layers)
    return {name: values[name] for name in possible if values.get(name, 0) != 0}
