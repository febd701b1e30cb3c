"""What synchronized batch norm costs between this machine's GPUs: python scripts/syncbn_gpus.py

A ResNet-8 on 32x32 images, 8, 64 and 512 a GPU, by 2, 4 and 8 GPUs as far as there are so many,
through NCCL. A training step with our layer, and one with torch.nn.SyncBatchNorm, are timed against
one with plain batch norm, in turns. First it prints which GPUs there are; with fewer than two, or
without NCCL, it says so and exits with status 2.
"""

import argparse
import json
from pathlib import Path

import torch

from normlab.cli.bench import print_rows
from normlab.errors import refuse
from normlab.measure.timing.syncbn import measure_rows
from normlab.training.processes import run_group

BATCHES, WORLD_SIZES = (8, 64, 512), (2, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short timings, for a try")
    parser.add_argument(
        "--out", type=Path, help="append the rows to this file, a JSON object a line"
    )
    options = parser.parse_args()
    count = torch.cuda.device_count()
    names = ", ".join(torch.cuda.get_device_name(index) for index in range(count)) or "none"
    print(
        f"GPUs: {names}; NCCL: {'yes' if torch.distributed.is_nccl_available() else 'no'}",
        flush=True,
    )
    if count < 2 or not torch.distributed.is_nccl_available():
        refuse("messages between GPUs need two of them and NCCL: nothing is measured here.")
    rounds, seconds = (4, 0.01) if options.quick else (30, 0.1)
    for world_size in (size for size in WORLD_SIZES if size <= count):
        rows = []
        for batch in BATCHES:
            arguments = (batch, "cuda", rounds, seconds, ("ours", "torch.nn"))
            rows += run_group(
                measure_rows, world_size, *arguments, backend="nccl", wait_s=120.0, timeout_s=900.0
            )[0]
        print_rows(rows)
        if options.out:
            with options.out.open("a") as file:
                file.write("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))


if __name__ == "__main__":
    main()
