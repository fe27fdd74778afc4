"""Equal campaigns on one and on two Dask workers of one thread each: python benchmarks/campaign.py [--json FILE]

Two should be at least 1.8 times as fast. Both clusters stand all the time and take turns; a ratio compares
the best turns. Starting workers, sending them the network and building it is stated apart: a warm-up comes
first. Scheduler, client and the results file work on the same cores and do count. What the machine itself
gives two processes is measured beside it: the same trials, run in each worker without anything between them.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hwflow.campaign import CampaignSpec, cluster
from hwflow.campaign.cluster import Workers
from hwflow.campaign.plan import cells
from hwflow.campaign.run import execute
from hwflow.campaign.trials import Bundle, Runner, prepare

TURNS = 3
TURN_SECONDS = 10.0  # of one worker
CAMPAIGNS = {
    "float": CampaignSpec(formats=("fp16", "ap_fixed<8,3>"), t=("optimal",), ber=(1e-3,)),
    "reference": CampaignSpec(t=("optimal",), ber=(1e-3,), executor="reference"),
}


@dataclass
class Timed:
    """Measurements of one cluster.

    Attributes:
        start: seconds until the cluster stands, and until it has run its first trials.
        wall: seconds of every turn.
        workers: CPU seconds of all workers in every turn.
        rest: CPU seconds of client and scheduler in every turn.
        alone: seconds in which every worker runs the same trials by itself.
    """

    start: tuple[float, float] = (0.0, 0.0)
    wall: list[float] = field(default_factory=list)
    workers: list[float] = field(default_factory=list)
    rest: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)


def alone(bundle: Bundle, count: int) -> float:
    """Seconds of ``count`` trials in this process."""
    cell = cells(bundle.spec, {name: tuple(network.layers) for name, network in bundle.networks.items()})[1]
    runner = Runner(bundle, threads=1)
    runner.run(1, cell, 0)
    start = time.perf_counter()
    for round_ in range(count):
        runner.run(1, cell, round_)
    return time.perf_counter() - start


class Cluster:
    """Workers with a bundle, and what has been measured of them."""

    def __init__(self, stack: ExitStack, bundle: Bundle, count: int, folder: Path) -> None:
        self.bundle, self.count, self.folder, self.timed = bundle, count, folder, Timed()
        start = time.perf_counter()
        self.workers: Workers = stack.enter_context(cluster.connect(f"local:{count}"))
        stands = time.perf_counter() - start
        self._campaign(replace(bundle.spec, rounds=4 * count), "warm-up")
        self.timed.start = (stands, time.perf_counter() - start)

    def turn(self, spec: CampaignSpec, number: int) -> None:
        """One campaign, measured."""
        before, mine = self._cpu(), time.process_time()
        start = time.perf_counter()
        self._campaign(spec, str(number))
        self.timed.wall.append(time.perf_counter() - start)
        self.timed.rest.append(time.process_time() - mine)
        self.timed.workers.append(self._cpu() - before)

    def alone(self, count: int) -> None:
        """So many trials in each worker at the same time, without a campaign."""
        self.timed.alone.append(max(self.workers.client.run(alone, self.bundle, count).values()))

    def _campaign(self, spec: CampaignSpec, name: str) -> None:
        path, bundle = self.folder / f"{self.count}-{name}", replace(self.bundle, spec=spec)
        execute(path, bundle, lambda tasks, claim: self.workers.run(self.bundle, tasks, claim), lambda *_: None)

    def _cpu(self) -> float:
        return sum(self.workers.client.run(time.process_time).values())


def compare(name: str, spec: CampaignSpec) -> dict[str, Any]:
    """One campaign on both clusters."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bundle = prepare(spec)
        both = [Cluster(stack, bundle, count, Path(folder)) for count in (1, 2)]
        pace = alone(bundle, 20) / 20
        spec = replace(spec, rounds=max(20, int(TURN_SECONDS / pace / len(spec.formats))))
        for number in range(TURNS):
            for each in both:
                each.turn(spec, number)
            for each in both:
                each.alone(spec.rounds // 2)
    trials = (spec.rounds + 1) * len(spec.formats)
    print(f"\n{name} executor: {trials} trials a turn, {TURNS} turns, load average {os.getloadavg()[0]:.2f}")
    for each in both:
        timed = each.timed
        print(
            f"  {each.count} worker{'s' * (each.count > 1)}: {min(timed.wall):6.2f} s, "
            f"median {statistics.median(timed.wall):.2f}; CPU ms a trial: "
            f"workers {1e3 * min(timed.workers) / trials:.2f}, client and scheduler "
            f"{1e3 * min(timed.rest) / trials:.2f}; start-up {timed.start[0]:.1f} s, with the first trials "
            f"{timed.start[1]:.1f} s"
        )
    one, two = (each.timed for each in both)
    ratio, median = min(one.wall) / min(two.wall), statistics.median(one.wall) / statistics.median(two.wall)
    limit = 2 * min(one.alone) / min(two.alone)
    print(f"  two are {ratio:.2f} times as fast as one (medians: {median:.2f}; target: at least 1.8)")
    print(f"  two processes that share nothing but the machine: {limit:.2f} times")
    return {"trials": trials, "ratio": ratio, "median": median, "limit": limit, "one": vars(one), "two": vars(two)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write the measurements here")
    options = parser.parse_args()
    begin = time.perf_counter()
    print(f"{os.cpu_count()} cores, load average {', '.join(f'{load:.2f}' for load in os.getloadavg())}", flush=True)
    found = {name: compare(name, spec) for name, spec in CAMPAIGNS.items()}
    print(f"\nload average {os.getloadavg()[0]:.2f}, of which this is part; {time.perf_counter() - begin:.0f} s")
    if options.json:
        targets = {f"campaign_two_workers_{name}": round(each["ratio"], 3) for name, each in found.items()}
        options.json.write_text(json.dumps({"targets": targets, "campaigns": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
