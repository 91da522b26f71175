"""The page that leads strangers through the code names what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
SERVICES = ("auth", "rooms", "messaging", "media", "gateway-ws")
#: «`Class.function`, … in `service/file.py`», as the tables of the page say it.
NAMED = re.findall(r"((?:`[\w.]+`, )*`[\w.]+`) in `([\w./-]+\.(?:py|js))`", PAGE)
FILES = re.findall(r"`((?:auth|rooms|messaging|media|gateway-ws|shared|deploy|tests)/[\w./-]+)`", PAGE)


def located(path: str) -> Path:
    """Return the file that the page means: the package of a service goes without saying."""
    service, _, rest = path.partition("/")
    if service not in SERVICES:
        return ROOT / path
    return ROOT / "services" / service / f"chat_{service.replace('-', '_')}" / rest


@pytest.mark.parametrize("path", sorted(set(FILES)))
def test_named_files_exist(path: str) -> None:
    assert located(path).exists()


@pytest.mark.parametrize(("names", "path"), NAMED)
def test_named_functions_exist(names: str, path: str) -> None:
    code = located(path).read_text()
    for name in re.findall(r"`([\w.]+)`", names):
        owner, _, function = name.rpartition(".")
        if owner:
            assert re.search(rf"^(export )?class {owner}\b", code, re.MULTILINE), owner
        pattern = rf"^\s*((async )?def |async )?{function}\("
        assert re.search(pattern, code, re.MULTILINE), name


def test_it_finds_what_the_page_names() -> None:
    assert len(NAMED) > 12
    assert len(FILES) > 20
