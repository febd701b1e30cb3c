"""What the checks of an audit look at: a network, its norm layers, and how it is trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from normlab.errors import NormLabError
from normlab.tools.audit.inputs import inputs_of_norms
from normlab.tools.fold.call_graph import CallGraph
from normlab.tools.forward_pass import batch_length
from normlab.tools.hooks import clear_hooks
from normlab.tools.norm_layers import NormLayer, find_norms
from normlab.tools.replica import refuse_sharded, replica


@dataclass
class Subject:
    """A network that is audited. Its checks change nothing of it: forward passes run on copies.

    sample_batch: what the network is called with (a tensor, a tuple of arguments, keywords), or
    None.
    last_batch: samples of an epoch's last batch on a device. optimizers: those that train it.
    evaluated: by a trainer, now, whatever mode it is in; else a network in train mode counts as
    one that is trained. norms are those that could be read. notes: what a check could not look
    for, and why.

    Raises:
        NormLabError: a model that is wrapped by FSDP; a sample batch for a model on the meta
            device.
    """

    model: nn.Module
    sample_batch: Any
    world_size: int
    batch_per_device: int | None
    last_batch: int | None = field(default=None, kw_only=True)
    optimizers: Sequence[Optimizer] = field(default=(), kw_only=True)
    evaluated: bool = field(default=False, kw_only=True)
    norms: list[NormLayer] = field(init=False)
    unread: list[NormLayer] = field(init=False)
    notes: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        refuse_sharded(self.model)
        if self.on_meta:
            if self.sample_batch is not None:
                raise NormLabError(
                    "the model is on the meta device, where nothing can be computed: "
                    "leave out sample_batch, or give the model values."
                )
            self.notes.append(
                "what gains and running statistics hold, and eps: the model is on the meta device"
            )
        layers = find_norms(self.model)
        self.norms = [norm for norm in layers if norm.kind]
        self.unread = [norm for norm in layers if not norm.kind]
        # A sample batch at an evaluation says nothing of the batches of training.
        if self.batch_per_device is None and not self.evaluated:
            self.batch_per_device = batch_length(self.sample_batch)

    @property
    def batch_norms(self) -> list[NormLayer]:
        return [norm for norm in self.norms if norm.is_batch_norm]

    @property
    def live(self) -> list[NormLayer]:
        """Those that normalize with statistics of the batch now."""
        return [norm for norm in self.norms if norm.is_live]

    @property
    def live_batchnorm(self) -> list[NormLayer]:
        """Those of which BatchNorm's records speak, and not those of kinds derived from it."""
        return [norm for norm in self.live if norm.kind in ("batchnorm", "syncbatchnorm")]

    @cached_property
    def on_meta(self) -> bool:
        tensors = chain(self.model.parameters(), self.model.buffers())
        return any(tensor.is_meta for tensor in tensors)

    @cached_property
    def graph(self) -> CallGraph:
        """Of a copy, since tracing writes into the model that it traces."""
        return CallGraph(replica(self.model))

    def note_untraced(self, check: str, norms: list[NormLayer]) -> None:
        """Notes for which of `norms` a check saw nothing, since torch.fx did not."""
        for path, reason in self.graph.closed.items():
            # The path "" is the whole model, and every name begins with it.
            inside = f"{path}." if path else ""
            hidden = [norm for norm in norms if norm.names[0].startswith(inside)]
            if hidden:
                more = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
                self.notes.append(f"{check} at {hidden[0].name}{more}: {reason}")

    def samples(self, norm: NormLayer) -> int | None:
        """How many samples share the statistics of a live batch norm.

        None if nobody said how large batches are.
        """
        if self.batch_per_device is None:
            return None
        synchronized = norm.kind == "syncbatchnorm"
        # SyncBatchNorm alone counts the samples of all processes.
        total = self.batch_per_device * (self.world_size if synchronized else 1)
        # Ghost batches divide a batch, and a batch smaller than one is one.
        return min(getattr(norm.module, "ghost_batch", None) or total, total)

    @property
    def synchronizes(self) -> bool:
        """Whether a pass in train mode waits for other processes, which may make none."""
        return (
            distributed.is_available()
            and distributed.is_initialized()
            and (distributed.get_world_size() > 1)
        )

    def copy(self) -> nn.Module:
        """In eval mode, without the hooks on its calls."""
        return self.training_copy().eval()

    def training_copy(self) -> nn.Module:
        """In the mode that the model is in, without the hooks on its calls."""
        model = replica(self.model)
        for module in model.modules():
            clear_hooks(module)
        return model

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        """The first input of each norm, by name, when the sample batch goes through in eval mode.

        Nothing without a sample batch. Where a norm refuses groups of one value each, the pass ends
        there.

        Raises:
            NotCallable: the pass fails anywhere else.
        """
        if self.sample_batch is None:
            return {}
        inputs, last = inputs_of_norms(self.copy(), self.norms, self.sample_batch)
        if last is not None:
            self.notes.append(f"what reaches the norms after {last}: the forward pass ends there")
        return inputs
