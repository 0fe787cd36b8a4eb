"""PyTorch's side: the same networks as in steps/, written as its users write them."""
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


def main():
    options = exchange.options()
    torch.set_num_threads(options.threads)
    torch.set_num_interop_threads(1)
    start, batch = exchange.start_of(options.data)
    model = network(options.network)
    layout = torch.channels_last if "channels_last" in options.mode else torch.contiguous_format
    if options.network == "gpt":
        features = torch.from_numpy(batch["labels"]).long()
    else:
        features = torch.from_numpy(batch["features"])
    if features.dim() == 4:
        features = features.contiguous(memory_format=layout)
    labels = torch.from_numpy(batch["labels"]).long().flatten() if "labels" in batch else None
    targets = torch.from_numpy(batch["targets"]) if "targets" in batch else None
    model(features)  # lazy layers find their sizes
    model = model.to(memory_format=layout)
    parameters = model.parameters_in_order() if options.network == "gpt" else list(model.parameters())
    dense = {id(layer.weight) for layer in model.modules() if isinstance(layer, nn.Linear)}

    # Ours are [inputs, outputs].
    values = [torch.from_numpy(array.T.copy() if id(to) in dense else array)
              for to, array in zip(parameters, start, strict=True)]
    forward = torch.compile(model) if "compile" in options.mode else model
    state = {}

    def restart():
        with torch.no_grad():
            for to, value in zip(parameters, values, strict=True):
                to.copy_(value.view_as(to))
        fused = True if "fused" in options.mode else None  # one kernel for the whole update; not PyTorch's default
        if options.optimiser == "adam":
            state["optimiser"] = torch.optim.Adam(model.parameters(), lr=options.rate, fused=fused)
        else:
            momentum = 0.9 if options.optimiser == "momentum" else 0
            state["optimiser"] = torch.optim.SGD(model.parameters(), lr=options.rate, momentum=momentum, fused=fused)

    def step():
        optimiser = state["optimiser"]
        optimiser.zero_grad(set_to_none=True)
        scores = forward(features)
        loss = functional.mse_loss(scores, targets) if labels is None else functional.cross_entropy(scores, labels)
        loss.backward()
        optimiser.step()
        return loss

    restart()
    exchange.serve(restart, step)


main()
