"""Training: `fit(cfg) -> Record`, hosted by Lightning, with a plain inner step."""

import normlab.compat  # noqa: F401  (before any module here imports lightning)
