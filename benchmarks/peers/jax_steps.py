"""JAX's side: the same networks as in steps/ as plain functions; one compiled function is the whole step."""
import functools
import os
import sys

threads = int(sys.argv[sys.argv.index("--threads") + 1])
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=" + ("false intra_op_parallelism_threads=1" if threads == 1 else "true")
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402: the flags come first
import numpy  # noqa: E402
from jax import lax, numpy as np  # noqa: E402

import exchange  # noqa: E402


def dense(x, weight, bias):
    return x @ weight + bias


def mlp(p, x):
    for at in range(0, len(p) - 2, 2):
        x = jax.nn.relu(dense(x, p[at], p[at + 1]))
    return dense(x, p[-2], p[-1])


def conv(x, weight, stride=1, padding=0):
    return lax.conv_general_dilated(x, weight, (stride, stride), [(padding, padding)] * 2,
                                    dimension_numbers=("NHWC", "HWIO", "NHWC"))


def pool(x):
    return lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def lenet(p, x, padding2):
    x = pool(jax.nn.relu(conv(x, p[0], padding=2) + p[1]))
    x = pool(jax.nn.relu(conv(x, p[2], padding=padding2) + p[3]))
    return mlp(p[4:], x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1))


def batch_norm(x, scale, shift):
    mean = x.mean((0, 1, 2))
    variance = np.square(x - mean).mean((0, 1, 2))
    return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + shift


def resnet20(p, x):
    p = iter(p)
    x = jax.nn.relu(batch_norm(conv(x, next(p), padding=1), next(p), next(p)))
    for stage in range(3):
        for block in range(3):
            stride = 2 if stage > 0 and block == 0 else 1
            y = jax.nn.relu(batch_norm(conv(x, next(p), stride, 1), next(p), next(p)))
            y = batch_norm(conv(y, next(p), 1, 1), next(p), next(p))
            grown = y.shape[3] - x.shape[3]
            if stride > 1:
                x = np.pad(x[:, ::2, ::2], ((0, 0),) * 3 + ((grown // 2, grown - grown // 2),))
            x = jax.nn.relu(x + y)
    return dense(x.mean((1, 2)), next(p), next(p))


def layer_norm(x, scale, shift):
    mean = x.mean(-1, keepdims=True)
    variance = np.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + shift


def attention(x, qkv, qkv_bias, out, out_bias, heads=4):
    batch, positions, width = x.shape
    split = dense(x, qkv, qkv_bias).reshape(batch, positions, 3, heads, width // heads)
    y = jax.nn.dot_product_attention(split[:, :, 0], split[:, :, 1], split[:, :, 2], is_causal=True)
    return dense(y.reshape(batch, positions, width), out, out_bias)


def gpt(p, tokens):
    p = iter(p)
    x = next(p)[tokens] + next(p)
    for _ in range(4):
        x = x + attention(layer_norm(x, next(p), next(p)), next(p), next(p), next(p), next(p))
        y = jax.nn.gelu(dense(layer_norm(x, next(p), next(p)), next(p), next(p)), approximate=False)
        x = x + dense(y, next(p), next(p))
    x = layer_norm(x, next(p), next(p)) @ next(p)
    return x.reshape(-1, x.shape[-1])


FORWARD = {"tiny": mlp, "mlp": mlp, "lenet5": functools.partial(lenet, padding2=0),
           "lenet": functools.partial(lenet, padding2=2), "resnet20": resnet20, "gpt": gpt}


def main():
    options = exchange.options()
    start, batch = exchange.start_of(options.data, numpy)
    start = [array.transpose(2, 3, 1, 0) if array.ndim == 4 else array for array in start]
    forward = FORWARD[options.network]
    x = np.asarray(batch["labels"] if options.network == "gpt" else batch["features"])
    if x.ndim == 4:
        x = x.transpose(0, 2, 3, 1)
    y = np.asarray(batch["targets"] if "targets" in batch else batch["labels"].reshape(-1))

    def loss_of(p, x, y):
        scores = forward(p, x)
        if "targets" in batch:
            return np.square(scores - y).mean()
        return -np.take_along_axis(jax.nn.log_softmax(scores), y[:, None], 1).mean()

    def sgd(p, state, gradient):
        return [a - options.rate * g for a, g in zip(p, gradient)], state

    def momentum(p, state, gradient):
        state = [0.9 * v + g for v, g in zip(state, gradient)]
        return [a - options.rate * v for a, v in zip(p, state)], state

    def adam(p, state, gradient):
        first, second, count = state
        count = count + 1
        first = [0.9 * m + 0.1 * g for m, g in zip(first, gradient)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, gradient)]
        step = options.rate / (1 - 0.9 ** count)
        spread = 1 / np.sqrt(1 - 0.999 ** count)
        p = [a - step * m / (np.sqrt(v) * spread + 1e-8) for a, m, v in zip(p, first, second)]
        return p, (first, second, count)

    update = {"sgd": sgd, "momentum": momentum, "adam": adam}[options.optimiser]

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def whole_step(p, state, x, y):
        loss, gradient = jax.value_and_grad(loss_of)(p, x, y)
        return *update(p, state, gradient), loss

    now = {}

    def restart():
        now["p"] = [np.array(array) for array in start]
        zeros = lambda: [np.zeros_like(a) for a in now["p"]]  # noqa: E731
        now["state"] = {"sgd": tuple, "momentum": zeros, "adam": lambda: (zeros(), zeros(), np.float32(0))}[options.optimiser]()

    def step():
        now["p"], now["state"], loss = whole_step(now["p"], now["state"], x, y)
        return loss

    restart()
    exchange.serve(restart, step, lambda: jax.block_until_ready(now["p"]))


main()
