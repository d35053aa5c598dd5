"""Every formula a second time: slow, literal, close to the paper's notation.

Loops over images, classes and pixels; derivatives one output at a time; exponentials and logarithms written out. A
replica takes (term, teacher, student, images, labels) and returns (N,), what the student pays for each image, with a
graph back to the student's weights.
"""

import torch
from torch import Tensor


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


REPLICAS = {
    "cross_entropy": cross_entropy,
    "soft_targets": soft_targets,
    "logit_error": logit_error,
    "cost_gradient": cost_gradient,
    "full_jacobian": full_jacobian,
    "summed_jacobian": summed_jacobian,
    "double_backpropagation": double_backpropagation,
    "targeted_double_backpropagation": targeted_double_backpropagation,
}
