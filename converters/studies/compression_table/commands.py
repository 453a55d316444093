"""Runs that the table is based on and the commands that create them."""

from __future__ import annotations

from converters.studies.compression_table.published import LAYERS

DATASETS = {"fashion_mnist": "Fashion-MNIST", "cifar10_jpeg": "CIFAR-10 (JPEG)"}
MODELS = ("squeezenet_v1_1", "mobilenet_v2_cse_mix")


def commands() -> dict[str, str]:
    """Returns the command for each run, by run name, ordered by dependency."""
    sparsities = ",".join(f"{name}:{1 - layer.density:.2f}" for name, layer in LAYERS.items())
    values = ",".join(f"{name}:{2**layer.bits}" for name, layer in LAYERS.items())
    by_run = {}
    for dataset, epochs in (("fashion_mnist", 8), ("cifar10_jpeg", 10)):
        by_run[f"squeezenet_v1_1-{dataset}"] = _train("squeezenet_v1_1", dataset, epochs)
    for dataset in DATASETS:
        name = f"mobilenet_v2_cse_mix-{dataset}"
        by_run[name] = _train("mobilenet_v2_cse_mix", dataset, 3) + " --dropout=0"
    for dataset, epochs in (("fashion_mnist", 10), ("cifar10_jpeg", 12)):
        name = f"alexnet-{dataset}"
        by_run[name] = _train("alexnet", dataset, epochs) + " --width=0.25 --dropout=0.3"
        low_rank = "--scheme=low_rank --low_rank_keep=0.2 --low_rank_epochs=3"
        prune = f"--scheme=prune --prune_epochs=5 --layers={sparsities}"
        cluster = f"--scheme=cluster --cluster_epochs=1 --layers={values}"
        by_run[f"{name}-low_rank"] = _compress(name, low_rank)
        by_run[f"{name}-pruned"] = _compress(name, prune)
        by_run[f"{name}-pruned-clustered"] = _compress(f"{name}-pruned", cluster)
    return by_run


def _train(model: str, dataset: str, epochs: int) -> str:
    flags = f"--model={model} --dataset={dataset} --epochs={epochs}"
    return f"zoo train {flags} --epoch_images=0 --flip"


def _compress(run: str, flags: str) -> str:
    return f"zoo compress --run={run} {flags}"
