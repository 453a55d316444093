"""Training recipes, one literal row each."""

from __future__ import annotations

from zoo.specs import Recipe

ROWS: tuple[Recipe, ...] = (
    Recipe(
        name="fashion_mnist_demo",
        # About one pass over the data: there is no time to learn from mirrored images too.
        # Add --flip for a longer run.
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
    # One recipe for every network, so that a comparison is one of networks. "short" is for as many
    # epochs as two processor cores can pay for, in which strong augmentation teaches nothing yet.
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
    # For a folder of pictures, as large as a phone's camera makes them.
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
)
