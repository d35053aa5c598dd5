"""Tables 1 and 2 of Ahn et al. 2018: test accuracy by number of images, of labels, and of images of another task.

The paper prints neither optimiser nor steps. In place of them stand those of the wide residual nets' and transfer
tables of Heo et al. 2019, which has the same networks' family and the same image sets.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from kdcore.papers.heo import TRANSFER, WIDE
from kdcore.papers.table import Budget, Cell, Run, Table, against, cells, figures

PAPER = "Ahn et al. 2018"
VALIDATION = 0.2
# The paper does not say how batches are drawn. As the images come, one of 50 has one or two labels among them at 100 a
# class, and the cross entropy of so few keeps even labels alone at chance for a thousand steps.
LABELLED_SHARE = 0.5

TABLE_1A = figures("""
    Student  90.71  85.21  79.82  59.59
    KD       91.34  85.39  81.88  65.94
    FitNet   90.97  86.45  83.71  76.07
    AT       91.51  87.28  84.46  75.18
    MI       91.76  88.71  86.49  78.14
    KD + AT  91.81  87.34  85.01  76.29
    KD + MI  91.7   88.59  86.53  78.48""")
TABLE_1B = figures("""
    Student  –      –      –
    KD       91.33  91.30  91.29
    FitNet   85.25  82.03  76.85
    AT       89.30  88.72  86.34
    MI       90.33  90.23  89.03
    KD + AT  91.56  91.81  91.34
    KD + MI  91.57  91.44  91.34""")
TEACHER = 94.46
TABLES_2 = {
    "a": ("MIT-67, ResNet-34 to ResNet-18", "mit67", "resnet18", ("all", "50", "25", "10"), """
        Student       48.46  37.49  25.02  16.32
        Finetuned     71.89  66.72  57.74  47.36
        LwF           64.05  57.66  43.43  27.84
        FitNet        70.15  65.40  56.37  40.82
        AT            58.56  49.50  40.65  24.80
        MI-L          68.11  60.27  48.68  30.45
        MI-I          72.09  68.13  60.25  49.83
        LwF + FitNet  70.75  65.87  56.02  40.07
        MI-L + MI-I   71.27  67.59  61.69  50.07"""),
    "b": ("MIT-67, ResNet-34 to VGG-9", "mit67", "vgg9", ("all", "50", "25", "10"), """
        Student       54.15  43.31  28.11  15.45
        Finetuned     67.39  61.77  52.11  39.33
        LwF           64.50  60.12  50.55  34.20
        FitNet        71.00  65.10  54.83  41.27
        AT            59.10  52.11  40.75  25.45
        MI-L          68.78  62.89  52.69  37.69
        MI-I          69.38  64.98  57.41  43.51
        LwF + FitNet  70.67  65.10  54.95  40.92
        MI-L + MI-I   71.04  66.89  58.21  48.26"""),
    "c": ("CUB-200-2011, ResNet-34 to ResNet-18", "cub200", "resnet18", ("all", "20", "10", "5"), """
        Student       43.15  25.59  10.31  5.11
        Finetuned     74.76  69.10  53.29  33.15
        LwF           62.64  53.46  38.49  21.84
        FitNet        67.85  62.58  51.15  36.51
        AT            59.94  47.75  28.20  17.39
        MI-L          66.11  59.80  44.20  27.13
        MI-I          71.03  66.08  53.86  41.44
        LwF + FitNet  68.53  62.63  51.08  34.28
        MI-L + MI-I   70.97  64.73  53.87  40.58"""),
    "d": ("CUB-200-2011, ResNet-34 to VGG-9", "cub200", "vgg9", ("all", "20", "10", "5"), """
        Student       49.33  33.28  14.44  7.41
        Finetuned     66.94  63.57  50.79  29.56
        LwF           66.12  55.72  41.63  24.89
        FitNet        69.06  62.83  45.81  29.96
        AT            59.31  47.66  29.13  15.07
        MI-L          68.08  63.13  47.83  28.73
        MI-I          69.84  62.63  45.91  31.01
        LwF + FitNet  70.56  62.44  47.36  30.52
        MI-L + MI-I   70.00  65.14  53.78  38.76""")}
POOLED = ("FitNet", "AT", "MI-I", "LwF + FitNet", "MI-L + MI-I")  # after max-pooling, in a VGG net

_CHOSEN = "optimiser and steps are this project's choice, for the paper prints none"
BUDGETS_1 = {
    "quick": Budget("WRN-16-2 teaches WRN-10-1, both of half the width; 2000 steps for one teacher of all seeds on "
                    "20 000 images, varied, 1500 for a student on images as they are", 2),
    "standard": Budget(f"20 000 steps for one teacher of all seeds, 10 000 for a student; {_CHOSEN}", 3),
    "paper": Budget(f"78 200 steps, one teacher of all seeds; {_CHOSEN}", 3)}
SIZES_1 = {
    "quick": {"networks": ("wrn_16_2", "wrn_10_1"), "width": 0.5, "images": 20_000, "steps": (2000, 1500),
              "batch_size": 50, "augment": "none"},  # what the teacher hands over is kept then
    "standard": {"networks": ("wrn_40_2", "wrn_16_1"), "width": 1.0, "images": None, "steps": (20_000, 10_000),
                 "batch_size": 128, "augment": "crop_flip"},
    "paper": {"networks": ("wrn_40_2", "wrn_16_1"), "width": 1.0, "images": None, "steps": (78_200, 78_200),
              "batch_size": 128, "augment": "crop_flip"}}
BUDGETS_2 = {
    "quick": Budget("images of 64 pixels, 100 steps of 16 images", 1),
    "standard": Budget(f"images of 128 pixels, 4000 steps; {_CHOSEN}", 2),
    "paper": Budget(f"13 400 steps, a hundred epochs of MIT-67; {_CHOSEN}", 3)}
SIZES_2 = {"quick": {"size": 64, "steps": 100, "batch_size": 16},
           "standard": {"size": 128, "steps": 4000, "batch_size": 32},
           "paper": {"size": 224, "steps": 13_400, "batch_size": 32}}


def _by_images(row: str, column: str, budget: str, seed: int) -> Run:
    each = int(column)
    return _on_cifar(row, {"per_class": each if each < 5000 else None}, budget, seed)


def _by_labels(row: str, column: str, budget: str, seed: int) -> Run:
    return _on_cifar(row, {"labelled_per_class": int(column), "labelled_share": LABELLED_SHARE}, budget, seed)


def _on_cifar(row: str, images: dict, budget: str, seed: int) -> Run:
    size = SIZES_1[budget]
    teacher, student = ({"name": name, "width": size["width"]} for name in size["networks"])
    shared, (long, short) = {"batch_size": size["batch_size"], "optimiser": WIDE}, size["steps"]
    data = {"name": "cifar10", "augment": size["augment"], **images, "validation": VALIDATION}
    return {**shared, "data": data, "network": student, "steps": short, "seed": seed, "method": f"Table 1: {row}",
            "teacher": {**shared, "data": {"name": "cifar10", "augment": "crop_flip", "images": size["images"]},
                        "network": teacher, "steps": long}}


def _teachers(budget: str, seed: int) -> Run:
    """The teacher's own row: it is trained as a run of the table, with every seed."""
    run = _on_cifar("Teacher", {}, budget, seed)
    return {**run["teacher"], "method": run["method"], "seed": seed}


def _transfer(letter: str, row: str, column: str, budget: str, seed: int) -> Run:
    _, images, student, *_ = TABLES_2[letter]
    size = SIZES_2[budget]
    shared = {"data": {"name": images, "size": size["size"], "augment": "crop_flip"}, "batch_size": size["batch_size"]}
    pooled = ", VGG-9" * (student == "vgg9" and row in POOLED)
    return {**shared, "optimiser": TRANSFER, "steps": size["steps"], "seed": seed, "network": {"name": student},
            "data": {**shared["data"], "per_class": None if column == "all" else int(column), "validation": VALIDATION},
            "method": f"Table 2: {row}{pooled}",
            "teacher": {**shared, "network": {"name": "resnet34", "start": {"kind": "published"}, "classes": 1000},
                        "steps": 0}}


def _table_2(letter: str) -> Table:
    title, images, _, columns, printed = TABLES_2[letter]
    made = cells(figures(printed), columns, partial(_transfer, letter))
    return Table(PAPER, f"Table 2{letter}: {title}", "Information of maps, or of maps and outputs, is ahead in most "
                 "columns, near fine-tuning.", images, tuple(against("Student", made)), BUDGETS_2)


TABLES = {
    "ahn-1a": Table(
        PAPER, "Table 1a: by number of images of each class", "Information of maps is ahead, and the more so the fewer "
        "images there are.", "cifar10",
        (Cell("Teacher", "5000", TEACHER, _teachers),
         *against("Student", cells(TABLE_1A, ("5000", "1000", "500", "100"), _by_images))), BUDGETS_1),
    "ahn-1b": Table(
        PAPER, "Table 1b: by number of labels of each class", "Soft targets are ahead where labels are few; of what is "
        "handed over from inside, information of maps is.", "cifar10",
        tuple(against("KD", cells(TABLE_1B, ("1000", "500", "100"), _by_labels))),
        {name: replace(budget, note=f"{budget.note}; half of each batch has labels, where the paper says nothing of it")
         for name, budget in BUDGETS_1.items()}),
    **{f"ahn-2{letter}": _table_2(letter) for letter in TABLES_2}}
