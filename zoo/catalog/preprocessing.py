"""Preprocessing that published weights expect, referenced by the catalog's rows."""

from __future__ import annotations

from zoo.schema.model import Preprocessing

# Caffe: BGR, ImageNet's mean color subtracted, no scaling.
CAFFE_BGR = Preprocessing(channels="BGR", mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0))
# tf_keras.applications' "caffe" mode: the same with more digits.
KERAS_BGR = Preprocessing(channels="BGR", mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0))
# tf_keras.applications' "tf" mode: [-1, 1].
UNIT = Preprocessing(channels="RGB", mean=(127.5,) * 3, std=(127.5,) * 3)
# torchvision for ImageNet: (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225) times 255.
TORCH = Preprocessing(channels="RGB", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
# Statistics of CIFAR-10's training set, as in most public code.
CIFAR10 = Preprocessing(channels="RGB", mean=(125.3, 123.0, 113.9), std=(63.0, 62.1, 66.7))
