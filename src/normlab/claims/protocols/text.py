"""The protocols of the language-model claims, and the arms of the depth map that several of them share."""

from dataclasses import replace
from typing import Any

from normlab.claims.claim import Arm, Protocol

RATES = (0.001, 0.003, 0.01)  # AdamW; extended where the best lies at the edge
GPU_BATCH = (
    "data.batch_size=16",
)  # where the cpu profile takes 8 sequences, since a CPU pays for each of them


def text_protocols(
    *overrides: str,
    steps: int = 300,
    seeds: int = 5,
    tuning_seeds: int = 1,
    rates: tuple[float, ...] = RATES,
    seconds: float = 4.0,
    gpu_steps: int = 2000,
    gpu_overrides: tuple[str, ...] = (),
) -> dict[str, Protocol]:
    """smoke, cpu (tiny Shakespeare, 32 characters of context, width 32), cpu-embedded (pydoc) and gpu (width 256).

    `overrides` come last in each, `gpu_overrides` after them in gpu. No decay of the weights, no clipping: either
    would stand between a norm and what is claimed about it. `seconds`: a trial's on one idle core.
    """

    def net(
        data: str, context: int, width: int, heads: int, batch: int, budget: int
    ) -> tuple[str, ...]:
        size = (f"model.width={width}", f"model.num_heads={heads}", f"trainer.max_steps={budget}")
        tested = (
            20000 if data == "pydoc" else 32768
        )  # characters; pydoc has 23,222 to validate with
        given = (
            f"data={data}",
            f"data.context={context}",
            f"data.batch_size={batch}",
            f"data.eval_subset={tested}",
        )
        return ("model=transformer", *given, *size, "optim.weight_decay=0", *overrides)

    cpu = Protocol(
        net("tiny_shakespeare", 32, 32, 2, 32, steps),
        seeds=seeds,
        learning_rates=rates,
        tuning_seeds=tuning_seeds,
        seconds_per_trial=seconds,
    )
    smoke = Protocol(
        (
            *net("pydoc", 8, 8, 2, 4, 2),
            "data.subset=2000",
            "data.eval_subset=200",
            "trainer.max_steps=2",
        ),
        seeds=1,
        seconds_per_trial=0.2,
    )
    gpu = net("tiny_shakespeare", 256, 256, 4, 64, gpu_steps)
    return {
        "smoke": smoke,
        "cpu": cpu,
        "cpu-embedded": replace(cpu, overrides=net("pydoc", 32, 32, 2, 32, steps)),
        "gpu": replace(
            cpu, overrides=(*gpu, "trainer=gpu", *gpu_overrides), seeds=5, seconds_per_trial=40.0
        ),
    }


DEPTHS = (2, 6, 12, 24)
PLACEMENTS = ("pre", "post", "deepnorm", "sandwich")
WARMUPS = {"no warm-up": 0.0, "warm-up": 0.25}


def depth_arm(placement: str, depth: int, warmup: str) -> Arm:
    """A cell of the depth map: claims that share it share its trials."""
    return Arm(
        f"{placement}, {warmup}, {depth}",
        (
            "norm=layernorm",
            f"model.placement={placement}",
            f"model.depth={depth}",
            f"optim.warmup={WARMUPS[warmup]:g}",
        ),
    )


def depth_protocols(**amounts: Any) -> dict[str, Protocol]:
    """The depth map's: 300 steps, 6 seeds; Xavier's initial scale, for which DeepNorm's gains are written.

    Three seeds ran first and could not decide: whether Post-LN of 6 layers trains is a matter of the seed.

    Warm-up is a quarter of the steps, 75 of 300: a tenth would be 30, about what Adam's averages span.
    """
    return text_protocols(
        "model.init=xavier", "data.batch_size=8", seeds=6, gpu_overrides=GPU_BATCH, **amounts
    )
