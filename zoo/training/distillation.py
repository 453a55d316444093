"""Learning from another network's outputs besides the labels."""

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
    """A teacher, (n, h, w, c) → (n, classes) logits, and how the recipe has it learned from.

    Raises:
        UnknownNameError: the recipe names no form of distillation.
    """

    teacher: tf_keras.Model
    recipe: Recipe

    def __post_init__(self) -> None:
        if self.recipe.distill not in FORMS:
            raise UnknownNameError("--distill", self.recipe.distill, FORMS)

    def student(self, model: tf_keras.Model) -> Student:
        """The model, of the same layers and variables, that is trained in its place."""
        student = Student(model.inputs, model.outputs)
        student.teach(self.teacher)
        return student

    def loss(self, smoothing: float) -> Distillation:
        """What it is trained by."""
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
    """A network of the same layers that hands its loss the teacher's logits beside the labels.

    Made as `Student(model.inputs, model.outputs)`; set `teacher` before it is compiled with a
    `Distillation`. The teacher is none of its layers, so that neither checkpoints nor saved weights
    hold it.
    """

    def teach(self, teacher: tf_keras.Model) -> None:
        """Sets the teacher, (n, h, w, c) → (n, classes) logits of the same images."""
        teacher.trainable = False
        self._teach = lambda x: tf.stop_gradient(teacher(x, training=False))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> tf.Tensor:
        """As Keras', with (n, 2, classes): one-hot labels and the teacher's logits."""
        y = tf.stack([y, self._teach(x)], axis=1)
        return super().compute_loss(x, y, y_pred, sample_weight)


class Distillation(tf_keras.losses.Loss):
    """Cross entropy with labels, and how far the logits are from a teacher's.

    `kd` is Hinton et al. 2015, https://arxiv.org/abs/1503.02531: (1 - weight) · labels' cross
    entropy + weight · T² · KL of the softened classes. `dkd` is Zhao et al. 2022,
    https://arxiv.org/abs/2203.08679, equation 7: the labels' cross entropy + T² · (alpha · KL of
    the target class against all others + beta · KL among the others).

    Args:
        form: of `FORMS`.
        smoothing: of the labels.
        weight: of kd.
        temperature: T.
        alpha, beta: of dkd.
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
        """(n, 2, classes) and (n, classes) logits → (n,) losses."""
        labels, teacher = tf.unstack(tf.cast(y_true, y_pred.dtype), axis=1)
        hard = tf_keras.losses.categorical_crossentropy(
            labels, y_pred, from_logits=True, label_smoothing=self._smoothing
        )
        t = self._temperature
        if self._form == "kd":
            soft = _divergence(teacher / t, y_pred / t)
            return (1 - self._weight) * hard + self._weight * t * t * soft
        # Mixed labels have two targets; the greater counts.
        target = tf.one_hot(tf.argmax(labels, 1), labels.shape[1], dtype=y_pred.dtype)
        of_target = _divergence(*(_of_target(each / t, target) for each in (teacher, y_pred)))
        others = (each / t - 1e4 * target for each in (teacher, y_pred))
        return hard + t * t * (self._alpha * of_target + self._beta * _divergence(*others))


def _divergence(teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
    """KL(softmax(teacher) || softmax(student)) of each row."""
    log = tf.nn.log_softmax(teacher)
    return tf.reduce_sum(tf.exp(log) * (log - tf.nn.log_softmax(student)), axis=1)


def _of_target(logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """(n, 2): log probabilities of the target class and of all others together."""
    log = tf.nn.log_softmax(logits)
    own = tf.reduce_sum(log * target, axis=1)
    rest = tf.reduce_logsumexp(log - 1e4 * target, axis=1)
    return tf.stack([own, rest], axis=1)
