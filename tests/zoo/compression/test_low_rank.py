"""Splitting layers in two: exact at full rank, the nearest below it; ranks by size or energy."""

import numpy as np
import pytest
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zoo.compression.test_schemes import network, start, stepped
from zoo.compression import kernels, low_rank, rank_selection
from zoo.errors import ZooError
from zoo.schema.run import LowRank

layers = tf_keras.layers
FEW = settings(max_examples=25, deadline=None)


@pytest.mark.parametrize("spatial", [False, True])
def test_full_rank_is_the_network_itself(spatial):
    image = layers.Input((9, 12, 3), name="image")
    x = layers.Conv2D(8, (3, 5), strides=(2, 1), activation="relu", name="wide")(image)
    x = layers.Conv2D(8, 3, padding="same", dilation_rate=2, use_bias=False, name="dilated")(x)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="tanh", name="strided")(x)
    x = layers.Flatten(name="flatten")(x)
    model = tf_keras.Model(image, layers.Dense(5, activation="relu", name="dense")(x))
    for layer in model.layers:
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(np.linspace(-1, 1, layer.bias.shape[0]))
    names = kernels.plain(model)
    full = {n: low_rank.spectrum(model.get_layer(n), spatial).values.size for n in names}
    how = LowRank(spatial=spatial, ranks=full)
    split = low_rank.factorized(model, how)
    low_rank.set_weights(split, model, how)
    x = np.random.default_rng(0).standard_normal((4, 9, 12, 3)).astype(np.float32)
    np.testing.assert_allclose(split(x), model(x), atol=1e-4)
    assert split.output_names == model.output_names
    assert split.get_layer("wide_low_rank").activation is tf_keras.activations.linear


@FEW
@given(st.sampled_from([(6, 9), (3, 3, 4, 5), (1, 1, 7, 3)]), st.integers(1, 3), st.booleans())
def test_the_factors_are_the_nearest_of_their_rank(shape, rank, spatial):
    kernel = np.random.default_rng(rank).standard_normal(shape)
    one, two = low_rank.factors(kernel, rank, spatial)
    if kernel.ndim == 2:
        product = one @ two
    elif spatial:
        product = np.einsum("hir,wro->hwio", one[:, 0], two[0])
    else:
        product = np.einsum("hwir,ro->hwio", one, two[0, 0])
    matrix = low_rank._matrix(kernel, spatial)
    lost = np.linalg.svd(matrix, compute_uv=False)[rank:]
    # Eckart & Young: no matrix of that rank is nearer than the singular values left out.
    assert ((product - kernel) ** 2).sum() == pytest.approx((lost**2).sum())
    assert np.linalg.norm(one) == pytest.approx(np.linalg.norm(two))


@FEW
@given(st.lists(st.tuples(st.integers(4, 40), st.integers(4, 40)), min_size=1, max_size=6),
       st.floats(0.3, 0.95))  # fmt: skip
def test_ranks_by_size_fit_and_are_not_wasteful(shapes, share):
    draw = np.random.default_rng(len(shapes))
    spectra = {}
    for number, (rows, columns) in enumerate(shapes):
        values = np.sort(draw.exponential(size=min(rows, columns)))[::-1]
        spectra[str(number)] = rank_selection.Spectrum(values, rows * columns, rows + columns)
    found = rank_selection.by_size(spectra, share)
    total = sum(s.weights for s in spectra.values())
    sizes = {n: spectra[n].each * r if r else spectra[n].weights for n, r in found.items()}
    smallest = sum(min(s.each, s.weights) for s in spectra.values())
    assert sum(sizes.values()) <= max(share * total, smallest)
    for name, rank in found.items():
        assert 0 <= rank <= spectra[name].largest


def test_rank_by_energy():
    spectrum = rank_selection.Spectrum(np.float32([3, 2, 1, 1]), weights=64, each=12)
    assert [rank_selection.by_energy(spectrum, share) for share in (0.5, 0.59, 0.86, 0.99)] == [
        1,
        1,
        2,
        4,
    ]
    assert rank_selection.by_energy(rank_selection.Spectrum(np.float32([3, 2]), 4, 4), 0.5) == 0


def test_low_rank_is_rebuilt_from_what_the_run_records():
    model = network()
    tuning = low_rank.begin(start(model, low_rank_rank=3, layers={"classifier": 0}))
    assert tuning.low_rank.ranks == {"narrow": 3, "odd": 3, "dense": 3}
    done = stepped(tuning)
    how = LowRank.model_validate_json(tuning.low_rank.model_dump_json())
    rebuilt = low_rank.factorized(network(), how)
    rebuilt.set_weights(done.get_weights())
    x = np.ones((1, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(rebuilt(x), done(x))
    matrix = np.squeeze(done.get_layer("odd_low_rank").kernel.numpy().reshape(-1, 3))
    assert np.linalg.matrix_rank(matrix @ done.get_layer("odd").kernel.numpy()[0, 0]) == 3
    assert f"{done.count_params():,} of {model.count_params():,} parameters" in tuning.reached(done)
    with pytest.raises(ZooError, match="'gone' can't be split"):
        low_rank.factorized(model, LowRank(ranks={"gone": 1}))


def test_a_named_rank_that_saves_nothing_is_refused():
    # narrow: 1×1, 8 → 10 channels; rank r costs 18·r of its 80 weights.
    begun = low_rank.begin(start(network(), low_rank_rank=3, layers={"narrow": 4}))
    assert begun.low_rank.ranks["narrow"] == 4
    with pytest.raises(ZooError, match=r"rank 5 of layer narrow saves no weights.*at most 4"):
        low_rank.begin(start(network(), low_rank_rank=3, layers={"narrow": 5}))
