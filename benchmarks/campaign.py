"""A campaign on one and on two Dask workers: python benchmarks/campaign.py. Two should be at least 1.8 times as fast.

Starting workers and sending them the network is not counted: a warm-up campaign comes first.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from hwflow.campaign import CampaignSpec, Store, cluster
from hwflow.campaign.run import _run
from hwflow.campaign.trials import prepare

SPEC = CampaignSpec(formats=("fp16", "ap_fixed<8,3>"), t=("optimal",), ber=(1e-3,), rounds=600)


def seconds(workers: int, folder: Path) -> float:
    """Wall-clock time of the campaign."""
    bundle = prepare(SPEC)
    with cluster.connect(f"local:{workers}") as connected:

        def run(spec: CampaignSpec, name: str) -> None:
            with Store(folder / name, create=True) as store:
                _run(store, replace(bundle, spec=spec), lambda tasks: connected.run(bundle, tasks), lambda *_: None)

        run(replace(SPEC, rounds=4), f"warm-{workers}")
        start = time.perf_counter()
        run(SPEC, f"timed-{workers}")
        return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        one, two = (seconds(workers, Path(name)) for workers in (1, 2))
    trials = SPEC.rounds * len(SPEC.formats)
    print(f"{trials} trials: {one:.1f} s on one worker, {two:.1f} s on two, {one / two:.2f} times as fast")


if __name__ == "__main__":
    main()
