"""Names on the command line, and the entries of an index that they stand for."""

import pytest

from tests.support.release_server import released
from zoo.errors import UnknownNameError, ZooError
from zoo.hub import index as listing
from zoo.schema.release import Index


def test_names_stand_for_runs_and_precisions():
    def entry(name, precision):
        return (
            Index.model_validate_json(released(name)["index.json"])
            .entries[0]
            .model_copy(update={"precision": precision})
        )

    index = Index(
        entries=(
            *(
                entry(f"{run}-{p}", p)
                for run in ("a", "b")
                for p in ("int8", "float32", "checkpoint")
            ),
            entry("c-int8", "int8"),
            entry("d-checkpoint", "checkpoint"),
        )
    )

    def names(*asked, **more):
        return [each.name for each in listing.chosen(index, asked, **more)]

    assert names("a") == ["a-int8", "a-float32"]
    assert names("a", precisions=["checkpoint"]) == ["a-checkpoint"]
    assert names("a-checkpoint", "a") == ["a-checkpoint", "a-int8", "a-float32"]
    assert names(all_=True, precisions=["int8"]) == ["a-int8", "b-int8", "c-int8"]
    assert names(all_=True, precisions=["float32"]) == ["a-float32", "b-float32"]
    for precisions in (["float32"], ["int8", "float32"]):
        with pytest.raises(UnknownNameError, match=r"precision of c 'float32'.*one of int8"):
            names("a", "c", precisions=precisions)
    with pytest.raises(ZooError, match=r"has only checkpoints.*d .*--precision=checkpoint"):
        names("d")
    with pytest.raises(UnknownNameError, match="did you mean a-int8"):
        names("a-int9")
    with pytest.raises(UnknownNameError, match="did you mean int8"):
        names("a", precisions=["int7"])
