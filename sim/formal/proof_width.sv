// Formal only: hwflow_width under stream_check, of two different numbers of lanes.

`default_nettype none

module proof_width #(
    parameter int W         = 2,
    parameter int LANES_IN  = 1,
    parameter int LANES_OUT = 3
) (
    input wire                  clk_i,
    input wire                  rst_ni,
    input wire                  pick_i,
    input wire [7:0]            pick_lane_i,
    input wire [LANES_IN*W-1:0] s_tdata,
    input wire                  s_tvalid,
    input wire                  m_tready
);

    localparam int HOLDS = (LANES_IN > LANES_OUT) ? LANES_IN : LANES_OUT;

    wire [LANES_OUT*W-1:0] m_tdata;
    wire s_tready, m_tvalid;

    hwflow_width #(.W(W), .LANES_IN(LANES_IN), .LANES_OUT(LANES_OUT)) cell_under_proof (
        .clk_i(clk_i), .rst_ni(rst_ni),
        .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

    stream_check #(
        .W(W), .LANES_IN(LANES_IN), .LANES_OUT(LANES_OUT), .HOLDS(HOLDS), .PATIENCE(1)
    ) check (
        .clk_i(clk_i), .rst_ni(rst_ni), .pick_i(pick_i), .pick_lane_i(pick_lane_i),
        .in_i(s_tvalid && s_tready), .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

endmodule

`default_nettype wire
