"""Plans, values layer by layer, and which scheme can follow which. No TensorFlow."""

import json

import pytest

from zoo.compression import schemes
from zoo.errors import ZooError
from zoo.schema.run import PerLayer, Run


@pytest.mark.parametrize(
    ("scheme", "plan", "given", "message"),
    [
        ("prune", None, ["conv1"], "malformed per-layer value.*NAME:VALUE"),
        ("prune", None, ["conv1:nan"], "invalid sparsity value for layer conv1.*0 to 0.99"),
        ("prune", None, ["conv1:1.5"], "invalid sparsity"),
        ("cluster", None, ["conv1:2.5"], "invalid clusters.*2 to 256"),
        ("cluster", None, ["conv1:257"], "invalid clusters"),
        ("low_rank", None, ["conv1:inf"], "invalid rank"),
        ("qat", None, ["conv1:3"], "takes no per-layer values"),
        ("prune", "{", [], "the plan is not valid"),
        ("prune", {"format": 2}, [], "the plan is not valid.*format"),
        ("prune", {"layers": {}}, [], "the plan is not valid.*layers"),
        ("prune", {"extra": 1}, [], "the plan is not valid.*extra"),
        ("prune", {"what": "rank"}, [], "the plan is not for prune.*sparsity.*rank"),
        ("prune", {"layers": {"a\nb": 0.5}}, [], "invalid layer name"),
        ("prune", {"layers": {"a": 2}}, [], "invalid sparsity value for layer a"),
        ("prune", {"layers": {str(i): 0.5 for i in range(5000)}}, [], "the plan is not valid"),
    ],
)
def test_unfit_plans_are_refused_in_one_line(tmp_path, scheme, plan, given, message):
    path = None
    if plan is not None:
        path = tmp_path / "plan.json"
        whole = {"format": 1, "what": "sparsity", "layers": {"a": 0.5}}
        path.write_text(plan if isinstance(plan, str) else json.dumps({**whole, **plan}))
    with pytest.raises(ZooError, match=message) as caught:
        schemes.per_layer(scheme, path, given)
    assert "\n" not in str(caught.value)


def test_a_plan_is_the_whole_and_the_flag_wins(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text('{"format": 1, "what": "clusters", "layers": {"a": 4, "b": 8}}')
    wanted = schemes.per_layer("cluster", path, ["b:16", "c:0"])
    assert wanted == PerLayer(layers={"a": 4, "b": 16, "c": 0}, others=False)
    assert schemes.chosen(wanted, 32, "abcd", "abcd") == {"a": 4, "b": 16}
    assert schemes.chosen(PerLayer(layers={"c": 0}), 32, "abc", "abcd") == {"a": 32, "b": 32}
    with pytest.raises(ZooError, match=r"unknown layer 'conv'.*did you mean conv1"):
        schemes.chosen(PerLayer(layers={"conv": 4}), 32, [], ["conv1", "fire2"])


@pytest.mark.parametrize(
    ("before", "name", "expected"),
    [
        ((), "prune", "prune"),
        (("low_rank", "prune"), "cluster", "cluster"),
        (("prune", "cluster"), "pcqat", "qat"),
        (("prune",), "pqat", "qat"),
        (
            ("prune",),
            "pcqat",
            "pcqat needs a run compressed by prune and cluster.*--scheme=cluster",
        ),
        ((), "cqat", "cqat needs"),
        (("prune",), "low_rank", "low_rank can't follow prune"),
        (("prune",), "prune", "prune can't follow prune"),
        (("qat",), "cluster", "cluster can't follow qat"),
    ],
)
def test_what_can_follow_what(before, name, expected):
    parent = Run.model_construct(**{"name": "parent", "scheme": before})
    if " " not in expected:
        assert schemes.following(parent, name) == expected
        return
    with pytest.raises(ZooError, match=expected):
        schemes.following(parent, name)
