"""Distributed training with tf.distribute on one or more machines.

With `multi_worker`, every worker runs the same command with its own TF_CONFIG, as described in
TensorFlow's documentation, and --output is a folder shared by all workers. Only the first worker
(the chief) writes to it; all workers read it when training resumes. Each worker processes its share
of every batch.
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
from zoo.training import rendezvous
from zoo.training.tf_config import WorkerAddress


@dataclass(frozen=True)
class Distribution:
    """Devices and workers that train together.

    Attributes:
        strategy: tf.distribute strategy, or None to train on one device.
        worker: Index of this process among the workers, counted from 0.
        workers: Number of workers.
    """

    strategy: tf.distribute.Strategy | None = None
    worker: int = 0
    workers: int = 1

    @property
    def chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.worker == 0

    def scope(self) -> AbstractContextManager[object]:
        """Returns a context manager in which variables are created on all replicas."""
        return ExitStack() if self.strategy is None else self.strategy.scope()

    def data(
        self, batch_size: int, batches: Callable[[int, int], tf.data.Dataset]
    ) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        """Returns the batches for Keras' `fit`.

        Args:
            batch_size: Images per step over all replicas.
            batches: Maps (worker, workers) to that worker's share of every batch.

        Raises:
            ZooError: if the batch size is not a multiple of the number of replicas.
        """
        if self.strategy is None:
            return batches(0, 1)
        replicas = self.strategy.num_replicas_in_sync
        if batch_size % replicas:
            raise ZooError(
                "the batch can't be split evenly over the replicas",
                where="--batch_size",
                expected=f"a multiple of {replicas}, the number of replicas",
                got=batch_size,
            )

        def worker_batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
            shares = batches(context.input_pipeline_id, context.num_input_pipelines)
            one_replica_each = replicas == context.num_input_pipelines
            return shares if one_replica_each else shares.rebatch(batch_size // replicas)

        return self.strategy.distribute_datasets_from_function(worker_batches)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Context manager that turns TensorFlow errors of a training run into one-line errors.

        Raises:
            ZooError: if an image can't be decoded or another worker has ended.
        """
        try:
            yield
        except tf.errors.OpError as error:
            # Images are decoded inside TensorFlow, which keeps only the text of the exception.
            if match := re.search(r"\bZooError: (.+)", error.message):
                raise ZooError(match[1]) from error
            if self.workers == 1:
                raise
            raise ZooError(
                "training stopped because another worker has ended or is unreachable",
                where=f"worker {self.worker} of {self.workers}",
                got=one_line(error.message, 200),
                remedy="run the same command again on all workers; training resumes from the last"
                " checkpoint",
            ) from error

    def settle(self, model: tf_keras.Model) -> None:
        """Sets batch-normalization statistics on every replica to their mean over the replicas.

        A checkpoint holds the mean. Without this step a resumed run would continue from slightly
        different statistics than an uninterrupted one.
        """
        if self.strategy is not None:
            for variable in model.non_trainable_variables:
                if variable.synchronization == tf.VariableSynchronization.ON_READ:
                    variable.assign(variable.read_value())

    def folder(self, folder: Path, stack: ExitStack) -> Path:
        """Returns the folder that this process writes to.

        Workers other than the chief write to a temporary folder. They have to write because reading
        synchronized variables is a collective operation of all workers.

        Args:
            folder: Run folder.
            stack: Removes the temporary folder when it closes.
        """
        if self.chief:
            return folder
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zoo_worker_")))


ALONE = Distribution()


def distribution(
    name: str, place: WorkerAddress | None, log: Log, wait_s: float = 600.0
) -> Distribution:
    """Creates the strategy for a name. Call it before any other TensorFlow operation runs.

    Args:
        name: One of `zoo.schema.recipe.STRATEGIES`.
        place: This process's place among the workers, for `multi_worker`; otherwise None.
        log: Called with a message before waiting for other workers.
        wait_s: Longest wait for them, in seconds.

    Raises:
        UnknownNameError: if the name is unknown.
        ZooError: if no TPU is available or the workers can't connect.
    """
    if name == "none":
        return ALONE
    if name == "mirrored":
        return Distribution(tf.distribute.MirroredStrategy())
    if place is not None:
        workers = len(place.addresses)
        others = [addr for index, addr in enumerate(place.addresses) if index != place.worker]
        if others:
            log(f"worker {place.worker} of {workers}: waiting for {', '.join(others)}")
            rendezvous.meet(place, wait_s)
        return Distribution(_multi_worker(), place.worker, workers)
    if name != "tpu":
        raise UnknownNameError("--strategy", name, STRATEGIES)
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise ZooError(
            "no TPU is available",
            where="--strategy=tpu",
            got=one_line(error, 200),
            remedy="run on a TPU machine, or set TPU_NAME",
        ) from error
    return Distribution(tf.distribute.TPUStrategy(resolver))


def _multi_worker() -> tf.distribute.Strategy:
    """Creates the strategy, which connects to the other workers."""
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ZooError(
            "the workers could not connect to each other",
            where="TF_CONFIG",
            expected="a free port on this machine and reachable workers",
            got=one_line(error, 200),
            remedy="free the port or choose another one, then start the command on all workers",
        ) from error
