"""The compression schemes by name, their order, and values layer by layer. No TensorFlow here."""

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
    """One scheme.

    Attributes:
        suffix: of the new run's name.
        what: the kind of a plan's values; "" where there is no choice layer by layer.
        expected: what a value can be, in words.
        allows: likewise; 0, which leaves a layer alone, aside.
    """

    suffix: str
    what: str = ""
    expected: str = ""
    allows: Callable[[float], bool] = lambda value: False


# In the order in which they can follow each other.
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
# Other names of qat, which say what the run must have gone through before.
AFTER: dict[str, tuple[str, ...]] = {
    "pqat": ("prune",),
    "cqat": ("cluster",),
    "pcqat": ("prune", "cluster"),
}
NAMES = (*SCHEMES, *AFTER)


def following(parent: Run, name: str) -> str:
    """The scheme that `name` stands for, after those of the parent.

    Raises:
        ZooError: it can't follow them.
    """
    missing = [scheme for scheme in AFTER.get(name, ()) if scheme not in parent.scheme]
    if missing:
        raise ZooError(
            f"{name} needs a run after {' and '.join(AFTER[name])}",
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
            expected=f"the order {', '.join(order)}, each at most once",
            remedy="start from an earlier run",
        )
    return scheme


class _Plan(Strict):
    """A plan file, as `scripts.sensitivity` writes it."""

    format: Literal[1]
    what: Literal["sparsity", "clusters", "rank"]
    layers: Annotated[dict[str, float], Field(min_length=1, max_length=_MOST_LAYERS)]


def per_layer(scheme: str, plan: Path | None, given: Iterable[str]) -> PerLayer:
    """Values from a plan file, from --layers, or from both; then the flag's win.

    A plan is the whole of what is done: layers that it does not name are left alone. Without one,
    they get the recipe's value.

    Args:
        scheme: of `SCHEMES`.
        plan: JSON, {"format": 1, "what": "sparsity", "layers": {"conv1": 0.3}}.
        given: "NAME:VALUE" each.

    Raises:
        ZooError: not of that form, for another scheme, or a value that can't be.
    """
    rules = SCHEMES[scheme]
    given = list(given)
    if (plan is not None or given) and not rules.what:
        raise ZooError(f"{scheme} has no values layer by layer", where="--plan and --layers")
    values: dict[str, float] = {}
    if plan is not None:
        remedy = 'write {"format": 1, "what": "' + rules.what + '", "layers": {"NAME": VALUE}}'
        read = read_model(plan, _Plan, "the plan", remedy)
        if read.what != rules.what:
            raise ZooError(
                f"the plan is not for {scheme}", where=plan, expected=rules.what, got=read.what
            )
        _check(read.layers, rules, str(plan))
        values.update(read.layers)
    flag = {}
    for pair in given:
        name, _, text = pair.partition(":")
        try:
            flag[name] = float(text)
        except ValueError as error:
            raise ZooError(
                "not a layer and its value", where="--layers", expected="NAME:VALUE", got=pair
            ) from error
    _check(flag, rules, "--layers")
    return PerLayer(layers={**values, **flag}, others=plan is None)


def _check(values: dict[str, float], rules: Scheme, where: str) -> None:
    for name, value in values.items():
        if not _LAYER.fullmatch(name):
            raise ZooError("not a layer's name", where=where, got=name)
        if value != 0 and not rules.allows(value):
            raise ZooError(
                f"impossible {rules.what} of layer {name}",
                where=where,
                expected=rules.expected,
                got=f"{value:g}",
            )


def chosen(
    wanted: PerLayer, uniform: float, usual: Iterable[str], possible: Iterable[str]
) -> dict[str, float]:
    """Layer → its value, without the layers that are left alone.

    Args:
        wanted: the values that were given.
        uniform: the value of layers that are not named.
        usual: the layers that get it.
        possible: the layers that can be named.

    Raises:
        UnknownNameError: a layer was named that is not possible.
    """
    possible = list(possible)
    for name in wanted.layers:
        if name not in possible:
            raise UnknownNameError("layer", name, possible)
    values = dict.fromkeys(usual, uniform) if wanted.others else {}
    values.update(wanted.layers)
    return {name: values[name] for name in possible if values.get(name, 0) != 0}
