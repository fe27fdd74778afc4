// Assignment of one fixed-point type to another: what `OUT = IN` does for AMD's ap_fixed.
//
// The value is rounded exactly to OUT's grid, then wrapped or saturated to OUT's width. A code of
// FRAC fraction bits is worth code * 2**-FRAC; FRAC may be negative or exceed the width.
//
//   ROUNDING  0 TRN  1 TRN_ZERO  2 RND  3 RND_ZERO  4 RND_INF  5 RND_MIN_INF  6 RND_CONV
//   OVERFLOW  0 WRAP  1 SAT  2 SAT_SYM
//
//   REGISTER  1: a register between rounding and overflow; 0: none
//
// Timing: combinational, or 1 cycle with REGISTER.

`default_nettype none

module hwflow_cast #(
    parameter int IN_W       = 16,
    parameter int IN_FRAC    = 10,
    parameter int IN_SIGNED  = 1,
    parameter int OUT_W      = 8,
    parameter int OUT_FRAC   = 5,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 0,
    parameter int OVERFLOW   = 0,
    parameter int REGISTER   = 0
) (
    input  wire              clk_i,
    input  wire  [ IN_W-1:0] code_i,
    output logic [OUT_W-1:0] code_o
);

    localparam int TRN_ZERO    = 1;
    localparam int RND         = 2;
    localparam int RND_ZERO    = 3;
    localparam int RND_INF     = 4;
    localparam int RND_MIN_INF = 5;
    localparam int RND_CONV    = 6;
    localparam int WRAP        = 0;
    localparam int SAT_SYM     = 2;

    localparam int DROP = (IN_FRAC > OUT_FRAC) ? IN_FRAC - OUT_FRAC : 0;  // bits rounded away
    localparam int GROW = (OUT_FRAC > IN_FRAC) ? OUT_FRAC - IN_FRAC : 0;  // zeros appended

    // The code with one more bit, which is the sign of an unsigned code, and as many copies of it as
    // it takes to have DROP bits below the ones that are kept.
    localparam int EXTENDED_W = ((IN_W > DROP) ? IN_W : DROP) + 1;
    localparam int KEPT_W     = EXTENDED_W - DROP;
    localparam int ROUNDED_W  = KEPT_W + 1;  // rounding up can carry
    localparam int WIDE_W     = (ROUNDED_W + GROW > OUT_W) ? ROUNDED_W + GROW : OUT_W + 1;

    if (IN_W < 1 || OUT_W < 1) begin : gen_error_width
        initial $fatal(1, "hwflow_cast: IN_W (%0d) and OUT_W (%0d) must be positive", IN_W, OUT_W);
    end
    if (IN_SIGNED < 0 || IN_SIGNED > 1 || OUT_SIGNED < 0 || OUT_SIGNED > 1) begin : gen_error_signed
        initial $fatal(1, "hwflow_cast: IN_SIGNED and OUT_SIGNED must be 0 or 1");
    end
    if (ROUNDING < 0 || ROUNDING > RND_CONV || OVERFLOW < WRAP || OVERFLOW > SAT_SYM) begin : gen_error_mode
        initial $fatal(1, "hwflow_cast: no such mode: ROUNDING %0d, OVERFLOW %0d", ROUNDING, OVERFLOW);
    end

    wire negative;
    if (IN_SIGNED != 0) begin : gen_signed
        assign negative = code_i[IN_W-1];
    end else begin : gen_unsigned
        assign negative = 1'b0;
    end

    wire [EXTENDED_W-1:0] extended = {{(EXTENDED_W - IN_W) {negative}}, code_i};
    wire [ROUNDED_W-1:0] floored = {negative, extended[EXTENDED_W-1:DROP]};

    // `half` is the first bit below the new LSB, `sticky` says whether any bit below that is set.
    wire half, sticky;
    if (DROP > 0) begin : gen_half
        assign half = extended[DROP-1];
    end else begin : gen_no_half
        assign half = 1'b0;
    end
    if (DROP > 1) begin : gen_sticky
        assign sticky = |extended[DROP-2:0];
    end else begin : gen_no_sticky
        assign sticky = 1'b0;
    end

    wire odd = floored[0];
    logic carry;
    always_comb begin
        case (ROUNDING)
            TRN_ZERO:    carry = negative && (half || sticky);
            RND:         carry = half;
            RND_ZERO:    carry = half && (sticky || negative);
            RND_INF:     carry = half && (sticky || !negative);
            RND_MIN_INF: carry = half && sticky;
            RND_CONV:    carry = half && (sticky || odd);
            default:     carry = 1'b0;
        endcase
    end

    wire [ROUNDED_W-1:0] sum = floored + {{(ROUNDED_W - 1) {1'b0}}, carry};
    wire [ROUNDED_W-1:0] rounded;

    if (REGISTER != 0) begin : gen_register
        logic [ROUNDED_W-1:0] rounded_reg;
        always_ff @(posedge clk_i) rounded_reg <= sum;
        assign rounded = rounded_reg;
    end else begin : gen_no_register
        wire unused_clock = &{1'b0, clk_i};
        assign rounded = sum;
    end

    wire [WIDE_W-1:0] wide;
    if (GROW > 0) begin : gen_grow
        assign wide = {{(WIDE_W - ROUNDED_W - GROW) {rounded[ROUNDED_W-1]}}, rounded, {GROW{1'b0}}};
    end else begin : gen_no_grow
        assign wide = {{(WIDE_W - ROUNDED_W) {rounded[ROUNDED_W-1]}}, rounded};
    end

    wire below = wide[WIDE_W-1];
    if (OVERFLOW == WRAP) begin : gen_wrap
        wire unused = |wide[WIDE_W-1:OUT_W] | below;
        assign code_o = wide[OUT_W-1:0];
    end else if (OUT_SIGNED == 0) begin : gen_saturate_unsigned
        wire over = |wide[WIDE_W-1:OUT_W];
        assign code_o = below ? '0 : over ? {OUT_W{1'b1}} : wide[OUT_W-1:0];
    end else begin : gen_saturate_signed
        localparam logic [OUT_W-1:0] MOST_NEGATIVE = {1'b1, {(OUT_W - 1) {1'b0}}};
        localparam logic [OUT_W-1:0] LOWEST =
            (OVERFLOW == SAT_SYM) ? MOST_NEGATIVE | {{(OUT_W - 1) {1'b0}}, 1'b1} : MOST_NEGATIVE;
        wire fits = (&wide[WIDE_W-1:OUT_W-1] || !(|wide[WIDE_W-1:OUT_W-1])) &&
                    !(OVERFLOW == SAT_SYM && below && wide[OUT_W-1:0] == MOST_NEGATIVE);
        assign code_o = fits ? wide[OUT_W-1:0] : below ? LOWEST : ~MOST_NEGATIVE;
    end

endmodule

`default_nettype wire
