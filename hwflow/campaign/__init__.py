"""Campaigns: sweeps of fault injections that survive interruptions, on one machine or a Dask cluster."""

from hwflow.campaign.run import Status, run_campaign, status
from hwflow.campaign.sources import inputs_of
from hwflow.campaign.spec import CampaignSpec, FaultSpec, ModelSpec
from hwflow.campaign.spec_file import load_spec
from hwflow.campaign.store import Store

__all__ = [
    "CampaignSpec",
    "FaultSpec",
    "ModelSpec",
    "Status",
    "Store",
    "inputs_of",
    "load_spec",
    "run_campaign",
    "status",
]
