"""The figures of the report: what `Claim.figure` asks for, drawn from the claim's trials.

Every card has strips, each trial of each arm as a point beside its arm's mean and 95 % interval; a
figure comes on top of them. "" where the records hold nothing to draw.
"""

from markupsafe import Markup

from normlab.claims.claim import Claim
from normlab.claims.figure import Against, Cells, Course, Curve, HeatMap, NormalizationBatch, Sweep
from normlab.claims.trials import Trials
from normlab.report.against import against
from normlab.report.cell_figure import cells
from normlab.report.course import course
from normlab.report.curve import curve
from normlab.report.heat import heat_map
from normlab.report.sweep import normalization_batch, sweep


def draw(claim: Claim, trials: Trials) -> Markup:
    """The claim's own figure, "" if it has none beyond the strips, or no trial is recorded."""
    figure = claim.figure
    if figure is None or not trials.records:
        return Markup("")
    match figure:
        case NormalizationBatch():
            return normalization_batch(claim, figure, trials)
        case Sweep():
            return sweep(claim, figure, trials)
        case HeatMap():
            return heat_map(claim, figure, trials)
        case Cells():
            return cells(claim, figure, trials)
        case Curve():
            return curve(claim, figure, trials)
        case Course():
            return course(claim, figure, trials)
        case Against():
            return against(claim, figure, trials)
