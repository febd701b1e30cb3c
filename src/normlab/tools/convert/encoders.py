"""torch's transformer encoders, which compute in one kernel at evaluation, LayerNorm included."""

from typing import Any

from torch import nn


def leave_fast_path(model: nn.Module, norm: nn.Module) -> list[str]:
    """Keeps encoders in `model` that have `norm` from that kernel; returns what it changes."""
    # The kernel reads weight, bias and eps of the norms and never calls them, so that a new norm
    # would have no effect in eval mode.
    notes = []
    for module in model.modules():
        encoder: Any = module
        if isinstance(module, nn.TransformerEncoderLayer) and norm in module.children():
            # It is read for nothing else than whether the kernel may be used.
            encoder.activation_relu_or_gelu = 0
        nested = getattr(module, "use_nested_tensor", False)
        if (
            isinstance(module, nn.TransformerEncoder)
            and nested
            and norm in encoder.layers.modules()
        ):
            encoder.use_nested_tensor = False  # only that kernel takes those
            notes.append(
                "its encoder takes padding as a mask at evaluation, no longer as nested tensors"
            )
    return notes
