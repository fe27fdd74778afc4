// Test bench only: hwflow_affine beside its hwflow_weights, whose beats come as late as W_LATENCY says: 3 cycles after
// they are asked for, or later.

`default_nettype none

module affine_with_weights #(
    parameter int PE         = 2,
    parameter int CHANNELS   = 4,
    parameter int X_W        = 16,
    parameter int X_SIGNED   = 1,
    parameter int W_W        = 8,
    parameter int W_LATENCY  = 3,
    parameter int ACC_W      = 32,
    parameter int ACC_FRAC   = 15,
    parameter int B_W        = 16,
    parameter int B_SHIFT    = 0,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 0,
    parameter int OVERFLOW   = 0,
    parameter WEIGHT_FILE    = "",
    parameter BIAS_FILE      = ""
) (
    input  wire                 clk_i,
    input  wire                 rst_ni,

    input  wire  [  PE*X_W-1:0] s_tdata,
    input  wire                 s_tvalid,
    output logic                s_tready,

    output logic [PE*OUT_W-1:0] m_tdata,
    output logic                m_tvalid,
    input  wire                 m_tready
);

    wire next;
    wire [PE*W_W-1:0] data, late_data;
    wire [PE*B_W-1:0] bias, late_bias;

    hwflow_weights #(
        .PE(1), .SIMD(PE), .N_IN(CHANNELS), .N_OUT(1), .CHANNELWISE(1), .W_W(W_W), .B_W(B_W),
        .WEIGHT_FILE(WEIGHT_FILE), .BIAS_FILE(BIAS_FILE)
    ) weights (
        .clk_i(clk_i), .rst_ni(rst_ni), .next_i(next), .data_o(data), .bias_o(bias),
        .wb_en_i(1'b0), .wb_we_i(1'b0), .wb_addr_i('0), .wb_wdata_i('0), .wb_rdata_o(), .wb_wait_o(),
        .bb_en_i(1'b0), .bb_we_i(1'b0), .bb_addr_i('0), .bb_wdata_i('0), .bb_rdata_o(),
        .rb_en_i(1'b0), .rb_we_i(1'b0), .rb_addr_i('0), .rb_wdata_i('0), .rb_rdata_o(),
        .tb_en_i(1'b0), .tb_we_i(1'b0), .tb_addr_i('0), .tb_wdata_i('0), .tb_rdata_o()
    );

    hwflow_delay #(.WIDTH(PE * (W_W + B_W)), .STAGES(W_LATENCY - 3)) late (
        .clk_i(clk_i), .en_i(1'b1), .data_i({data, bias}), .data_o({late_data, late_bias})
    );

    hwflow_affine #(
        .PE(PE), .X_W(X_W), .X_SIGNED(X_SIGNED), .W_W(W_W), .W_LATENCY(W_LATENCY),
        .ACC_W(ACC_W), .ACC_FRAC(ACC_FRAC), .B_W(B_W), .B_SHIFT(B_SHIFT),
        .OUT_W(OUT_W), .OUT_FRAC(OUT_FRAC), .OUT_SIGNED(OUT_SIGNED), .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW)
    ) unit (
        .clk_i(clk_i), .rst_ni(rst_ni),
        .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .w_next_o(next), .w_data_i(late_data), .w_bias_i(late_bias),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

endmodule

`default_nettype wire
