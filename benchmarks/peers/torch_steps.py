"""PyTorch's side: the same networks as in steps/, written as its users write them.

The words of --mode: eager; compile, with reduce-overhead or without; graph, the whole step captured once and replayed;
channels_last; fused, the optimiser's one kernel, which a GPU always uses.
"""
import contextlib

import torch
from torch import nn
from torch.nn import functional

import exchange


class Block(nn.Module):
    """A ResNet's block; the shortcut skips pixels and fills new channels with zeros, as ours does."""

    def __init__(self, channels, filters):
        super().__init__()
        self.stride, self.grown = filters // channels, filters - channels
        self.conv1 = nn.Conv2d(channels, filters, 3, self.stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)

    def forward(self, x):
        y = functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.stride > 1:
            before = self.grown // 2
            x = functional.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, before, self.grown - before))
        return functional.relu(y + x)


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    channels = 16
    for filters in (16, 32, 64):
        for _ in range(3):
            layers.append(Block(channels, filters))
            channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        batch, positions, width = x.shape
        split = self.qkv(x).view(batch, positions, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(*split, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, positions, width))


class Decoder(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.wide, self.narrow = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.narrow(functional.gelu(self.wide(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self, layers=4, width=128, heads=4, context=128, vocabulary=65):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.zeros(context, width))
        self.layers = nn.Sequential(*(Decoder(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        return self.head(self.norm(self.layers(self.embedding(tokens) + self.positions))).flatten(0, 1)

    def parameters_in_order(self):
        return [self.embedding.weight, self.positions, *self.layers.parameters(), *self.norm.parameters(),
                *self.head.parameters()]


def lenet(filters1, filters2, padding2, *widths):
    dense = []
    for width in widths:
        dense += [nn.LazyLinear(width), nn.ReLU()]
    return nn.Sequential(nn.Conv2d(1, filters1, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(filters1, filters2, 5, padding=padding2), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), *dense[:-1])


def network(name):
    if name == "tiny":
        return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
    if name == "mlp":
        return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    if name == "lenet5":
        return lenet(6, 16, 0, 120, 84, 10)
    if name == "lenet":
        return lenet(16, 32, 2, 128, 10)
    return resnet20() if name == "resnet20" else Gpt()


def settle(options):
    """Settings of the whole process."""
    if options.device == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.precision == "tf32"
        torch.backends.cudnn.benchmark = True  # sizes never change here
    else:
        torch.set_num_threads(options.threads)
        torch.set_num_interop_threads(1)


def inputs_of(name, batch, layout):
    """Features, and the labels or targets, which are the same tensor for a language model."""
    if name == "gpt":
        tokens = batch["labels"].long()
        return [tokens, tokens]
    features = batch["features"]
    if features.dim() == 4:
        features = features.contiguous(memory_format=layout)
    return [features, batch["labels"].long().flatten() if "labels" in batch else batch["targets"]]


def placed(inputs):
    """(inputs on the GPU, what copies the batch there: from pinned memory to where it was before)"""
    copies = {id(one): (torch.empty_like(one, device="cuda"), one.pin_memory()) for one in inputs}

    def load():
        for to, source in copies.values():
            to.copy_(source, non_blocking=True)

    load()
    return [copies[id(one)][0] for one in inputs], load


def prepared(options, layout, start, features):
    """(model, its parameters, their start values)"""
    model = network(options.network)
    model(features[:2])  # lazy layers find their sizes
    model = model.to(options.device, memory_format=layout)
    parameters = model.parameters_in_order() if options.network == "gpt" else list(model.parameters())
    dense = {id(layer.weight) for layer in model.modules() if isinstance(layer, nn.Linear)}
    # Ours are [inputs, outputs].
    values = [(array.T.contiguous() if id(to) in dense else array).view_as(to).to(options.device)
              for to, array in zip(parameters, start, strict=True)]
    return model, parameters, values


def optimiser_of(options, words, model):
    fused = True if "fused" in words or options.device == "cuda" else None  # one kernel for the whole update
    if options.optimiser == "adam":
        return torch.optim.Adam(model.parameters(), lr=options.rate, fused=fused, capturable="graph" in words)
    momentum = 0.9 if options.optimiser == "momentum" else 0
    return torch.optim.SGD(model.parameters(), lr=options.rate, momentum=momentum, fused=fused)


def captured(update):
    """A function that replays what one call of `update` does on the GPU."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # compilers compile, libraries choose, the optimiser makes its states
        for _ in range(3):
            update()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = update()

    def replay():
        graph.replay()
        return loss

    return replay


def main():
    options = exchange.options()
    words, on_gpu = options.mode.split(), options.device == "cuda"
    if "graph" in words and not on_gpu:
        raise SystemExit("only a GPU's work can be captured")
    settle(options)
    layout = torch.channels_last if "channels_last" in words else torch.contiguous_format
    start, batch = exchange.start_of(options.data, torch)
    inputs = inputs_of(options.network, batch, layout)
    model, parameters, values = prepared(options, layout, start, inputs[0])
    optimiser = optimiser_of(options, words, model)
    bf16 = options.precision == "bf16"
    rounding = torch.autocast(options.device, torch.bfloat16) if bf16 else contextlib.nullcontext()
    compiler = "reduce-overhead" if "reduce-overhead" in words else "default"
    forward = torch.compile(model, mode=compiler) if "compile" in words and not on_gpu else model

    def objective(features, wanted):
        scores = forward(features)
        return (functional.mse_loss(scores, wanted) if wanted.is_floating_point() else
                functional.cross_entropy(scores, wanted.flatten()))

    if "compile" in words and on_gpu:  # with the loss: fewer kernels
        objective = torch.compile(objective, mode=compiler)

    def restart():
        with torch.no_grad():
            for to, value in zip(parameters, values, strict=True):
                to.copy_(value)
            for state in optimiser.state.values():  # in place: a captured step has their addresses
                for one in state.values():
                    if one is not None:
                        one.zero_()

    def update():
        optimiser.zero_grad(set_to_none=True)
        with rounding:
            loss = objective(*inputs)
        loss.backward()
        optimiser.step()
        return loss

    restart()
    if not on_gpu:
        return exchange.serve(restart, update)
    inputs, load = placed(inputs)
    run = captured(update) if "graph" in words else update

    def step():
        load()
        return run().item()

    exchange.serve(restart, step)


main()
