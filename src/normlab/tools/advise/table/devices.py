"""Verdicts on norms where several devices train."""

from normlab.tools.advise import judges
from normlab.tools.advise.conditions import BN, GN, LN, RMS, on_several_devices, several_devices
from normlab.tools.advise.entry import Entry

DEVICES = (
    Entry(
        slug="syncbn-equals-global",
        part="outputs",
        when=on_several_devices,
        judge=judges.by_identity,
        favours=("syncbatchnorm",),
        says="SyncBatchNorm gives what BatchNorm gives on the joined batch: {effect}",
        opposite="SyncBatchNorm does not give what BatchNorm gives on the joined batch: {effect}",
    ),
    Entry(
        slug="syncbn-slowdown-10-30",
        part=None,
        when=on_several_devices,
        judge=judges.as_said,
        neither="the cost of SyncBatchNorm{effect}",
    ),
    Entry(
        slug="ddp-bn-local-stats",
        part="own statistics",
        when=on_several_devices,
        judge=judges.by_identity,
        says="in data parallel BatchNorm has each device's own statistics: {effect}",
        opposite="in data parallel BatchNorm has not each device's own statistics: {effect}",
    ),
    Entry(
        slug="ddp-bn-local-stats",
        part="random parts",
        when=lambda s: s.devices > 1 and s.input == "images" and (s.batch >= 16),
        judge=judges.by_margin,
        favours=("syncbatchnorm",),
        against=(BN,),
        says=(
            "with 32 random images a device, synchronized statistics are {effect} above local ones"
        ),
        opposite=(
            "with 32 random images a device, synchronized statistics are below local ones: {effect}"
        ),
        neither=(
            "with 32 random images a device, synchronizing the statistics gains nothing: {effect}"
        ),
    ),
    Entry(
        slug="ddp-bn-local-stats",
        part="own classes",
        when=lambda s: s.devices > 1 and s.input == "images",
        judge=judges.by_margin,
        says="if each device has classes of its own, local statistics cost {effect}",
        neither=(
            "if each device has classes of its own, local statistics cost no more than {effect}"
        ),
    ),
    *(
        Entry(
            slug="no-cross-device-coupling",
            part=f"samples, {kind}",
            when=several_devices(kind),
            judge=judges.by_identity,
            favours=(kind,),
            says=(
                "several devices compute the gradient of one, and exchange no statistics: {effect}"
            ),
            opposite="several devices do not compute the gradient of one: {effect}",
        )
        for kind in (LN, GN, RMS)
    ),
)
