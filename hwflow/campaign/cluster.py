"""Campaigns on Dask: workers get the networks and images once, trials go out and come back one by one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hwflow.campaign.store import Trial
from hwflow.errors import HwflowError

if TYPE_CHECKING:
    from hwflow.campaign.run import Task
    from hwflow.campaign.trials import Bundle, Runner

_CONNECT_SECONDS = 10
_TRIES = 5

_runners: dict[str, Runner] = {}
"""In a worker: the runner of the bundle that it has."""


class Workers:
    """A connected cluster."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._key = ""
        self._bundle: Any = None

    def run(self, bundle: Bundle, tasks: Sequence[Task]) -> Iterator[Trial]:
        """Run trials on all workers; yields them as they are finished.

        A trial whose worker has died goes to another one.

        Raises:
            HwflowError: what a trial raised, or no worker survives a trial.
        """
        from dask.distributed import as_completed
        from distributed.scheduler import KilledWorker

        open_tasks = {(task[0], task[2]): task for task in tasks}
        for _ in range(_TRIES):
            self._send(bundle)
            futures = {
                self.client.submit(_run, self._bundle, self._key, task, pure=False): place
                for place, task in open_tasks.items()
            }
            for future in as_completed(list(futures)):
                if future.status == "finished":
                    trial = future.result()
                    del open_tasks[futures[future]]
                    yield trial
                elif future.status == "error":
                    error = future.exception()
                    if not isinstance(error, KilledWorker):
                        raise error
            if not open_tasks:
                return
            self._bundle = None  # the worker that held it may be gone
        raise HwflowError(f"{len(open_tasks)} trials killed their Dask workers {_TRIES} times; is there enough memory?")

    def _send(self, bundle: Bundle) -> None:
        if self._bundle is None:
            self._key = f"{id(bundle)}-{self.client.id}"
            self._bundle = self.client.scatter(bundle, broadcast=True, hash=False)


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
        if not client.scheduler_info()["workers"]:
            raise HwflowError(
                f"--dask {address}: the scheduler has no workers; start some with 'dask worker {address}'"
            )
        yield Workers(client)


@contextmanager
def _local(address: str) -> Iterator[Any]:
    from dask.distributed import Client, LocalCluster

    _, _, count = address.partition(":")
    if count and not (count.isdecimal() and int(count) > 0):
        raise HwflowError(f"--dask {address}: {count!r} is not a number of workers")
    with (
        LocalCluster(
            n_workers=int(count) if count else None,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _run(bundle: Bundle, key: str, task: Task) -> Trial:
    """Run one trial, in a worker."""
    from hwflow.campaign.trials import Runner

    if key not in _runners:
        _runners.clear()
        _runners[key] = Runner(bundle)
    return _runners[key].run(*task)
