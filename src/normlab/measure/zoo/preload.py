"""What the server imports from which the zoo's processes are forked: each has it at once."""

from contextlib import suppress
from importlib import import_module

import normlab.measure.zoo.examination
import normlab.models.torchvision_operators  # noqa: F401  (before torchvision)

# A library that is not installed has no networks either.
for _name in ("torchvision.models", "timm", "transformers.modeling_utils"):
    with suppress(ImportError):
        import_module(_name)
