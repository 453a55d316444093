"""Model cards, one per trained network: Markdown with Hugging Face front matter."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from zoo.catalog import DEFAULT_RECIPE, RECIPES, model_spec
from zoo.data.names import title
from zoo.schema.artifact import Artifact, EngineResult, Released
from zoo.schema.release import Checkpoint

_TEMPLATES = Path(__file__).parent / "templates"
# Recipe fields that define the network and its images rather than the training.
_OF_NETWORK = ("dataset", "data_dir", "validation_images", "image_size", "width", "batch_norm")
_HUB = {
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "cifar10_jpeg": "uoft-cs/cifar10",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
}


def markdown(run: str, files: Sequence[Artifact], checkpoint: Checkpoint | None) -> str:
    """Returns the model card of a run.

    Args:
        run: Name of the run.
        files: Artifacts of the run, with `released` set, largest first.
        checkpoint: Published weights of the run, None if there are none.
    """
    import jinja2

    first = files[0]
    spec = model_spec(first.model)
    preprocessing = first.preprocessing
    floats = [file for file in files if file.inputs[0].dtype == "float32"] or list(files)
    integers = [file for file in files if file.inputs[0].dtype == "int8"]
    released = [file.released for file in files if file.released]
    scores = [score for release in released for score in release.accuracies]
    commands = list(dict.fromkeys(command for release in released for command in release.commands))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown from checked manifests
    )
    return environment.get_template("card.md.j2").render(
        run=run,
        spec=spec,
        files=files,
        title=title(first.dataset),
        hub_dataset=_HUB.get(first.dataset),
        shape="×".join(map(str, first.inputs[0].shape[1:])),
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
        recipe=first.recipe,
        checkpoint=f"{checkpoint.name}.safetensors" if checkpoint else None,
        training_on=_training_on(checkpoint) if checkpoint else None,
        engines=_engines(released),
        agreement=_agreement,
        score=_score,
        interval=_interval,
        latency=_latency,
    )


def _training_on(checkpoint: Checkpoint) -> str:
    """Returns the command that continues training: same network and data, new run name."""
    default, recipe = RECIPES[DEFAULT_RECIPE], checkpoint.recipe
    command = ["zoo", "train", f"--model={checkpoint.model}"]
    for name in _OF_NETWORK:
        value = getattr(recipe, name)
        if value == getattr(default, name):
            continue
        if isinstance(value, bool):
            command.append(f"--{name}" if value else f"--no{name}")
        else:
            command.append(f"--{name}={value}")
    if arguments := checkpoint.config.arguments:
        # The flag spells booleans in lowercase.
        pairs = (
            f"{k}:{str(v).lower() if isinstance(v, bool) else v}" for k, v in arguments.items()
        )
        command.append(f"--arguments={','.join(pairs)}")
    return shlex.join([*command, f"--init_from={checkpoint.run}", f"--name={checkpoint.run}-more"])


def _engines(released: Sequence[Released]) -> list[str]:
    """Returns the engines that ran one of the files, as titles of columns."""
    titles = (_engine(result) for each in released for result in each.engines)
    return list(dict.fromkeys(titles))


def _engine(result: EngineResult) -> str:
    kind, _, soc = result.delegate.partition(":")
    accelerator = f", {soc or kind.upper()}" if result.accelerator else ""
    return f"{result.engine} {result.version}{accelerator}"


def _agreement(file: Artifact, engine: str) -> str:
    results = file.released.engines if file.released else ()
    for result in results:
        if _engine(result) == engine:
            part = "" if result.whole is None else ", whole" if result.whole else ", in part"
            return f"{100 * result.agreement:.1f} % of {result.images:,}{part}"
    return "not run"


def _score(file: Artifact) -> str:
    metrics = file.released.accuracies if file.released else ()
    return f"{100 * metrics[0].top1:.2f} %" if metrics else "no test accuracy"


def _interval(file: Artifact) -> str:
    metrics = file.released.accuracies if file.released else ()
    return f"{100 * metrics[0].low:.1f} to {100 * metrics[0].high:.1f} %" if metrics else ""


def _latency(file: Artifact) -> str:
    timings = file.released.timings if file.released else ()
    if not timings:
        return "not timed"
    best = min(timings, key=lambda timing: timing.latency_us)
    threads = "thread" if best.threads == 1 else "threads"
    return (
        f"{best.latency_us / 1e3:.3g} ms, {best.device}, {best.delegate}, {best.threads} {threads}"
    )
