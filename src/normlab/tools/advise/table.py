"""What each verdict says about norms, and when: the only knowledge that the advice has, beside the records."""

from normlab.tools.advise.norm_entries import IMAGES, SEQUENCES, SMALL_BATCHES
from normlab.tools.advise.use_entries import PLACEMENTS, USE

TABLE = (*SMALL_BATCHES, *IMAGES, *SEQUENCES, *USE, *PLACEMENTS)
