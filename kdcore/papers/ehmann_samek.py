"""Tables 1 to 3 of Ehmann & Samek 2018: average test accuracy on MNIST."""

from __future__ import annotations

from functools import partial

from kdcore.config import RunConfig
from kdcore.methods import METHODS
from kdcore.objective import Method
from kdcore.papers import BUDGETS, Budget, Cell, Table

_COUNTS = (50, 1000, 20000)
_LABELS, _COST, _FULL, _SUMMED = "labels_only", "cost_gradient", "full_jacobian", "summed_jacobian"
_TITLES = {_LABELS: "only labels", _COST: "cost", _FULL: "full Jacobian", _SUMMED: "summed Jacobian"}
_FC, _CONV = ("FC", "fc"), ("convolutional", "conv")

_TABLE_1 = {
    (_FC, _FC): {_LABELS: (0.6849, 0.8882, 0.9760), _COST: (0.6900, 0.8981, 0.9816),
                 _FULL: (0.8056, 0.9239, 0.9761), _SUMMED: (0.6928, 0.8879, 0.9763)},
    (_CONV, _CONV): {_LABELS: (0.7186, 0.9160, 0.9814), _COST: (0.7137, 0.9272, 0.9854),
                     _FULL: (0.7540, 0.9359, 0.9819), _SUMMED: (0.7250, 0.9216, 0.9816)},
}
_TABLE_2 = {
    (_FC, _CONV): {_LABELS: (0.7186, 0.9160, 0.9814), _COST: (0.7109, 0.9179, 0.9846),
                   _FULL: (0.8101, 0.9336, 0.9815)},
    (_CONV, _FC): {_LABELS: (0.6849, 0.8882, 0.9760), _COST: (0.6945, 0.8985, 0.9817),
                   _FULL: (0.7531, 0.9221, 0.9780)},
}
_TABLE_3 = {"M=1": ("double_backpropagation", 0.9854), "cost diff": ("cost_gradient", 0.9850),
            "cost diff + M=1": ("cost_gradient_double_backpropagation", 0.9852)}
_TABLE_3_TARGETED = {
    "M ∈ {0,1}": ("targeted_double_backpropagation", {0.2: 0.9845, 0.5: 0.9845, 0.7: 0.9844, 0.9: 0.9848}),
    "M ∈ {1,2}": ("graded_double_backpropagation", {0.2: 0.9848, 0.5: 0.9842, 0.7: 0.9838, 0.9: 0.9843}),
}


def _runs(method: Method, teacher: str, student: str, images: int, runs: int | None, budget: Budget) -> list[RunConfig]:
    seeds = min(budget.seeds, runs or budget.seeds)
    return [_run(method, teacher, student, images, seed, budget) for seed in range(1, seeds + 1)]


def _run(method: Method, teacher: str, student: str, images: int, seed: int, budget: Budget) -> RunConfig:
    shared = {"steps": budget.steps, "optimiser": {"learning_rate": budget.learning_rate}, "batch_size": 50}
    taught = {**shared, "data": {"name": "mnist", "images": 20000}, "seed": seed if budget is BUDGETS["paper"] else 0,
              "network": {"name": f"{teacher}_teacher", "width": budget.width}}
    return RunConfig(**shared, data={"name": "mnist", "images": images}, teacher=taught, method=method, seed=seed,
                     network={"name": f"{student}_student", "width": budget.width})


def _by_count(figures: dict) -> tuple[Cell, ...]:
    return tuple(
        Cell(f"{_pair(teacher, student)}: {_TITLES[name]}", str(count), published,
             partial(_runs, METHODS[name], teacher[1], student[1], count, None))
        for (teacher, student), rows in figures.items()
        for name, values in rows.items()
        for count, published in zip(_COUNTS, values))


def _pair(teacher: tuple[str, str], student: tuple[str, str]) -> str:
    return student[0] if teacher == student else f"{teacher[0]} to {student[0]}"


def _table_3() -> tuple[Cell, ...]:
    plain = [Cell(row, "", published, partial(_runs, METHODS[name], "conv", "conv", 20000, 6))
             for row, (name, published) in _TABLE_3.items()]
    targeted = [Cell(row, f"p = {p:g}", published,
                     partial(_runs, METHODS[name if p == 0.5 else f"{name}_p{10 * p:g}"], "conv", "conv", 20000, 6))
                for row, (name, values) in _TABLE_3_TARGETED.items() for p, published in values.items()]
    return (*plain, *targeted)


TABLES = {
    "ehmann-samek-1": Table("Ehmann & Samek 2018, Table 1: transfer methods by number of examples", "mnist",
                            _by_count(_TABLE_1)),
    "ehmann-samek-2": Table("Ehmann & Samek 2018, Table 2: transfer across architectures", "mnist",
                            _by_count(_TABLE_2)),
    "ehmann-samek-3": Table("Ehmann & Samek 2018, Table 3: targeted double backpropagation", "mnist", _table_3()),
}
