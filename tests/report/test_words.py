"""Numbers and names in words."""

import platform
from dataclasses import replace

import pytest
import torch

from normlab.claims.metrics import metric
from normlab.records.device import read_device
from normlab.records.record import Record
from normlab.records.verdict import PartVerdict
from normlab.records.words import device_label, effect, listed, number, numbers, tick
from normlab.report.scale import Scale
from normlab.report.words import data_label
from normlab.training.devices import device_name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"), (1.234, "1.23"), (-12.34, "−12.3"), (0.01234, "0.0123"), (12345, "12,345"),
        (4.5e-7, "4.5\xa0×\xa010⁻⁷"), (float("inf"), "∞"), (float("-inf"), "−∞"),
    ],
)  # fmt: skip
def test_number(value, shown):
    assert number(value) == shown


def test_numbers_side_by_side_have_the_same_decimals():
    assert numbers([0.41, -0.2, 12.0]) == ["0.4", "−0.2", "12.0"]
    assert numbers([0.0, 0.0]) == ["0.00", "0.00"]
    assert numbers([-0.001, 12.0]) == ["0.0", "12.0"]


def test_effect():
    part = PartVerdict("a", "", "", "", "supported", 3.21, -1.1, 5.32, "points", 5)
    assert effect(part) == "3.21 (−1.10 to 5.32) points"
    exact = replace(part, effect=2e-7, low=None, high=None, unit="largest error")
    assert effect(exact) == "2.0\xa0×\xa010⁻⁷ largest error"
    assert effect(replace(exact, unit_first=True)) == "largest error 2.0\xa0×\xa010⁻⁷"
    assert effect(PartVerdict("a", "", "", "", "no data")) == ""


def test_data_and_device():
    small = {"data": {"name": "cifar10", "subset": 5000, "image_size": 16}}
    copy = Record("k", small, data={"name": "cifar10 (JPEG copy)"})
    assert data_label(copy) == "cifar10 (JPEG copy), 5,000 images of 16×16"
    assert (
        data_label(
            Record("k", {"data": {"subset": None, "image_size": None}}, data={"name": "digits"})
        )
        == "digits"
    )
    assert data_label(Record("k", {}, data={"name": "tensors"})) == "tensors"
    assert device_label("cpu (x86_64, 1 thread)") == "x86_64, 1 thread"
    assert device_label("NVIDIA H200") == "NVIDIA H200"
    assert device_label(None) == ""
    assert device_label("2 x cpu (x86_64, 1 thread)") == "2 x cpu (x86_64, 1 thread)"


@pytest.mark.parametrize("count", [1, 2])
def test_a_device_is_read_as_it_is_written(count, monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 4 // count)
    device = read_device(device_name(torch.device("cpu"), count))
    assert (device.architecture, device.threads) == (platform.machine(), 4 // count)
    assert device.before == ("2 x " if count == 2 else "")
    assert read_device("cpu (x86_64, 1 thread)").is_one_core
    gloo = read_device("gloo, cpu (x86_64, 1 thread)")
    assert gloo.architecture == "x86_64" and not gloo.is_one_core
    gpu = read_device("2 x NVIDIA H200")
    assert (gpu.architecture, gpu.threads, gpu.label) == ("", 0, "2 x NVIDIA H200")


def test_listed_and_labels():
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert metric("val_accuracy").label == "val accuracy, %"


def test_scales():
    scale = Scale(0.0, 10.0)
    assert (scale(5), scale(-1), scale(99), scale(float("inf"))) == (50, 0, 100, 100)
    assert [label for _, label in scale.ticks()] == ["0", "2", "4", "6", "8", "10"]
    log = Scale.around([0.0, 1e-6, 1e-2], log=True)
    assert log(0.0) == 0 and 0 < log(1e-6) < log(1e-2) < 100
    assert log.ticks()[0] == (0.0, "0") and tick(1e-6) == "10⁻⁶"
    assert Scale.around([3.0, 3.0])(3.0) == 50
    assert Scale.around([], pad=0.1).ticks()
