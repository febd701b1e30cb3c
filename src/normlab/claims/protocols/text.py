"""The protocols of the language-model claims, and the arms that several of them share."""

from dataclasses import replace

from normlab.claims.claim import Arm, Protocol

RATES = (0.001, 0.003, 0.01)  # AdamW; extended where the best lies at the edge
# Where the cpu profile takes 8 sequences, since a CPU pays for each of them.
GPU_BATCH = ("data.batch_size=16",)


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
    """Of causal models of characters, by profile.

    smoke, cpu (tiny Shakespeare, 32 characters of context, width 32), cpu-embedded (pydoc) and gpu
    (width 256). `overrides` come last in each, `gpu_overrides` after them in gpu. No decay of the
    weights, no clipping: either would stand between a norm and what is claimed about it.
    `seconds`: a trial's on one idle core.
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
    cpu = Protocol(
        (*net("tiny_shakespeare", **size), *trained(steps)),
        seeds=seeds,
        learning_rates=rates,
        tuning_seeds=tuning_seeds,
        seconds_per_trial=seconds,
    )
    smoke = (*net("pydoc", context=8, width=8, heads=2, batch=4), *trained(2))
    # The steps once more: `overrides` may have set them.
    tiny = ("data.subset=2000", "data.eval_subset=200", "trainer.max_steps=2")
    gpu = net("tiny_shakespeare", context=256, width=256, heads=4, batch=64)
    return {
        "smoke": Protocol((*smoke, *tiny), seeds=1, seconds_per_trial=0.2),
        "cpu": cpu,
        "cpu-embedded": replace(cpu, overrides=(*net("pydoc", **size), *trained(steps))),
        "gpu": replace(
            cpu,
            overrides=(*gpu, *trained(gpu_steps), "trainer=gpu", *gpu_overrides),
            seeds=5,
            seconds_per_trial=40.0,
        ),
    }


DEPTHS = (2, 6, 12, 24)
PLACEMENTS = ("pre", "post", "deepnorm", "sandwich")
WARMUPS = {"no warm-up": 0.0, "warm-up": 0.25}  # shares of the steps


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
        at={"placement": placement, "warmup": warmup, "depth": depth},
    )


def depth_protocols() -> dict[str, Protocol]:
    """The depth map's: 300 steps, 6 seeds; Xavier's initial scale, which DeepNorm's gains are for.

    Three seeds ran first and could not decide: whether Post-LN of 6 layers trains is a matter of
    the seed. Warm-up is a quarter of the steps, 75 of 300: a tenth would be 30, about what Adam's
    averages span.
    """
    return text_protocols(
        "model.init=xavier", "data.batch_size=8", seeds=6, gpu_overrides=GPU_BATCH
    )
