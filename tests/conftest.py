"""What every test shares: shapes checked on each call, the folder of the data sets, the devices."""

import os
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

# The hook must stand before the first import of the library: it checks every annotated shape when called.
install_import_hook("mzsr_lib", "type_check.check")

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder that holds set5, bsd100, ..., named by MZSR_DATA; without it the test is skipped."""
    named = os.environ.get("MZSR_DATA")
    if not named:
        pytest.skip("no data sets: MZSR_DATA names no folder")
    folder = Path(named).expanduser()
    if not folder.is_dir():
        pytest.fail(f"MZSR_DATA names {folder}, which is not a folder")
    return folder


@pytest.fixture(params=DEVICES)
def device(request) -> torch.device:
    """Each device of this machine in turn."""
    return torch.device(request.param)
