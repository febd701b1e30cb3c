"""The protocols of the language-model claims, and the arms that several of them share."""

from dataclasses import replace

import numpy as np

from normlab.claims.claim import Arm, Protocol
from normlab.claims.evidence import Evidence, PartMissing, Values
from normlab.claims.looks import Looks

RATES = (0.001, 0.003, 0.01)  # AdamW; extended where the best lies at the edge
LOW_RATES = (0.0001, 0.0003, 0.001, 0.003)  # Post-LN trains at the lowest, if at all
# Where a CPU takes 8 sequences, since it pays for each of them.
GPU_BATCH = ("data.batch_size=16",)


def text_protocols(
    *overrides: str,
    steps: int = 300,
    full_steps: int = 1200,
    looks: Looks | None = None,
    rates: tuple[float, ...] = RATES,
    seconds: float = 4.0,
    gpu_steps: int = 2000,
    gpu_overrides: tuple[str, ...] = (),
) -> dict[str, Protocol]:
    """Of causal models of characters, by profile.

    smoke, quick and full (tiny Shakespeare, 32 characters of context, width 32, `steps` and
    `full_steps`), both with embedded data (pydoc), and gpu (width 256). `overrides` come last in
    each, `gpu_overrides` after them in gpu. No decay of the weights, no clipping: either would
    stand between a norm and what is claimed about it. `seconds`: a trial's of quick on one idle
    core.
    """

    def net(data: str, *, context: int, width: int, heads: int, batch: int) -> tuple[str, ...]:
        tested = 20000 if data == "pydoc" else 32768  # characters; pydoc has 23,222 to validate
        read = (
            f"data={data}",
            f"data.context={context}",
            f"data.batch_size={batch}",
            f"data.eval_subset={tested}",
        )
        return ("model=transformer", *read, f"model.width={width}", f"model.num_heads={heads}")

    def trained(budget: int) -> tuple[str, ...]:
        return (f"trainer.max_steps={budget}", "optim.weight_decay=0", *overrides)

    size = {"context": 32, "width": 32, "heads": 2, "batch": 32}
    published, embedded = net("tiny_shakespeare", **size), net("pydoc", **size)
    quick = Protocol(
        (*published, *trained(steps)),
        looks=looks or Looks(),
        learning_rates=rates,
        seconds_per_trial=seconds,
    )
    longer = seconds * full_steps / steps
    full = replace(
        quick,
        overrides=(*published, *trained(full_steps)),
        timeout_s=600 + 10 * longer,
        seconds_per_trial=longer,
    )
    smoke = (*net("pydoc", context=8, width=8, heads=2, batch=4), *trained(2))
    # The steps once more: `overrides` may have set them. And no more than two blocks.
    tiny = ("data.subset=2000", "data.eval_subset=200", "trainer.max_steps=2", "model.depth=2")
    gpu = net("tiny_shakespeare", context=256, width=256, heads=4, batch=64)
    return {
        "smoke": Protocol((*smoke, *tiny), looks=Looks((1,)), seconds_per_trial=0.2),
        "quick": quick,
        "quick-embedded": replace(quick, overrides=(*embedded, *trained(steps))),
        "full": full,
        "full-embedded": replace(full, overrides=(*embedded, *trained(full_steps))),
        "gpu": replace(
            quick,
            overrides=(*gpu, *trained(gpu_steps), "trainer=gpu", *gpu_overrides),
            seconds_per_trial=40.0,
        ),
    }


DEPTHS = (6, 12, 18, 24)
INITS = ("gpt2", "xavier")
WARMUPS = {"no warm-up": 0.0, "warm-up": 0.25}  # shares of the steps


def depth_name(placement: str, depth: int, warmup: str, init: str) -> str:
    """Of a cell of the depth map."""
    return f"{placement}, {init}, {warmup}, {depth}"


def depth_arm(placement: str, depth: int, warmup: str, init: str) -> Arm:
    """A cell of the depth map: claims that share it share its trials."""
    return Arm(
        depth_name(placement, depth, warmup, init),
        (
            "norm=layernorm",
            f"model.placement={placement}",
            f"model.init={init}",
            f"model.depth={depth}",
            f"optim.warmup={WARMUPS[warmup]:g}",
        ),
        at={"placement": placement, "init": init, "warmup": warmup, "depth": depth},
    )


def depth_protocols() -> dict[str, Protocol]:
    """The depth map's: 300 and 1,200 steps of 8 sequences, a quarter of them warm-up, where there
    is one; each cell at a rate of its own, from 1e-4 up.

    Looks begin at 8 seeds: shares of networks that train are told from a half by no fewer.
    """
    return text_protocols(
        "data.batch_size=8",
        looks=Looks((8, 12, 20)),
        rates=LOW_RATES,
        seconds=5.0,
        gpu_overrides=GPU_BATCH,
    )


def closes_half(evidence: Evidence, arm: str, reference: str) -> Values:
    """(n,): 1 for each trial of `arm` that trains, else 0.

    It trains if its test loss closes half of the gap from the unigram entropy, which a network has
    that ignores its input, to the mean loss of `reference`.

    Raises:
        PartMissing: most networks of `reference` do not train, so that there is no bar.
    """
    if evidence.trained(reference).mean() < 0.5:
        raise PartMissing(f"most networks of {reference} do not train: there is no bar")
    trivial = evidence.values(arm, "trivial_loss")
    bar = (trivial + evidence.sample(reference, "test_loss").mean()) / 2
    loss = evidence.values(arm, "test_loss")
    return np.where(loss < bar, 1.0, 0.0)
