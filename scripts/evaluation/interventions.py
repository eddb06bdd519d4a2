"""A trained network taken apart: replace a tensor, take out edges, and see what the class gets.

The network is traced by torch.fx, so that any tensor in it has a name, and what follows a changed
tensor is computed for many changes at once, while all else is computed once a clip.

    network = Dissected(load_network(path)[0])
    values = network.values(clip)                      # [1, 3, T, H, W]
    node = network.entering("layer2.0.conv1")
    x = values[node]                                   # [1, C, t, h, w]
    logits = network.logits(values, node, torch.cat([x * 0, x * 2]))     # [2, classes]
"""

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.fx.experimental.optimization import fuse

LAYERS = (nn.Conv3d, nn.Linear)


class Dissected:
    """A network of scripts/architectures.py, BatchNorms that directly follow a layer folded in."""

    def __init__(self, network):
        self.module = fuse(network.eval()).to(memory_format=torch.channels_last_3d)
        self.layers = {node.target: node for node in self.module.graph.nodes
                       if node.op == "call_module"
                       and isinstance(self.module.get_submodule(node.target), LAYERS)}
        self.downstream = {}

    def entering(self, layer):
        """The node whose output enters a layer; padding that stands before it belongs to the layer."""
        node = self.layers[layer].args[0]
        return node.args[0] if node.target is F.pad else node

    def values(self, clip):
        """What every node gives for one clip [1, 3, T, H, W]."""
        interpreter = fx.Interpreter(self.module, garbage_collect_values=False)
        interpreter.run(clip.contiguous(memory_format=torch.channels_last_3d))
        return interpreter.env

    def logits(self, values, node, replacements):
        """Logits [V, classes] of a clip, its tensor at `node` replaced by each of [V, C, …].

        All that read the tensor get the replacement, also a shortcut around the next layers.
        """
        after = self._after(node)
        known = {other: value for other, value in values.items() if other not in after}
        for other in {read for reader in after for read in reader.all_input_nodes} - after:
            known[other] = values[other].expand(len(replacements), *values[other].shape[1:])
        known[node] = replacements
        return fx.Interpreter(self.module).run(initial_env=known)

    def without_edges(self, values, layer, removed):
        """Logits [V, classes] without some edges of a convolution.

        @param removed  [V, C_out, C_in/groups] 1 where the weights of an edge are set to zero
        """
        node = self.layers[layer]
        layer = self.module.get_submodule(layer)
        outputs = [F.conv3d(values[node.args[0]], layer.weight * kept[..., None, None, None],
                            layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)
                   for kept in 1 - removed]
        return self.logits(values, node, torch.cat(outputs))

    def _after(self, node):
        """All nodes that depend on a node."""
        if node not in self.downstream:
            found, waiting = set(), [node]
            while waiting:
                for user in waiting.pop().users:
                    if user not in found:
                        found.add(user)
                        waiting.append(user)
            self.downstream[node] = found
        return self.downstream[node]


def probability(logits, target):
    """Softmax probability of the target class, for logits [..., classes]."""
    return logits.softmax(-1)[..., target]


def log_odds(logits, target):
    """log(p / (1 - p)) of the target class: its logit less the logsumexp of the others."""
    others = torch.cat([logits[..., :target], logits[..., target + 1:]], -1)
    return logits[..., target] - others.logsumexp(-1)


def scaled(x, factors, shifts=None):
    """Variants [V, C, …] of a tensor [1, C, …]: each channel times a factor [V, C], plus a shift."""
    shape = (*factors.shape, *[1] * (x.dim() - 2))
    result = x * factors.view(shape)
    if shifts is not None:
        result = result + shifts.view(shape)
    return result.contiguous(memory_format=torch.channels_last_3d)


def first(order, share):
    """Mask [..., C] of the first channels of an order [..., C], at least one: float 0 or 1."""
    count = max(1, round(share * order.shape[-1]))
    mask = torch.zeros(order.shape)
    return mask.scatter_(-1, order[..., :count], 1.0)


def ranked(scores, generator):
    """Indices [..., C] by falling score; equal scores in random order."""
    shuffled = torch.rand(scores.shape, generator=generator).argsort(-1)
    order = scores.gather(-1, shuffled).argsort(dim=-1, descending=True, stable=True)
    return shuffled.gather(-1, order)
