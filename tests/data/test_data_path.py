"""The data-path benchmark measures what it says; how fast it comes out is no test's business."""

import torch
from samples import numbered

from normlab.measure.timing import data_path


def test_rows(monkeypatch):
    monkeypatch.setattr(data_path, "_BATCH_SIZES", (2, 64))
    threads = torch.get_num_threads()
    rows = data_path.run(quick=True)
    assert torch.get_num_threads() == threads
    assert [row["batch_size"] for row in rows] == [2, 2, 64, 64]
    for row in rows:
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"] and row["ratio"] > 0
        assert (
            row["benchmark"] == "data-path"
            and row["data"] == "random 32x32x3 bytes"
            and row["threads"] == 1
        )


def test_both_sides_make_batches_of_the_same_shape():
    raw = numbered(200, size=32)
    for side in (data_path._Transformed, data_path._Decoded):
        loader = torch.utils.data.DataLoader(side(raw.train, 20), 4)
        x, y = next(iter(loader))
        assert x.shape == (4, 3, 32, 32) and x.dtype == torch.float32 and y.dtype == torch.int64
