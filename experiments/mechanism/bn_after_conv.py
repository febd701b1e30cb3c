"""BatchNorm belongs right after the convolution, before the activation, and not behind it.

Said by: "How BN, IN and LN differ", as the usual place. Practitioners ask whether behind the
activation is better (bn-order-relu in the catalogue, which this file decides as well).
Primary source: Ioffe & Szegedy 2015 (arXiv 1502.03167), who put it immediately before the
nonlinearity (section 3.2). To the contrary ducha-aiki's caffenet-benchmark: behind the ReLU 2.5
points better in CaffeNet and 1.1 worse in GoogLeNet, one run each.
Measured: test accuracy of a plain and of a residual network (ResNet-8), conv-norm-activation
against conv-activation-norm, of the same initial weights; each seed of either order at a rate of
its own, chosen by its validation score. In a residual block the last norm stands before the sum in
either order. By at least half a point decides, in both networks; that behind is better by as much
is asked in the scope.
Cost: normlab run bn-after-conv --profile full    20 trials to its first look, 4.4 hours of one core
"""

from dataclasses import replace
from itertools import product

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.protocols.images import image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import difference
from normlab.claims.rules import AtLeast
from normlab.records.measurement import Measurement

NETS: dict[str, tuple[str, ...]] = {
    "plain": (),  # the profile's own
    "residual": ("model=resnet", "model.depth=8", "model.width=16"),
}
ORDERS = ("before", "behind")


def trial(options: Options, seed: int) -> Measurement:
    """Test and validation accuracy and training loss at the rate that validates best."""
    from normlab.measure.norm_order import norm_after_activation, trained_at_best_rate

    overrides = (*options["overrides"], *options["net"], "norm=batchnorm")
    adapt = norm_after_activation if options["order"] == "behind" else None
    metrics, data = trained_at_best_rate(
        overrides, seed, options["rates"], options["choice"], adapt
    )
    return Measurement(metrics, data)


def protocols() -> dict[str, Protocol]:
    """Those of images; a trial is all rates of a seed."""
    usual = image_protocols()
    direct = {}
    for name, protocol in as_options(usual).items():
        rates = usual[name].learning_rates
        choices = len(rates) + 1  # with an extension
        tuned, whole = usual[name].seconds_per_choice, usual[name].seconds_per_trial
        short = usual[name].choice
        seconds = choices * tuned + whole if short else choices * whole
        direct[name] = replace(
            protocol,
            options={**protocol.options, "rates": rates, "choice": short},
            choice=(),
            seconds_per_trial=seconds,
            timeout_s=600 + 10 * seconds,
        )
    return direct


def gain(net: str, order: str, *, decides: bool = False) -> Part:
    other = ORDERS[1 - ORDERS.index(order)]
    words = f"test accuracy of the {net} network, BN {order} the activation - {other}"
    return Part(
        f"{net}, {order}",
        f"BN {order} the activation is better by half a point in the {net} network",
        difference(f"{net}, {order}", f"{net}, {other}", words=words),
        AtLeast(0.5),
        expected=1.2 if decides else None,
        noise=0.6 if decides else None,
    )


CLAIM = Claim(
    slug="bn-after-conv",
    statement="Batch normalization belongs right after the convolution, before the activation.",
    documents=("How BN, IN and LN differ",),
    source="Ioffe & Szegedy 2015 put it immediately before the nonlinearity; a benchmark of "
    "practitioners has it better behind in one network and worse in another.",
    prediction="inconclusive or refuted: less than half a point either way",
    arms=tuple(
        Arm(f"{net}, {order}", options={"net": overrides, "order": order})
        for (net, overrides), order in product(NETS.items(), ORDERS)
    ),
    protocols=protocols(),
    trial=trial,
    clauses=(
        gain("plain", "before", decides=True),
        gain("residual", "before", decides=True),
    ),
    scope=(gain("plain", "behind"), gain("residual", "behind")),
    answers=Answers(
        supported="Before the activation is the better place: BatchNorm there is "
        "{plain, before.effect:.1f} points ({plain, before.low:.1f} to {plain, before.high:.1f}) "
        "above BatchNorm behind it in a plain network, {residual, before.effect:.1f} "
        "({residual, before.low:.1f} to {residual, before.high:.1f}) in a residual one.",
        refuted="Before the activation is not better by half a point: BatchNorm there is "
        "{plain, before.effect:+.1f} points ({plain, before.low:+.1f} to "
        "{plain, before.high:+.1f}) from BatchNorm behind it in a plain network, "
        "{residual, before.effect:+.1f} ({residual, before.low:+.1f} to "
        "{residual, before.high:+.1f}) in a residual one.",
        partly="It depends on the network: BatchNorm before the activation is "
        "{plain, before.effect:+.1f} points ({plain, before.low:+.1f} to "
        "{plain, before.high:+.1f}) from BatchNorm behind it in a plain network, "
        "{residual, before.effect:+.1f} ({residual, before.low:+.1f} to "
        "{residual, before.high:+.1f}) in a residual one.",
        inconclusive="Whether by half a point is open: BatchNorm before the activation is "
        "{plain, before.effect:+.1f} points ({plain, before.low:+.1f} to "
        "{plain, before.high:+.1f}) from BatchNorm behind it in a plain network, "
        "{residual, before.effect:+.1f} ({residual, before.low:+.1f} to "
        "{residual, before.high:+.1f}) in a residual one.",
    ),
    caveats=(
        "Behind the activation a layer reads what is normalized, before it what is cut off at 0: "
        "at the same initial weights the outputs are of another size.",
        "Small networks: GELU in the plain one, ReLU in the residual one and in quick.",
        "Rates are chosen by shorter runs in full, as everywhere.",
    ),
    would_change="A difference of half a point the other way in networks of full size.",
)
