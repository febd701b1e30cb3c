"""What pyproject.toml cannot say: configuration, experiments and records travel in the wheel.

In a checkout they lie beside `src` and are read there. A wheel holds copies in normlab/_shipped,
where normlab.records.places looks for them. An editable install copies nothing.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = (
    "conf/**/*.yaml",
    "experiments/**/*.py",
    "results/*.json*",
    "results/score/*.json*",
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


setup(cmdclass={"build_py": BuildWithRecords})
