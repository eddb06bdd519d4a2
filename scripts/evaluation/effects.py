"""What a network's clips lose when that is taken away which a scorer ranks first.

Everything is measured as the probability p_c and the log-odds of the class that cfp explained.
"""

import torch
import torch.nn.functional as F

import train_demo
from evaluation.explained import explain
from evaluation.interventions import Dissected, first, log_odds, probability, ranked, scaled

SCORERS = ("gradient", "excitation", "response", "published")
RANKINGS = ("random", "mean activation", "published", "response", "excitation", "gradient")
SHARES = (0.05, 0.1, 0.2)
CHANGES = ("zeroed", "replaced by their mean", "alone kept")
EDGE_SHARE = 0.05
PUBLISHED_THRESHOLD = 0.6  # of the paper; its scores depend on it, those of the others do not

# Tubes that are compared, of the tensor that leaves one and two stages before the last.
TUBE_LAYERS = {"resnet50_3d": ("layer4.0.conv1", "layer3.0.conv1"),
               "resnext101_3d": ("layer4.0.conv1", "layer3.0.conv1"),
               "mfnet3d": ("conv5.B01.conv_i1.conv", "conv4.B01.conv_i1.conv"),
               "i3d": ("mixed_4d.branch_0.conv3d", "mixed_3b.branch_0.conv3d")}
DELETED = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)

RANDOM_DRAWS = 4  # of the test of what is found, for each tensor of each clip


class Subject:
    """One trained network, its clips, and cfp's scores of all channels and edges."""

    def __init__(self, options, architecture):
        self.options, self.architecture = options, architecture
        self.checkpoint = train_demo.checkpoint_of(architecture)
        self.network = Dissected(train_demo.load_network(self.checkpoint)[0])
        self.generator = torch.Generator().manual_seed(options.seed)
        self.parts = {}

    def explain(self, method, **settings):
        """What cfp says with these settings beside the demo's, once for the same ones."""
        if method == "published":
            settings["explain.threshold"] = PUBLISHED_THRESHOLD
        name = "_".join([self.architecture, method, *map(str, settings.values())])
        if name not in self.parts:
            self.parts[name] = explain(self.options, self.checkpoint, name,
                                       {"explain.method": method, **settings})
        return self.parts[name]

    def base(self, part, clips):
        """[N, 2] p_c and log-odds as they are; stops where cfp's logits are not PyTorch's."""
        logits = torch.cat([self.network.module(clip) for clip in clips.split(1)])
        error = (logits - part.logits).abs().max().item()
        if error > 1e-3:  # what the order of float32 sums explains is a hundredth of it
            raise SystemExit(f"{self.checkpoint}: cfp's logits and PyTorch's differ by {error}")
        return torch.stack([measured(of_clip, target)
                            for of_clip, target in zip(logits, part.targets)])

    def tensors(self, part):
        """What enters layers of depth 2 and more, but the clip: node, its readers, largest depth."""
        readers = {}
        for layer in part.depth:
            node = self.network.entering(layer)
            if part.depth[layer] >= 2 and node.op != "placeholder":
                readers.setdefault(node, []).append(layer)
        return [(node, layers, max(part.depth[layer] for layer in layers))
                for node, layers in readers.items()]


def measured(logits, target):
    """[..., 2]: probability and log-odds of the target."""
    return torch.stack([probability(logits, target), log_odds(logits, target)], -1)


# ---------------------------------------------------------------------------- channels and edges


def channel_scores(subject, parts, tensors, clips):
    """By ranking, [N, C] of each tensor; and of each tensor [C], means over clips and positions."""
    means = [torch.stack(of_tensor) for of_tensor in zip(*(
        [values[node].mean((0, 2, 3, 4)) for node, _, _ in tensors]
        for values in map(subject.network.values, clips.split(1))))]
    scores = {"mean activation": means, "random": [torch.zeros_like(mean) for mean in means]}
    for method in ("gradient", "excitation", "response"):
        scores[method] = [parts[method].channels(layers[0], "score") for _, layers, _ in tensors]
    # The largest n, which is the program's score, is 1 for up to all channels of a tensor.
    scores["published"] = [parts["published"].received(layers, mean.shape[1])
                           for (_, layers, _), mean in zip(tensors, means)]
    return scores, [mean.mean(0) for mean in means]


def variants(order, mean):
    """Factors and shifts [rankings * changes * shares, C] of channels ordered by rankings [R, C]."""
    mask = torch.stack([first(order, share) for share in SHARES], 1)
    factors = torch.stack([1 - mask, 1 - mask, mask], 1)
    shifts = torch.stack([torch.zeros_like(mask), mask * mean, torch.zeros_like(mask)], 1)
    return factors.flatten(0, 2), shifts.flatten(0, 2)


def logits_of_variants(network, values, node, factors, shifts):
    """Logits [V, classes] with the tensor at `node` scaled; equal variants are computed once.

    Of few channels the shares are often one and the same channel, and the rankings agree.
    """
    both, variant = torch.cat([factors, shifts], 1).unique(dim=0, return_inverse=True)
    changed = scaled(values[node], *both.split(factors.shape[1], 1))
    return network.logits(values, node, changed)[variant]


def channel_effects(subject, parts, tensors, clips):
    """[N, tensors, rankings, changes, shares, 2] p and log-odds with channels taken away."""
    scores, means = channel_scores(subject, parts, tensors, clips)
    shape = (len(RANKINGS), len(CHANGES), len(SHARES), 2)
    effects = torch.empty(len(clips), len(tensors), *shape)
    for clip, target in enumerate(parts["gradient"].targets):
        values = subject.network.values(clips[clip:clip + 1])
        for t, (node, _, _) in enumerate(tensors):
            of_clip = torch.stack([scores[name][t][clip] for name in RANKINGS])
            order = ranked(of_clip, subject.generator)
            logits = logits_of_variants(subject.network, values, node, *variants(order, means[t]))
            effects[clip, t] = measured(logits, target).view(shape)
    return effects


def edge_effects(subject, parts, layers, clips):
    """[N, layers, rankings, 2] p and log-odds without the best edges; mean activation has none."""
    names = [name for name in RANKINGS if name != "mean activation"]
    effects = torch.empty(len(clips), len(layers), len(names), 2)
    for clip, target in enumerate(parts["gradient"].targets):
        values = subject.network.values(clips[clip:clip + 1])
        for index, layer in enumerate(layers):
            convolution = subject.network.module.get_submodule(layer)
            sizes = (convolution.out_channels, convolution.in_channels, convolution.groups)
            scores = torch.stack([
                torch.zeros(sizes[0], sizes[1] // sizes[2]) if name == "random"
                else parts[name].edge_scores(layer, clip, *sizes) for name in names])
            best = first(ranked(scores.flatten(1), subject.generator), EDGE_SHARE)
            logits = subject.network.without_edges(values, layer, best.view(scores.shape))
            effects[clip, index] = measured(logits, target)
    return names, effects


def found_effects(subject, part, tensors, clips):
    """[N, tensors, 2, 2] the target logit with channels zeroed, or alone kept: found, as many random."""
    found_of = [part.channels(layers[0], "found") for _, layers, _ in tensors]
    effects = torch.empty(len(clips), len(tensors), 2, 2)
    for clip, target in enumerate(part.targets):
        values = subject.network.values(clips[clip:clip + 1])
        for t, (node, _, _) in enumerate(tensors):
            found = found_of[t][clip]
            order = torch.rand(RANDOM_DRAWS, len(found), generator=subject.generator).argsort(-1)
            chosen = torch.cat([found[None], found[order]])
            changed = scaled(values[node], torch.cat([1 - chosen, chosen]))
            logits = subject.network.logits(values, node, changed)[:, target].view(2, -1)
            effects[clip, t] = torch.stack([logits[:, 0], logits[:, 1:].mean(1)], 1)
    return effects


# ------------------------------------------------------------------------------------------ tubes


def deleted(clip, order):
    """Clips whose first voxels of an order [T*H*W] have the clip's mean colour, a clip a share."""
    colour = clip.mean((1, 2, 3), keepdim=True).expand_as(clip).flatten(1)
    result = clip.flatten(1).repeat(len(DELETED), 1, 1)
    for i, share in enumerate(DELETED):
        chosen = order[:round(share * len(order))]
        result[i, :, chosen] = colour[:, chosen]
    return result.view(-1, *clip.shape)


def tube_rows(subject, layer, shape):
    """Volumes [N, t, h, w] by name: of the scorers, and of random numbers of the same size."""
    rows = {}
    for kind in ("excitation", "weighted"):
        for method in SCORERS:
            part = subject.explain(method, **{"explain.tubes": kind, "output.edges": "false"})
            rows[f"`{method}`, {kind} tube"] = part.tubes(layer)
    some = rows["`gradient`, excitation tube"]
    rows["random"] = torch.rand(some.shape, generator=subject.generator)
    return {name: F.interpolate(tubes[:, None], shape, mode="trilinear").flatten(1)
            for name, tubes in rows.items()}


def tube_effects(subject, targets, layer, clips, masks):
    """Names and [N, names, 2]: mean p_c while voxels are deleted, mass inside the mask."""
    rows = tube_rows(subject, layer, clips.shape[2:])
    inside = masks.flatten(1)
    rows["true mask"] = inside
    effects = torch.empty(len(clips), len(rows), 2)
    for clip, target in enumerate(targets):
        orders = [ranked(volumes[clip], subject.generator) for volumes in rows.values()]
        changed = torch.cat([deleted(clips[clip], order) for order in orders])
        logits = subject.network.module(changed.contiguous(memory_format=torch.channels_last_3d))
        p = probability(logits, target).view(len(rows), len(DELETED))
        effects[clip, :, 0] = p.mean(1)
        for row, volumes in enumerate(rows.values()):
            total = volumes[clip].sum().clamp_min(1e-30)
            effects[clip, row, 1] = (volumes[clip] * inside[clip]).sum() / total
    return list(rows), effects
