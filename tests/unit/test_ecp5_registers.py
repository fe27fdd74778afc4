"""Registers that move into an ECP5's multipliers and block RAMs, in what Yosys makes of small modules.

That they compute the same there is seen in ``sim/tb/test_on_an_ecp5.py``.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hwflow.cost.ecp5 import Packed, main, pack_file
from hwflow.errors import HwflowError

PRODUCT = """
module product #(parameter STAGES = 1, parameter RESET = 0, parameter OPERANDS = 1, parameter logic START = 1'b0) (
    input wire clk, en, rst, input wire signed [7:0] a, b, output wire signed [15:0] p
);
    logic signed [7:0] a_reg, b_reg;
    logic signed [15:0] p_reg [0:STAGES-1];
    initial p_reg[0] = {16{START}};
    always_ff @(posedge clk) begin
        if (en) begin a_reg <= a; b_reg <= b; end
        p_reg[0] <= (OPERANDS != 0) ? a_reg * b_reg : a * b;
        for (int i = 1; i < STAGES; i++) p_reg[i] <= p_reg[i-1];
        if (RESET != 0 && rst) p_reg[0] <= 0;
    end
    assign p = p_reg[STAGES-1];
endmodule
"""
MEMORY = """
module memory #(parameter ENABLED = 0, parameter REGISTERED = 0) (
    input wire clk, en, we, input wire [9:0] at, to, input wire [17:0] d, output logic [17:0] q
);
    (* ram_style = "block", no_rw_check *) logic [17:0] mem [0:1023];
    logic [17:0] read;
    always_ff @(posedge clk) begin
        if (we) mem[to] <= d;
        if (ENABLED == 0 || en) read <= mem[at];
        if (REGISTERED == 0 || en) q <= read;
    end
endmodule
"""

WIDE = """
module wide (
    input wire clk, en, we, input wire [9:0] at, other, input wire [161:0] d, output logic [161:0] q, q_other
);
    (* ram_style = "block", no_rw_check *) logic [161:0] mem [0:1023];
    logic en_reg, we_reg;
    logic [9:0] at_reg, other_reg;
    logic [161:0] d_reg;
    always_ff @(posedge clk) begin
        {en_reg, we_reg, at_reg, other_reg, d_reg} <= {en, we, at, other, d};
        q_other <= mem[other_reg];
        if (en_reg) begin
            if (we_reg) mem[at_reg] <= d_reg;
            q <= mem[at_reg];
        end
    end
endmodule
"""


def mapped(folder: Path, text: str, top: str, **parameters: int) -> Path:
    (folder / "top.sv").write_text(text)
    values = " ".join(f"-set {name} {value}" for name, value in parameters.items())
    script = f"read_verilog -sv top.sv; chparam {values} {top}; synth_ecp5 -top {top} -json netlist.json"
    subprocess.run(["yosys", "-q", "-p", script], cwd=folder, check=True)
    return folder / "netlist.json"


def blocks(path: Path, kind: str) -> list[dict[str, Any]]:
    (module,) = (m for m in json.loads(path.read_text())["modules"].values() if "top" in m["attributes"])
    return [cell for cell in module["cells"].values() if cell["type"] == kind]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"STAGES": 1}, Packed(1, 1, 0, 32, 0, 0)),
        ({"STAGES": 2}, Packed(1, 1, 0, 32, 0, 0)),
        ({"STAGES": 3}, Packed(1, 1, 0, 32, 0, 0)),
        ({"STAGES": 1, "OPERANDS": 0}, Packed(0, 1, 0, 16, 0, 0)),
        ({"STAGES": 1, "RESET": 1}, Packed(1, 0, 0, 16, 0, 0)),
        ({"STAGES": 1, "START": 1}, Packed(1, 0, 0, 16, 0, 0)),
    ],
    ids=lambda value: "-".join(f"{k}{v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_registers_of_a_multiplier(tmp_path: Path, parameters: dict[str, int], expected: Packed) -> None:
    netlist = mapped(tmp_path, PRODUCT, "product", **parameters)
    before = len(blocks(netlist, "TRELLIS_FF"))
    assert pack_file(netlist) == expected
    assert len(blocks(netlist, "TRELLIS_FF")) == before - expected.flip_flops
    (multiplier,) = blocks(netlist, "MULT18X18D")
    enables = {name: value for name, value in multiplier["parameters"].items() if name.endswith("_CE")}
    if expected.operands and expected.products:  # one enable of the operands, one that is always on
        assert enables["REG_INPUTA_CE"] == enables["REG_INPUTB_CE"] != enables["REG_OUTPUT_CE"]
        always = enables["REG_OUTPUT_CE"]
        assert multiplier["connections"][always] == ["1"]


@pytest.mark.parametrize(
    ("enabled", "registered", "ports"),
    [(0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0, 0)],
    ids=["always", "register", "both", "block"],
)
def test_output_register_of_a_block_ram(tmp_path: Path, enabled: int, registered: int, ports: int) -> None:
    """Not where the block's enable stops the reading and not the register: it may stop both in the block."""
    netlist = mapped(tmp_path, MEMORY, "memory", ENABLED=enabled, REGISTERED=registered)
    assert pack_file(netlist) == Packed(0, 0, ports, 18 * ports, 0, 0)
    modes = [memory["parameters"][f"REGMODE_{side}"] for memory in blocks(netlist, "DP16KD") for side in "AB"]
    assert modes.count("OUTREG") == ports


def test_registers_before_a_wide_memory_have_copies(tmp_path: Path) -> None:
    """One for each block, and nothing else drives the blocks."""
    netlist = mapped(tmp_path, WIDE, "wide")
    assert len(blocks(netlist, "DP16KD")) == 9
    packed = pack_file(netlist)
    assert (packed.copies, packed.write_enables) == (8 * 22, 9)  # of the addresses and two enables
    registers = {cell["connections"]["Q"][0]: cell["connections"]["DI"][0] for cell in blocks(netlist, "TRELLIS_FF")}
    driven: dict[int, set[int]] = {}
    sources: dict[str, set[int]] = {}
    for i, memory in enumerate(blocks(netlist, "DP16KD")):
        for port, (bit,) in memory["connections"].items():
            if port[:2] in ("AD", "CE", "WE") and isinstance(bit, int):
                driven.setdefault(bit, set()).add(i)
                sources.setdefault(port, set()).add(registers[bit])
    assert {len(each) for each in sources.values()} == {1}  # the same register, or copies of it, at all blocks
    assert len(set.union(*sources.values())) == 22
    assert max(map(len, driven.values())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "module",
        "[1]",
        '{"modules": 3}',
        '{"modules": {"a": {"attributes": {}}}}',
        '{"modules": {"a": {"attributes": {"top": 1}}}}',
    ],
)
def test_what_is_no_netlist_is_refused_in_one_line_and_stays(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no.json").write_text(text)
    monkeypatch.setattr("sys.argv", ["ecp5", str(tmp_path / "no.json"), str(tmp_path / "no.json")])
    with pytest.raises(SystemExit, match="1"):
        main()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no.json: " in said
    assert "write it with synth_ecp5" in said
    assert (tmp_path / "no.json").read_text() == text


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "yes.json").write_text('{"modules": {"a": {"attributes": {"top": 1}, "cells": {}, "ports": {}}}}')
    with pytest.raises(HwflowError, match="nowhere"):
        pack_file(tmp_path / "yes.json", tmp_path / "nowhere" / "packed.json")
