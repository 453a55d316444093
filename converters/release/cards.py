"""Model cards: Markdown with the front matter that Hugging Face reads, one a trained network."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from zoo.catalog import DEFAULT_RECIPE, RECIPES, model_spec
from zoo.data.names import title
from zoo.schema.artifact import Artifact
from zoo.schema.release import Checkpoint

_TEMPLATES = Path(__file__).parent / "templates"
# Fields of a recipe that make the network and its pictures, not how it learns.
_OF_NETWORK = ("dataset", "data_dir", "validation_images", "image_size", "width", "batch_norm")
_HUB = {
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "cifar10_jpeg": "uoft-cs/cifar10",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
}


def markdown(run: str, files: Sequence[Artifact], checkpoint: Checkpoint | None) -> str:
    """The card of a run.

    Args:
        run: its name.
        files: its artifacts, with `released`, the largest first.
        checkpoint: its weights, where they are published.
    """
    import jinja2

    told = files[0]
    spec = model_spec(told.model)
    preprocessing = told.preprocessing
    floats = [file for file in files if file.inputs[0].dtype == "float32"] or list(files)
    integers = [file for file in files if file.inputs[0].dtype == "int8"]
    released = [file.released for file in files if file.released]
    scores = [score for each in released for score in each.accuracies]
    commands = list(dict.fromkeys(command for each in released for command in each.commands))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, of manifests that were checked
    )
    return environment.get_template("card.md.j2").render(
        run=run,
        spec=spec,
        files=files,
        title=title(told.dataset),
        hub_dataset=_HUB.get(told.dataset),
        shape="×".join(map(str, told.inputs[0].shape[1:])),
        published="; ".join(released[0].published),
        channels=preprocessing["channels"],
        geometry=preprocessing["geometry"],
        mean=preprocessing["mean"],
        std=preprocessing["std"],
        labels=released[0].labels,
        offset=released[0].labels_offset,
        images=scores[0].images if scores else 0,
        split=scores[0].split if scores else "test",
        smallest=min(files, key=lambda file: file.bytes),
        float=floats[-1],
        integer=integers[0] if integers else None,
        commands=commands,
        recipe=told.recipe,
        checkpoint=f"{checkpoint.name}.safetensors" if checkpoint else None,
        training_on=_training_on(checkpoint) if checkpoint else None,
        score=_score,
        chance=_chance,
        latency=_latency,
    )


def _training_on(checkpoint: Checkpoint) -> str:
    """The command that goes on from it: the same network, on the same data, under a new name."""
    usual, recipe = RECIPES[DEFAULT_RECIPE], checkpoint.recipe
    command = ["python", "-m", "scripts.train", f"--model={checkpoint.model}"]
    for name in _OF_NETWORK:
        value = getattr(recipe, name)
        if value == getattr(usual, name):
            continue
        if isinstance(value, bool):
            command.append(f"--{name}" if value else f"--no{name}")
        else:
            command.append(f"--{name}={value}")
    if given := checkpoint.config.arguments:
        # A truth as the flag has it; other values are told as they are.
        told = (f"{k}:{str(v).lower() if isinstance(v, bool) else v}" for k, v in given.items())
        command.append(f"--arguments={','.join(told)}")
    return shlex.join([*command, f"--init_from={checkpoint.run}", f"--name={checkpoint.run}-more"])


def _score(file: Artifact) -> str:
    found = file.released.accuracies if file.released else ()
    return f"{100 * found[0].top1:.2f} %" if found else "not scored"


def _chance(file: Artifact) -> str:
    found = file.released.accuracies if file.released else ()
    return f"{100 * found[0].low:.1f} to {100 * found[0].high:.1f} %" if found else ""


def _latency(file: Artifact) -> str:
    timings = file.released.timings if file.released else ()
    if not timings:
        return "not timed"
    best = min(timings, key=lambda timing: timing.latency_us)
    threads = "thread" if best.threads == 1 else "threads"
    return (
        f"{best.latency_us / 1e3:.3g} ms, {best.device}, {best.delegate}, {best.threads} {threads}"
    )
