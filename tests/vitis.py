"""A stand-in for what Vitis HLS makes of a small network of dense layers: its ports, its ROMs, and nothing of its own.

Ports, hierarchy, names of modules, declarations and files of the ROMs are as Vitis HLS 2022.2 wrote them for hls4ml;
the computation in between is a few lines of sequential Verilog.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from hwflow.cost.packing import Packing
from hwflow.fixed import FixedType
from hwflow.graph import Dense, Graph, ReLU
from hwflow.memory import stored_words
from hwflow.resources import folder as resource
from hwflow.rtl.cells import OVERFLOW_CODES, ROUNDING_CODES

TOP = "myproject"

ROM = """`timescale 1 ns / 1 ps
module {name} (
    address0, ce0, q0,
    reset, clk);

parameter DataWidth = {width};
parameter AddressWidth = {address};
parameter AddressRange = {depth};

input[AddressWidth-1:0] address0;
input ce0;
output reg[DataWidth-1:0] q0;

input reset;
input clk;

(* rom_style = "block" *)
reg [DataWidth-1:0] rom0[0:AddressRange-1];

initial begin
{values}
end

always @(posedge clk)
begin
    if (ce0)
    begin
        q0 <= rom0[address0];
    end
end

endmodule
"""

DENSE = """`timescale 1 ns / 1 ps
module {name} (
    ap_clk, ap_rst, ap_start, ap_done, x, y);

input   ap_clk;
input   ap_rst;
input   ap_start;
output   ap_done;
input  [{x_bits}:0] x;
output  [{y_bits}:0] y;

integer k, lane;
reg signed [47:0] acc [0:{last_out}];
reg [{address}:0] address0, address;
reg running, reading, ap_done;
wire [{word}:0] q0;
wire [{full}:0] q = q0;
wire signed [{x_w}:0] xs [0:{last_in}];

{rom} #(
    .DataWidth( {width} ),
    .AddressRange( {depth} ),
    .AddressWidth( {address_bits} ))
w{number}_U(
    .reset(ap_rst),
    .clk(ap_clk),
    .address0(address0),
    .ce0(running),
    .q0(q0)
);

{inputs}

always @ (posedge ap_clk) begin
    if (ap_rst == 1'b1) begin
        running <= 1'b0;
        reading <= 1'b0;
        ap_done <= 1'b0;
    end else begin
        ap_done <= reading && !running;
        if (reading)
            for (lane = 0; lane < {lanes}; lane = lane + 1) begin
                k = lane * {depth} + address;
                acc[k / {n_in}] = acc[k / {n_in}] + xs[k % {n_in}] * $signed(q[lane*{bits} +: {bits}]);
            end
        reading <= running;
        address <= address0;
        if (ap_start) begin
{biases}
            address0 <= 0;
            running <= 1'b1;
        end else if (address0 == {depth} - 1) running <= 1'b0;
        else address0 <= address0 + 1;
    end
end

{outputs}
endmodule
"""


def write_standin(graph: Graph, folder: Path, stream: bool, depth: int = 4) -> None:
    """Write the Verilog of a chain of dense layers and ReLUs.

    Args:
        graph: the hardened network; the number of its layers' weights is a multiple of ``depth``.
        folder: where to; it is made.
        stream: AXI4-Streams as with io_stream, else arrays as with io_parallel.
        depth: words of every ROM, which is the reuse factor.
    """
    folder.mkdir()
    (folder / f"{TOP}_cast.v").write_text((resource("hls_templates") / "rtl" / "hwflow_cast.sv").read_text())
    nodes = list(graph)
    stages, wires = [], []
    for number, (before, node) in enumerate(pairwise(nodes), 2):
        x, y = before.resolved, node.resolved
        wires.append(f"wire [{before.shape[-1] * x.width - 1}:0] t{number - 1};")
        if isinstance(node, Dense):
            name = _write_dense(folder, node, x, number, depth)
            stages.append((number, f"{name} {name.removeprefix(TOP + '_')}_U0(.ap_clk(ap_clk), .ap_rst(reset),"))
        else:
            assert isinstance(node, ReLU)
            assert node.limit is None
            cast = _cast("c", x.width, x.fraction, True, y, "v", f"y[i*{y.width} +: {y.width}]")
            zero = f"x[i*{x.width} + {x.width - 1}] ? {x.width}'d0 : x[i*{x.width} +: {x.width}]"
            (folder / f"{TOP}_relu{number}.v").write_text(
                f"module {TOP}_relu{number} (input [{node.shape[0] * x.width - 1}:0] x, "
                f"output [{node.shape[0] * y.width - 1}:0] y);\ngenvar i;\n"
                f"generate for (i = 0; i < {node.shape[0]}; i = i + 1) begin : g\n"
                f"wire [{x.width - 1}:0] v = {zero};\n{cast}"
                "end endgenerate\nendmodule\n"
            )
            stages.append((number, f"{TOP}_relu{number} relu{number}_U0("))
    result = graph.output
    wires.append(f"wire [{result.shape[-1] * result.resolved.width - 1}:0] t{len(nodes)};")
    calls, done = [], "begun"
    for number, call in stages:
        if "ap_rst" in call:
            wires.append(f"wire done{number};")
            call += f" .ap_start({done}), .ap_done(done{number}),"
            done = f"done{number}"
        calls.append(f"{call} .x(t{number - 1}), .y(t{number}));")
    (folder / f"{TOP}.v").write_text(_top(graph, stream, "\n".join([*wires, *calls]), done, f"t{len(nodes)}"))


def _write_dense(folder: Path, node: Dense, x: FixedType, number: int, depth: int) -> str:
    """The layer and its ROM; the name of the layer's module."""
    n_in, n_out = node.weight.shape
    bits, lanes = node.weight.type.width, n_in * n_out // depth
    words = Packing(depth, lanes, lanes, 1, bits).pack(stored_words(node))
    width = max(word.bit_length() for word in words)
    name = f"{TOP}_dense_resource_ap_fixed_{x.width}_config{number}_s"
    rom = f"{name}_w{number}_ROMdEe" if number > 2 else f"{name}_w{number}_ROM_AUTO_1R"
    if number > 2:
        values = "\n".join(f"    rom0[{i}] = {width}'h{word:x};" for i, word in enumerate(words))
    else:
        values = f'    $readmemh("./{rom}.dat", rom0);'
        (folder / f"{rom}.dat").write_text("".join(f"{word:x}\n" for word in words))
    address = max(1, (depth - 1).bit_length())
    (folder / f"{rom}.v").write_text(ROM.format(name=rom, width=width, address=address, depth=depth, values=values))
    y, bias = node.resolved, node.bias
    fraction = max(x.fraction + node.weight.type.fraction, bias.type.fraction)
    up, bias_up = fraction - x.fraction - node.weight.type.fraction, fraction - bias.type.fraction
    signed = "$signed" if x.signed else ""
    text = DENSE.format(
        name=name, rom=rom, number=number, n_in=n_in, bits=bits, lanes=lanes, depth=depth, width=width, word=width - 1,
        full=lanes * bits - 1, address=address - 1, address_bits=address, last_in=n_in - 1, last_out=n_out - 1,
        x_w=x.width, x_bits=n_in * x.width - 1, y_bits=n_out * y.width - 1,
        inputs="\n".join(f"assign xs[{i}] = {signed}(x[{i * x.width} +: {x.width}]);" for i in range(n_in)),
        biases="\n".join(
            f"            acc[{o}] = 48'sd0 + (64'sd0 + ({code})) * 64'sd{1 << bias_up};"
            for o, code in enumerate(np.ravel(bias.codes).tolist())
        ),
        outputs="\n".join(
            f"wire [47:0] sum{o} = acc[{o}];\n"
            + _cast(f"cast{o}", 48, fraction, True, y, f"sum{o}", f"y[{o * y.width} +: {y.width}]")
            for o in range(n_out)
        ),
    )  # fmt: skip
    assert up == 0, "the bias has the finer grid"
    (folder / f"{name}.v").write_text(text)
    return name


def _cast(name: str, width: int, fraction: int, signed: bool, to: FixedType, source: str, target: str) -> str:
    modes = f".ROUNDING({ROUNDING_CODES[to.rounding]}), .OVERFLOW({OVERFLOW_CODES[to.overflow]})"
    types = f".IN_W({width}), .IN_FRAC({fraction}), .IN_SIGNED({int(signed)})"
    types += f", .OUT_W({to.width}), .OUT_FRAC({to.fraction}), .OUT_SIGNED({int(to.signed)})"
    return f"hwflow_cast #({types}, {modes}) {name} (.clk_i(1'b0), .code_i({source}), .code_o({target}));\n"


def _top(graph: Graph, stream: bool, body: str, done: str, result: str) -> str:
    x, y = graph.input.resolved, graph.output.resolved
    n_in, n_out = graph.input.shape[0], graph.output.shape[0]
    slots = [8 << (-(-each.width // 8) - 1).bit_length() for each in (x, y)]
    if stream:
        source, reset = "image_TDATA", "ap_rst_n"
        ports = ["image_TDATA", "layer4_out_TDATA", "ap_clk", "ap_rst_n", "image_TVALID", "image_TREADY", "ap_start",
                 "layer4_out_TVALID", "layer4_out_TREADY", "ap_done", "ap_ready", "ap_idle"]  # fmt: skip
        declared = f"""input  [{n_in * slots[0] - 1}:0] image_TDATA;
output  [{n_out * slots[1] - 1}:0] layer4_out_TDATA;
input   image_TVALID;
output   image_TREADY;
output   layer4_out_TVALID;
input   layer4_out_TREADY;
"""
        lanes = [f"assign layer4_out_TDATA[{i * slots[1]} +: {slots[1]}] = {result}[{i * y.width} +: {y.width}];"
                 for i in range(n_out)]  # fmt: skip
        behaviour = f"""assign image_TREADY = ap_start && state == 2'd0;
assign layer4_out_TVALID = state == 2'd2;
wire begin_now = image_TREADY && image_TVALID;
wire end_now = layer4_out_TVALID && layer4_out_TREADY;
{chr(10).join(lanes)}
"""
    else:
        source, reset = "image", "ap_rst"
        slots[0] = x.width
        each = [f"layer4_out_{i}" for i in range(n_out)]
        ports = ["ap_clk", "ap_rst", "ap_start", "ap_done", "ap_idle", "ap_ready", "image_ap_vld", "image"]
        ports += [f"{name}{end}" for name in each for end in ("", "_ap_vld")]
        declared = f"input   image_ap_vld;\ninput  [{n_in * x.width - 1}:0] image;\n"
        declared += "".join(f"output  [{y.width - 1}:0] {name};\noutput   {name}_ap_vld;\n" for name in each)
        behaviour = "wire begin_now = ap_start && image_ap_vld && state == 2'd0;\nwire end_now = state == 2'd2;\n"
        behaviour += "".join(
            f"assign {name} = end_now ? {result}[{i * y.width} +: {y.width}] : {y.width}'bx;\n"
            f"assign {name}_ap_vld = end_now;\n"
            for i, name in enumerate(each)
        )
    return f"""`timescale 1 ns / 1 ps

(* CORE_GENERATION_INFO="myproject_myproject,hls_ip_2022_2,{{HLS_INPUT_TYPE=cxx}}" *)

module {TOP} (
        {("," + chr(10) + "        ").join(ports)}
);

input   ap_clk;
input   {reset};
input   ap_start;
output   ap_done;
output   ap_ready;
output   ap_idle;
{declared}
wire reset = {"~ap_rst_n" if stream else "ap_rst"};
reg [1:0] state;
reg begun;
reg [{n_in * x.width - 1}:0] held;
integer i;
{body}
assign t1 = held;
{behaviour}
assign ap_done = end_now;
assign ap_ready = end_now;
assign ap_idle = state == 2'd0;

always @ (posedge ap_clk) begin
    begun <= begin_now;
    if (begin_now)
        for (i = 0; i < {n_in}; i = i + 1) held[i*{x.width} +: {x.width}] <= {source}[i*{slots[0]} +: {x.width}];
    if (reset) state <= 2'd0;
    else if (begin_now) state <= 2'd1;
    else if (state == 2'd1 && {done}) state <= 2'd2;
    else if (end_now) state <= 2'd0;
end

endmodule //{TOP}
"""
