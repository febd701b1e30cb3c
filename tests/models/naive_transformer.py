"""A small transformer for the tests, and what it computes, written out sequence by sequence."""

import math
from functools import partial

import torch

from normlab.models.layers import PAD
from normlab.models.transformer import Transformer
from normlab.norms import make_norm

WIDTH, HEADS, VOCABULARY, CONTEXT, CLASSES = 12, 3, 11, 7, 4


def build(
    modality="text", kind="layernorm", depth=2, seed=0, context=CONTEXT, width=WIDTH, **options
):
    shape = (context,) if modality == "text" else (context, VOCABULARY)
    outputs = CLASSES if modality == "documents" else VOCABULARY
    generator = torch.Generator().manual_seed(seed)
    options = {"num_heads": HEADS, **options}
    return Transformer(
        shape,
        outputs,
        partial(make_norm, kind),
        generator,
        modality=modality,
        depth=depth,
        width=width,
        **options,
    )


def randomised(model):
    """In float64, with weights large enough and gains different enough that nothing hides in a
    tolerance."""
    generator = torch.Generator().manual_seed(1)
    model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(1.0 if parameter.dim() == 1 else 0.0, 0.5, generator=generator)
    return model


def documents(lengths, context=CONTEXT, seed=3):
    ids = torch.randint(
        3, VOCABULARY, (len(lengths), context), generator=torch.Generator().manual_seed(seed)
    )
    for row, length in zip(ids, lengths, strict=True):
        row[length:] = PAD
    return ids


# The formulas, for one sequence x (T, C). `n` is a function of the slot's name.
FORMULAS = {
    "pre": lambda x, f, n, depth: x + f(n("before")(x)),
    "post": lambda x, f, n, depth: n("total")(x + f(x)),
    "sandwich": lambda x, f, n, depth: x + n("after")(f(n("before")(x))),
    "deepnorm": lambda x, f, n, depth: n("total")(x * math.sqrt(math.sqrt(2 * depth)) + f(x)),
    "deepnorm_alpha": lambda x, f, n, depth: n("total")(x * math.sqrt(math.sqrt(2 * depth)) + f(x)),
    "deepnorm_beta": lambda x, f, n, depth: n("total")(x + f(x)),
}


def layer_norm(parameters, name):
    def norm(x):
        centred = x - x.sum(-1, keepdim=True) / x.shape[-1]
        scaled = centred / (centred.square().sum(-1, keepdim=True) / x.shape[-1] + 1e-5) ** 0.5
        return scaled * parameters[f"{name}.weight"] + parameters[f"{name}.bias"]

    return norm


def naive_attention(x, parameters, name, causal, qk_norm):
    q, k, v = (x @ w.T for w in parameters[f"{name}.qkv.weight"].split(WIDTH))
    heads = []
    for head in range(HEADS):
        columns = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
        qh, kh = q[:, columns], k[:, columns]
        if qk_norm:
            qh, kh = (
                layer_norm(parameters, f"{name}.norm_q")(qh),
                layer_norm(parameters, f"{name}.norm_k")(kh),
            )
        rows = []
        for t in range(len(x)):
            seen = t + 1 if causal else len(x)
            weights = torch.exp(kh[:seen] @ qh[t] / math.sqrt(WIDTH / HEADS))
            rows.append((weights / weights.sum()) @ v[:seen, columns])
        heads.append(torch.stack(rows))
    return torch.cat(heads, dim=1) @ parameters[f"{name}.out.weight"].T


def naive_mlp(x, parameters, name):
    h = x @ parameters[f"{name}.up.weight"].T
    return (0.5 * h * (1 + torch.erf(h / math.sqrt(2)))) @ parameters[f"{name}.out.weight"].T


def naive(
    model,
    ids,
    depth,
    placement="pre",
    modality="text",
    init="gpt2",
    tied=True,
    qk_norm=False,
    **scaling,
):
    """Logits of `ids`, sequence by sequence and only of the tokens that are there."""
    parameters = dict(model.named_parameters())
    outputs = []
    for row in ids:
        row = row if modality == "text" else row[row != PAD]
        x = parameters["tokens.weight"][row] + parameters["positions.weight"][: len(row)]
        if init == "xavier":
            x = math.sqrt(WIDTH) * x
        for layer in range(depth):
            for part in ("attention", "mlp"):
                name = f"blocks.{layer}.{part}"

                def norm(slot, name=name, layer=layer):
                    y = layer_norm(parameters, f"{name}.{slot}")
                    scaled = scaling.get("layer_scaling") and slot == "before"
                    return (lambda h: y(h) / math.sqrt(layer + 1)) if scaled else y

                def branch(x, name=name, part=part):
                    if part == "mlp":
                        return naive_mlp(x, parameters, f"{name}.branch")
                    return naive_attention(
                        x, parameters, f"{name}.branch", modality == "text", qk_norm
                    )

                x = FORMULAS[placement](x, branch, norm, depth)
        if placement in ("pre", "sandwich"):
            x = layer_norm(parameters, "norm")(x)
        if modality == "documents":
            x = x.sum(0) / len(row)
        outputs.append(x @ parameters["tokens.weight" if tied else "head.weight"].T)
    return outputs


def assert_same_forward_and_gradients(model, ids, expected):
    """`expected`: one tensor for each sequence, of the valid tokens or of the document."""
    actual = [
        out[: len(e)] if e.dim() == 2 else out for out, e in zip(model(ids), expected, strict=True)
    ]
    actual, expected = (
        torch.cat([part.flatten() for part in parts]) for parts in (actual, expected)
    )
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
    direction = torch.randn(
        actual.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    names, parameters = zip(*model.named_parameters(), strict=True)
    ours = torch.autograd.grad((actual * direction).sum(), parameters)
    theirs = torch.autograd.grad((expected * direction).sum(), parameters, allow_unused=True)
    assert all(gradient is not None for gradient in theirs), names
    largest = max(float(gradient.abs().max()) for gradient in theirs)
    for name, a, b in zip(names, ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-12 * largest, msg=name)
