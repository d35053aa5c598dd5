"""Every formula a second time: slow, literal, close to the paper's notation.

Loops over images, classes, channels, places and pixels; derivatives one output at a time; exponentials, logarithms and
roots written out; layers run one after the other up to a tap. A replica takes (term, teacher, student, images, labels),
a term over layers also what it has bound, a term under noise also the noise, and returns (N,): what the student pays
for each image, with a graph back to the student's weights and the connectors'.
"""

import math
from itertools import product

import torch
from torch import Tensor, nn


def logits(network, image: Tensor) -> Tensor:
    """z(x), (C,), of one image alone."""
    return network(image[None])[0]


def probabilities(z: Tensor, temperature: float = 1.0) -> list[Tensor]:
    """p_c = exp(z_c/T) / Σ_k exp(z_k/T)."""
    powers = [torch.exp(z_c / temperature) for z_c in z]
    return [power / sum(powers) for power in powers]


def cost(z: Tensor, label: int) -> Tensor:
    """CE = −log p_y."""
    return -torch.log(probabilities(z)[label])


def derivative(quantity, image: Tensor) -> Tensor:
    """∂quantity(x)/∂x at one image, itself differentiable."""
    x = image.clone().requires_grad_()
    return torch.autograd.grad(quantity(x), x, create_graph=True)[0]


def cost_derivative(network, image: Tensor, label: int) -> Tensor:
    """∂CE/∂x of one image."""
    return derivative(lambda x: cost(logits(network, x), label), image)


def class_derivatives(network, image: Tensor) -> list[Tensor]:
    """∂z_c/∂x of one image, class by class."""
    return [derivative(lambda x, c=c: logits(network, x)[c], image) for c in range(len(logits(network, image)))]


def mean_square(entries: Tensor) -> Tensor:
    """(1/D) Σ_j v_j², entry by entry."""
    values = [value**2 for value in entries.flatten()]
    return sum(values) / len(values)


def cross_entropy(term, teacher, student, images, labels) -> Tensor:
    """Ehmann & Samek 2018, eq. 1: −log p_{s,y}."""
    return torch.stack([cost(logits(student, x), y) for x, y in zip(images, labels, strict=True)])


def soft_targets(term, teacher, student, images, labels) -> Tensor:
    """Hinton et al. 2015: T² Σ_c p_{t,c} log(p_{t,c} / p_{s,c}) at temperature T."""
    paid = []
    for x in images:
        p_t = probabilities(logits(teacher, x).detach(), term.temperature)
        p_s = probabilities(logits(student, x), term.temperature)
        paid.append(term.temperature**2 * sum(t * torch.log(t / s) for t, s in zip(p_t, p_s, strict=True)))
    return torch.stack(paid)


def logit_error(term, teacher, student, images, labels) -> Tensor:
    """Srinivas & Fleuret 2018, Prop. 1, first part: Σ_c (z_{t,c} − z_{s,c})²."""
    return torch.stack([sum((t - s) ** 2 for t, s in zip(logits(teacher, x).detach(), logits(student, x), strict=True))
                        for x in images])


def cost_gradient(term, teacher, student, images, labels) -> Tensor:
    """Ehmann & Samek 2018, eq. 2: (1/D) Σ_j (∂CE_t/∂x_j − ∂CE_s/∂x_j)²."""
    return torch.stack([mean_square(cost_derivative(teacher, x, y).detach() - cost_derivative(student, x, y))
                        for x, y in zip(images, labels, strict=True)])


def full_jacobian(term, teacher, student, images, labels) -> Tensor:
    """Ehmann & Samek 2018, eq. 3: (1/C) Σ_c (1/D) Σ_j (∂z_{t,c}/∂x_j − ∂z_{s,c}/∂x_j)²."""
    paid = []
    for x in images:
        rows = list(zip(class_derivatives(teacher, x), class_derivatives(student, x), strict=True))
        paid.append(sum(mean_square(t.detach() - s) for t, s in rows) / len(rows))
    return torch.stack(paid)


def projected_jacobian(teacher, student, images, vectors) -> Tensor:
    """Eq. 3 in projections v (N, k, C): the mean over k of (1/D) Σ_j (Σ_c v_c (∂z_{t,c}/∂x_j − ∂z_{s,c}/∂x_j))² / C."""
    paid = []
    for x, draws in zip(images, vectors, strict=True):
        rows = [t.detach() - s
                for t, s in zip(class_derivatives(teacher, x), class_derivatives(student, x), strict=True)]
        paid.append(sum(mean_square(sum(v_c * row for v_c, row in zip(v, rows, strict=True))) for v in draws)
                    / len(draws) / len(rows))
    return torch.stack(paid)


def summed_jacobian(term, teacher, student, images, labels) -> Tensor:
    """Ehmann & Samek 2018, eq. 4: (1/D) Σ_j (Σ_c ∂z_{t,c}/∂x_j − Σ_c ∂z_{s,c}/∂x_j)²."""
    return torch.stack([mean_square(sum(class_derivatives(teacher, x)).detach() - sum(class_derivatives(student, x)))
                        for x in images])


def double_backpropagation(term, teacher, student, images, labels) -> Tensor:
    """Ehmann & Samek 2018, eq. 5 with M = 1: (1/D) Σ_j (∂CE_s/∂x_j)²."""
    return torch.stack([mean_square(cost_derivative(student, x, y)) for x, y in zip(images, labels, strict=True)])


def mask(gradient: Tensor, threshold: float, outside: float, inside: float, reading: str) -> Tensor:
    """Ehmann & Samek 2018, eq. 6, 7, for one image: M_j = outside if g_j < p·max_i g_i else inside, g maybe squared."""
    entries = [float(g) ** 2 if reading == "squared" else float(g) for g in gradient.detach().flatten()]
    chosen = [outside if g < threshold * max(entries) else inside for g in entries]
    return torch.tensor(chosen, dtype=gradient.dtype).view_as(gradient)


def targeted_double_backpropagation(term, teacher, student, images, labels) -> Tensor:
    """Ehmann & Samek 2018, eq. 5 with 6 or 7: (1/D) Σ_j M_j (∂CE_s/∂x_j)²."""
    paid = []
    for x, y in zip(images, labels, strict=True):
        m = mask(cost_derivative(teacher, x, y), term.threshold, term.outside, term.inside, term.reading)
        values = [m_j * g_j**2 for m_j, g_j in zip(m.flatten(), cost_derivative(student, x, y).flatten(), strict=True)]
        paid.append(sum(values) / len(values))
    return torch.stack(paid)


def tap(network, name: str, image: Tensor) -> Tensor:
    """The value at a tap, of one image alone: the layers run one after the other up to it; an embedding is a vector."""
    value = image[None].flatten(1) if isinstance(next(network.children()), nn.Linear) else image[None]
    for child, layer in network.named_children():
        value = layer(value)
        if child == network.taps[name]:
            return value[0].flatten() if name == "embedding" else value[0]
    return logits(network, image)


def total(entries) -> Tensor:
    """Σ over all entries, one by one."""
    return sum(entries.flatten())


def windows(length: int, parts: int) -> list[slice]:
    """A side cut into equal parts, each rounded outwards to whole pixels."""
    return [slice(math.floor(i * length / parts), math.ceil((i + 1) * length / parts)) for i in range(parts)]


def pooled(maps: Tensor, size, pool) -> Tensor:
    """Maps (C, H, W), each window of each map pooled to one number; vectors as they are."""
    if maps.dim() == 1:
        return maps
    rows, columns = (windows(*sides) for sides in zip(maps.shape[1:], size, strict=True))
    return torch.stack([torch.stack([torch.stack([pool(one[r, c]) for c in columns]) for r in rows]) for one in maps])


def mean(entries: Tensor) -> Tensor:
    """(1/n) Σ v."""
    return total(entries) / entries.numel()


def through(module, values: Tensor) -> Tensor:
    """A connector on one image's values (C, ...), channel by channel."""
    match module:
        case nn.Identity():
            return values
        case nn.Sequential():
            for inner in module:
                values = through(inner, values)
            return values
        case nn.Conv2d() | nn.Linear():
            weights = module.weight.reshape(len(module.weight), -1)
            return torch.stack([b + sum(w * v for w, v in zip(row, values, strict=True))
                                for row, b in zip(weights, module.bias, strict=True)])
        case nn.BatchNorm2d():
            return torch.stack([(v - m) / (var + module.eps) ** 0.5 * g + b for v, m, var, g, b in zip(
                values, module.running_mean, module.running_var, module.weight, module.bias, strict=True)])
        case nn.ReLU():
            return values * (values > 0)


def couples(teacher, student, x: Tensor, bound) -> list[tuple[Tensor, Tensor]]:
    """T^k and r(S^k) of one image, layer by layer, the larger averaged to the size of the smaller."""
    return [(pooled(tap(teacher, layer.teacher, x).detach(), layer.size, mean),
             through(connector, pooled(tap(student, layer.student, x), layer.size, mean)))
            for layer, connector in zip(bound.layers, bound.connectors, strict=True)]


def energy(features: Tensor, size) -> Tensor:
    """Srinivas & Fleuret 2018, eq. 8: A = Σ_c Z_c² at each place, averaged to a size: (C, H, W) -> (H, W)."""
    return pooled(sum(z**2 for z in features)[None], size, mean)[0]


def unit(entries: Tensor) -> Tensor:
    """v / √(Σ v²), zero where all entries are."""
    square = total(entries**2)
    return entries.flatten() / square**0.5 if square > 0 else 0 * entries.flatten()


def root(square: Tensor) -> Tensor:
    """√v, with derivative zero at zero."""
    return square**0.5 if square > 0 else 0 * square


def attention_maps(term, teacher, student, images, labels, bound) -> Tensor:
    """Srinivas & Fleuret 2018, eq. 9: Σ_k ‖A_t/‖A_t‖ − A_s/‖A_s‖‖; squared and divided by H·W in the other form."""
    paid = []
    for x in images:
        squares = [(unit(energy(tap(teacher, layer.teacher, x).detach(), layer.size))
                    - unit(energy(tap(student, layer.student, x), layer.size))) ** 2 for layer in bound.layers]
        paid.append(sum(root(total(s)) if term.form == "paper" else mean(s) for s in squares))
    return torch.stack(paid)


def averages(values: Tensor, window: tuple[int, int]) -> Tensor:
    """Means over all windows of a map (H, W), shifted place by place, in reading order."""
    height, width = window
    rows, columns = (range(side - part + 1) for side, part in zip(values.shape, window, strict=True))
    return torch.stack([mean(values[r : r + height, c : c + width]) for r, c in product(rows, columns)])


def attention_jacobian(term, teacher, student, images, labels, bound) -> Tensor:
    """Srinivas & Fleuret 2018, eq. 10: Σ_k ‖g_t/‖g_t‖ − g_s/‖g_s‖‖², g = ∂A[i*]/∂x, i* where A_t is largest."""
    parts = {"third": 3, "fifth": 5, "seventh": 7}
    paid = []
    for x in images:
        each = []
        for layer in bound.layers:
            window = {"full": layer.size, "none": (1, 1)}.get(term.window) or tuple(
                max(1, round(side / parts[term.window])) for side in layer.size)

            def attention(network, name, x, layer=layer, window=window):
                return averages(energy(tap(network, name, x), layer.size), window)

            i = max(enumerate(attention(teacher, layer.teacher, x).tolist()), key=lambda place: place[1])[0]
            g_t = derivative(lambda x, i=i, layer=layer: attention(teacher, layer.teacher, x)[i], x).detach()
            g_s = derivative(lambda x, i=i, layer=layer: attention(student, layer.student, x)[i], x)
            each.append(total((unit(g_t) - unit(g_s)) ** 2))
        paid.append(sum(each))
    return torch.stack(paid)


def largest(entries: Tensor) -> Tensor:
    """max v."""
    return max(entries.flatten())


def fsp(earlier: Tensor, later: Tensor) -> Tensor:
    """Yim et al. 2017, eq. 1, one image: G_ij = Σ_h,w F1_h,w,i·F2_h,w,j /(h·w)."""
    size = [min(sides) for sides in zip(earlier.shape[1:], later.shape[1:], strict=True)]
    first, last = (pooled(maps, size, largest) for maps in (earlier, later))
    return torch.stack([torch.stack([sum(a * b for a, b in zip(f1.flatten(), f2.flatten(), strict=True))
                                     / (size[0] * size[1]) for f2 in last]) for f1 in first])


def flow_matrices(term, teacher, student, images, labels, bound) -> Tensor:
    """Yim et al. 2017, eq. 2: Σ_k ‖G_t^k − G_s^k‖², the teacher's channels in a drawn order where shuffled."""
    paid = []
    for x in images:
        theirs, ours = [], []
        for i, (layer, connector) in enumerate(zip(bound.layers, bound.connectors, strict=True)):
            channels = tap(teacher, layer.teacher, x).detach()
            order = getattr(bound, f"order{i}") if term.shuffled else range(len(channels))
            theirs.append(torch.stack([channels[c] for c in order]))
            ours.append(through(connector, tap(student, layer.student, x)))
        paid.append(sum(total((fsp(*theirs[k : k + 2]) - fsp(*ours[k : k + 2])) ** 2)
                        for k in range(0, len(theirs), 2)))
    return torch.stack(paid)


def boundary(t: Tensor, s: Tensor, margin: float) -> Tensor:
    """Heo et al. 2019, eq. 4, one neuron: ρ(t)·σ(μ − s)² + (1 − ρ(t))·σ(μ + s)², σ(v) = max(v, 0)."""
    beyond = margin - s if t > 0 else margin + s
    return beyond**2 if beyond > 0 else 0 * beyond


def activation_boundary(term, teacher, student, images, labels, bound) -> Tensor:
    """Heo et al. 2019, eq. 6 and 7: Σ_k α_k Σ_i of eq. 4, α halved from layer to layer towards the image."""
    paid = []
    for x in images:
        layers = [sum(boundary(t, s, term.margin) for t, s in zip(theirs.flatten(), ours.flatten(), strict=True))
                  for theirs, ours in couples(teacher, student, x, bound)]
        alphas = [2.0 ** -(len(layers) - 1 - k) if term.weights == "halved" else 1 for k in range(len(layers))]
        paid.append(sum(alpha * layer for alpha, layer in zip(alphas, layers, strict=True)))
    return torch.stack(paid)


def activation_values(term, teacher, student, images, labels, bound) -> Tensor:
    """Heo et al. 2019, Table 7: Σ_k Σ_i |σ(T_i) − σ(r(S)_i)|^p; (d² + ε)^(p/2) − ε^(p/2) stands for |d|^p, p < 2."""
    epsilon = 1e-6 if term.power < 2 else 0.0
    paid = []
    for x in images:
        layers = [((t * (t > 0) - s * (s > 0)) ** 2).flatten() for t, s in couples(teacher, student, x, bound)]
        paid.append(sum((d2 + epsilon) ** (term.power / 2) - epsilon ** (term.power / 2) for d2 in torch.cat(layers)))
    return torch.stack(paid)


def hint(term, teacher, student, images, labels, bound) -> Tensor:
    """Romero et al. 2015: Σ_k (1/CHW) Σ_i (T_i − r(S)_i)², or Σ_k ½ Σ_i of the same."""
    count = (lambda d: mean_square(d)) if term.form == "mean" else (lambda d: total(d.flatten() ** 2) / 2)
    return torch.stack([sum(count(t - s) for t, s in couples(teacher, student, x, bound)) for x in images])


def second_head(term, teacher, student, images, labels, bound) -> Tensor:
    """Li & Hoiem 2016: Σ_c (z_{t,c} − h_c(s))², or the mean over c of the same with centred logits."""
    paid = []
    for x in images:
        (theirs, ours), = couples(teacher, student, x, bound)
        if term.form == "centred":
            theirs, ours = theirs - mean(theirs), ours - mean(ours)
        squares = (theirs - ours) ** 2
        paid.append(total(squares) if term.form == "plain" else mean(squares))
    return torch.stack(paid)


def information(term, teacher, student, images, labels, bound) -> Tensor:
    """Ahn et al. 2018, eq. 3 and 4: Σ_k (1/CHW) Σ_c,h,w log σ_c + (t − μ(s))²/(2σ_c²), σ_c = log(1 + e^a_c) + 1e-5."""
    paid = []
    for x in images:
        layers = []
        for layer, code in zip(bound.layers, bound.connectors, strict=True):
            t = pooled(tap(teacher, layer.teacher, x).detach(), layer.size, mean)
            mu = through(code.mean, pooled(tap(student, layer.student, x), layer.size, mean))
            sigma = [torch.log(1 + torch.exp(a)) + 1e-5 for a in code.raw]
            layers.append(sum(torch.log(sigma_c) + (t_i - mu_i) ** 2 / (2 * sigma_c**2)
                              for t_c, mu_c, sigma_c in zip(t, mu, sigma, strict=True)
                              for t_i, mu_i in zip(t_c.flatten(), mu_c.flatten(), strict=True)) / t.numel())
        paid.append(sum(layers))
    return torch.stack(paid)


def chosen(term, teacher, x: Tensor, y) -> list[int]:
    """The classes whose derivatives count: the label, the teacher's largest output, or all of them."""
    z = logits(teacher, x).tolist()
    return {"label": [y], "teacher": [z.index(max(z))], "all": range(len(z))}[term.classes]


def jacobian_match(term, teacher, student, images, labels) -> Tensor:
    """Srinivas & Fleuret 2018, Prop. 1: Σ over chosen c of ‖∂z_{t,c}/∂x − ∂z_{s,c}/∂x‖²."""
    paid = []
    for x, y in zip(images, labels, strict=True):
        theirs, ours = class_derivatives(teacher, x), class_derivatives(student, x)
        paid.append(sum(total((theirs[c].detach() - ours[c]) ** 2) for c in chosen(term, teacher, x, y)))
    return torch.stack(paid)


def jacobian_norm(term, teacher, student, images, labels) -> Tensor:
    """Srinivas & Fleuret 2018, Prop. 2: Σ over chosen c of ‖∂z_{s,c}/∂x‖²; eq. 3: ‖∂p_{s,c}/∂x‖² / p_{s,c}²."""
    paid = []
    for x, y in zip(images, labels, strict=True):
        each = []
        for c in chosen(term, teacher, x, y):
            if term.form == "outputs":
                each.append(total(class_derivatives(student, x)[c] ** 2))
            else:
                slope = derivative(lambda x, c=c: probabilities(logits(student, x))[c], x)
                each.append(total(slope**2) / probabilities(logits(student, x))[c] ** 2)
        paid.append(sum(each))
    return torch.stack(paid)


def cross_entropy_jacobian(term, teacher, student, images, labels) -> Tensor:
    """Srinivas & Fleuret 2018, eq. 2: −Σ_c p_{t,c} log p_{s,c} − σ² Σ_c ⟨∇p_{t,c}, ∇ log p_{s,c}⟩ at temperature T."""
    paid = []
    for x in images:
        def p(network, x, c):
            return probabilities(logits(network, x), term.temperature)[c]

        cost = 0
        for c in range(len(logits(teacher, x))):
            slope_t = derivative(lambda x, c=c: p(teacher, x, c), x).detach()
            slope_s = derivative(lambda x, c=c: torch.log(p(student, x, c)), x)
            cost = cost - p(teacher, x, c).detach() * torch.log(p(student, x, c)) \
                - term.noise**2 * total(slope_t * slope_s)
        paid.append(cost)
    return torch.stack(paid)


def noisy_outputs(term, teacher, student, images, labels, noise) -> Tensor:
    """Srinivas & Fleuret 2018, Prop. 1, left side, for one draw: Σ_c (z_{t,c}(x + σν) − z_{s,c}(x + σν))²."""
    return logit_error(term, teacher, student, [x + term.noise * n for x, n in zip(images, noise, strict=True)], labels)


def weight_decay(term, teacher, student, images, labels) -> Tensor:
    """½ Σ w² over all weights, the same for each image."""
    return torch.stack([sum(total(w**2) for w in student.parameters()) / 2 for _ in images])


REPLICAS = {
    "cross_entropy": cross_entropy,
    "soft_targets": soft_targets,
    "logit_error": logit_error,
    "cost_gradient": cost_gradient,
    "full_jacobian": full_jacobian,
    "summed_jacobian": summed_jacobian,
    "double_backpropagation": double_backpropagation,
    "targeted_double_backpropagation": targeted_double_backpropagation,
    "attention_maps": attention_maps,
    "attention_jacobian": attention_jacobian,
    "flow_matrices": flow_matrices,
    "activation_boundary": activation_boundary,
    "activation_values": activation_values,
    "hint": hint,
    "second_head": second_head,
    "map_information": information,
    "vector_information": information,
    "jacobian_match": jacobian_match,
    "jacobian_norm": jacobian_norm,
    "cross_entropy_jacobian": cross_entropy_jacobian,
    "noisy_outputs": noisy_outputs,
    "weight_decay": weight_decay,
}
