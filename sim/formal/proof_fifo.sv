// Formal only: hwflow_fifo under stream_check.

`default_nettype none

module proof_fifo #(
    parameter int WIDTH = 2,
    parameter int DEPTH = 2,
    parameter int BLOCK = 0,
    parameter int BEHIND = 2
) (
    input wire             clk_i,
    input wire             rst_ni,
    input wire             pick_i,
    input wire [7:0]       pick_lane_i,
    input wire [WIDTH-1:0] s_tdata,
    input wire             s_tvalid,
    input wire             m_tready
);

    wire [WIDTH-1:0] m_tdata;
    wire s_tready, m_tvalid;

    hwflow_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH), .BLOCK(BLOCK), .BEHIND(BEHIND)) cell_under_proof (
        .clk_i(clk_i), .rst_ni(rst_ni),
        .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

    stream_check #(.W(WIDTH), .HOLDS(DEPTH + (BLOCK != 0 ? BEHIND : 1)), .PATIENCE(BLOCK != 0 ? 6 : 2)) check (
        .clk_i(clk_i), .rst_ni(rst_ni), .pick_i(pick_i), .pick_lane_i(pick_lane_i),
        .in_i(s_tvalid && s_tready), .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

endmodule

`default_nettype wire
