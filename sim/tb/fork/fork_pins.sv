// Test bench only: hwflow_fork with three outputs that have a name each.

`default_nettype none

module fork_pins #(
    parameter int WIDTH = 8
) (
    input  wire              clk_i,
    input  wire              rst_ni,
    input  wire  [WIDTH-1:0] s_tdata,
    input  wire              s_tvalid,
    output logic             s_tready,
    output logic [WIDTH-1:0] m0_tdata, m1_tdata, m2_tdata,
    output logic             m0_tvalid, m1_tvalid, m2_tvalid,
    input  wire              m0_tready, m1_tready, m2_tready
);

    hwflow_fork #(.WIDTH(WIDTH), .N(3)) dut (
        .clk_i(clk_i),
        .rst_ni(rst_ni),
        .s_tdata(s_tdata),
        .s_tvalid(s_tvalid),
        .s_tready(s_tready),
        .m_tdata({m2_tdata, m1_tdata, m0_tdata}),
        .m_tvalid({m2_tvalid, m1_tvalid, m0_tvalid}),
        .m_tready({m2_tready, m1_tready, m0_tready})
    );

endmodule

`default_nettype wire
