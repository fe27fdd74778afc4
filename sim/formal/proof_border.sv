// Formal only: hwflow_border under map_check.

`default_nettype none

module proof_border #(
    parameter int BEATS     = 1,
    parameter int IN_H      = 2,
    parameter int IN_W_PX   = 2,
    parameter int CROP_T    = 0,
    parameter int CROP_B    = 0,
    parameter int CROP_L    = 0,
    parameter int CROP_R    = 0,
    parameter int PAD_T     = 0,
    parameter int PAD_B     = 0,
    parameter int PAD_L     = 0,
    parameter int PAD_R     = 0,
    parameter int IN_BEATS  = 4,
    parameter int OUT_BEATS = 4,
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

    hwflow_border #(
        .W(1), .BEATS(BEATS), .IN_H(IN_H), .IN_W_PX(IN_W_PX), .CROP_T(CROP_T), .CROP_B(CROP_B), .CROP_L(CROP_L), .CROP_R(CROP_R), .PAD_T(PAD_T), .PAD_B(PAD_B), .PAD_L(PAD_L), .PAD_R(PAD_R)
    ) cell_under_proof (
        .clk_i(clk_i), .rst_ni(rst_ni),
        .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

    map_check #(
        .W(1), .IN_BEATS(IN_BEATS), .OUT_BEATS(OUT_BEATS), .MAP(MAP), .WHOLE(0), .PATIENCE(IN_BEATS + OUT_BEATS), .AHEAD(2)
    ) check (
        .clk_i(clk_i), .rst_ni(rst_ni), .pick_i(pick_i), .place_i(place_i),
        .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

endmodule

`default_nettype wire
