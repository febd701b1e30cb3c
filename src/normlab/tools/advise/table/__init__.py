"""What each verdict says about norms, and when.

It is the only knowledge that advice has, beside the records.
"""

from normlab.tools.advise.table.causal_models import CAUSAL_MODELS
from normlab.tools.advise.table.cost import COST
from normlab.tools.advise.table.devices import DEVICES
from normlab.tools.advise.table.encoders import ENCODERS
from normlab.tools.advise.table.images import IMAGES
from normlab.tools.advise.table.inference import INFERENCE
from normlab.tools.advise.table.placements import PLACEMENT_ENTRIES
from normlab.tools.advise.table.recurrent import RECURRENT
from normlab.tools.advise.table.small_batches import SMALL_BATCHES

TABLE = (
    *SMALL_BATCHES,
    *IMAGES,
    *ENCODERS,
    *CAUSAL_MODELS,
    *RECURRENT,
    *INFERENCE,
    *DEVICES,
    *COST,
    *PLACEMENT_ENTRIES,
)
