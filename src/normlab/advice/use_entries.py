"""Verdicts on where a norm is used: several devices, inference, cost, and placements in a transformer."""

from normlab.advice import judges
from normlab.advice.entry import BN, GN, LN, RMS, Entry, several_devices, transformer

# A claim that has no record yet is named as missing.
USE = (
    Entry("bn-eval-deterministic", "network", lambda s: s.fold, judges.by_identity, (BN,), (),
          "at evaluation BatchNorm's output does not depend on the batch: {effect}",
          "at evaluation BatchNorm's output depends on the batch: {effect}"),
    Entry("bn-fold-exact", None, lambda s: s.fold, judges.by_claim, (BN,), (),
          "BatchNorm folds into the layer before it{effect}", "BatchNorm does not fold exactly{effect}"),
    Entry("bn-fold-latency", None, lambda s: s.fold, judges.by_claim, (BN,), (),
          "folding BatchNorm saves time at inference{effect}",
          neither="what folding BatchNorm saves at inference depends on the case{effect}"),
    Entry("ln-cannot-fold", None, lambda s: s.fold, judges.by_claim, (), (LN,),
          "LayerNorm does not fold into its neighbours{effect}", "LayerNorm folds into its neighbours{effect}",
          "LayerNorm folds into its neighbours in part only{effect}"),
    Entry("syncbn-equals-global", None, lambda s: s.devices > 1, judges.by_claim, ("syncbatchnorm",), (),
          "SyncBatchNorm gives what BatchNorm gives on the joined batch{effect}",
          "SyncBatchNorm does not give what BatchNorm gives on the joined batch{effect}"),
    Entry("syncbn-slowdown-10-30", None, lambda s: s.devices > 1, judges.as_said, (), (),
          "", neither="what SyncBatchNorm costs per step is recorded{effect}"),
    Entry("ddp-bn-local-stats", None, lambda s: s.devices > 1, judges.by_claim, (), (BN,),
          "in data parallel each device has BatchNorm statistics of its own{effect}",
          "in data parallel BatchNorm has the statistics of the whole batch{effect}"),
    *(Entry("no-cross-device-coupling", None, several_devices(kind), judges.by_claim,
            (kind,), (), "several devices compute the gradient of one without exchanging statistics{effect}",
            "several devices do not compute the gradient of one without exchanging statistics{effect}")
      for kind in (LN, GN, RMS)),
    Entry("rmsnorm-7-64-faster", None, transformer, judges.by_claim, (RMS,), (LN,),
          "RMSNorm is faster than LayerNorm{effect}", "RMSNorm is not faster than LayerNorm as claimed{effect}",
          "RMSNorm is faster than LayerNorm in some cases{effect}"),
)  # fmt: skip

PLACEMENTS = (
    Entry("postln-12-layers-warmup", "without warm-up", lambda s: transformer(s) and not s.warmup,
          judges.deeper_than_trains, (), ("post",),
          "without warm-up the deepest Post-LN that trains has {effect}", on="placements"),
    Entry("postln-12-layers-warmup", "warm-up helps", lambda s: transformer(s) and s.depth >= 6, judges.as_said,
          (), (), "", neither="warm-up changes the depth at which Post-LN trains by {effect}", on="placements"),
    Entry("postln-warmup-ok", "12 layers", lambda s: transformer(s) and s.warmup and 9 <= s.depth < 18,
          judges.no_worse, ("pre",), ("post",),
          "with warm-up, 12 layers of Post-LN have the perplexity of Pre-LN {effect}",
          "with warm-up, 12 layers of Post-LN have less perplexity than Pre-LN: {effect}",
          "with warm-up, 12 layers of Post-LN are no worse than Pre-LN: its perplexity {effect}", on="placements"),
    Entry("postln-warmup-ok", "24 layers", lambda s: transformer(s) and s.warmup and s.depth >= 18,
          judges.no_worse, ("pre",), ("post",),
          "with warm-up, 24 layers of Post-LN have the perplexity of Pre-LN {effect}",
          "with warm-up, 24 layers of Post-LN have less perplexity than Pre-LN: {effect}",
          "with warm-up, 24 layers of Post-LN are no worse than Pre-LN: its perplexity {effect}", on="placements"),
    Entry("preln-24-no-warmup", "Post-LN", lambda s: transformer(s) and not s.warmup and s.depth >= 18,
          judges.by_margin, ("pre",), ("post",),
          "without warm-up, 24 layers of Post-LN leave {effect} that Pre-LN closes", on="placements"),
    Entry("preln-24-no-warmup", "Pre-LN", lambda s: transformer(s) and not s.warmup and s.depth >= 18,
          judges.by_identity, ("pre",), (),
          "without warm-up, 24 layers of Pre-LN have the perplexity of those with it {effect}",
          "without warm-up, 24 layers of Pre-LN have more perplexity than with it: {effect}", on="placements"),
    Entry("deepnet-1000", "DeepNorm", lambda s: transformer(s) and not s.warmup and s.depth >= 24,
          judges.no_worse, ("pre",), ("deepnorm",),
          "without warm-up, 48 layers of DeepNorm have the perplexity of Pre-LN {effect}",
          "without warm-up, 48 layers of DeepNorm have less perplexity than Pre-LN: {effect}",
          "without warm-up, 48 layers of DeepNorm are no worse than Pre-LN: its perplexity {effect}", on="placements"),
    Entry("peri-ln-steadier", "learning rate", transformer, judges.by_margin, ("sandwich",), ("pre",),
          "a learning rate that is too large costs Pre-LN {effect} more than norms before and after each branch",
          "a learning rate that is too large costs norms before and after each branch more than Pre-LN: {effect}",
          on="placements"),
    Entry("layernorm-scaling-depth", "12 layers, xavier", lambda s: transformer(s) and s.depth >= 9,
          judges.by_margin, (), (), "model.layer_scaling=true lowers the loss of 12 layers by {effect}, "
          "with the initial scale of xavier", neither="model.layer_scaling=true changes the loss of 12 layers by "
          "{effect}, with the initial scale of xavier", on="placements"),
    Entry("layernorm-scaling-depth", "12 layers, gpt2", lambda s: transformer(s) and s.depth >= 9,
          judges.by_margin, (), (), "model.layer_scaling=true lowers the loss of 12 layers by {effect}, "
          "with the initial scale of gpt2", neither="model.layer_scaling=true changes the loss of 12 layers by "
          "{effect}, with the initial scale of gpt2", on="placements"),
    Entry("qknorm-high-lr", "largest useful rate", transformer, judges.by_ratio, (), (),
          "model.qk_norm=true raises the largest useful learning rate {effect}",
          neither="model.qk_norm=true changes the largest useful learning rate {effect}", on="placements"),
)  # fmt: skip
