"""Campaigns on Dask: workers get the networks and images once, trials go out and come back one by one."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hwflow.campaign.records import Trial
from hwflow.errors import HwflowError

if TYPE_CHECKING:
    from hwflow.campaign.plan import Claim, Task
    from hwflow.campaign.trials import Bundle, Runner

_CONNECT_SECONDS = 10
_TRIES = 5
_AHEAD = 2  # batches a worker: one that runs and one that waits
_BATCH_SECONDS = 0.5
_MOST = 64  # trials of a batch

_QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.interval": "10s"}
"""Statistics that nobody looks at, on cores that have trials to run."""

_runners: dict[str, Runner] = {}
"""In a worker: the runner of the bundle that it has."""

_one_at_a_time = threading.Lock()
"""In a worker with several threads: a runner puts its faults into the weights that all of them see."""


class Workers:
    """A connected cluster."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._key = ""
        self._bundle: Any = None

    def run(self, bundle: Bundle, tasks: Sequence[Task], claim: Claim) -> Iterator[Trial]:
        """Run trials on all workers; yields them as they are finished.

        A trial is claimed when it is sent; the claim of one that another process has fails. Short trials are sent
        several at a time, of about half a second, and fewer towards the end, so that all workers end together.
        Those whose worker has died go to another one.

        Raises:
            HwflowError: what a trial raised, or no worker survives a trial.
        """
        from dask.distributed import as_completed

        waiting = deque(tasks)
        running: dict[Any, list[Task]] = {}
        lost, size = 0, 1
        completed = as_completed()

        def submit() -> None:
            places = _AHEAD * max(1, len(self.client.nthreads()))
            while waiting and len(running) < places:
                batch: list[Task] = []
                wanted = max(1, min(size, len(waiting) // places))
                while waiting and len(batch) < wanted:
                    task = waiting.popleft()
                    if claim(task[0], task[2]):
                        batch.append(task)
                if not batch:
                    return
                self._send(bundle)
                future = self.client.submit(_run, self._bundle, self._key, batch, pure=False)
                running[future] = batch
                completed.add(future)

        submit()
        for future in completed:
            batch = running.pop(future)
            outcome = _outcome(future)
            if outcome is not None:
                trials, seconds = outcome
                size = max(1, min(_MOST, int(_BATCH_SECONDS * len(batch) / seconds)))
                yield from trials
            else:
                lost += 1
                if lost > _TRIES:
                    raise HwflowError(f"Dask workers died {lost} times under trials; is there enough memory?")
                waiting.extendleft(reversed(batch))
                self._bundle = None  # the worker that held it may be gone
            submit()

    def _send(self, bundle: Bundle) -> None:
        if self._bundle is None:
            self._key = f"{id(bundle)}-{self.client.id}"
            self._bundle = self.client.scatter(bundle, broadcast=True, hash=False)


def _outcome(future: Any) -> tuple[list[Trial], float] | None:
    """What `_run` returned; None if the worker that ran it, or that held the result, has died."""
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    try:
        if future.status == "finished":
            result: tuple[list[Trial], float] = future.result()
            return result
        error = future.exception() if future.status == "error" else None
    except FutureCancelledError:  # it had finished, and then died with its result
        return None
    if error is not None and not isinstance(error, KilledWorker):
        raise error
    return None


@contextmanager
def connect(address: str) -> Iterator[Workers]:
    """A cluster: ``local`` (a worker a core), ``local:N``, or a scheduler's ``tcp://host:port``.

    Raises:
        HwflowError: not such an address, or the scheduler cannot be reached.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if address == "local" or address.startswith("local:"):
        with _local(address) as client:
            yield Workers(client)
        return
    if "://" not in address:
        raise HwflowError(f"--dask {address}: write local, local:N or tcp://HOST:PORT")
    from dask.distributed import Client

    try:
        client = Client(address, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise HwflowError(f"--dask {address}: cannot be reached; is a Dask scheduler running there?") from error
    with client:
        if not client.nthreads():
            raise HwflowError(
                f"--dask {address}: the scheduler has no workers; start some with 'dask worker {address}'"
            )
        yield Workers(client)


@contextmanager
def _local(address: str) -> Iterator[Any]:
    import dask
    from dask.distributed import Client, LocalCluster

    _, _, count = address.partition(":")
    if count and not (count.isdecimal() and int(count) > 0):
        raise HwflowError(f"--dask {address}: {count!r} is not a number of workers")
    with (
        dask.config.set(_QUIET),
        LocalCluster(
            n_workers=int(count) if count else None,
            threads_per_worker=1,
            dashboard_address=":0",  # any free port
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _run(bundle: Bundle, key: str, tasks: Sequence[Task]) -> tuple[list[Trial], float]:
    """Run trials, in a worker; returns them and the seconds that they took."""
    from dask.distributed import get_worker

    from hwflow.campaign.trials import Runner

    with _one_at_a_time:
        if key not in _runners:
            _runners.clear()
            _runners[key] = Runner(bundle, threads=get_worker().state.nthreads)
        start = time.perf_counter()
        return [_runners[key].run(*task) for task in tasks], time.perf_counter() - start
