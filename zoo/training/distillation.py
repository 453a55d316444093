"""Knowledge distillation: training on a teacher's logits in addition to the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras

from zoo.errors import UnknownNameError
from zoo.schema.recipe import Recipe

FORMS = ("kd", "dkd")


@dataclass(frozen=True, eq=False)
class Distiller:
    """A teacher network and the distillation settings of a recipe.

    Attributes:
        teacher: Network (n, height, width, channels) → logits (n, classes).
        recipe: Recipe with the `distill*` and `dkd*` fields.

    Raises:
        UnknownNameError: if `recipe.distill` is not in `FORMS`.
    """

    teacher: tf_keras.Model
    recipe: Recipe

    def __post_init__(self) -> None:
        if self.recipe.distill not in FORMS:
            raise UnknownNameError("--distill", self.recipe.distill, FORMS)

    def student(self, model: tf_keras.Model) -> Student:
        """Returns the model to train, which shares its layers and variables with `model`."""
        student = Student(model.inputs, model.outputs)
        student.teach(self.teacher)
        return student

    def loss(self, smoothing: float) -> Distillation:
        """Returns the training loss.

        Args:
            smoothing: Label smoothing, 0 to 1.
        """
        recipe = self.recipe
        return Distillation(
            recipe.distill,
            smoothing=smoothing,
            weight=recipe.distill_weight,
            temperature=recipe.distill_temperature,
            alpha=recipe.dkd_alpha,
            beta=recipe.dkd_beta,
        )


class Student(tf_keras.Model):
    """A functional model that passes the teacher's logits to its loss along with the labels.

    Create it with `Student(model.inputs, model.outputs)`, call `teach`, then compile it with a
    `Distillation` loss. The teacher is not a tracked layer, so neither checkpoints nor saved
    weights contain it.
    """

    def teach(self, teacher: tf_keras.Model) -> None:
        """Sets the teacher and freezes its weights.

        Args:
            teacher: Network (n, height, width, channels) → logits (n, classes), which is called
                with the student's input images.
        """
        teacher.trainable = False
        self._teach = lambda x: tf.stop_gradient(teacher(x, training=False))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> tf.Tensor:
        """Calls the loss with labels (n, 2, classes): one-hot labels and the teacher's logits."""
        y = tf.stack([y, self._teach(x)], axis=1)
        return super().compute_loss(x, y, y_pred, sample_weight)


class Distillation(tf_keras.losses.Loss):
    """Cross entropy with the labels plus the KL divergence from a teacher.

    `kd` is Hinton et al. 2015, https://arxiv.org/abs/1503.02531: (1 - weight) · cross entropy +
    weight · T² · KL of the softened classes. `dkd` is Zhao et al. 2022,
    https://arxiv.org/abs/2203.08679, equation 7: cross entropy + T² · (alpha · KL of the target
    class against all other classes + beta · KL among the other classes).

    Args:
        form: `kd` or `dkd`.
        smoothing: Label smoothing, 0 to 1.
        weight: Weight of the teacher in `kd`, 0 to 1.
        temperature: Divides the logits of both networks; T above.
        alpha: Weight of the target class in `dkd`.
        beta: Weight of the other classes in `dkd`.
    """

    def __init__(
        self,
        form: str = "kd",
        *,
        smoothing: float = 0.0,
        weight: float = 0.9,
        temperature: float = 4.0,
        alpha: float = 1.0,
        beta: float = 8.0,
    ):
        super().__init__(name="distillation")
        self._form, self._smoothing, self._temperature = form, smoothing, temperature
        self._weight, self._alpha, self._beta = weight, alpha, beta

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each image.

        Args:
            y_true: One-hot labels and the teacher's logits, (n, 2, classes).
            y_pred: The student's logits, (n, classes).

        Returns:
            Losses of shape (n,).
        """
        labels, teacher = tf.unstack(tf.cast(y_true, y_pred.dtype), axis=1)
        hard = tf_keras.losses.categorical_crossentropy(
            labels, y_pred, from_logits=True, label_smoothing=self._smoothing
        )
        t = self._temperature
        if self._form == "kd":
            soft = _divergence(teacher / t, y_pred / t)
            return (1 - self._weight) * hard + self._weight * t * t * soft
        # Mixup gives an image two labels; the larger one is the target class.
        target = tf.one_hot(tf.argmax(labels, 1), labels.shape[1], dtype=y_pred.dtype)
        target_kl = _divergence(*(_binary(logits / t, target) for logits in (teacher, y_pred)))
        others = (logits / t - 1e4 * target for logits in (teacher, y_pred))
        return hard + t * t * (self._alpha * target_kl + self._beta * _divergence(*others))


def _divergence(teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
    """Returns KL(softmax(teacher) || softmax(student)) of each row, (n,)."""
    log_p = tf.nn.log_softmax(teacher)
    return tf.reduce_sum(tf.exp(log_p) * (log_p - tf.nn.log_softmax(student)), axis=1)


def _binary(logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the log probabilities of the target class and of all other classes, (n, 2)."""
    log_p = tf.nn.log_softmax(logits)
    target_log_p = tf.reduce_sum(log_p * target, axis=1)
    rest_log_p = tf.reduce_logsumexp(log_p - 1e4 * target, axis=1)
    return tf.stack([target_log_p, rest_log_p], axis=1)
