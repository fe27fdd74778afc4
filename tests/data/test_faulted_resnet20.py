"""ResNet-20 under faults, against an independent float emulation of the same study on the same images."""

from pathlib import Path

import pytest

from hwflow.campaign import CampaignSpec, ModelSpec, run_campaign
from hwflow.campaign.export import read_results
from tests.data.conftest import DATA

EMULATED = {  # format, t, BER: mean and deviation of 5 rounds on 1,000 images
    ("fp16", "none", 1e-3): (64.5, 11.1),
    ("fp16", "optimal", 1e-3): (78.6, 1.8),
    ("ap_fixed<8,3>", "none", 1e-3): (9.9, 0.9),
    ("ap_fixed<8,3>", "optimal", 1e-3): (71.2, 6.5),
    ("ap_fixed<8,2>", "none", 1e-3): (16.4, 2.9),
    ("ap_fixed<8,2>", "optimal", 1e-3): (71.2, 6.5),
}


@pytest.mark.slow
def test_it_agrees_with_the_emulation_within_their_spreads(cifar10: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed, and the weights are a .th file")
    spec = CampaignSpec(
        models=(ModelSpec("resnet20", str(DATA / "resnet20-12fca82f.th")),),
        formats=("fp16", "ap_fixed<8,3>", "ap_fixed<8,2>"),
        ber=(1e-3,),
        rounds=5,
        seed=1,
        data=str(cifar10),
        images=1000,
    )
    run_campaign(spec, tmp_path / "r.sqlite")
    results = {
        (each.cell.format, each.cell.t, each.cell.ber): each.summary
        for each in read_results(tmp_path / "r.sqlite").cells
    }
    for key, (mean, std) in EMULATED.items():
        assert results[key].mean == pytest.approx(mean, abs=std + results[key].std + 1.0), key
    assert results["fp16", "none", 0.0].mean == pytest.approx(80.9, abs=0.2)
    assert results["ap_fixed<8,3>", "optimal", 1e-3] == results["ap_fixed<8,2>", "optimal", 1e-3]
