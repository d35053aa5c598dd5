"""Tables 1 to 5 of Yim et al. 2017 and the curves of Fig. 3: recognition rates of networks and of their ensembles."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from kdcore.papers.table import ACCURACY, Budget, Cell, Measure, Run, Table, against, cells, figures

PAPER = "Yim et al. 2017"
THOUSAND = 1000

NETS = ("Net 1", "Net 2", "Net 3", "Avg", "Ensemble")
TABLE_1 = figures("""
    Teacher          91.61  91.56  92.09  91.75  93.48
    Teacher *        90.47  90.83  90.62  90.64  92.6
    Teacher ‡        91.84  92.26  92.01  92.04  92.71
    1 loss FitNet *  91.69  91.85  91.64  91.72  92.98
    3 loss FitNet *  88.90  89.35  89.02  89.09  89.92
    Student *        92.28  92.08  92.07  92.14  93.26
    Student *†       92.28  91.89  92.08  92.08  93.67""")
TABLE_2 = figures("""
    Teacher    64.06  64.19  64.21  64.15  69.3
    Teacher *  61.29  61.26  61.41  61.32  67.2
    FitNet *   62.85  62.46  62.35  62.55  67.6
    Student *  64.66  64.64  64.65  64.65  68.8""")
TABLE_3 = figures("""
    Teacher-original  91.91
    Student-original  87.91
    FitNet            88.57
    Proposed Method   88.70""")
TABLE_4 = figures("""
    Teacher-original  64.06
    Student-original  58.65
    FitNet            61.28
    Proposed Method   63.33""")
TABLE_5 = figures("""
    Teacher - fine tuning            77.72
    Teacher - training from scratch  47.53
    Student - training from scratch  47.73
    FITNET                           70.19
    Proposed Method                  74.26""")
FIGURE_3 = figures("""
    Teacher-original  –
    Proposed Method   –""")
MEASURES = {**{f"Net {i + 1}": replace(ACCURACY, member=i) for i in range(3)},
            "Avg": Measure("mean test accuracy of the networks, %", metric="accuracy.members"), "Ensemble": ACCURACY}

# thousands of steps, both stages of each student together
FAST = {"Teacher": 64, "Teacher *": 21, "Teacher ‡": 21, "1 loss FitNet *": 35 + 21, "3 loss FitNet *": 35 + 21,
        "FitNet *": 35 + 21, "Student *": 21 + 21, "Student *†": 21 + 21}
LONG = {**FAST, "Student *": 32 + 21}
WHOLE = {"Teacher-original": 64, "Student-original": 64, "FitNet": 35 + 64, "Proposed Method": 21 + 64}
WHOLE_LONG = {**WHOLE, "Proposed Method": 32 + 64}
BIRDS = {"Teacher - fine tuning": 30, "Teacher - training from scratch": 30, "Student - training from scratch": 30,
         "FITNET": 35 + 30, "Proposed Method": 21 + 30}

SGD = {"kind": "sgd", "learning_rate": 0.1, "weight_decay": 1e-4}
SLOW, QUICK, OF_BIRDS = ({**SGD, "falls": list(falls)} for falls in (
    (32 / 64, 48 / 64), (11 / 21, 16 / 21), (1 / 3, 2 / 3)))
_STAGES = "a first stage comes on top of the baseline's steps, as there; one teacher of all seeds"
_OWN = f"the paper's own steps and learning rates, weights of terms that it does not print; {_STAGES}"
BUDGETS = {
    "quick": Budget("networks of half the width, 10 000 images, batches of 64, a fiftieth of the steps; "
                    f"{_STAGES}", 2),
    "standard": Budget(f"a quarter of the steps; {_STAGES}", 2),
    "paper": Budget(_OWN, 3)}
SIZES = {"quick": {"width": 0.5, "images": 10_000, "batch_size": 64, "steps": 1 / 50},
         "standard": {"width": 1.0, "images": None, "batch_size": 256, "steps": 1 / 4},
         "paper": {"width": 1.0, "images": None, "batch_size": 256, "steps": 1.0}}
BUDGETS_TRANSFER = {"quick": Budget("images of 64 pixels, batches of 16, a three-hundredth of the steps", 1),
                    "standard": Budget("images of 128 pixels, batches of 64, a quarter of the steps", 2),
                    "paper": Budget(f"{_OWN}; crops and mirror images are this project's choice", 3)}
SIZES_TRANSFER = {"quick": {"size": 64, "batch_size": 16, "steps": 1 / 300},
                  "standard": {"size": 128, "batch_size": 64, "steps": 1 / 4},
                  "paper": {"size": 224, "batch_size": 256, "steps": 1.0}}


def _cifar(data: dict, network: dict, budget: str) -> Run:
    size = SIZES[budget]
    return {"data": {**data, "images": size["images"]}, "batch_size": size["batch_size"],
            "network": {**network, "width": size["width"] * network.get("width", 1)}}


def _steps(thousands: float, budget: str) -> int:
    return round(thousands * THOUSAND * SIZES[budget]["steps"])


def _trained(number: int, row: str, data: dict, networks: tuple[dict, dict], thousands: dict[str, int], budget: str,
             seed: int) -> Run:
    """A run of CIFAR's tables; a row of a teacher's is trained like the teacher, with every seed."""
    big, small = networks
    teacher = {**_cifar(data, big, budget), "optimiser": SLOW, "steps": _steps(64, budget)}
    own = {**_cifar(data, big if row.startswith("Teacher") else small, budget), "steps": _steps(thousands[row], budget),
           "optimiser": QUICK if row.endswith(("*", "‡", "†")) else SLOW, "seed": seed,
           "method": f"Table {number}: {row}"}
    return own if row in ("Teacher", "Teacher *", "Teacher-original") else {**own, "teacher": teacher}


ON_10 = ({"name": "cifar10", "augment": "crop"}, ({"name": "residual26"}, {"name": "residual26"}))
ON_100 = ({"name": "cifar100"}, ({"name": "residual32", "width": 4}, {"name": "residual32", "width": 4}))
SMALL_10 = (ON_10[0], ({"name": "residual26"}, {"name": "residual8"}))
SMALL_100 = (ON_100[0], ({"name": "residual32", "width": 4}, {"name": "residual14", "width": 4}))


def _row(number: int, on: tuple, thousands: dict[str, int], row: str, column: str, budget: str, seed: int) -> Run:
    return _trained(number, row, *on, thousands, budget, seed)


def _figure_3(row: str, column: str, budget: str, seed: int) -> Run:
    """The teacher anew, and a student of its kind that learns for as long once its matrices are the teacher's."""
    return {**_trained(3, row, *ON_10, WHOLE, budget, seed), "evaluations": 20}  # a figure is its curve


def _birds(row: str, column: str, budget: str, seed: int) -> Run:
    size = SIZES_TRANSFER[budget]
    shared = {"data": {"name": "cub200", "size": size["size"], "augment": "crop_flip"},
              "batch_size": size["batch_size"]}
    own = {**shared, "optimiser": OF_BIRDS, "steps": round(BIRDS[row] * THOUSAND * size["steps"]), "seed": seed,
           "network": {"name": "resnet34" if row.startswith("Teacher") else "residual20_large"},
           "method": f"Table 5: {row}"}
    teacher = {**shared, "network": {"name": "resnet34", "start": {"kind": "published"}, "classes": 1000}, "steps": 0}
    return own if row.startswith("Teacher") else {**own, "teacher": teacher}


def _ensembles(number: int, on: tuple, thousands: dict[str, int], printed: dict) -> tuple[Cell, ...]:
    """The three networks of a row are alike: their mean and their ensemble alone are compared with the baseline's."""
    return tuple(replace(cell, measure=MEASURES[cell.column], against=cell.against if cell.column in NETS[3:] else None)
                 for cell in against("Teacher *", cells(printed, NETS, partial(_row, number, on, thousands))))


TABLES = {
    "yim-1": Table(PAPER, "Table 1: fast optimisation on CIFAR-10", "A third of the steps is enough for students with "
                   "the teacher's matrices, and shuffled ones make the best ensemble.", "cifar10",
                   _ensembles(1, ON_10, FAST, TABLE_1), BUDGETS),
    "yim-2": Table(PAPER, "Table 2: fast optimisation on CIFAR-100", "A third of the steps is enough for students with "
                   "the teacher's matrices.", "cifar100", _ensembles(2, ON_100, LONG, TABLE_2), BUDGETS),
    "yim-3": Table(PAPER, "Table 3: a small network on CIFAR-10", "Matrices are a little ahead of FitNet, and both of "
                   "labels alone.", "cifar10", tuple(against("Student-original", cells(
                       TABLE_3, ("",), partial(_row, 3, SMALL_10, WHOLE)))), BUDGETS),
    "yim-4": Table(PAPER, "Table 4: a small network on CIFAR-100", "Matrices are ahead of FitNet, and both of labels "
                   "alone.", "cifar100", tuple(against("Student-original", cells(
                       TABLE_4, ("",), partial(_row, 4, SMALL_100, WHOLE_LONG)))), BUDGETS),
    "yim-5": Table(PAPER, "Table 5: transfer to CUB-200-2011", "Matrices are ahead of FitNet, and near the fine-tuned "
                   "teacher.", "cub200", tuple(against("Student - training from scratch", cells(
                       TABLE_5, ("",), _birds))), BUDGETS_TRANSFER),
    "yim-figure-3": Table(PAPER, "Fig. 3: how fast they learn", "The student comes to its best three times as fast as "
                          "the teacher did. The paper draws curves, and prints no figures.", "cifar10",
                          tuple(against("Teacher-original", cells(FIGURE_3, ("",), _figure_3))), BUDGETS)}
