"""Nets of tokens: mixers, transformers and experts, and what is true of them."""

import flax.linen as nn
import jax.numpy as jnp
from zoo.residual_nets import HEAD
from zoo.truth import Branch, Layer, Net, residual

D, HEADS = 8, 2


def tokens(x, name="patch"):
    """Sixteen patches of 2 × 2 pixels."""
    x = nn.Conv(D, (2, 2), (2, 2), name=name)(x)
    return x.reshape(len(x), -1, D)


# The windows do not overlap; the sum with the branch and the branch's norm read it.
PATCH = Layer("patch", (12, 8), "linear|?")


class Mixer(nn.Module):
    """MLP-Mixer (Tolstikhin et al. 2021): dense layers over tokens, then channels."""

    @nn.compact
    def __call__(self, x):
        x = tokens(x)
        for i in range(2):
            y = jnp.swapaxes(nn.LayerNorm(name=f"ln{i}a")(x), 1, 2)
            # The activation is behind a swap of axes, and before the next one.
            y = jnp.swapaxes(nn.Dense(6, name=f"token{i}a")(y), 1, 2)
            y = jnp.swapaxes(nn.gelu(y), 1, 2)
            y = nn.Dense(16, name=f"token{i}b")(y)
            x = residual(x, jnp.swapaxes(y, 1, 2))
            y = nn.Dense(12, name=f"channel{i}a")(nn.LayerNorm(name=f"ln{i}b")(x))
            x = residual(x, nn.Dense(D, name=f"channel{i}b")(nn.gelu(y)))
        x = nn.LayerNorm(name="ln")(x).mean(1)
        return nn.Dense(3, name="head")(x)


MIXER = Net(
    Mixer,
    (
        PATCH,
        *(
            layer
            for i in range(2)
            for layer in (
                Layer(f"token{i}a", (16, 6), "gelu"),
                Layer(f"token{i}b", (6, 16)),
                Layer(f"channel{i}a", (8, 12), "gelu"),
                Layer(f"channel{i}b", (12, 8)),
            )
        ),
        HEAD,
    ),
    tuple(
        Branch(f"{word}{i}a {word}{i}b", f"{word}{i}b")
        for i in range(2)
        for word in ("token", "channel")
    ),
)


class EncoderBlock(nn.Module):
    """Flax's own attention and an MLP, each behind a norm."""

    @nn.compact
    def __call__(self, x, _=None):
        attention = nn.MultiHeadDotProductAttention(HEADS, name="attention")
        x = residual(x, attention(nn.LayerNorm(name="ln1")(x)))
        y = nn.gelu(nn.Dense(12, name="up")(nn.LayerNorm(name="ln2")(x)))
        return residual(x, nn.Dense(D, name="down")(y)), None


class ScannedViT(nn.Module):
    """A vision transformer whose blocks are one `nn.scan`, as in big_vision."""

    @nn.compact
    def __call__(self, x):
        x = tokens(x)
        start = nn.initializers.normal(0.02)
        x = x + self.param("positions", start, (1, 16, D))
        blocks = nn.scan(
            EncoderBlock,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=2,
        )
        x, _ = blocks(name="blocks")(x, None)
        return nn.Dense(3, name="head")(nn.LayerNorm(name="ln")(x).mean(1))


ATTENTION = ("query", "key", "value", "out")


def encoder(prefix, place=""):
    """The layers of one block, each with 8 inputs and 2 heads of 4."""
    # Queries are divided by √4 on their way to the keys.
    return (
        Layer(f"{prefix}/attention/query{place}", (8, 8), "scaled|linear"),
        Layer(f"{prefix}/attention/key{place}", (8, 8)),
        Layer(f"{prefix}/attention/value{place}", (8, 8)),
        Layer(f"{prefix}/attention/out{place}", (8, 8)),
        Layer(f"{prefix}/up{place}", (8, 12), "gelu"),
        Layer(f"{prefix}/down{place}", (12, 8)),
    )


def encoder_branches(prefix, place=""):
    attention = [f"{prefix}/attention/{word}{place}" for word in ATTENTION]
    dense = f"{prefix}/up{place} {prefix}/down{place}"
    return (
        Branch(" ".join(attention), attention[-1]),
        Branch(dense, f"{prefix}/down{place}"),
    )


SCANNED_VIT = Net(
    ScannedViT,
    (PATCH, *encoder("blocks", "[0]"), *encoder("blocks", "[1]"), HEAD),
    (*encoder_branches("blocks", "[0]"), *encoder_branches("blocks", "[1]")),
)


class PoolingViT(nn.Module):
    """A vision transformer whose head is attention from a learned probe (MAP head)."""

    @nn.compact
    def __call__(self, x):
        x, _ = EncoderBlock(name="block")(tokens(x))
        x = nn.LayerNorm(name="ln")(x)
        probe = self.param("probe", nn.initializers.xavier_uniform(), (1, 1, D))
        probe = jnp.tile(probe, (len(x), 1, 1))
        pool = nn.MultiHeadDotProductAttention(HEADS, name="pool")
        x = pool(probe, x)
        y = nn.LayerNorm(name="ln_pool")(x)
        y = nn.gelu(nn.Dense(12, name="up")(y))
        x = residual(x, nn.Dense(D, name="down")(y))
        return nn.Dense(3, name="head")(x[:, 0])


POOLING_VIT = Net(
    PoolingViT,
    (
        PATCH,
        *encoder("block"),
        Layer("pool/query", (8, 8), "scaled|linear"),
        Layer("pool/key", (8, 8)),
        Layer("pool/value", (8, 8)),
        Layer("pool/out", (8, 8), "linear|?"),
        Layer("up", (8, 12), "gelu"),
        Layer("down", (12, 8)),
        HEAD,
    ),
    (*encoder_branches("block"), Branch("up down", "down")),
)


class Experts(nn.Module):
    """A soft mixture of experts with a leading axis of experts, as in T5X and V-MoE."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(D, name="embed")(x.reshape(len(x), -1))
        y = nn.LayerNorm(name="ln")(x)
        gates = nn.softmax(nn.Dense(3, use_bias=False, name="router")(y))
        start = nn.initializers.lecun_normal(batch_axis=0)
        up = self.param("up", start, (3, D, 12))
        down = self.param("down", start, (3, 12, D))
        y = nn.gelu(jnp.einsum("bd,edf->bef", y, up))
        y = jnp.einsum("bef,efd->bed", y, down)
        x = residual(x, jnp.einsum("be,bed->bd", gates, y))
        return nn.Dense(3, name="head")(x)


EXPERTS = Net(
    Experts,
    (
        Layer("embed", (48, 8), "linear|?"),
        # A softmax is no norm, and no function of one number.
        Layer("router", (8, 3), "?"),
        # Each of the three has 8 inputs and 12 outputs.
        Layer("up", (8, 36), "gelu", parts="3"),
        Layer("down", (12, 24), parts="3", apart=True),
        HEAD,
    ),
    (Branch("router up down", "down"),),
    shape=(4, 4, 3),
    refuses={"lsuv": "experts are mapped over"},
)


class PackedAttention(nn.Module):
    """Attention by one projection for queries, keys and values, which is then cut."""

    cut: str = "split"

    @nn.compact
    def __call__(self, x):
        x = tokens(x)
        y = nn.LayerNorm(name="ln")(x)
        packed = nn.Dense(16 if self.cut == "shared" else 3 * D, name="qkv")(y)
        query, key, value = self.parts(packed)
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / 2
        weights = nn.softmax(scores)
        y = jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(x.shape)
        x = residual(x, nn.Dense(D, name="out")(y))
        return nn.Dense(3, name="head")(x.mean(1))

    def parts(self, packed):
        """What public code does: timm's and nanoGPT's, Megatron's, multi-query."""
        heads = (*packed.shape[:2], HEADS, D // HEADS)
        if self.cut == "split":
            return [part.reshape(heads) for part in jnp.split(packed, 3, -1)]
        if self.cut == "reshape":
            parts = packed.reshape(*heads[:2], 3, *heads[2:])
            return [parts[:, :, i] for i in range(3)]
        if self.cut == "interleaved":
            return jnp.split(packed.reshape(*heads[:3], -1), 3, -1)
        # One key and one value for all heads.
        query, *shared = jnp.split(packed, [D, D + 4], -1)
        shared = [jnp.repeat(part[:, :, None], HEADS, 2) for part in shared]
        return [query.reshape(heads), *shared]


def packed(make, whole, parts):
    layers = (PATCH, Layer("qkv", (8, whole), parts=parts), Layer("out", (8, 8)), HEAD)
    return Net(make, layers, (Branch("qkv out", "out"),))


class MultiQuery(PackedAttention):
    """Multi-query attention (Shazeer 2019): all heads share one key and one value."""

    cut: str = "shared"


def cut_by(word):
    return lambda: PackedAttention(word)


class ScorePool(nn.Module):
    """Pooling by a softmax over scores of one dense layer (Ilse et al. 2018)."""

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(D, name="embed")(x.reshape(len(x), -1, x.shape[-1])))
        scores = nn.Dense(1, name="score")(x)[..., 0]
        x = jnp.einsum("bt,btd->bd", nn.softmax(scores), x)
        return nn.Dense(3, name="head")(x)


SCORE_POOL = Net(
    ScorePool,
    (
        Layer("embed", (3, 8), "tanh"),
        Layer("score", (8, 1), "?"),
        HEAD,
    ),
    shape=(4, 4, 3),
)


NETS = {
    "mixer": MIXER,
    "scanned_vit": SCANNED_VIT,
    "pooling_vit": POOLING_VIT,
    "experts": EXPERTS,
    "packed_by_split": packed(cut_by("split"), 24, "3"),
    "packed_by_reshape": packed(cut_by("reshape"), 24, "3"),
    "packed_interleaved": packed(cut_by("interleaved"), 24, "3"),
    "multi_query": packed(MultiQuery, 16, "8+4+4"),
    "score_pool": SCORE_POOL,
}
