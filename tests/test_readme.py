"""The README is held to the code."""

import json
import re
from pathlib import Path

import torch

from benchmarks import findings
from kdcore import models
from kdcore.__main__ import main
from kdcore.config import parse, read
from kdcore.models import ARCHITECTURES, NetworkConfig
from kdcore.papers import report
from kdcore.search import Search

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_notebook_example_runs(capsys):
    code = blocks("python")[0]
    exec(code.replace("in train(run)", "in train(run.model_copy(update={'steps': 5}))"), {})
    assert len(capsys.readouterr().out.splitlines()) > 2


def test_a_module_of_ones_own_learns_at_the_taps_that_it_names():
    found = {}
    try:
        exec(blocks("python")[1], found)
        shapes = models.shapes(models.NetworkConfig(name="mine"), (1, 8, 8), 10)
    finally:
        del models.ARCHITECTURES["mine"]
    assert shapes == {"seen": (8, 6, 6), "logits": (10,)} and found["student"](torch.rand(1, 1, 8, 8)).shape == (1, 10)


def test_every_start_that_is_named_is_one():
    named = re.findall(r"`(?:\"start\": )?(\{\"kind\": .*?\})`", README)
    assert [NetworkConfig(name="resnet18", start=json.loads(start)).start.kind for start in named] == [
        "published", "file", "run"]


def test_the_example_of_a_run_is_one():
    content, search = blocks("json")
    assert read(content).steps == json.loads(content)["steps"]
    assert len(parse(Search, search).next({}, 9)) == 9


def test_every_command_that_is_named_exists(capsys):
    commands = set(re.findall(r"python -m kdcore (\w+)", README))
    assert commands >= {"methods", "train", "reproduce", "data"}
    for command in commands:
        try:
            main([command, "--help"])
        except SystemExit as ended:
            assert ended.code == 0


def test_the_table_of_methods_is_the_catalogues(capsys):
    main(["methods", "--markdown"])
    assert capsys.readouterr().out in README


def test_every_dependency_has_its_reason():
    required = re.findall(r"^([a-z-]+)[>=!<]", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)
    table = README[README.index("| dependency |"):]
    assert required and all(re.search(rf"\b{name}\b", table) for name in required)


def test_the_pictures_are_there():
    assert all((ROOT / path).exists() for path in re.findall(r"!\[.*?\]\((.*?)\)", README))


def test_every_network_is_named():
    assert all(f"`{name}`" in README for name, network in ARCHITECTURES.items() if not network.own)


def section(text: str, beginning: str, end: str) -> str:
    return text[text.index(beginning):text.index(end)]


FINDINGS = section(README, "### Findings", "### What they give here")
REASONS = section((ROOT / "benchmarks/README.md").read_text(), "## The papers' tables", "## What stays below")


def test_every_finding_stands_in_a_report():
    reports = "".join(file.read_text() for file in (ROOT / "benchmarks/results/papers").glob("*.md"))
    told = re.findall(r"(\d[\d.]*\d ± \d[\d.]*\d)(?:\*\*)?(?: \(([\d.]+)\))?",
                      " ".join(f"{FINDINGS} {REASONS}".split()))
    assert len(told) > 36
    for measured, published in told:
        assert re.search(rf"{re.escape(f'| {published}')}[ *]*\| {re.escape(measured)} \(" if published
                         else re.escape(f"{measured} ("), reports), (measured, published)


def test_the_best_of_each_column_is_bold():
    tables = [table for table in re.findall(r"(?:^\|.*\n)+", FINDINGS, flags=re.MULTILINE) if "±" in table]
    assert len(tables) > 2
    for table in tables:
        _, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
        for column in zip(*(row[1:] for row in rows)):
            figures = [float(re.match(r"(?:\*\*)?([\d.]+)", cell)[1]) for cell in column]
            bold = [figure for figure, cell in zip(figures, column) if cell.startswith("**")]
            assert bold == [max(figures)], column


def test_every_count_of_directions_is_a_reports():
    """Each table has a row that begins with its paper and number in bold and says how many directions are as published,
    at the largest budget that was measured; its reasons, and what was seen, are in a paragraph that begins so.
    """
    counted = {}
    for found in findings.reports().values():
        again, _, otherwise, _ = report.directions(found["cells"])
        counted[f"{found['paper'][:-5]}, {found['title'].partition(':')[0]}"] = f"{again} of {again + otherwise}"
    told = re.findall(r"^\| \*\*([^*]+)\*\* \|[^|]+\| (\d+ of \d+) \|", FINDINGS, flags=re.MULTILINE)
    assert dict(told) == counted and len(told) == len(counted)
    assert set(re.findall(r"^\*\*([^*]+, Table \w+)\.?\*\*", REASONS, flags=re.MULTILINE)) == set(counted)
