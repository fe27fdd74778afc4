"""Puts this folder on the import path, for `import common`, and marks benches that Verilator builds as slow.

Icarus runs every cell in the quick tests. Verilator compiles C++ for seconds for each; it runs whole networks there.
"""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "sim/tb/" in item.nodeid and "verilator" in item.name:
            item.add_marker(pytest.mark.slow)
