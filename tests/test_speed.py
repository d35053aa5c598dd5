"""The cases of speed: the plain way computes the same losses as the trainer, and both are measured and written."""

import json
import re

import pytest
import torch

from benchmarks import __main__ as speed
from benchmarks import runs
from benchmarks.speed import cases, measure, plain, report
from benchmarks.speed.cases import Networks
from kdcore import levers
from kdcore.train import build

SMALL = Networks("small", "shapes", "wrn_16_1", "wrn_10_1", 4, cases.SGD)
CHEAP = Networks("small", "digits", "fc_teacher", "fc_student", 4, cases.ADAM)


@pytest.mark.parametrize("kind", sorted({*plain.LOSSES} - {"cross_entropy"}))
def test_the_plain_way_minimises_the_same_loss(kind, monkeypatch):
    monkeypatch.setattr(cases, "PICTURES", 8)
    config = SMALL.run({"kind": kind}, "flip")
    teacher = build(config.teacher)
    ours, theirs = cases.steps(config, teacher), plain.Training(config, teacher)
    for (_, _, bound), key in zip(theirs.terms, config.method.stages[0].objective):
        bound.load_state_dict(ours.bounds[key].state_dict())
    ours.network.train()
    student, losses = ours.losses()
    assert float(losses["knowledge"].detach()) > 0
    found = theirs.loss(student.inputs.detach(), student.labels)
    torch.testing.assert_close(sum(losses.values()).detach(), found.detach(), rtol=1e-4, atol=1e-4)


def test_a_plain_step_learns(monkeypatch):
    config = CHEAP.run(cases.FULL)
    training = plain.Training(config, build(config.teacher))
    before = [parameter.detach().clone() for parameter in training.student.parameters()]
    training.step()
    assert all((one != other).any() for one, other in zip(training.student.parameters(), before))


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(cases, "PICTURES", 8)
    monkeypatch.setattr(runs, "RESULTS", tmp_path)
    monkeypatch.setattr(speed, "RESULTS", tmp_path)
    monkeypatch.setattr(measure, "ROUNDS", 2)
    case = cases.step("Soft targets", CHEAP, cases.SOFT, most=1e-9)
    for known in (measure, report, speed):
        monkeypatch.setattr(known, "CASES", {"cheap": case})
    monkeypatch.setattr(measure, "_in_own_process", lambda *_: 1.0)
    return tmp_path


def test_a_case_is_measured_both_ways_and_written(small, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "--seconds", "0"])
    speed.main()
    found = json.loads((small / "speed.json").read_text())["cases"]["cheap"]
    assert found["rates"]["operations"] > 1e9 and found["rates"]["bytes"] > 1e8
    assert found["rounds"] == 2 and found["low"] <= found["ratio"] <= found["high"]
    assert found["effort"]["plain"]["operations"] > found["effort"]["ours"]["operations"] > 0  # its teacher runs
    assert "Soft targets, small, teacher kept" in (small / "speed.md").read_text()
    bar, = re.findall(r'height="14" fill="(.*?)"', (small / "speed.svg").read_text())
    assert bar == report.MISSED
    assert "cheap" in capsys.readouterr().out


def test_a_compiled_case_compiles_before_it_is_timed_and_only_itself(monkeypatch):
    states = []

    def building():
        return lambda: states.append(levers.on("compiled", torch.device("cpu")))

    case = cases.compiled(cases.Case("Soft targets", building, building, most=1e-9))
    case.plain()()
    work = case.ours()
    assert states == [False, True] and not levers.on("compiled", torch.device("cpu"))
    work()
    assert states == [False, True, True] and case.title == "Soft targets, compiled" and case.most is None


def test_what_a_product_and_what_a_sum_ask_of_the_device_is_counted():
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    with measure.Effort() as counted:
        (left @ right).t().add_(1)  # a view moves nothing
    assert counted.operations == 2 * 3 * 5 * 7
    assert counted.bytes == 4 * (15 + 35 + 21) + 4 * (21 + 21)
    column = torch.ones(3, 1)
    with measure.Effort() as counted:
        column.expand(3, 100).sum()  # read from its three numbers
    assert counted.bytes == 4 * (3 + 1)


def test_an_unknown_case_is_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "kd-kep"])
    with pytest.raises(SystemExit):
        speed.main()
    assert "There is no case 'kd-kep' (did you mean 'kd-kept'?)" in capsys.readouterr().err


def test_peak_memory_is_that_of_the_work(monkeypatch):
    def work(megabytes):
        return lambda: lambda: torch.ones(megabytes, 2**18)

    monkeypatch.setattr(measure, "CASES", {"one": cases.Case("", work(300), work(10))})
    assert 280 < measure.peak("one", "plain") < 400 and measure.peak("one", "ours") < 100
