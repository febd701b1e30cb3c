"""What each verdict says about norms, and when: the only knowledge that the advice has, beside the records."""

from normlab.advice.norm_entries import IMAGES, SEQUENCES, SMALL_BATCHES
from normlab.advice.use_entries import PLACEMENTS, USE

TABLE = (*SMALL_BATCHES, *IMAGES, *SEQUENCES, *USE, *PLACEMENTS)
