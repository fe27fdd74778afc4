// Formal only: hwflow_repeat under map_check.

`default_nettype none

module proof_repeat #(
    parameter int BEATS     = 1,
    parameter int IN_W_PX   = 2,
    parameter int ROWS      = 2,
    parameter int COLUMNS   = 2,
    parameter int IN_BEATS  = 2,
    parameter int OUT_BEATS = 8,
    parameter logic [8*OUT_BEATS-1:0] MAP = 0
) (
    input wire       clk_i,
    input wire       rst_ni,
    input wire       pick_i,
    input wire [7:0] place_i,
    input wire       s_tdata,
    input wire       s_tvalid,
    input wire       m_tready
);

    wire m_tdata, s_tready, m_tvalid;

    hwflow_repeat #(
        .W(1), .BEATS(BEATS), .IN_W_PX(IN_W_PX), .ROWS(ROWS), .COLUMNS(COLUMNS)
    ) cell_under_proof (
        .clk_i(clk_i), .rst_ni(rst_ni),
        .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

    map_check #(
        .W(1), .IN_BEATS(IN_BEATS), .OUT_BEATS(OUT_BEATS), .MAP(MAP), .WHOLE(0), .PATIENCE(2), .AHEAD(2)
    ) check (
        .clk_i(clk_i), .rst_ni(rst_ni), .pick_i(pick_i), .place_i(place_i),
        .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

endmodule

`default_nettype wire
