"""Tables 1 to 5 of Srinivas & Fleuret 2018: distillation, robustness to noise, and transfer from ImageNet.

The text prints neither optimiser nor steps; those of Heo et al. 2019, on the same image sets, stand in their place.
"""

from __future__ import annotations

from functools import partial

from kdcore.papers.heo import TRANSFER, WIDE
from kdcore.papers.table import Budget, Cell, Measure, Run, Table, against, cells, figures

PAPER = "Srinivas & Fleuret 2018"
NORMALISED = 4  # pixels are so many times as large once they are normalised

COUNTS = ("1", "5", "10", "50", "100", "500")
TABLE_1 = figures("""
    Cross-Entropy training                5.69   13.9   20.03  37.6   44.92  54.28
    CE + match activations                12.13  26.97  33.92  46.47  50.92  56.65
    CE + match Jacobians                  6.78   23.94  32.03  45.71  51.47  53.44
    CE + match {activations + Jacobians}  13.78  33.39  39.55  49.49  52.43  54.57
    Match activations only                10.73  28.56  33.6   45.73  50.15  56.59
    Match {activations + Jacobians}       13.09  33.31  38.16  47.79  50.06  51.33""")
NOISE = ("0", "0.1", "0.2", "0.3", "0.4")
TABLE_2 = figures("""
    λ = 0              64.78  61.9±0.07   47.53±0.23  29.63±0.16  17.69±0.17
    λ = 0.1            65.62  63.36±0.18  53.57±0.23  37.38±0.18  23.99±0.19
    λ = 1              63.59  62.66±0.13  57.53±0.17  47.48±0.14  35.43±0.11
    λ = 10             61.37  60.78±0.05  58.28±0.13  52.82±0.10  44.96±0.19
    ℓ2 regularization  66.92  60.41±0.27  39.93±0.28  23.32±0.25  13.76±0.16
    Dropout            66.8   61.53±0.10  44.34±0.19  26.70±0.24  15.77±0.11""")
TABLE_3 = figures("""
    untrained student                                 11.64  20.30  35.19  46.38  59.33
    pre-trained student (Oracle)                      25.93  43.81  57.65  64.18  71.42
    CE + match activations                            17.08  27.13  45.08  55.22  65.22
    CE + match {activations + Jacobians}              17.88  28.25  45.26  56.49  66.04
    CE + match {activations + attention}              16.53  28.35  46.01  57.80  67.24
    CE + match {activations + attention + Jacobians}  18.02  29.25  47.31  58.35  67.31""")
DEPTHS = ("(7, 2)", "(15, 4)", "(27, 6)", "(33, 8)")
TABLE_4 = figures("""
    accuracy                 22.39  21.98  20.45  20.03
    Jacobian loss reduction  25.88  15.59  11.55  1.25""")
WINDOWS = ("Full", "s/3", "s/5", "s/7", "None")
TABLE_5 = figures("accuracy  20.00  21.20  21.87  21.09  19.74")
REDUCTION = Measure("fall of the term from its first measurement, %", metric="term.attention_jacobian", fall=True)

_CHOSEN = "optimiser and steps are this project's choice, for the text prints none"
BUDGETS = {
    "quick": Budget("networks of a quarter of the width, 2000 steps for one teacher of all seeds on 20 000 images, "
                    "varied, 600 for a student on images as they are", 2),
    "standard": Budget(f"20 000 steps for one teacher of all seeds, 6000 for a student; {_CHOSEN}", 3),
    "paper": Budget(f"200 epochs of the whole set, one teacher of all seeds; {_CHOSEN}", 3)}
# Of images as they are, what the teacher hands over is kept.
SIZES = {"quick": {"width": 0.25, "images": 20_000, "steps": (2000, 600), "batch_size": 50, "augment": "none"},
         "standard": {"width": 1.0, "images": None, "steps": (20_000, 6000), "batch_size": 128, "augment": "crop_flip"},
         "paper": {"width": 1.0, "images": None, "steps": (78_200, 78_200), "batch_size": 128, "augment": "crop_flip"}}
BUDGETS_NOISE = {
    "quick": Budget("networks of a quarter of the width, 5000 images, 1000 steps; measured on 1000 test images", 2),
    "standard": Budget(f"6000 steps; {_CHOSEN}; measured on 1000 test images", 3),
    "paper": Budget(f"200 epochs; {_CHOSEN}; measured on 1000 test images", 3)}
SIZES_NOISE = {"quick": {"width": 0.25, "images": 5000, "steps": 1000, "batch_size": 50},
               "standard": {"width": 1.0, "images": None, "steps": 6000, "batch_size": 128},
               "paper": {"width": 1.0, "images": None, "steps": 78_200, "batch_size": 128}}
BUDGETS_TRANSFER = {
    "quick": Budget("images of 64 pixels, 100 steps of 16 images", 1),
    "standard": Budget(f"images of 128 pixels, 4000 steps; {_CHOSEN}", 2),
    "paper": Budget(f"13 400 steps, 80 epochs of the whole set; {_CHOSEN}", 2)}
SIZES_TRANSFER = {"quick": {"size": 64, "steps": 100, "batch_size": 16},
                  "standard": {"size": 128, "steps": 4000, "batch_size": 32},
                  "paper": {"size": 224, "steps": 13_400, "batch_size": 32}}


def _distilled(row: str, column: str, budget: str, seed: int) -> Run:
    size = SIZES[budget]
    shared, (long, short) = {"batch_size": size["batch_size"], "optimiser": WIDE}, size["steps"]
    data = {"name": "cifar100", "augment": size["augment"], "per_class": int(column)}
    return {**shared, "data": data, "steps": short, "network": {"name": "vgg4", "width": size["width"]}, "seed": seed,
            "method": f"Table 1: {row}",
            "teacher": {**shared, "data": {"name": "cifar100", "augment": "crop_flip", "images": size["images"]},
                        "steps": long, "network": {"name": "vgg9", "width": size["width"]}}}


def _robust(row: str, budget: str, seed: int) -> Run:
    size = SIZES_NOISE[budget]
    return {"data": {"name": "cifar100", "images": size["images"], "augment": "crop_flip"},
            "optimiser": {**WIDE, "weight_decay": 0.0},  # which is what a row of the table adds
            "network": {"name": "vgg9", "width": size["width"]}, "steps": size["steps"], "seed": seed,
            "batch_size": size["batch_size"], "method": f"Table 2: {row}"}


def _transfer(number: int, row: str, each: str, budget: str, seed: int) -> Run:
    size = SIZES_TRANSFER[budget]
    shared = {"data": {"name": "mit67", "size": size["size"], "augment": "crop_flip"}, "batch_size": size["batch_size"]}
    return {**shared, "data": {**shared["data"], "per_class": None if each == "Full" else int(each)},
            "optimiser": TRANSFER, "steps": size["steps"], "seed": seed, "network": {"name": "vgg9"},
            "method": f"Table {number}: {row}",
            "teacher": {**shared, "network": {"name": "resnet34", "start": {"kind": "published"}, "classes": 1000},
                        "steps": 0}}


def _ablation(number: int, row: str, column: str, budget: str, seed: int) -> Run:
    return _transfer(number, column, "10", budget, seed)


def _under_noise() -> list[Cell]:
    return [Cell(row, std, figure.value, partial(_robust, row), _noisy(float(std)), figure.spread)
            for row, values in TABLE_2.items() for std, figure in zip(NOISE, values, strict=True)]


def _noisy(std: float) -> Measure:
    return Measure("test accuracy under noise, %", noise=std / NORMALISED)


TABLES = {
    "srinivas-fleuret-1": Table(
        PAPER, "Table 1: distillation by number of images of each class", "With little data activations and Jacobians "
        "together are ahead of activations alone; with all of it they are not.", "cifar100",
        tuple(against("Cross-Entropy training", cells(TABLE_1, COUNTS, _distilled))), BUDGETS),
    "srinivas-fleuret-2": Table(
        PAPER, "Table 2: robustness to noise", "The larger the penalty on the Jacobian, the less noise hurts; weight "
        "decay and dropout do not help.", "cifar100", tuple(against("λ = 0", _under_noise())), BUDGETS_NOISE),
    "srinivas-fleuret-3": Table(
        PAPER, "Table 3: transfer from ImageNet to MIT Scenes", "Jacobians improve every method, and none reaches the "
        "pre-trained student.", "mit67",
        tuple(against("untrained student", cells(TABLE_3, ("5", "10", "25", "50", "Full"), partial(_transfer, 3)))),
        BUDGETS_TRANSFER),
    "srinivas-fleuret-4": Table(
        PAPER, "Table 4: which features to match", "The shallowest features work best, and there the term falls most.",
        "mit67", (*cells({"accuracy": TABLE_4["accuracy"]}, DEPTHS, partial(_ablation, 4)),
                  *cells({"Jacobian loss reduction": TABLE_4["Jacobian loss reduction"]}, DEPTHS,
                         partial(_ablation, 4), measure=REDUCTION)), BUDGETS_TRANSFER, columns=True),
    "srinivas-fleuret-5": Table(
        PAPER, "Table 5: pooling before the Jacobian", "A window of a fifth of the map is best.", "mit67",
        tuple(against("None", cells(TABLE_5, WINDOWS, partial(_ablation, 5)), columns=True)), BUDGETS_TRANSFER,
        columns=True)}
