// Concatenation of the channels of two streams: of every pixel the beats of a, then those of b, each
// element cast to one type.
//
//   LANES                    elements of a beat, the same in all three streams
//   A_BEATS, B_BEATS         beats of a pixel in each input
//   A_*, B_*                 types of the inputs
//   OUT_*, ROUNDING, OVERFLOW  type of the output, see hwflow_cast
//
// Timing: 1 cycle, one beat a cycle. The ready of an input depends on m_tready in the same cycle; the
// input whose turn it is not waits.

`default_nettype none

module hwflow_concat #(
    parameter int LANES      = 1,
    parameter int A_BEATS    = 2,
    parameter int B_BEATS    = 1,
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

    localparam int BEATS   = A_BEATS + B_BEATS;
    localparam int BEAT_W  = (BEATS > 1) ? $clog2(BEATS) : 1;

    if (LANES < 1 || A_W < 1 || B_W < 1 || A_BEATS < 1 || B_BEATS < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_concat: LANES, A_W, B_W, A_BEATS and B_BEATS must be positive");
    end

    logic [BEAT_W-1:0] beat_reg;
    wire first = beat_reg < BEAT_W'(A_BEATS);

    wire [LANES*OUT_W-1:0] a_cast;
    wire [LANES*OUT_W-1:0] b_cast;
    for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
        hwflow_cast #(
            .IN_W(A_W), .IN_FRAC(A_FRAC), .IN_SIGNED(A_SIGNED),
            .OUT_W(OUT_W), .OUT_FRAC(OUT_FRAC), .OUT_SIGNED(OUT_SIGNED),
            .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW)
        ) cast_a (
            .clk_i(clk_i),
            .code_i(a_tdata[lane*A_W +: A_W]),
            .code_o(a_cast[lane*OUT_W +: OUT_W])
        );
        hwflow_cast #(
            .IN_W(B_W), .IN_FRAC(B_FRAC), .IN_SIGNED(B_SIGNED),
            .OUT_W(OUT_W), .OUT_FRAC(OUT_FRAC), .OUT_SIGNED(OUT_SIGNED),
            .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW)
        ) cast_b (
            .clk_i(clk_i),
            .code_i(b_tdata[lane*B_W +: B_W]),
            .code_o(b_cast[lane*OUT_W +: OUT_W])
        );
    end

    wire space  = !m_tvalid || m_tready;
    wire valid  = first ? a_tvalid : b_tvalid;
    assign a_tready = space && first;
    assign b_tready = space && !first;

    always_ff @(posedge clk_i) begin
        if (space) m_tdata <= first ? a_cast : b_cast;
        if (!rst_ni) begin
            beat_reg <= '0;
            m_tvalid <= 1'b0;
        end else if (space) begin
            m_tvalid <= valid;
            if (valid) beat_reg <= (beat_reg == BEAT_W'(BEATS - 1)) ? '0 : beat_reg + 1'b1;
        end
    end

endmodule

`default_nettype wire
