// Element-wise sum of two streams whose types may differ, or what is like it: the exact sum, then one cast.
//
//   OP                       0 a + b, 1 a - b, 2 the larger, 3 the smaller
//   LANES                    elements of a beat, the same in all three streams
//   A_*, B_*                 types of the inputs
//   OUT_*, ROUNDING, OVERFLOW  type of the output, see hwflow_cast
//
// Timing: 1 cycle, one beat a cycle. A beat is taken from both inputs at once; the ready of each
// input depends on the valid of the other.

`default_nettype none

module hwflow_add #(
    parameter int OP         = 0,
    parameter int LANES      = 1,
    parameter int A_W        = 16,
    parameter int A_FRAC     = 10,
    parameter int A_SIGNED   = 1,
    parameter int B_W        = 16,
    parameter int B_FRAC     = 10,
    parameter int B_SIGNED   = 1,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 2,
    parameter int OVERFLOW   = 1
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire  [  LANES*A_W-1:0] a_tdata,
    input  wire                    a_tvalid,
    output logic                   a_tready,

    input  wire  [  LANES*B_W-1:0] b_tdata,
    input  wire                    b_tvalid,
    output logic                   b_tready,

    output logic [LANES*OUT_W-1:0] m_tdata,
    output logic                   m_tvalid,
    input  wire                    m_tready
);

    if (OP < 0 || OP > 3) begin : gen_error_op
        initial $fatal(1, "hwflow_add: OP (%0d) must be 0 to 3", OP);
    end

    // The sum is signed, whatever its terms are. Integer bits include the sign.
    localparam int A_INTEGER   = A_W - A_FRAC + ((A_SIGNED != 0) ? 0 : 1);
    localparam int B_INTEGER   = B_W - B_FRAC + ((B_SIGNED != 0) ? 0 : 1);
    localparam int SUM_INTEGER = ((A_INTEGER > B_INTEGER) ? A_INTEGER : B_INTEGER) + 1;
    localparam int SUM_FRAC    = (A_FRAC > B_FRAC) ? A_FRAC : B_FRAC;
    localparam int SUM_W       = SUM_INTEGER + SUM_FRAC;

    if (LANES < 1 || A_W < 1 || B_W < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_add: LANES, A_W and B_W must be positive");
    end

    wire [LANES*OUT_W-1:0] cast;
    for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
        wire [A_W-1:0] a = a_tdata[lane*A_W +: A_W];
        wire [B_W-1:0] b = b_tdata[lane*B_W +: B_W];
        wire a_sign = (A_SIGNED != 0) && a[A_W-1];
        wire b_sign = (B_SIGNED != 0) && b[B_W-1];
        wire [SUM_W-1:0] a_wide = {{(SUM_W - A_W) {a_sign}}, a} << (SUM_FRAC - A_FRAC);
        wire [SUM_W-1:0] b_wide = {{(SUM_W - B_W) {b_sign}}, b} << (SUM_FRAC - B_FRAC);
        wire [SUM_W-1:0] merged;

        if (OP == 0) begin : gen_sum
            assign merged = a_wide + b_wide;
        end else if (OP == 1) begin : gen_difference
            assign merged = a_wide - b_wide;
        end else begin : gen_choice
            wire a_larger = $signed(a_wide) > $signed(b_wide);
            assign merged = (a_larger == (OP == 2)) ? a_wide : b_wide;
        end

        hwflow_cast #(
            .IN_W(SUM_W), .IN_FRAC(SUM_FRAC), .IN_SIGNED(1),
            .OUT_W(OUT_W), .OUT_FRAC(OUT_FRAC), .OUT_SIGNED(OUT_SIGNED),
            .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW)
        ) cast_lane (
            .clk_i(clk_i),
            .code_i(merged),
            .code_o(cast[lane*OUT_W +: OUT_W])
        );
    end

    wire space = !m_tvalid || m_tready;
    assign a_tready = space && b_tvalid;
    assign b_tready = space && a_tvalid;

    always_ff @(posedge clk_i) begin
        if (space) m_tdata <= cast;
        if (!rst_ni) m_tvalid <= 1'b0;
        else if (space) m_tvalid <= a_tvalid && b_tvalid;
    end

endmodule

`default_nettype wire
