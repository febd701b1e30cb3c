"""Commands and worker processes as forks of a process that has imported what they need.

Starting Python and importing torch, Lightning and Hydra takes many times as long as most of what is
tested. So one server for each pytest worker imports them once, and `Warm.run` has it fork a child
that goes on as `python train.py ...` or `python -m normlab.cli ...` would: own working folder,
environment, arguments, output and exit status, and `normlab` itself imported anew. Processes that
the command starts with loky or multiprocessing are forks as well (`forked_workers`).

Run as a script, this file is that server.
"""

import atexit
import functools
import importlib.metadata
import importlib.util
import multiprocessing.process
import multiprocessing.util
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
# Without normlab: what it reads from the environment when it is imported differs between tests.
PRELOADED = (
    "lightning.pytorch",
    "lightning.pytorch.loggers",
    "hydra._internal.hydra",
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher",
    "joblib.externals.loky.backend.popen_loky_posix",
    "rich.table",
    "scipy.stats",
    "sklearn.datasets",
    "torch.utils.tensorboard",
    "torch._dynamo",
    "typer",
    "wandb",
)
# But for these modules, which take nothing from there: they read all of our code for the hash in
# each record, which is half of what a short training costs.
OUTLINES = ("outline", "argument")  # of src/normlab/records
# By this, Lightning searches all installed packages for each trainer.
importlib.metadata.entry_points = functools.cache(importlib.metadata.entry_points)
# What a test writes need not outlive a power failure, and a killed process loses nothing by it: a
# record costs milliseconds until the disk has it.
os.fsync = lambda descriptor: None


@dataclass(frozen=True)
class Command:
    """What `python *arguments` is started with."""

    arguments: tuple[str, ...]  # ("train.py", ...), ("-m", module, ...) or ("-c", code)
    folder: str
    environment: dict[str, str]
    output: str  # files
    errors: str


class Child:
    """A process that the server has forked; of `subprocess.Popen`, what tests use."""

    def __init__(self, server: "Warm", pid: int) -> None:
        self.server = server
        self.pid = pid

    def poll(self) -> int | None:
        return self.server.exit_status(self.pid, 0.0)

    def wait(self, timeout: float | None = None) -> int:
        status = self.server.exit_status(self.pid, timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class Warm:
    """The server as its client sees it. It starts with the first command, and ends with pytest."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._statuses: dict[int, int] = {}

    def run(
        self,
        *arguments: str,
        cwd: Path | str = ".",
        env: Mapping[str, str] | None = None,
        timeout: float = 600.0,
    ) -> subprocess.CompletedProcess[str]:
        """`subprocess.run([sys.executable, *arguments], capture_output=True, text=True)`."""
        with tempfile.TemporaryDirectory(prefix="warm-") as folder:
            output, errors = Path(folder, "output"), Path(folder, "errors")
            child = self.start(*arguments, cwd=cwd, env=env, output=output, errors=errors)
            try:
                status = child.wait(timeout)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                print(output.read_text(), errors.read_text())
                raise
            return subprocess.CompletedProcess(
                list(arguments), status, output.read_text(), errors.read_text()
            )

    def start(
        self,
        *arguments: str,
        cwd: Path | str = ".",
        env: Mapping[str, str] | None = None,
        output: Path = Path(os.devnull),
        errors: Path = Path(os.devnull),
    ) -> Child:
        """What `subprocess.Popen([sys.executable, *arguments])` is, without an input."""
        environment = dict(os.environ if env is None else env)
        folder = str(Path(cwd).resolve())
        self._send(Command(arguments, folder, environment, str(output), str(errors)))
        pid, status = self._receive()
        while status is not None:  # that of an earlier child
            self._statuses[pid] = status
            pid, status = self._receive()
        return Child(self, pid)

    def exit_status(self, pid: int, timeout: float | None) -> int | None:
        """As subprocess gives it; None: the child `pid` runs still, after `timeout` seconds."""
        assert self._connection is not None
        until = None if timeout is None else time.monotonic() + timeout
        while pid not in self._statuses:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not self._connection.poll(left):
                return None
            ended, status = self._receive()
            assert status is not None
            self._statuses[ended] = status
        return self._statuses[pid]

    def _receive(self) -> tuple[int, int | None]:
        """(pid, exit status) of a child; None for the status: it has just been started."""
        assert self._connection is not None
        return self._connection.recv()

    def _send(self, command: Command) -> None:
        if self._connection is None:
            ours, theirs = socket.socketpair()
            # What is set for one test must not be there for all later ones.
            environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH",)}
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env=environment | {"OMP_NUM_THREADS": "1"},
                pass_fds=[theirs.fileno()],
            )
            theirs.close()
            self._connection = Connection(ours.detach())
            atexit.register(self._connection.close)  # upon which the server ends
        self._connection.send(command)


def training_environment(**given: str) -> dict[str, str]:
    """One thread, no dashboard that is asked for a key, wide lines, and what is `given`."""
    paths = (given.get("PYTHONPATH"), os.environ.get("PYTHONPATH"))
    own = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "COLUMNS": "200"}
    return {**os.environ, **own, **given, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def serve(connection: Connection) -> Command:
    """Fork a child for every command; in the child, return the command that it is."""
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a wake-up needs a handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which then hangs up
    while True:
        ready = wait([connection, woken])
        if woken in ready:
            os.read(woken, 4096)
            for pid, status in iter(_ended, None):
                connection.send((pid, status))
        if connection in ready:
            try:
                command = connection.recv()
            except EOFError:
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                break
            connection.send((pid, None))
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor in (connection.fileno(), woken, wake):
        os.close(descriptor)
    connection._handle = None  # type: ignore[attr-defined]  # it is closed
    return command


def _ended() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, os.waitstatus_to_exitcode(status)) if pid else None


def become(command: Command) -> None:
    """Go on as what `command` would have started."""
    os.chdir(command.folder)
    os.environ.clear()
    os.environ.update(command.environment)
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, command.output, os.O_WRONLY | os.O_CREAT),
        (2, command.errors, os.O_WRONLY | os.O_CREAT),
    ):
        descriptor = os.open(name, flags)
        os.dup2(descriptor, number)
        os.close(descriptor)
    _own_wandb_folder()
    python_path = command.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[0:1] = ["", *filter(None, python_path)]
    with forked_workers():
        _run_and_exit(list(command.arguments))


def outline_all() -> None:
    """What the modules `OUTLINES` make of each of our files, kept for every child."""
    for name in OUTLINES:
        whole, path = f"normlab.records.{name}", ROOT / "src/normlab/records" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(whole, path)
        assert spec is not None and spec.loader is not None
        sys.modules[whole] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[whole])
    outline, argument = (sys.modules[f"normlab.records.{name}"] for name in OUTLINES)
    package, experiments = ROOT / "src" / "normlab", ROOT / "experiments"
    for path in package.rglob("*.py"):
        outline.outline_of(path.read_text(encoding="utf-8"))
    for path in [*experiments.rglob("[!_]*.py"), *(package / "score/trials").rglob("[!_]*.py")]:
        for name in ("trial", "clauses"):
            argument.argument_of(path.read_text(encoding="utf-8"), name)


def _own_wandb_folder() -> None:
    """wandb makes a folder when it is imported: the first fork to end would remove that of all."""
    from wandb.sdk.data_types import _private

    _private.MEDIA_TMP._finalizer.detach()
    _private.MEDIA_TMP.__init__("wandb-media")


def _run_and_exit(arguments: list[str]) -> NoReturn:
    """`_run`, and then what an interpreter does at its end.

    It leaves out taking all modules down, which costs seconds where torch is among them.
    """
    status = 1
    try:
        _run(arguments)
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(arguments: list[str]) -> None:
    """As `python *arguments`, in this process; sys.path[0] is to be replaced."""
    kind, *rest = arguments
    if kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        module = type(sys)("__main__")
        sys.modules["__main__"] = module
        exec(rest[0], module.__dict__)
    elif kind == "-m":
        sys.path[0] = os.getcwd()
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(kind).resolve().parent)
        sys.argv = arguments
        runpy.run_path(kind, run_name="__main__")


@contextmanager
def forked_workers() -> Iterator[None]:
    """Inside, loky and multiprocessing fork the workers that they would start as interpreters."""
    with (
        forked_loky(),
        patch.object(multiprocessing.util, "spawnv_passfds", _fork_for_multiprocessing),
    ):
        yield


@contextmanager
def forked_loky() -> Iterator[None]:
    """Inside, the workers of `normlab run` are forks."""
    from joblib.externals.loky.backend import fork_exec

    with patch.object(fork_exec, "fork_exec", _fork_for_loky):
        yield


def _fork_for_loky(
    command: list[str], descriptors: Iterable[int], env: Mapping[str, str] | None = None
) -> int:
    """In the place of loky's `fork_exec`."""
    return _fork(command[command.index("-m") :], map(int, descriptors), env or {})


_spawnv_passfds = multiprocessing.util.spawnv_passfds


def _fork_for_multiprocessing(path: str, command: list[str], descriptors: Iterable[int]) -> int:
    """In the place of multiprocessing's `spawnv_passfds`; trackers of resources start as ever."""
    code = command[command.index("-c") + 1]
    if "resource_tracker import" in code:
        return _spawnv_passfds(path, command, descriptors)
    return _fork(command[command.index("-c") :], map(int, descriptors), {})


def _fork(arguments: list[str], kept: Iterable[int], environment: Mapping[str, str]) -> int:
    """The id of a fork that goes on as `python *arguments` with the file descriptors `kept`."""
    pid = os.fork()
    if pid:
        return pid
    try:
        # What the parent has under way is not the child's to end.
        atexit._clear()
        multiprocessing.util._finalizer_registry.clear()
        multiprocessing.process._children.clear()
        _close_all_but({0, 1, 2, *kept})
        os.environ.update(environment)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    _run_and_exit(arguments)


def _close_all_but(kept: set[int]) -> None:
    for number in map(int, os.listdir("/proc/self/fd")):
        if number not in kept:
            with suppress(OSError):  # that of the listing itself is closed already
                os.close(number)


if __name__ == "__main__":
    import gc

    from hydra.core.plugins import Plugins

    # Kept: torch forgets the operators that it declares when nothing refers to them.
    operators = runpy.run_path(str(ROOT / "src/normlab/models/torchvision_operators.py"))
    for name in PRELOADED:
        importlib.import_module(name)
    outline_all()
    Plugins.instance()  # a search through all installed packages
    gc.freeze()  # a collection in a child would touch, and so copy, all that is shared
    become(serve(Connection(int(sys.argv[1]))))
