"""BatchNorm needs care in recurrent networks, else LayerNorm and GroupNorm work better.

Said by: "How BN, IN and LN differ".
Primary source: Laurent et al. 2016 (only the input's projection gains from it); Cooijmans et al.
2016 (an LSTM gains with statistics per time step and an initial gain of 0.1); Ba et al. 2016 (layer
norm).
Measured: bits a character of a character LSTM, norms on W_h h, W_x x and the cell as in Cooijmans
et al.; each seed at its own rate; over 100 characters (32 in quick). Losses at twice the context
are recorded beside.
Cost: normlab run bn-rnn-ineffective --profile full    105 trials to its first look, 1.9 hours of
one core
"""

from dataclasses import replace
from math import log

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.evidence import Evidence, Values
from normlab.claims.looks import Looks
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast


def network(data: str, *, width: int, batch: int, context: int, steps: int) -> tuple[str, ...]:
    tested = 20000 if data == "pydoc" else 32768  # characters; pydoc has 23,222 to validate with
    return (
        "model=rnn",
        f"data={data}",
        f"data.context={context}",
        f"data.batch_size={batch}",
        f"data.eval_subset={tested}",
        f"model.width={width}",
        f"trainer.max_steps={steps}",
        # It would stand between a norm and what is claimed of it.
        "optim.weight_decay=0",
    )


SIZE = {"width": 64, "batch": 32, "context": 32, "steps": 300}
FULL = {"width": 64, "batch": 32, "context": 100, "steps": 1500}
SMOKE = network("pydoc", width=16, batch=8, context=4, steps=2)
GPU = network("tiny_shakespeare", width=256, batch=64, context=100, steps=1000)
CPU = Protocol(
    network("tiny_shakespeare", **SIZE),
    learning_rates=(0.01, 0.03, 0.1),
    seconds_per_trial=4.0,
)
LONG = replace(
    CPU,
    overrides=network("tiny_shakespeare", **FULL),
    learning_rates=(0.003, 0.01, 0.03),
    timeout_s=3600.0,
    seconds_per_trial=65.0,
)
PROTOCOLS = {
    "smoke": Protocol(
        (*SMOKE, "data.subset=2000", "data.eval_subset=200"),
        looks=Looks((1,)),
        seconds_per_trial=0.2,
    ),
    "quick": CPU,
    "quick-embedded": replace(CPU, overrides=network("pydoc", **SIZE)),
    "full": LONG,
    "full-embedded": replace(LONG, overrides=network("pydoc", **FULL)),
    "gpu": replace(CPU, overrides=(*GPU, "trainer=gpu"), seconds_per_trial=90.0),
}
BITS = 1 / log(2)  # in a nat
NAIVE, CARE = "batchnorm", "batchnorm per step, gain 0.1"


def arm(name: str, kind: str, *overrides: str) -> Arm:
    return Arm(name, (f"norm={kind}", *overrides), evaluations=("twice_context",))


def better_than_naive(name: str, statement: str) -> Part:
    words = f"test loss a character, naive batchnorm - {name}"
    bits = difference(NAIVE, name, "test_loss", words=words, scale=BITS, unit="bits")
    return Part(name, statement, bits, AtLeast(0.02))


def with_allowance(evidence: Evidence) -> tuple[Values, Values]:
    # 0.01 bits are allowed: `AtLeast(0)` then asks for no more than that.
    none, care = (BITS * evidence.values(arm, "test_loss") for arm in ("none", CARE))
    return none + 0.01, -care


CLAIM = Claim(
    slug="bn-rnn-ineffective",
    statement="BatchNorm is less effective in recurrent networks unless handled with care; "
    "LayerNorm and GroupNorm work better.",
    documents=("How BN, IN and LN differ",),
    source="Cooijmans et al. 2016: with statistics per time step and gain 0.1 BN helps an LSTM; "
    "Laurent et al. 2016: between time steps it does not; Ba et al. 2016: LN helps.",
    prediction="partly supported: LayerNorm ahead; the catalogue expects harm from naive BatchNorm "
    "and a cure by care, a one-seed pilot showed neither",
    arms=(
        arm("none", "none"),
        arm("layernorm", "layernorm"),
        arm("groupnorm", "groupnorm"),
        arm(NAIVE, "batchnorm"),
        arm("batchnorm per step", "batchnorm", "model.per_step=true"),
        arm(CARE, "batchnorm", "model.per_step=true", "model.norm_gain=0.1"),
        arm("batchnorm at the input", "batchnorm", "model.norm_at=input"),
    ),
    protocols=PROTOCOLS,
    tuning_metric="val_loss",
    clauses=(
        Part(
            "naive",
            "with statistics shared by all time steps and a gain of 1 it costs 0.05 bits a "
            "character against no norm",
            difference(
                NAIVE,
                "none",
                "test_loss",
                words="test loss a character, naive batchnorm - none",
                scale=BITS,
                unit="bits",
            ),
            AtLeast(0.05),
            expected=0.0,
            noise=0.02,
        ),
        Part(
            "layernorm",
            "LayerNorm is 0.02 bits better than naive BatchNorm",
            difference(
                NAIVE,
                "layernorm",
                "test_loss",
                words="test loss a character, naive batchnorm - layernorm",
                scale=BITS,
                unit="bits",
            ),
            AtLeast(0.02),
            expected=0.035,
            noise=0.02,
        ),
    ),
    scope=(
        better_than_naive("groupnorm", "GroupNorm is 0.02 bits better than naive BatchNorm"),
        better_than_naive(
            CARE, "statistics per time step and an initial gain of 0.1 make it 0.02 bits better"
        ),
        Part(
            "care is enough",
            "with both it is no worse than no norm, 0.01 bits allowed",
            Quantity(
                "test loss a character, none - batchnorm per step with gain 0.1",
                "bits, 0.01 of them allowed",
                with_allowance,
                ("none", CARE),
            ),
            AtLeast(0.0),
        ),
    ),
    answers=Answers(
        supported="In an LSTM naive BatchNorm costs {naive.effect:.3f} bits a character "
        "({naive.low:.3f} to {naive.high:.3f}) against no norm, and LayerNorm is "
        "{layernorm.effect:.3f} better than it.",
        refuted="In an LSTM naive BatchNorm costs {naive.effect:+.3f} bits a character "
        "({naive.low:.3f} to {naive.high:.3f}) against no norm, and LayerNorm is only "
        "{layernorm.effect:+.3f} better than it.",
        partly="In an LSTM naive BatchNorm costs {naive.effect:+.3f} bits a character "
        "({naive.low:.3f} to {naive.high:.3f}) against no norm; LayerNorm is "
        "{layernorm.effect:+.3f} better than it ({layernorm.low:.3f} to {layernorm.high:.3f}): "
        "one of both as claimed.",
        inconclusive="In an LSTM naive BatchNorm costs {naive.effect:+.3f} bits a character "
        "({naive.low:.3f} to {naive.high:.3f}) against no norm; LayerNorm is "
        "{layernorm.effect:+.3f} better than it: not both are decided.",
    ),
    caveats=(
        "One layer of 64 units over 100 characters (32 in quick); the papers' sequences have 100 "
        "to 784 steps.",
        "Shared running statistics are updated at each time step, as a BatchNorm layer inside a "
        "loop is.",
        "The clauses on LayerNorm and GroupNorm compare with naive BatchNorm; the catalogue "
        "leaves open with what.",
    ),
    would_change="Longer sequences, where the first time steps differ more from the rest.",
)
