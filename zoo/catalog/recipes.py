"""Training recipes, one literal row each."""

from __future__ import annotations

from zoo.schema.recipe import Recipe

ROWS: tuple[Recipe, ...] = (
    Recipe(
        name="fashion_mnist_demo",
        # About one pass over the data, too short to benefit from flipped images. Add --flip for
        # longer runs.
        flip=False,
        dropout=0.2,
        warmup=0.1,
        epochs=6,
        epoch_images=10_000,
        prune_sparsity=0.5,
        prune_epochs=3,
        prune_learning_rate=0.03,
        qat_epochs=1,
        expected_accuracy=0.89,
        cost="about 5 minutes of training on 2 cores",
    ),
    Recipe(
        name="digits_quick",
        dataset="digits",
        image_size=16,  # twice their own
        validation_images=200,
        epochs=8,
        epoch_images=1200,
        batch_size=32,
        flip=False,
        dropout=0.2,
        prune_epochs=3,
        qat_epochs=2,
        expected_accuracy=0.9,
        cost="under a minute of training on 2 cores",
    ),
    # The same recipe for every network, so that comparisons are between networks. "short" has as
    # many epochs as are affordable on two CPU cores, too few to benefit from strong augmentation.
    Recipe(
        name="short",
        dropout=0.0,
        epochs=15,
        batch_size=128,
        learning_rate=0.1,
        coupled_decay=True,
        warmup=0.15,
        crop=2,
        erase=0.15,
        label_smoothing=0.05,
        cost="resnet20 on Fashion-MNIST: about 50 minutes on one core",
    ),
    Recipe(
        name="strong",
        dropout=0.0,
        epochs=200,
        batch_size=128,
        learning_rate=0.1,
        coupled_decay=True,
        warmup=0.025,
        crop=4,
        erase=0.5,
        label_smoothing=0.1,
        ema=0.999,
        cost="for a GPU",
    ),
    # For a folder of the user's own images, as large as those of a phone's camera.
    Recipe(
        name="own_pictures",
        model="mobilenet_v2",
        dataset="image_folder",
        image_size=96,
        dropout=0.2,
        validation_images=0,
        epochs=30,
        batch_size=32,
        warmup=0.1,
        label_smoothing=0.1,
        cost="by the number of pictures",
    ),
    # The papers' recipes. Details that they don't specify are taken from the authors' public code.
    Recipe(
        # Iandola et al. 2016 and its public solver file: 170,000 iterations, Xavier initialization.
        name="squeezenet_paper",
        model="squeezenet_v1_0",
        dataset="imagenet",
        image_size=227,
        batch_norm=False,
        dropout=0.5,
        epochs=68,
        batch_size=512,
        learning_rate=0.04,
        nesterov=False,
        warmup=0.0,
        decay="linear",
        weight_decay=2e-4,
        coupled_decay=True,
        crop_area=1.0,
        cost="ImageNet: days on a GPU",
    ),
    Recipe(
        # Wu et al. 2018, authors' repository: 160 epochs, learning rate ÷ 10 after 82 and 124.
        name="shiftresnet_paper",
        model="shiftresnet20_e3",
        dataset="cifar10",
        dropout=0.0,
        epochs=160,
        batch_size=128,
        learning_rate=0.1,
        nesterov=False,
        warmup=0.0,
        decay="steps",
        decay_at="0.5125,0.775",
        coupled_decay=True,
        crop=4,
        cost="for a GPU",
    ),
    Recipe(
        # Jeon & Kim 2018, section 4.1: 64,000 iterations, learning rate ÷ 10 after 32,000 and
        # 48,000. The layer itself scales the gradients of the shifts to unit length times 0.01.
        # Chen et al. 2019 train sparse shifts in the same way, with a penalty in the layer.
        name="active_shift_paper",
        model="asnet16_e3",
        dataset="cifar10",
        dropout=0.0,
        epochs=164,
        batch_size=128,
        learning_rate=0.1,
        warmup=0.0,
        decay="steps",
        coupled_decay=True,
        crop=4,
        cost="for a GPU",
    ),
    Recipe(
        # Park & Kim: 200 epochs with batches of 16, learning rate × 0.98 after each epoch.
        name="mobilenet_v2_cse_paper",
        model="mobilenet_v2_cse_mix",
        dataset="cifar10",
        dropout=0.0,
        epochs=200,
        batch_size=16,
        learning_rate=0.045,
        nesterov=False,
        warmup=0.0,
        decay="exponential",
        decay_factor=0.98,
        weight_decay=4e-5,
        coupled_decay=True,
        crop=4,
        cost="for a GPU",
    ),
)
