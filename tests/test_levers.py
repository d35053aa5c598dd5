"""What makes a step faster is on where it was measured to pay, and says so."""

import torch

from kdcore import levers
from kdcore.__main__ import main

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_what_was_never_run_on_a_device_is_off_there(monkeypatch):
    monkeypatch.setattr(levers, "has_bfloat16", lambda _: True)
    monkeypatch.setitem(levers.LEVERS["disk"].pays, "cpu", False)
    for name, lever in levers.LEVERS.items():
        for device in (CPU, CUDA):
            paid = lever.pays.get(device.type)
            assert levers.on(name, device) is (paid is True)
            assert levers.states(device)[name] == {
                True: "on", False: f"off: it does not pay on {device}", None: f"off: never run on {device}"}[paid]


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
    assert levers.dtype("auto", flat, CPU, differentiates_input=False) == torch.float32


def test_the_command_line_says_which_are_on(monkeypatch, capsys):
    monkeypatch.setattr(levers, "has_bfloat16", lambda _: False)
    monkeypatch.setenv("KD_DEVICE", "cpu")
    assert main(["levers"]) == 0
    said = capsys.readouterr().out
    assert "bfloat16: off: this processor has no such numbers" in said and "Channels last: on" in said
