"""What pyproject.toml cannot say: the kernels in C, and what travels in the wheel beside the code.

The kernels are built where there is a compiler; without one the package works by torch's own.
Configuration, experiments and records lie in a checkout beside `src` and are read there. A wheel
holds copies in normlab/_shipped, where normlab.records.places looks for them. An editable install
copies nothing.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
KERNELS = Path("src/normlab/norms/kernels")
SHIPPED = (
    "conf/**/*.yaml",
    "experiments/**/*.py",
    "results/*.json*",
    "results/score/*.json*",
    "results/elsewhere/*/*.json*",
    "results/replications/*/*.json*",
)


class BuildWithRecords(build_py):
    """The package, then copies of what lies beside it."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib) / "normlab" / "_shipped"
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier build
        for pattern in SHIPPED:
            for file in ROOT.glob(pattern):
                place = folder / file.relative_to(ROOT)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, place)


class BuildKernels(build_ext):
    """The kernels, or one sentence that says that there are none."""

    def run(self):
        try:
            super().run()
        except Exception as error:  # whatever a compiler that is not there or too old raises
            self.extensions = []  # which an editable install would copy
            print(f"normlab has no kernels in C, and uses torch's own: {error}", file=sys.stderr)

    def get_export_symbols(self, ext):
        return []  # of a module that may be empty: normlab.norms.kernels.library loads the library


def kernels():
    """One library, which says which sources it was built from: `library.py` compares."""
    sources = sorted((ROOT / KERNELS).glob("*.[ch]"))
    # CFLAGS of a user's own come before: -O0 builds in seconds.
    level = [] if "-O" in os.environ.get("CFLAGS", "") else ["-O3"]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()[:8]
    return Extension(
        "normlab.norms.kernels._norms",
        sources=[(KERNELS / name).as_posix() for name in ("base.c", "avx2.c", "module.c")],
        depends=[(KERNELS / file.name).as_posix() for file in sources],
        define_macros=[("SOURCES", f"0x{digest}u")],
        # The same bits from every compiler; a square root is one instruction and sets no errno.
        extra_compile_args=[*level, "-g0", "-ffp-contract=off", "-fno-math-errno"],
        libraries=["m"] if sys.platform == "linux" else [],
    )


setup(
    cmdclass={"build_py": BuildWithRecords, "build_ext": BuildKernels},
    ext_modules=[kernels()],
)
