"""One machine or many: tf.distribute's strategies, and who writes what.

With `multi_worker` every worker runs the same command with its own TF_CONFIG, as TensorFlow
documents it, and --output is a folder that all of them share: the first one (the chief) writes it,
all read it when they go on. Every worker computes its share of each batch.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
import tf_keras

from zoo.errors import UnknownNameError, ZooError, one_line
from zoo.io.log import Log
from zoo.schema.recipe import STRATEGIES
from zoo.training.tf_config import WorkerAddress


@dataclass(frozen=True)
class Distribution:
    """How a training is spread.

    Attributes:
        strategy: TensorFlow's; None for none.
        worker, workers: which of how many this process is.
    """

    strategy: tf.distribute.Strategy | None = None
    worker: int = 0
    workers: int = 1

    @property
    def chief(self) -> bool:
        """Whether this process writes the run's folder."""
        return self.worker == 0

    def scope(self) -> AbstractContextManager[object]:
        """Within, variables are made so that all replicas have them."""
        return ExitStack() if self.strategy is None else self.strategy.scope()

    def data(
        self, batch_size: int, batches: Callable[[int, int], tf.data.Dataset]
    ) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        """The batches that `fit` takes.

        Args:
            batch_size: of all replicas together.
            batches: (worker, workers) → that worker's share of every batch.

        Raises:
            ZooError: the batch can't be shared evenly.
        """
        if self.strategy is None:
            return batches(0, 1)
        replicas = self.strategy.num_replicas_in_sync
        if batch_size % replicas:
            raise ZooError(
                "a batch that can't be shared evenly",
                where="--batch_size",
                expected=f"a multiple of the {replicas} replicas",
                got=batch_size,
            )

        def share(context: tf.distribute.InputContext) -> tf.data.Dataset:
            found = batches(context.input_pipeline_id, context.num_input_pipelines)
            alone = replicas == context.num_input_pipelines
            return found if alone else found.rebatch(batch_size // replicas)

        return self.strategy.distribute_datasets_from_function(share)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Within, a picture that can't be read and the loss of a worker are told in one line.

        Raises:
            ZooError: either.
        """
        try:
            yield
        except tf.errors.OpError as error:
            # What reads pictures runs inside TensorFlow, which keeps of its error only the text.
            if told := re.search(r"\bZooError: (.+)", error.message):
                raise ZooError(told[1]) from error
            if self.workers == 1:
                raise
            raise ZooError(
                "the workers can't go on together: one of them is gone, or can't be reached",
                where=f"worker {self.worker} of {self.workers}",
                got=one_line(error.message, 200),
                remedy="start the same command again on all of them: it goes on from the last"
                " checkpoint",
            ) from error

    def settle(self, model: tf_keras.Model) -> None:
        """Gives all replicas the mean of the statistics that each has of its own.

        A checkpoint holds the mean: without this, who goes on from one would round otherwise.
        """
        if self.strategy is not None:
            for variable in model.non_trainable_variables:
                if variable.synchronization == tf.VariableSynchronization.ON_READ:
                    variable.assign(variable.read_value())

    def folder(self, folder: Path, stack: ExitStack) -> Path:
        """Where this process writes: those that are not the chief to a folder of no use.

        They must write as well, since statistics that each worker has are read by all at once.
        """
        if self.chief:
            return folder
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zoo_worker_")))


ALONE = Distribution()


def distribution(name: str, place: WorkerAddress | None, log: Log) -> Distribution:
    """The strategy of that name. Call it before anything else is computed.

    Args:
        name: one of `zoo.schema.recipe.STRATEGIES`.
        place: among the workers; `multi_worker` alone has one.
        log: gets a line before other workers are waited for.

    Raises:
        ZooError: unknown, no TPU, or a port that is taken.
    """
    if name == "none":
        return ALONE
    if name == "mirrored":
        return Distribution(tf.distribute.MirroredStrategy())
    if place is not None:
        workers = len(place.addresses)
        others = [each for number, each in enumerate(place.addresses) if number != place.worker]
        if others:
            log(f"worker {place.worker} of {workers}: waiting for {', '.join(others)}")
        return Distribution(_multi_worker(), place.worker, workers)
    if name != "tpu":
        raise UnknownNameError("--strategy", name, STRATEGIES)
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise ZooError(
            "no TPU can be reached",
            where="--strategy=tpu",
            got=one_line(error, 200),
            remedy="run it on a TPU machine, or set TPU_NAME",
        ) from error
    return Distribution(tf.distribute.TPUStrategy(resolver))


def _multi_worker() -> tf.distribute.Strategy:
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ZooError(
            "the workers can't be brought together",
            where="TF_CONFIG",
            expected="a free port of this machine, and others that can be reached",
            got=one_line(error, 200),
            remedy="end what holds the port or name another one, then start the command on all"
            " workers",
        ) from error
