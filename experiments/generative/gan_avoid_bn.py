"""Successful GANs rarely rely on BatchNorm: instance norm, AdaIN and pixel norm take its place.

Said by: "How BN, IN and LN differ".
Primary source: the code of ten GANs, its defaults, read there. A list of names was fixed before any
code was read.
- Newmu/dcgan_code, faces/train_uncond_dcgan.py: batchnorm in both networks.
- igul222/improved_wgan_training, gan_64x64.py: BN in the generator, layer norm in the critic.
- junyanz/pytorch-CycleGAN-and-pix2pix, models/ and options/base_options.py: pix2pix BN in both
  networks, batch size 1 by default; CycleGAN instance norm in both.
- tkarras/progressive_growing_of_gans, networks.py: pixel norm in the generator, no norm in the
  discriminator.
- pfnet-research/sngan_projection, resblocks.py and resnet.py of gen_models, resblocks.py of
  dis_models: (conditional) BN in the generator, spectral norm of weights in the discriminator.
- brain-research/self-attention-gan, generator.py and discriminator.py: as SNGAN.
- ajbrock/BigGAN-PyTorch, BigGAN.py and layers.py: likewise, norm_style is bn by default.
- NVlabs/stylegan, training/networks_stylegan.py: instance norm and a style's gain and shift, which
  is AdaIN; no norm in the discriminator.
- NVlabs/stylegan2, training/networks_stylegan2.py: convolution weights are demodulated, activations
  are not normalized; no norm in the discriminator.
Measured: an audit of what was read, nothing is trained. A generator counts against the clause if it
has BN, conditional or not, by default. By the threshold that the catalogue has for such audits,
"rarely" is 80 % without. Scope: pix2pix the other way, discriminators, the four GANs in proceedings
from 2019 on, and which norm those without BN have.
Cost: normlab run gan-avoid-bn --profile full    10 trials, a second of one core
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import reached
from normlab.claims.rules import Listed

# Of each GAN: the norm of its generator and of its discriminator, and the images of a batch in
# training, where the default is a single one. Read in the sources above, once.
STATED: dict[str, tuple[str, str]] = {
    "DCGAN": ("batch", "batch"),
    "WGAN-GP": ("batch", "layer"),
    "pix2pix": ("batch of 1", "batch of 1"),
    "CycleGAN": ("instance", "instance"),
    "Progressive GAN": ("pixel", "none"),
    "SNGAN": ("batch", "none"),
    "SAGAN": ("batch", "none"),
    "BigGAN": ("batch", "none"),
    "StyleGAN": ("instance", "none"),
    "StyleGAN2": ("none", "none"),
}
GANS = tuple(STATED)
# In proceedings: ICML 2019, ICLR 2019, CVPR 2019, CVPR 2020.
LATER = ("SAGAN", "BigGAN", "StyleGAN", "StyleGAN2")
WITHOUT = ("CycleGAN", "Progressive GAN", "StyleGAN", "StyleGAN2")


def trial(options: Options, seed: int) -> dict[str, float]:
    """1 or 0 for what the code of one GAN states."""
    generator, discriminator = STATED[options["gan"]]
    return {
        "generator_without_bn": float(not generator.startswith("batch")),
        "discriminator_without_bn": float(not discriminator.startswith("batch")),
        "generator_reads_one_image": float(generator != "batch"),
        "generator_has_named_norm": float(generator in ("instance", "pixel")),
    }


def part(name: str, statement: str, metric: str, words: str, gans: tuple[str, ...]) -> Part:
    """Whether it holds for four of five of `gans`, in one trial each."""
    return Part(
        name,
        statement,
        reached(gans, metric, words=f"{words}, of {', '.join(gans)}", unit="of the list"),
        Listed(gans, 0.8),
    )


CLAIM = Claim(
    slug="gan-avoid-bn",
    statement="Successful GANs rarely rely on BatchNorm; they use instance norm, AdaIN or pixel "
    "norm instead.",
    documents=("How BN, IN and LN differ",),
    source="Code: BN in the generators of DCGAN, WGAN-GP, pix2pix, SNGAN, SAGAN and BigGAN; none "
    "in those of CycleGAN, Progressive GAN, StyleGAN and StyleGAN2.",
    prediction="partly supported: Progressive GAN and StyleGAN avoid it, DCGAN and BigGAN do not",
    arms=tuple(Arm(gan, options={"gan": gan}) for gan in GANS),
    protocols=direct_protocols(1, 0.01),
    trial=trial,
    clauses=(
        part(
            "generators",
            "generators of well-known GANs have no BatchNorm",
            "generator_without_bn",
            "generators without BatchNorm, conditional or not",
            GANS,
        ),
    ),
    scope=(
        part(
            "one image alone",
            "generators of well-known GANs normalize each image alone, pix2pix's at its default "
            "batch of 1 included",
            "generator_reads_one_image",
            "generators whose norms, if any, read one image in training",
            GANS,
        ),
        part(
            "discriminators",
            "discriminators of well-known GANs have no BatchNorm",
            "discriminator_without_bn",
            "discriminators without BatchNorm",
            GANS,
        ),
        part(
            "from 2019 on",
            "generators in proceedings from 2019 on have no BatchNorm",
            "generator_without_bn",
            "generators without BatchNorm, conditional or not",
            LATER,
        ),
        part(
            "instead",
            "generators without BatchNorm have instance norm, AdaIN or pixel norm instead",
            "generator_has_named_norm",
            "generators with one of the three",
            WITHOUT,
        ),
    ),
    answers=Answers(
        supported="Of the generators of ten well-known GANs {generators.effect:.0%} have no "
        "BatchNorm, and of their discriminators {discriminators.effect:.0%}.",
        refuted="Only {generators.effect:.0%} of the generators of ten well-known GANs have no "
        "BatchNorm ({one image alone.effect:.0%} if pix2pix's, used on batches of one image, "
        "counts as none); of their discriminators {discriminators.effect:.0%} have none.",
        partly="Of the generators of ten well-known GANs {generators.effect:.0%} have no "
        "BatchNorm, less than four of five; of their discriminators {discriminators.effect:.0%} "
        "have none.",
    ),
    caveats=(
        "Which GANs are successful is a choice: a list of the StyleGAN family alone would support "
        "the sentence.",
        "pix2pix's BatchNorm, on batches of one image, is instance norm in training: counted so, "
        "half of the generators have none, and the rule would say partly supported.",
        "The code was read in stored copies of the repositories, some of them of later commits; "
        "BigGAN's is the port of its first author, pix2pix's and CycleGAN's the authors' own in "
        "PyTorch.",
        "That a GAN has BatchNorm does not show that it needs it.",
    ),
    would_change="Another list, fixed before it is counted: of GANs of one decade by citations, "
    "say.",
    first_seed=0,
    metrics={
        "generator_without_bn": "generator without BatchNorm, 1 (yes) or 0 (no)",
        "discriminator_without_bn": "discriminator without BatchNorm, 1 (yes) or 0 (no)",
        "generator_reads_one_image": "norms of the generator read one image, 1 (yes) or 0 (no)",
        "generator_has_named_norm": "generator with IN, AdaIN or pixel norm, 1 (yes) or 0 (no)",
    },
)
