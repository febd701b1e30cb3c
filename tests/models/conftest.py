"""Every kind trains here, syncbatchnorm too."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _process_group(group_of_one):
    yield
