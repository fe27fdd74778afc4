// Simulation only: a whole design between a source that streams images in and a sink that captures what
// comes out. hwflow.sim sets the inputs, upsets words of the design's memories, and waits for upset_o and done_o;
// it does not wake while images stream. The macro HWFLOW_TOP is the name of the design's top module.
//
// The clock is made here, because a simulator that asks Python or VPI for every edge is up to twice as slow; with the
// macro HWFLOW_CLOCK_PORT it is an input, for a main program that makes it (hwflow_main.cpp).
//
// While sleep_i is high, hwflow_main.cpp gives Python no time step before done_o or upset_o rises, or a timer ends.
//
// While start_i is low, source, sink and the count of cycles begin anew. Cycles are numbered by their rising edges: at
// edge 0 the first beat is offered. upset_o rises after edge upset_cycle_i - 1 and falls after edge upset_cycle_i; what
// strikes while it is high and clk_i low is later than everything that edge upset_cycle_i - 1 read or took, and earlier
// than everything of edge upset_cycle_i.

`default_nettype none

module hwflow_bench #(
    parameter int IN_BITS   = 8,
    parameter int IN_DEPTH  = 64,
    parameter int IN_BEATS  = 64,
    parameter int OUT_BITS  = 16,
    parameter int OUT_DEPTH = 10,
    parameter int OUT_BEATS = 10
) (
`ifdef HWFLOW_CLOCK_PORT
    input  wire         clk_i           /* verilator public_flat_rd */,
`endif
    input  wire         rst_ni          /* verilator public_flat_rw */,
    input  wire         sleep_i         /* verilator public_flat_rw */,
    input  wire         start_i         /* verilator public_flat_rw */,
    input  wire  [31:0] in_count_i      /* verilator public_flat_rw */,
    input  wire  [31:0] out_count_i     /* verilator public_flat_rw */,
    input  wire  [31:0] upset_cycle_i   /* verilator public_flat_rw */,
    input  wire  [6:0]  stall_percent_i /* verilator public_flat_rw */,
    input  wire  [31:0] seed_i          /* verilator public_flat_rw */,
    output logic        upset_o         /* verilator public_flat_rw */,
    output logic        done_o          /* verilator public_flat_rw */,
    output logic        wrong_last_o    /* verilator public_flat_rw */
);

`ifndef HWFLOW_CLOCK_PORT
    logic clk_i  /* verilator public_flat_rw */;

    initial clk_i = 1'b0;
    always #5 clk_i = !clk_i;
`endif

    logic [IN_BITS-1:0]  s_tdata;
    logic [OUT_BITS-1:0] m_tdata;
    logic s_tvalid, s_tlast, s_tready, m_tvalid, m_tlast, m_tready, started;
    logic [31:0] cycle_reg;  // number of the next edge

    always_ff @(posedge clk_i) begin
        if (!rst_ni || !start_i) cycle_reg <= '0;
        else if (started) cycle_reg <= cycle_reg + 1;
    end

    assign upset_o = rst_ni && cycle_reg == upset_cycle_i;

    hwflow_source #(.WIDTH(IN_BITS), .DEPTH(IN_DEPTH), .IMAGE_BEATS(IN_BEATS)) source (
        .clk_i(clk_i), .rst_ni(rst_ni), .start_i(start_i), .count_i(in_count_i), .cycle_i(cycle_reg),
        .stall_percent_i(stall_percent_i), .seed_i(seed_i), .started_o(started),
        .m_tdata(s_tdata), .m_tlast(s_tlast), .m_tvalid(s_tvalid), .m_tready(s_tready)
    );

    // Nothing is behind the AXI4-Lite slave: upsets go into the memories themselves.
    /* verilator lint_off PINMISSING */
    `HWFLOW_TOP dut (
        .clk_i(clk_i), .rst_ni(rst_ni),
        .s_axil_awaddr('0), .s_axil_awprot('0), .s_axil_awvalid(1'b0), .s_axil_wdata('0), .s_axil_wstrb('0),
        .s_axil_wvalid(1'b0), .s_axil_bready(1'b0), .s_axil_araddr('0), .s_axil_arprot('0), .s_axil_arvalid(1'b0),
        .s_axil_rready(1'b0),
        .s_axis_tdata(s_tdata), .s_axis_tlast(s_tlast), .s_axis_tvalid(s_tvalid), .s_axis_tready(s_tready),
        .m_axis_tdata(m_tdata), .m_axis_tvalid(m_tvalid), .m_axis_tlast(m_tlast), .m_axis_tready(m_tready)
    );
    /* verilator lint_on PINMISSING */

    hwflow_sink #(.WIDTH(OUT_BITS), .DEPTH(OUT_DEPTH), .IMAGE_BEATS(OUT_BEATS)) sink (
        .clk_i(clk_i), .rst_ni(rst_ni), .start_i(start_i), .count_i(out_count_i), .cycle_i(cycle_reg),
        .stall_percent_i(stall_percent_i), .seed_i(~seed_i),
        .s_tdata(m_tdata), .s_tvalid(m_tvalid), .s_tlast(m_tlast), .s_tready(m_tready),
        .done_o(done_o), .wrong_last_o(wrong_last_o)
    );

endmodule

`default_nettype wire
