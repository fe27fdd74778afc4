"""A small campaign, its specification, and helpers."""

from pathlib import Path
from typing import Any

import pytest

from hwflow.campaign import CampaignSpec, run_campaign
from hwflow.campaign.export import read_results, write_csv
from hwflow.campaign.spec_file import parse_spec

SPEC: dict[str, Any] = {
    "models": ["digits_cnn"],
    "formats": ["ap_fixed<8,3>", "fp16"],
    "t": ["none", "optimal"],
    "ber": [1e-3, 1e-2],
    "rounds": 4,
    "images": 50,
    "seed": 3,
}


def toml(spec: dict[str, Any]) -> str:
    """A flat specification as TOML."""
    return "".join(f"{key} = {value!r}\n" for key, value in spec.items())


def csv_of(results: Path) -> bytes:
    """The exported trials."""
    path = results.with_suffix(".csv")
    write_csv(read_results(results), path)
    return path.read_bytes()


@pytest.fixture
def spec() -> CampaignSpec:
    return parse_spec(SPEC)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of `SPEC`, run in this process; not to be changed."""
    path = tmp_path_factory.mktemp("campaign") / "results.sqlite"
    run_campaign(parse_spec(SPEC), path)
    return path
