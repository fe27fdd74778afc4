// Two products of one factor in one multiplier: (a << FIELD) + b times x has b x in its low FIELD bits, and above them a x,
// one less if b x is negative.
//
//   W     bits of a and b, signed
//   X_W   bits of x, signed
//
// A DSP48E2 multiplies 27 by 18 bits: 2 W + X_W + 1 up to 27, weights of 8 bits and activations of 9 with their sign.
//
// Timing: 3 cycles (operands, product, correction), one pair a cycle.

`default_nettype none

module hwflow_mul_pair #(
    parameter int W   = 8,
    parameter int X_W = 9
) (
    input  wire                      clk_i,
    input  wire  signed [     W-1:0] a_i,
    input  wire  signed [     W-1:0] b_i,
    input  wire  signed [   X_W-1:0] x_i,
    output logic signed [ W+X_W-1:0] ax_o,
    output logic signed [ W+X_W-1:0] bx_o
);

    localparam int FIELD  = W + X_W;
    localparam int BOTH_W = FIELD + W + 1;

    if (W < 2 || X_W < 2 || BOTH_W > 27 || X_W > 18) begin : gen_error_width
        initial $fatal(1, "hwflow_mul_pair: W (%0d) and X_W (%0d) must be at least 2, 2 W + X_W at most 26", W, X_W);
    end

    logic signed [BOTH_W-1:0] both_reg;
    logic signed [X_W-1:0] x_reg;
    logic signed [BOTH_W+X_W-1:0] product_reg;
    wire unused_sign = &{1'b0, product_reg[BOTH_W+X_W-1:2*FIELD]};

    (* keep *) always_ff @(posedge clk_i) x_reg <= x_i;  // one for each multiplier
    always_ff @(posedge clk_i) begin
        both_reg    <= $signed({a_i, {FIELD{1'b0}}}) + BOTH_W'(b_i);
        product_reg <= both_reg * x_reg;
        ax_o        <= product_reg[2*FIELD-1:FIELD] + FIELD'(product_reg[FIELD-1]);
        bx_o        <= product_reg[FIELD-1:0];
    end

endmodule

`default_nettype wire
