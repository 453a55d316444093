"""Each precision has a function that makes it."""

import numpy as np
import pytest
import tf_keras

from converters.conversion.from_keras import Conversions
from converters.conversion.makers import MAKERS
from converters.conversion.quantize import Calibration
from zoo.catalog.precisions import PRECISIONS
from zoo.errors import UnknownNameError


def test_each_row_has_a_maker():
    assert tuple(MAKERS) == PRECISIONS


def test_an_unknown_precision_is_refused():
    image = tf_keras.layers.Input((4, 4, 1))
    network = tf_keras.Model(image, tf_keras.layers.Flatten()(image))
    conversions = Conversions(network, Calibration(np.zeros((0, 4, 4, 1), np.float32), 0, 1))
    with pytest.raises(UnknownNameError, match="unknown precision 'int9'"):
        conversions.flatbuffer("int9")
