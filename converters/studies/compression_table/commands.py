"""The runs that the table is made of, and the commands that leave them."""

from __future__ import annotations

from converters.studies.compression_table.published import LAYERS

DATASETS = {"fashion_mnist": "Fashion-MNIST", "cifar10_jpeg": "CIFAR-10 (JPEG)"}
MODELS = ("squeezenet_v1_1", "mobilenet_v2_cse_mix")


def commands() -> dict[str, str]:
    """Name of a run → what is typed to make it, in the order in which they need each other."""
    sparsities = ",".join(f"{name}:{1 - layer.density:.2f}" for name, layer in LAYERS.items())
    values = ",".join(f"{name}:{2**layer.bits}" for name, layer in LAYERS.items())
    found = {}
    for dataset, epochs in (("fashion_mnist", 8), ("cifar10_jpeg", 10)):
        found[f"squeezenet_v1_1-{dataset}"] = _train("squeezenet_v1_1", dataset, epochs)
    for dataset in DATASETS:
        name = f"mobilenet_v2_cse_mix-{dataset}"
        found[name] = _train("mobilenet_v2_cse_mix", dataset, 3) + " --dropout=0"
    for dataset, epochs in (("fashion_mnist", 10), ("cifar10_jpeg", 12)):
        name = f"alexnet-{dataset}"
        found[name] = _train("alexnet", dataset, epochs) + " --width=0.25 --dropout=0.3"
        low_rank = "--scheme=low_rank --low_rank_keep=0.2 --low_rank_epochs=3"
        prune = f"--scheme=prune --prune_epochs=5 --layers={sparsities}"
        cluster = f"--scheme=cluster --cluster_epochs=1 --layers={values}"
        found[f"{name}-low_rank"] = _compress(name, low_rank)
        found[f"{name}-pruned"] = _compress(name, prune)
        found[f"{name}-pruned-clustered"] = _compress(f"{name}-pruned", cluster)
    return found


def _train(model: str, dataset: str, epochs: int) -> str:
    what = f"--model={model} --dataset={dataset} --epochs={epochs}"
    return f"python -m scripts.train {what} --epoch_images=0 --flip"


def _compress(run: str, flags: str) -> str:
    return f"python -m scripts.compress --run={run} {flags}"
