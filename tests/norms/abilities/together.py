"""All cases in one model, which is exported once: alone, each takes a second."""

import io
from functools import cache, cached_property

import onnxruntime
import torch
from torch import Tensor, nn

from abilities.cases import CASES, Case, build, example
from abilities.table import of_slow

BATCH = 6  # of another size than an example has


class Parallel(nn.Module):
    """Each layer on an input of its own."""

    def __init__(self, layers: dict[str, nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        return [layer(x) for layer, x in zip(self.layers.values(), inputs, strict=True)]


class Together:
    """The cases that are tried with one case: those of the suite, or the others; ours or torch's.

    Exported with a batch of any even size: one variant has ghost batches of two.
    """

    def __init__(self, training: bool, suite: bool, of_torch: bool) -> None:
        cases = [case for case in CASES if of_slow(case) == suite]
        if training:
            cases = [case for case in cases if case.stateful]
        twins = [case.twin if of_torch else case for case in cases]
        self.cases = [case for case in twins if case is not None]
        self.training = training

    @staticmethod
    def of(case: Case, training: bool) -> "Together":
        return _together(training, of_slow(case), case.of_torch)

    @cached_property
    def program(self) -> torch.export.ExportedProgram:
        layers = {str(case): build(case).train(self.training) for case in self.cases}
        size = {0: 2 * torch.export.Dim("half", min=2)}
        inputs = [example(case) for case in self.cases]
        model = Parallel(layers).train(self.training)
        return torch.export.export(model, (inputs,), dynamic_shapes=([size] * len(inputs),))

    @cached_property
    def module(self) -> tuple[nn.Module, dict[Case, Tensor]]:
        """What the program is run by, and its outputs."""
        module = self.program.module()
        outputs = module([example(case, batch=BATCH) for case in self.cases])
        return module, dict(zip(self.cases, outputs, strict=True))

    @cached_property
    def of_onnx_runtime(self) -> dict[Case, Tensor]:
        """What ONNX Runtime makes of them."""
        file = io.BytesIO()
        torch.onnx.export(self.program, verbose=False).save(file)
        session = onnxruntime.InferenceSession(file.getvalue())
        names = [one.name for one in session.get_inputs()]
        values = [example(case, batch=BATCH).contiguous().numpy() for case in self.cases]
        outputs = session.run(None, dict(zip(names, values, strict=True)))
        return dict(zip(self.cases, map(torch.from_numpy, outputs), strict=True))


_together = cache(Together)
