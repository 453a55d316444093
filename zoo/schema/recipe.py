"""Recipe: how a model is trained and compressed.

A plain frozen dataclass, since nobody but us writes it; so is `zoo.schema.model`. No TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict

STRATEGIES = ("none", "mirrored", "multi_worker", "tpu")  # of `scripts.train --strategy`


def _recipe(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained and compressed. Every field is also a flag of `scripts.train`."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # run.json and manifests hold recipes

    name: str
    model: str = _recipe("squeezenet_v1_1", "catalog name of the architecture")
    dataset: str = _recipe(
        "fashion_mnist",
        "fashion_mnist, cifar10_jpeg, digits; cifar10, cifar100, imagenette, imagenet by "
        "tensorflow_datasets; image_folder",
    )
    data_dir: str = _recipe(
        "", "image_folder: the folder; those of tensorflow_datasets: where it keeps its data"
    )
    skip_broken: bool = _recipe(
        False, "leave pictures out that can't be decoded, naming them; else stop"
    )
    image_size: int = _recipe(32, "height and width that images are brought to, in pixels")
    width: float = _recipe(1.0, "multiplies the channels of every layer")
    batch_norm: bool = _recipe(True, "batch normalization also where the paper has none")
    dropout: float = _recipe(0.5, "rate of dropout before the classifier")
    validation_images: int = _recipe(
        5000, "images split off the training set to choose by; 0: a tenth"
    )
    epochs: int = _recipe(10, "epochs; a checkpoint is written after each")
    epoch_images: int = _recipe(0, "images an epoch; 0 means the whole training split")
    batch_size: int = _recipe(64, "images a training step")
    learning_rate: float = _recipe(0.05, "peak learning rate of SGD")
    momentum: float = _recipe(0.9, "of SGD")
    nesterov: bool = _recipe(True, "Nesterov's form of the momentum")
    warmup: float = _recipe(0.2, "share of the steps with a linearly rising rate")
    decay: str = _recipe(
        "cosine", "how the rate falls after that: cosine, linear (both to 0), steps or exponential"
    )
    decay_at: str = _recipe("0.5,0.75", "steps: shares of the training after which it falls")
    decay_factor: float = _recipe(
        0.1, "what it is multiplied by: steps, at each share; exponential, each epoch"
    )
    weight_decay: float = _recipe(5e-4, "decay of kernels, times the learning rate")
    coupled_decay: bool = _recipe(
        False, "add the decay to the gradients, so that it goes through the momentum, as Caffe does"
    )
    label_smoothing: float = _recipe(0.0, "share of each label that is spread over all classes")
    ema: float = _recipe(
        0.0, "what a moving average of the weights keeps each step; 0 is none, else it is stored"
    )
    bfloat16: bool = _recipe(
        False,
        "CPU: compute in bfloat16 what oneDNN can; the weights stay float32",
    )
    flip: bool = _recipe(True, "mirror training images at random")
    crop: int = _recipe(0, "pixels of zeros around training images, of which a part is cut out")
    crop_area: float = _recipe(
        0.35, "pictures of any size: least share of the area that is cut out; 1 is the middle"
    )
    erase: float = _recipe(0.0, "chance that a part of a training image is replaced by noise")
    mixup: float = _recipe(0.0, "alpha of the Beta distribution that images are mixed by; 0 is not")
    randaugment: float = _recipe(0.0, "strength of RandAugment's two operations, 0 to 1; 0 is none")
    teacher: str = _recipe(
        "", "a finished run, a checkpoint or an artifact whose outputs are learned too"
    )
    distill: str = _recipe("kd", "how they are: kd (Hinton 2015) or dkd (Zhao 2022)")
    distill_weight: float = _recipe(0.9, "kd: weight of the teacher against the labels' 1 - weight")
    distill_temperature: float = _recipe(4.0, "that both networks' logits are divided by")
    dkd_alpha: float = _recipe(1.0, "dkd: weight of the target class")
    dkd_beta: float = _recipe(8.0, "dkd: weight of the other classes")
    freeze: bool = _recipe(False, "train the classifier only, on what --init_from gives the others")
    shift_rate: float = _recipe(
        0.0, "multiplies the learning rate of learned shifts; 0 is the layer's own, from its paper"
    )
    shift_freeze: float = _recipe(0.5, "share of the steps after which sparse shifts stay")
    seed: int = _recipe(1, "seeds the weights, the order of images and the augmentation")
    prune_sparsity: float = _recipe(0.6, "share of zeros in each pruned convolution kernel")
    prune_pattern: str = _recipe(
        "any", "which weights go together: any, 2:4, 1x4, 4x1 or xnnpack (see above)"
    )
    prune_epochs: int = _recipe(3, "epochs of fine-tuning while pruning")
    prune_learning_rate: float = _recipe(0.02, "peak learning rate while pruning")
    cluster_count: int = _recipe(32, "values a kernel may have, zero included: 2 to 256")
    cluster_per_channel: bool = _recipe(False, "that many values in each filter instead")
    cluster_epochs: int = _recipe(3, "epochs of fine-tuning the clusters")
    cluster_learning_rate: float = _recipe(0.01, "peak learning rate of fine-tuning the clusters")
    low_rank_keep: float = _recipe(
        0.5, "share of the parameters of the convolutions and dense layers to keep"
    )
    low_rank_energy: float = _recipe(
        0.0, "instead: share of each kernel's squared singular values to keep"
    )
    low_rank_rank: int = _recipe(0, "instead: the rank of every kernel")
    low_rank_spatial: bool = _recipe(False, "split k×k into k×1 and 1×k, else into k×k and 1×1")
    low_rank_epochs: int = _recipe(3, "epochs of fine-tuning the split layers")
    low_rank_learning_rate: float = _recipe(0.02, "peak learning rate of the split layers")
    qat_epochs: int = _recipe(2, "epochs of quantization-aware fine-tuning")
    qat_learning_rate: float = _recipe(0.005, "peak learning rate of quantization-aware training")
    expected_accuracy: float | None = None
    cost: str = ""
