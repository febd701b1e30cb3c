"""A kind that an installed package adds."""

import json

import pytest
from warm import training_environment


@pytest.mark.parametrize("init", ["", "from .halved import Halved\n"], ids=["empty", "importing"])
def test_an_installed_package_adds_a_kind(tmp_path, warm, train, init):
    """The entry point `normlab.norms`, as the package's metadata state it."""
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").write_text(init)
    (tmp_path / "my_package" / "halved.py").write_text(
        "from normlab.norms import Norm, norm_kind\n\n"
        '@norm_kind("halved", causal_safe=True)\nclass Halved(Norm):\n'
        "    def __init__(self, num_features, layout, factor: float = 0.5):\n"
        "        super().__init__(num_features, layout)\n        self.factor = factor\n\n"
        "    def forward(self, x):\n        return self.factor * x\n"
    )
    metadata = tmp_path / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[normlab.norms]\nhalved = my_package.halved:Halved\n"
    )
    done = train(
        "norm=halved",
        "norm.factor=0.7",
        "trainer.max_steps=2",
        "hydra.run.dir=run",
        PYTHONPATH=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["config"]["norm"]["factor"] == 0.7
    script = (
        "from my_package.halved import Halved\n"
        "import normlab.norms\n"
        "print(normlab.norms.make_norm('halved', 4).factor)"
    )
    done = warm.run("-c", script, env=training_environment(PYTHONPATH=str(tmp_path)))
    assert done.stdout == "0.5\n", done.stderr
    (metadata / "entry_points.txt").write_text("[normlab.norms]\nhalved = my_package:Halved\n")
    done = train("norm=halved", "trainer.max_steps=2", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "halved = my_package:Halved" in done.stderr and "Traceback" not in done.stderr
