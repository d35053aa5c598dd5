"""What makes a step faster is on where it was measured to pay, and says so."""

import torch

from kdcore import levers
from kdcore.__main__ import main

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_what_was_never_run_on_a_device_is_off_there(monkeypatch):
    monkeypatch.setitem(levers.LEVERS, "new", levers.Lever("New", "Was run on CPUs alone.", {"cpu": True, "mps": None}))
    monkeypatch.setitem(levers.LEVERS, "slow", levers.Lever("Slow", "Does not pay.", {"cpu": False, "cuda": False}))
    assert levers.on("new", CPU) and not any(levers.on("new", device) for device in (CUDA, torch.device("mps")))
    assert levers.states(CUDA)["new"] == "off: never run on cuda"
    assert not levers.on("slow", CPU) and levers.states(CPU)["slow"] == "off: it does not pay on cpu"
    with levers.switched(new=False, slow=True):
        assert (levers.states(CPU)["new"], levers.states(CPU)["slow"]) == ("off", "on")


def test_a_lever_is_switched_for_a_while():
    assert levers.on("batch_norm", CPU)
    with levers.switched(batch_norm=False):
        assert not levers.on("batch_norm", CPU)
        with levers.switched(batch_norm=True, disk=False):
            assert levers.on("batch_norm", CPU) and not levers.on("disk", CPU)
        assert not levers.on("batch_norm", CPU) and levers.on("disk", CPU)
    assert levers.on("batch_norm", CPU)


def test_networks_without_convolutions_stay_as_they_are():
    flat, maps = torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3))
    assert levers.memory_format(flat, CPU) == torch.contiguous_format
    assert levers.memory_format(maps, CPU) == torch.channels_last


def test_the_command_line_says_which_are_on(monkeypatch, capsys):
    monkeypatch.setenv("KD_DEVICE", "cpu")
    assert main(["levers"]) == 0
    said = capsys.readouterr().out
    assert "bfloat16: off: it does not pay on cpu" in said and "Channels last: on" in said
