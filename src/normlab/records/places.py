"""Where the configuration, the experiments and the records lie: the one place that knows. Torch-free."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  # src/normlab
ROOT = PACKAGE.parents[1]  # the checkout
CONF = ROOT / "conf"
RESULTS = ROOT / "results"
# NORMLAB_EXPERIMENTS names a folder of claims of one's own.
EXPERIMENTS = Path(os.environ.get("NORMLAB_EXPERIMENTS") or ROOT / "experiments")
