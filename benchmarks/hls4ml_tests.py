"""hls4ml's own tests with hwflow's emulator in the place of its C simulation.

    git clone --branch v1.3.0 https://github.com/fastmachinelearning/hls4ml
    python benchmarks/hls4ml_tests.py hls4ml/test/pytest [pytest's arguments]

``ModelGraph.compile`` makes an emulator, and ``predict`` and ``trace`` run it. What the emulator refuses is a skipped
test with its reason, and so is another backend than Vivado and Vitis. Counts of passed, failed and refused tests are
printed.
"""

import collections
import sys
from pathlib import Path
from typing import Any

import pytest

BACKENDS = ("Vivado", "Vitis")


class Emulated:
    """A pytest plug-in; see the module."""

    def __init__(self) -> None:
        self.ran: set[str] = set()
        self.reasons: collections.Counter[str] = collections.Counter()
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.failed: list[str] = []
        self.current = ""

    def pytest_configure(self) -> None:
        """Put the emulator in."""
        from hls4ml.model.graph import ModelGraph

        from hwflow.emulation import emulate
        from hwflow.errors import HwflowError

        plugin = self

        def compile(model: Any) -> None:
            backend = model.config.config.get("Backend", "none")
            if backend not in BACKENDS:
                plugin.refuse(f"backend {backend}")
            plugin.ran.add(plugin.current)
            try:
                model.hwflow_emulator = emulate(model)
            except HwflowError as error:
                plugin.refuse(str(error).partition(": ")[2] or str(error))

        def run(name: str) -> Any:
            def call(model: Any, x: Any) -> Any:
                try:
                    return getattr(model.hwflow_emulator, name)(x)
                except HwflowError as error:
                    return plugin.refuse(str(error).partition(": ")[2] or str(error))

            return call

        ModelGraph.compile, ModelGraph.predict, ModelGraph.trace = compile, run("predict"), run("trace")

    def refuse(self, why: str) -> None:
        """Skip the test that runs."""
        self.reasons[why[:70]] += 1
        pytest.skip(f"hwflow: {why}")

    def pytest_runtest_setup(self, item: Any) -> None:
        """Remember which test runs."""
        self.current = item.nodeid

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count what ran on the emulator."""
        if report.when == "call" and (report.nodeid in self.ran or report.outcome == "skipped"):
            self.outcomes[report.outcome] += 1
            if report.failed:
                self.failed.append(report.nodeid)

    def pytest_terminal_summary(self) -> None:
        """Print the counts."""
        print(f"\non the emulator: {self.outcomes['passed']} passed, {self.outcomes['failed']} failed;", end=" ")
        print(f"{sum(self.reasons.values())} refused")
        for reason, count in self.reasons.most_common(40):
            print(f"  {count:5} {reason}")
        print("\n".join(self.failed))


def main() -> None:
    """Run pytest in the folder of hls4ml's tests."""
    folder, *arguments = sys.argv[1:] or sys.exit(__doc__)
    options = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "--continue-on-collection-errors", "--tb=line"]
    sys.exit(pytest.main([str(Path(folder)), *options, *arguments], plugins=[Emulated()]))


if __name__ == "__main__":
    main()
