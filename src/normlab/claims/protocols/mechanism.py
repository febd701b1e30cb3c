"""The protocols of the claims about why BatchNorm helps, whose own trials look at a training."""

from collections.abc import Mapping
from dataclasses import replace

from normlab.claims.claim import Protocol
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.protocols.overrides import as_options

# Ten convolutions without skips, in the manner of a VGG: see `tiny_protocols` for the images.
NET = ("model=plaincnn", "model.depth=10")
SMOKE = ("model.depth=3", "trainer.max_steps=2")  # every step is looked at, at every rate
RATES = (0.01, 0.03, 0.1, 0.3)  # every seed takes the one with the lowest training loss


def mechanism_protocols(seconds: Mapping[str, float]) -> dict[str, Protocol]:
    """smoke, quick and full of a trial that trains at each of `RATES`.

    seconds: what a trial takes, by profile.
    """
    protocols = tiny_protocols(*NET, epochs=3, full_epochs=2)
    smoke = protocols["smoke"]
    protocols["smoke"] = replace(smoke, overrides=(*smoke.overrides, *SMOKE))
    protocols = as_options(protocols)
    return {
        name: replace(
            protocol,
            seconds_per_trial=seconds.get(name, protocol.seconds_per_trial),
            timeout_s=max(protocol.timeout_s, 20 * seconds.get(name, 0.0)),
        )
        for name, protocol in protocols.items()
    }
