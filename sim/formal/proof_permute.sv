// Formal only: hwflow_permute under map_check.

`default_nettype none

module proof_permute #(
    parameter int SIZE_0    = 2,
    parameter int SIZE_1    = 1,
    parameter int SIZE_2    = 2,
    parameter int STRIDE_0  = 1,
    parameter int STRIDE_1  = 1,
    parameter int STRIDE_2  = 2,
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

    hwflow_permute #(
        .W(1), .SIZE_0(SIZE_0), .SIZE_1(SIZE_1), .SIZE_2(SIZE_2), .STRIDE_0(STRIDE_0), .STRIDE_1(STRIDE_1), .STRIDE_2(STRIDE_2)
    ) cell_under_proof (
        .clk_i(clk_i), .rst_ni(rst_ni),
        .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

    map_check #(
        .W(1), .IN_BEATS(IN_BEATS), .OUT_BEATS(OUT_BEATS), .MAP(MAP), .WHOLE(1), .PATIENCE(2), .AHEAD(3)
    ) check (
        .clk_i(clk_i), .rst_ni(rst_ni), .pick_i(pick_i), .place_i(place_i),
        .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

endmodule

`default_nettype wire
