"""Starting from other weights: the first layer's adaptation is exact, the rest is copied."""

import json
import re
import shutil

import numpy as np
import pytest
import tf_keras

from tests.support.select import some
from tests.zoo.pretrained.test_deep_compression import REAL
from tests.zoo.training.test_loop import weights_of
from zoo import catalog, runs
from zoo.catalog.preprocessing import CAFFE_BGR, TORCH
from zoo.errors import ZooError
from zoo.io.provenance import Provenance
from zoo.pretrained import initial, transfer
from zoo.schema.model import Preprocessing
from zoo.schema.run import ModelConfig
from zoo.training import stages

GRAY = Preprocessing(channels="gray", mean=(72.9404,), std=(90.0212,))
OTHER_GRAY = Preprocessing(channels="gray", mean=(33.3,), std=(78.6,))
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def net(size, channels, classes=7, model="squeezenet_v1_0", batch_norm=False):
    config = ModelConfig(
        model=model,
        input_shape=(size, size, channels),
        classes=classes,
        batch_norm=batch_norm,
        width=0.25,
    )
    return catalog.build(config)


def started(model, preprocessing, name="squeezenet_v1_0"):
    """`model` as weights to start from, with statistics and biases that are not 0 and 1."""
    rng = np.random.default_rng(3)
    weights = {}
    for layer in model.layers:
        if layer.weights:
            values = layer.get_weights()
            weights[layer.name] = [
                v if v.ndim == 4 else (v + rng.uniform(0.1, 0.5, v.shape)).astype(np.float32)
                for v in values
            ]
            layer.set_weights(weights[layer.name])
    return transfer.Initial("made", "0" * 64, name, weights, preprocessing)


def pixels(size, channels):
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (4, size, size, channels)).astype(np.float32)


def normalized(image, preprocessing):
    """Pixels in RGB or gray → the network's input, written independently of the project's."""
    if preprocessing.channels == "BGR":
        image = np.flip(image, -1)
    return (image - np.float32(preprocessing.mean)) / np.float32(preprocessing.std)


def as_seen(image, own, target):
    """The same pixels for a network of `own` channels, and for one of `target`'s."""
    if target.channels == "gray" and own.channels != "gray":
        return image.repeat(3, -1), image
    if own.channels == "gray" and target.channels != "gray":
        return (image @ LUMA)[..., np.newaxis], image
    return image, image


@pytest.mark.parametrize(
    ("own", "target"),
    some(
        [
            (CAFFE_BGR, TORCH),
            (CAFFE_BGR, GRAY),
            (TORCH, GRAY),
            (TORCH, CAFFE_BGR),
            (GRAY, OTHER_GRAY),
            (GRAY, TORCH),
            (GRAY, CAFFE_BGR),
        ],
        (CAFFE_BGR, GRAY),
        (TORCH, CAFFE_BGR),
        (GRAY, TORCH),
    ),
    ids=lambda p: p.channels,
)
def test_adapted_network_computes_the_same(own, target):
    size = 99  # no zero padding before the first layer's outputs
    old, new = net(size, len(own.mean)), net(size, len(target.mean))
    start = started(old, own)
    said = transfer.apply(new, "squeezenet_v1_0", start, target)
    assert said and "conv1 is adapted to" in said[0]
    left, right = as_seen(pixels(size, len(target.mean)), own, target)
    same(old, normalized(left, own), new, normalized(right, target), "conv1")


def same(old, left, new, right, first):
    """Equal outputs of the first layer, which depend on the picture, and of the network."""
    expected, got = first_maps(old, left, first), first_maps(new, right, first)
    largest = np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 0.1 * largest
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * largest)
    # Called, not `predict_on_batch`: to trace a graph takes seconds.
    np.testing.assert_allclose(new(right), old(left), rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("target", some([TORCH, GRAY], GRAY), ids=lambda p: p.channels)
def test_only_the_padded_border_differs(target):
    old, new = net(32, 3), net(32, len(target.mean))
    transfer.apply(new, "squeezenet_v1_0", started(old, CAFFE_BGR), target)
    left, right = as_seen(pixels(32, len(target.mean)), CAFFE_BGR, target)
    expected = first_maps(old, normalized(left, CAFFE_BGR))
    got = first_maps(new, normalized(right, target))
    inner = np.s_[:, 3:-3, 3:-3]  # a 7×7 kernel with `same` padding
    np.testing.assert_allclose(
        got[inner], expected[inner], atol=1e-5 * np.abs(expected).max(), rtol=1e-4
    )
    assert np.abs(got - expected)[:, 0].max() > 1e-3 * np.abs(expected).max()


def first_maps(model, image, layer="conv1"):
    return tf_keras.Model(model.input, model.get_layer(layer).output)(image).numpy()


@pytest.mark.parametrize("target", some([TORCH, GRAY], GRAY), ids=lambda p: p.channels)
def test_without_a_bias_the_offset_goes_to_batch_norm(target):
    old, new = (net(99, c, batch_norm=True) for c in (3, len(target.mean)))
    start = started(old, CAFFE_BGR)
    kept = {name: [a.copy() for a in arrays] for name, arrays in start.weights.items()}
    said = transfer.apply(new, "squeezenet_v1_0", start, target)
    assert "moving mean of conv1_bn" in said[0]
    left, right = as_seen(pixels(99, len(target.mean)), CAFFE_BGR, target)
    same(old, normalized(left, CAFFE_BGR), new, normalized(right, target), "conv1_bn")
    for name, arrays in kept.items():  # and the weights to start from are as they were
        for before, after in zip(arrays, start.weights[name], strict=True):
            np.testing.assert_array_equal(before, after)


def test_a_first_layer_that_nothing_follows_says_so():
    def plain(channels):
        image = tf_keras.layers.Input((8, 8, channels))
        x = tf_keras.layers.Conv2D(4, 3, use_bias=False, name="a")(image)
        x = tf_keras.layers.Conv2D(3, 1, name="b")(tf_keras.layers.ReLU()(x))
        return tf_keras.Model(image, x)

    start = started(plain(3), CAFFE_BGR, "plain")
    assert "training must correct" in transfer.apply(plain(1), "plain", start, GRAY)[0]


def test_equal_preprocessing_copies_every_bit():
    old, new = net(32, 3), net(32, 3)
    start = started(old, CAFFE_BGR)
    assert transfer.apply(new, "squeezenet_v1_0", start, CAFFE_BGR) == ()
    for one, two in zip(old.get_weights(), new.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_classifier_starts_afresh():
    old, new = net(32, 3, classes=1000), net(32, 3, classes=10)
    fresh = new.get_layer("conv10").get_weights()
    said = transfer.apply(new, "squeezenet_v1_0", started(old, CAFFE_BGR), CAFFE_BGR)
    assert re.search(r"conv10 is initialized randomly: .*1000.*10\)", said[0])
    for before, after in zip(fresh, new.get_layer("conv10").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(
        old.get_layer("fire9_expand3x3").kernel, new.get_layer("fire9_expand3x3").kernel
    )


def _without(start, name, replacement=None):
    weights = {k: v for k, v in start.weights.items() if k != name}
    if replacement:
        weights[replacement] = start.weights[name]
    return transfer.Initial("made", "0" * 64, start.model, weights, start.preprocessing)


def test_what_does_not_fit_is_named():
    plain, normalized_net = net(32, 3), net(32, 3, batch_norm=True)
    start, with_bn = started(plain, CAFFE_BGR), started(normalized_net, CAFFE_BGR)
    before = [w.copy() for w in plain.get_weights()]
    wide = catalog.build(ModelConfig(model="squeezenet_v1_0", input_shape=(32, 32, 3), classes=7))
    name = "squeezenet_v1_0"
    for model, given, weights, message in (
        (plain, "squeezenet_v1_1", start, r"another architecture.*give --model=squeezenet_v1_0"),
        (normalized_net, name, start, r"no layer conv1_bn and 24 more.*give --nobatch_norm"),
        (plain, name, with_bn, r"the network has no layer conv1_bn.*give --batch_norm"),
        (plain, name, _without(start, "fire3_expand1x1"), r"no layer fire3_expand1x1 \|.*1×1×"),
        (plain, name, _without(start, "conv10", "top"), r"weights have no layer conv10 \|"),
        (wide, name, start, r"layer conv1 do not fit.*7×7×3×96, 96.*got: 7×7×3×24, 24.*--width"),
    ):
        with pytest.raises(ZooError, match=message):
            transfer.apply(model, given, weights, CAFFE_BGR)
    with pytest.raises(ZooError, match=r"conv1 do not fit their preprocessing.*1 input.*got: 3"):
        odd = transfer.Initial("made", "0" * 64, name, start.weights, GRAY)
        transfer.apply(plain, name, odd, CAFFE_BGR)
    for one, two in zip(before, plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.fixture
def recipe():
    import dataclasses

    return dataclasses.replace(
        catalog.recipe("digits_quick"),
        model="squeezenet_v1_1",
        width=0.25,
        image_size=16,
        epochs=2,
        epoch_images=64,
        learning_rate=0.01,
        # Without dropout: its generators are at the mercy of what the process has run before.
        dropout=0.0,
    )


@pytest.mark.slow
def test_an_interrupted_run_goes_on_from_its_checkpoint(recipe, tmp_path, monkeypatch):
    start = started(net(32, 3, model="squeezenet_v1_1", batch_norm=True), CAFFE_BGR, recipe.model)
    here = Provenance.here()

    def stop(text):
        if text.startswith("epoch 1/2"):
            raise KeyboardInterrupt

    whole = stages.train(recipe, tmp_path / "whole", "run", here, print, start)
    with pytest.raises(KeyboardInterrupt):
        stages.train(recipe, tmp_path / "cut", "run", here, stop, start)
    # What was initial is not looked at again.
    monkeypatch.setattr(transfer, "apply", lambda *_: pytest.fail("applied twice"))
    cut = stages.train(recipe, tmp_path / "cut", "run", here, print, start)
    assert cut.weights_sha256 and (cut.init_from, cut.init_sha256) == ("made", "0" * 64)
    one, two = (
        runs.keras_model(run, tmp_path / name / "runs" / "run").get_weights()
        for run, name in ((whole, "whole"), (cut, "cut"))
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)

    other = transfer.Initial("made", "1" * 64, start.model, start.weights, start.preprocessing)
    for wrong in (None, other):
        with pytest.raises(ZooError, match="a run with different init_"):
            stages.train(recipe, tmp_path / "cut", "run", here, print, wrong)


FLAGS = (
    "--recipe=digits_quick",
    "--model=squeezenet_v1_0",
    "--nobatch_norm",
    "--image_size=16",
    "--epochs=1",
    "--epoch_images=64",
    "--learning_rate=0.002",
    "--name=started",
)


@pytest.mark.slow
def test_train_from_the_public_weights(command, tmp_path):
    if not REAL.exists():
        pytest.skip(f"the public weights are not at {REAL}")
    output = f"--output={tmp_path}"
    done = command("train", *FLAGS, f"--init_from={REAL}", output)
    assert done.returncode == 0, done.stderr
    assert (
        "starting from squeezenet_v1.0.deep_compressed.net; conv1 is adapted to gray" in done.stdout
    )
    assert "conv10 is initialized randomly" in done.stdout
    run = json.loads((tmp_path / "runs" / "started" / "run.json").read_text())
    assert run["init_from"] == REAL.name
    assert run["init_sha256"].startswith("e4ab6960")
    # One step at a rate of nearly nothing: the weights are still the public ones.
    model = runs.keras_model(runs.load(tmp_path / "runs" / "started"), tmp_path / "runs/started")
    public = initial.public(str(REAL)).weights["fire5_expand3x3"][0]
    own = model.get_layer("fire5_expand3x3").kernel.numpy()
    assert np.corrcoef(own.ravel(), public.ravel())[0, 1] > 0.99


def test_train_from_a_run(command, digits, tmp_path):
    flags = [
        "--recipe=digits_quick", "--image_size=16", "--epochs=1", "--epoch_images=64",
        "--learning_rate=0.0001", f"--output={tmp_path}",
    ]  # fmt: skip
    name = "squeezenet_v1_1-digits"
    shutil.copytree(digits / "runs" / name, tmp_path / "runs" / name)
    done = command("train", *flags, "--name=again", f"--init_from={name}")
    assert done.returncode == 0, done.stderr
    parent, run = (runs.load(tmp_path / "runs" / n) for n in (name, "again"))
    assert (run.init_from, run.init_sha256) == (name, parent.weights_sha256)
    assert run.validation_accuracy > parent.validation_accuracy - 0.05  # not from scratch
    pruned = digits / "runs" / f"{name}-pruned"
    assert initial.load(str(pruned), tmp_path).source == f"{name}-pruned"
    assert initial.load(f"{name}-pruned-int8", digits).source == f"{name}-pruned"
    with pytest.raises(ZooError, match=rf"quantization-aware.*{name}-pruned$"):
        initial.load(str(digits / "runs" / f"{name}-pruned-qat"), tmp_path)
    weights = tmp_path / "runs" / name / "best.h5"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ZooError, match="damaged or were replaced"):
        initial.load(name, tmp_path)


def test_a_run_called_as_the_checkpoint_it_starts_from_finds_that_again(tmp_path):
    name = "resnet20-fashion_mnist"  # of the release here
    released = initial.load(name, tmp_path, [name])
    folder = tmp_path / "runs" / name
    runs.begin(folder, {"stage": "train"})
    assert initial.load(name, tmp_path, [name]).sha256 == released.sha256
    assert initial.load(f"{name}-int8", tmp_path, [name]).sha256 == released.sha256
    with pytest.raises(ZooError, match="not finished"):
        initial.load(name, tmp_path, ["another"])
    with pytest.raises(ZooError, match="unknown --init_from"):
        initial.load(str(folder), tmp_path, [name])


def test_other_size_other_classes_and_all_but_the_classifier_frozen(command, digits, tmp_path):
    source = digits / "runs" / "squeezenet_v1_1-digits"
    done = command(
        "train", "--recipe=digits_quick", "--image_size=24", "--epochs=1", "--epoch_images=64",
        "--freeze", "--name=head", f"--init_from={source}", f"--output={tmp_path}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, after = weights_of(source), weights_of(tmp_path / "runs" / "head")
    assert before.keys() == after.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed and all("conv10" in name for name in changed), changed


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--init_from=squeezenet_v1_0_deep_compresed"], "did you mean squeezenet_v1_0_deep_c"),
        (["--init_from=nothing.net"], "cannot read the weights.*nothing.net"),
        (["--init_from=squeezenet_v1_0_deep_compressed"], "run zoo data --weights=squeezenet_v1_0"),
        (["--init_from=/no/such"], "unknown --init_from"),
    ],
)
def test_bad_init_is_one_line(command, tmp_path, flags, message):
    done = command(
        "train", *FLAGS, *flags, f"--output={tmp_path / 'o'}", MODEL_ZOO_CACHE=str(tmp_path)
    )
    assert done.returncode == 1
    assert re.search(message, done.stderr), done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize("flag", some(["--init_from", "--teacher"], "--init_from"))
def test_a_wrong_name_is_told_before_tensorflow_is_imported(command, tmp_path, flag):
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')")
    environment = {"PYTHONPATH": str(tmp_path), "MODEL_ZOO_CACHE": str(tmp_path)}
    flags = (*FLAGS, f"--output={tmp_path / 'o'}")
    done = command("train", *flags, f"{flag}=nothing", **environment)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: unknown {flag} 'nothing'")
    done = command("train", *flags, **environment)
    assert "TensorFlow was imported" in done.stderr
