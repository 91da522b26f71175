"""The committed contracts are what the code says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def _load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "generate_contracts", Path(__file__).with_name("generate.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_contracts_are_up_to_date() -> None:
    generator = _load_generator()
    files = await generator.documents()
    stale = sorted(generator.left_over(files)) + [
        path
        for path, text in files.items()
        if not (generator.ROOT / path).exists() or (generator.ROOT / path).read_text() != text
    ]
    if stale:
        pytest.fail(f"run `make contracts` and commit: {', '.join(stale)}")
