"""The epoch log: columns that appear later, and what is refused."""

import pytest

from zoo.errors import ZooError
from zoo.schema import epoch_log


def test_a_column_of_a_later_version_is_empty_before(tmp_path):
    before = {"epoch": 1, "loss": 0.5, "eligible": 1}
    rows = [before, {**before, "epoch": 2, "cpu_seconds": 3.5}]
    path = tmp_path / "epochs.csv"
    text = epoch_log.to_csv(rows)
    assert text.split() == ["epoch,loss,eligible,cpu_seconds", "1,0.5,1,", "2,0.5,1,3.5"]
    path.write_text(text)
    assert epoch_log.read(path, "") == rows
    assert epoch_log.to_csv(rows) == text


@pytest.mark.parametrize("epochs", ["2", "1 1", "1 3", "0", "x", "nan", "1e999"])
def test_epochs_out_of_order_are_refused(tmp_path, epochs):
    path = tmp_path / "epochs.csv"
    path.write_text("\n".join(["epoch,eligible", *(f"{epoch},1" for epoch in epochs.split())]))
    with pytest.raises(ZooError, match=r"epoch log is damaged.*to do: train again"):
        epoch_log.read(path, "train again")
