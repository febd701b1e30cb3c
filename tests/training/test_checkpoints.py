"""Whatever a file holds that train.py did not write, or not to its end: one sentence."""

import pytest
import torch

from normlab.errors import NormLabError
from normlab.training.checkpoints import read_checkpoint

STEP = {"step": 1}
DAMAGED = {
    "empty": b"",
    "ends at once": b"\x80\x02.",  # pickles that take from an empty stack, ...
    "cut number": b"\x80\x02J\x00",  # ... and end within a number
    "no step": {"normlab": {}, "state_dict": {}},
    "no dictionary": {"normlab": 3, "state_dict": {}},
    "no tensors": {"normlab": STEP, "state_dict": {"weight": 1}},
    "a list": [STEP],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_checkpoint_is_refused(name, tmp_path):
    path, content = tmp_path / "last.ckpt", DAMAGED[name]
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(NormLabError, match="or a damaged one"):
        read_checkpoint(path)
