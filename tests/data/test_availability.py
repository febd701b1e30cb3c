"""What is missing or senseless is refused at once, with what to pass instead."""

import socket
import sys
import threading

import pytest
from samples import image_cfg, text_cfg

from normlab.data import availability, check_available
from normlab.data.options import ImageFolderConfig, TextFileConfig
from normlab.errors import NormLabError


def refusal(cfg) -> str:
    with pytest.raises(NormLabError) as refused:
        check_available(cfg)
    sentence = str(refused.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


@pytest.mark.parametrize(
    ("cfg", "folder", "instead"),
    [
        (image_cfg("cifar10"), "cifar10", "digits"),
        (image_cfg("cifar100"), "cifar100", "digits"),
        (text_cfg("tiny_shakespeare"), "tiny_shakespeare", "pydoc"),
        (text_cfg("wikitext2"), "wikitext-2", "pydoc"),
    ],
)
def test_missing_data_without_a_network(cfg, folder, instead, tmp_path, monkeypatch):
    assert f"holds {folder}/> or data={instead}" in refusal(cfg)
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path))  # an empty one
    assert str(tmp_path) in refusal(cfg)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "offline mode" in refusal(cfg)


@pytest.mark.parametrize(
    ("status", "reason"), [("405 Method Not Allowed", None), ("429 Too Many Requests", None),
                           ("503 Service Unavailable", "HTTP Error 503: Service Unavailable")]
)  # fmt: skip
def test_a_hub_that_answers_with_an_error_is_there(status, reason, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

        answering = threading.Thread(target=answer)
        answering.start()
        assert availability.hub_unreachable() == reason
        answering.join()


def test_embedded_data_and_present_data_pass(write_cifar):
    check_available(image_cfg("digits"))
    check_available(text_cfg("pydoc"))
    write_cifar()
    check_available(image_cfg("cifar10"))


def test_a_hub_that_answers_passes_and_one_that_never_does_is_given_up(monkeypatch):
    server = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(availability, "_PROBE_SECONDS", 0.2)
    try:
        assert availability.hub_unreachable()  # connected, never answered

        def answer() -> None:
            for _ in range(2):  # the first connection is the one above
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        monkeypatch.setattr(availability, "_PROBE_SECONDS", 5)
        threading.Thread(target=answer, daemon=True).start()
        check_available(image_cfg("cifar10"))
    finally:
        server.close()


def test_a_name_server_that_hangs_is_given_up(monkeypatch):
    released, answered = threading.Event(), threading.Event()

    def probe():
        released.wait(600)
        answered.set()

    monkeypatch.setattr(availability, "_PROBE_SECONDS", 0.05)
    monkeypatch.setattr(availability, "_probe", probe)
    assert "no answer" in refusal(image_cfg("cifar10"))
    assert not answered.is_set()
    released.set()


def test_unknown_data_set_names_the_known_ones():
    sentence = refusal(image_cfg("imagenet"))
    assert all(name in sentence for name in ("'imagenet'", "digits", "cifar10", "textfile"))


def test_paths():
    assert "data.path" in refusal(ImageFolderConfig(name="imagefolder"))
    assert "data.path" in refusal(TextFileConfig(name="textfile"))
    assert "/no/such" in refusal(image_cfg("imagefolder", path="/no/such"))
    assert "/no/such" in refusal(text_cfg("textfile", path="/no/such"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("batch_size", 0),
        ("batch_size", -4),
        ("eval_batch_size", 0),
        ("subset", 0),
        ("eval_subset", -1),
        ("image_size", 0),
        ("crop_padding", -1),
    ],
)
def test_senseless_image_options(option, value):
    assert f"data.{option}={value}" in refusal(image_cfg(**{option: value}))


def test_styles_are_numbers_of_styles():
    assert "data.styles has -1" in refusal(image_cfg(styles=[0, -1]))
    assert "from 0 to 4294967295" in refusal(image_cfg(styles=[2**32]))
    check_available(image_cfg(styles=[0, 2**32 - 1]))


@pytest.mark.parametrize(("option", "value"), [("context", 0), ("batch_size", -1), ("subset", 0)])
def test_senseless_text_options(option, value):
    assert f"data.{option}={value}" in refusal(text_cfg(**{option: value}))


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "scikit-learn" in refusal(image_cfg("digits"))
