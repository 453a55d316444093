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
)
