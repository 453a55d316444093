"""Recipe: how a model is trained and compressed.

A frozen dataclass without validation, like `zoo.schema.model`, since recipes are part of the
source. Imports no TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

STRATEGIES = ("none", "mirrored", "multi_worker", "tpu")  # values of `scripts.train --strategy`

# Headings of the groups of flags in --help.
NETWORK, _DATA, _LENGTH = "Recipe and network", "Data", "Length of training"
_OPTIMIZER, _AUGMENTATION, _TEACHER = "Optimizer", "Augmentation", "Distillation"
_SHIFTS, _PRUNING, _CLUSTERING = "Learned shifts", "Pruning", "Clustering"
_LOW_RANK, _QAT = "Low rank", "Quantization-aware training"
COMPRESSION = (_PRUNING, _CLUSTERING, _LOW_RANK, _QAT)  # training does not read these fields


def _field(default: Any, group: str, help: str) -> Any:
    return field(default=default, metadata={"group": group, "help": help})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained and compressed. Every field is also a flag of `scripts.train`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid"
    }  # recipes are part of run.json and manifests

    name: str
    model: str = _field("squeezenet_v1_1", NETWORK, "architecture: its name in the catalog")
    width: float = _field(1.0, NETWORK, "factor for the number of channels of every layer")
    batch_norm: bool = _field(
        True, NETWORK, "add batch normalization to networks whose paper has none"
    )
    dropout: float = _field(0.5, NETWORK, "dropout rate before the classifier")
    freeze: bool = _field(False, NETWORK, "train only the classifier; use with --init_from")
    dataset: str = _field(
        "fashion_mnist",
        NETWORK,
        "fashion_mnist, cifar10_jpeg or digits; cifar10, cifar100, imagenette or imagenet (with "
        "tensorflow_datasets); image_folder for your own images",
    )
    data_dir: str = _field(
        "", NETWORK, "folder of your images, or data folder of tensorflow_datasets"
    )
    skip_broken: bool = _field(
        False, _DATA, "skip and list images that can't be decoded, instead of stopping"
    )
    image_size: int = _field(32, _DATA, "height and width of the input, in pixels")
    validation_images: int = _field(
        5000, _DATA, "training images held out for validation; 0 for a tenth of the training split"
    )
    seed: int = _field(1, _DATA, "seed of the weights, the image order and the augmentation")
    epochs: int = _field(10, _LENGTH, "number of epochs; a checkpoint is written after each")
    epoch_images: int = _field(
        0, _LENGTH, "training images per epoch; 0 for the whole training split"
    )
    batch_size: int = _field(64, _LENGTH, "images per training step")
    bfloat16: bool = _field(
        False, _LENGTH, "compute in bfloat16 where oneDNN supports it; weights stay float32"
    )
    learning_rate: float = _field(0.05, _OPTIMIZER, "peak learning rate of SGD")
    momentum: float = _field(0.9, _OPTIMIZER, "momentum of SGD")
    nesterov: bool = _field(True, _OPTIMIZER, "use Nesterov momentum")
    warmup: float = _field(
        0.2, _OPTIMIZER, "share of all steps during which the learning rate rises linearly"
    )
    decay: str = _field(
        "cosine",
        _OPTIMIZER,
        "learning rate schedule after the warmup: cosine, linear, steps or exponential",
    )
    decay_at: str = _field(
        "0.5,0.75", _OPTIMIZER, "--decay=steps: shares of all steps at which the rate drops"
    )
    decay_factor: float = _field(
        0.1, _OPTIMIZER, "factor of each drop: at each of --decay_at, or per epoch if exponential"
    )
    weight_decay: float = _field(
        5e-4, _OPTIMIZER, "weight decay of the kernels, multiplied by the learning rate"
    )
    coupled_decay: bool = _field(
        False, _OPTIMIZER, "add the weight decay to the gradients (L2, as in Caffe)"
    )
    label_smoothing: float = _field(
        0.0, _OPTIMIZER, "share of each label that is spread over all classes"
    )
    ema: float = _field(
        0.0,
        _OPTIMIZER,
        "decay per step of the averaged weights that are saved; 0 turns averaging off",
    )
    flip: bool = _field(True, _AUGMENTATION, "flip training images horizontally at random")
    crop: int = _field(
        0, _AUGMENTATION, "pixels of zero padding from which images are cropped at random"
    )
    crop_area: float = _field(
        0.35,
        _AUGMENTATION,
        "image_folder, imagenette and imagenet: smallest random crop, as a share of the image's "
        "area; 1 for center crops",
    )
    erase: float = _field(
        0.0, _AUGMENTATION, "probability that a rectangle of an image is replaced by noise"
    )
    mixup: float = _field(
        0.0, _AUGMENTATION, "alpha of mixup's Beta distribution; 0 turns mixup off"
    )
    randaugment: float = _field(
        0.0, _AUGMENTATION, "strength of RandAugment's two operations, 0 to 1; 0 turns it off"
    )
    teacher: str = _field("", _TEACHER, "finished run, checkpoint or artifact to distill from")
    distill: str = _field("kd", _TEACHER, "loss: kd (Hinton 2015) or dkd (Zhao 2022)")
    distill_weight: float = _field(
        0.9, _TEACHER, "kd: weight of the teacher's loss; the labels get the rest"
    )
    distill_temperature: float = _field(
        4.0, _TEACHER, "temperature: divides the logits of both networks"
    )
    dkd_alpha: float = _field(1.0, _TEACHER, "dkd: weight of the target class")
    dkd_beta: float = _field(8.0, _TEACHER, "dkd: weight of the other classes")
    shift_rate: float = _field(
        0.0, _SHIFTS, "factor for the learning rate of shifts; 0 for the one in the layer's paper"
    )
    shift_freeze: float = _field(
        0.5, _SHIFTS, "share of all steps after which sparse shifts are no longer trained"
    )
    prune_sparsity: float = _field(
        0.6, _PRUNING, "share of weights set to zero in each pruned kernel"
    )
    prune_pattern: str = _field(
        "any", _PRUNING, "pattern of the zeros: any, 2:4, 1x4, 4x1 or xnnpack"
    )
    prune_epochs: int = _field(3, _PRUNING, "epochs of fine-tuning while pruning")
    prune_learning_rate: float = _field(0.02, _PRUNING, "peak learning rate while pruning")
    cluster_count: int = _field(
        32, _CLUSTERING, "distinct values per kernel, including zero: 2 to 256"
    )
    cluster_per_channel: bool = _field(
        False, _CLUSTERING, "count the distinct values per filter instead of per kernel"
    )
    cluster_epochs: int = _field(3, _CLUSTERING, "epochs of fine-tuning")
    cluster_learning_rate: float = _field(0.01, _CLUSTERING, "peak learning rate")
    low_rank_keep: float = _field(
        0.5, _LOW_RANK, "share of the parameters of convolutions and dense layers to keep"
    )
    low_rank_energy: float = _field(
        0.0,
        _LOW_RANK,
        "overrides --low_rank_keep: share of squared singular values to keep per kernel",
    )
    low_rank_rank: int = _field(0, _LOW_RANK, "overrides --low_rank_keep: rank of every kernel")
    low_rank_spatial: bool = _field(
        False, _LOW_RANK, "split k×k kernels into k×1 and 1×k instead of k×k and 1×1"
    )
    low_rank_epochs: int = _field(3, _LOW_RANK, "epochs of fine-tuning")
    low_rank_learning_rate: float = _field(0.02, _LOW_RANK, "peak learning rate")
    qat_epochs: int = _field(2, _QAT, "epochs of fine-tuning")
    qat_learning_rate: float = _field(0.005, _QAT, "peak learning rate")
    expected_accuracy: float | None = None
    cost: str = ""
