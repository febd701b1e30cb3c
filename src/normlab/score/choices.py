"""The table of norms -> what a newcomer takes home, for each modality, batch and device."""

from dataclasses import replace

from normlab.claims.evidence import Evidence, Values
from normlab.records.norm_choices import IMAGES, TEXT, NormChoice
from normlab.records.words import device_label, listed
from normlab.score.battery import GHOSTS, SGD_BATCH, batch_arm, no_images, no_text, sizes
from normlab.score.decide_norms import columns
from normlab.score.norm_table import BEHIND, BEST, OPEN, Column, NormTable
from normlab.score.recorded import COST, Recorded
from normlab.score.row import Row
from normlab.score.rows import ROWS
from normlab.score.subject import Subject

BATCHES = (*GHOSTS, SGD_BATCH)
TEXT_BATCH = 16  # of the battery's transformers
_ROWS = {row.name: row for row in ROWS}
_ACCURACY = _ROWS["accuracy"]
_DEPTH = _ROWS["post-norm transformer without warm-up"]
_TIME = _ROWS["forward-backward cost"]


def norm_choices(table: NormTable, recorded: Recorded) -> list[NormChoice]:
    """A choice for each modality, batch and device on which a norm was timed.

    None where no norm has data; one without costs where nothing was timed.
    """
    questions = [(IMAGES, batch, accuracy_at(batch)) for batch in BATCHES]
    questions += [(TEXT, batch, trained_depth_at(batch)) for batch in BATCHES]
    decided = columns([row for *_, row in questions], recorded)
    found = []
    for device in recorded.all_devices(COST) or [""]:
        times = recorded.timed_on(device)
        for (modality, batch, _), column in zip(questions, decided, strict=True):
            if column.best:
                choice = _choice(modality, batch, column, table, recorded)
                cheapest = cheapest_of(column, times) if device else ()
                found.append(replace(choice, device=device_label(device), cheapest=cheapest))
    return found


def accuracy_at(batch: int) -> Row:
    """Test accuracy with statistics over `batch` samples, by the margin of the row `accuracy`."""
    if batch == SGD_BATCH:
        return _ACCURACY

    def value(evidence: Evidence, norm: Subject) -> Values:
        return 100 * evidence.values(batch_arm(norm, batch).name)

    def barred(norm: Subject) -> str:
        known = sizes(norm)
        missing = known and batch not in known
        return no_images(norm) or ("the battery has no such batch for it" if missing else "")

    return replace(
        _ACCURACY,
        name=f"accuracy at a normalization batch of {batch}",
        arms=lambda norm: (batch_arm(norm, batch),),
        value=value,
        barred=barred,
    )


def trained_depth_at(batch: int) -> Row:
    """The deepest transformer that trains; at another batch than its own only of norms that no
    batch changes."""

    def barred(norm: Subject) -> str:
        other = norm.spec.batch_dependent and batch != TEXT_BATCH
        return no_text(norm) or (f"measured at a batch of {TEXT_BATCH} only" if other else "")

    return replace(_DEPTH, barred=barred)


def cheapest_of(column: Column, recorded: Recorded) -> tuple[str, ...]:
    """Of the norms that none beats in `column`, those that none of them is shown to beat in time.

    () where too little of that is recorded.
    """
    best = set(column.best)
    among = recorded.among([norm for norm in recorded.norms if norm.name in best])
    (times,) = columns([_TIME], among)
    return tuple(name for name in times.ranked if times.entries[name].standing == BEST)


def _choice(
    modality: str, batch: int, column: Column, table: NormTable, recorded: Recorded
) -> NormChoice:
    """Without a device."""
    row, entries = column.row, column.entries
    # An accuracy is better by points; a depth by the factor that its logarithm's margin stands for.
    margin = f"a factor of {row.shown(row.margin):.3g}" if row.log else f"{row.margin:g} points"
    best = tuple(name for name in column.ranked if entries[name].standing == BEST)
    known = [one for one in entries.values() if one.standing in (BEST, BEHIND)]
    return NormChoice(
        modality=modality,
        batch=batch,
        device="",
        question=row.name if modality == IMAGES else f"depth of a {row.name}",
        margin=margin,
        unit=row.unit,
        norms=best,
        cheapest=(),
        values={
            name: (entries[name].cell.value, entries[name].cell.low, entries[name].cell.high)
            for name in best
        },
        compared=len(known),
        n=min(one.cell.n for one in known),
        trained=_trained(modality, recorded),
        profile=recorded.protocols[row.family],
        without_data=tuple(name for name, one in entries.items() if one.standing == OPEN),
        stale=tuple(name for name in best if name in table.stale),
    )


def _trained(modality: str, recorded: Recorded) -> str:
    """The networks and data of the evidence, and the device that trained them."""
    if modality == IMAGES:
        network = "a CNN of 5 layers, 16 wide, on 8×8 images, in SGD batches of 64"
    else:
        network = "causal transformers of 2, 6 and 12 layers, 32 wide, in batches of 16"
    data = listed(recorded.data(modality)) or "unnamed data"
    return f"{network}, {data}, {device_label(recorded.devices[modality])}"
