// Rectifier: x > 0 ? min(cast(x), LIMIT) : 0 in every lane. The comparison comes before the cast, so that under
// OVERFLOW = WRAP a large input can wrap to a negative output, as it does in hls4ml's firmware.
//
//   LANES  elements of a beat
//   LIMIT  largest code of the output, of a ReLU6 or a quantised ReLU; 0: none but the type's. It needs
//          OVERFLOW = SAT, so that no code wraps below it
//   the other parameters are hwflow_cast's
//
// Timing: 1 cycle, one beat a cycle.

`default_nettype none

module hwflow_relu #(
    parameter int LANES      = 1,
    parameter int LIMIT      = 0,
    parameter int IN_W       = 16,
    parameter int IN_FRAC    = 10,
    parameter int IN_SIGNED  = 1,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 0,
    parameter int ROUNDING   = 2,
    parameter int OVERFLOW   = 1
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire  [ LANES*IN_W-1:0] s_tdata,
    input  wire                    s_tvalid,
    output logic                   s_tready,

    output logic [LANES*OUT_W-1:0] m_tdata,
    output logic                   m_tvalid,
    input  wire                    m_tready
);

    if (LANES < 1) begin : gen_error_lanes
        initial $fatal(1, "hwflow_relu: LANES (%0d) must be positive", LANES);
    end

    if (LIMIT < 0 || (LIMIT > 0 && OVERFLOW == 0)) begin : gen_error_limit
        initial $fatal(1, "hwflow_relu: LIMIT (%0d) must be positive, and OVERFLOW saturate", LIMIT);
    end

    wire [LANES*OUT_W-1:0] rectified;
    for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
        wire [ IN_W-1:0] code = s_tdata[lane*IN_W +: IN_W];
        wire [OUT_W-1:0] cast;
        hwflow_cast #(
            .IN_W(IN_W), .IN_FRAC(IN_FRAC), .IN_SIGNED(IN_SIGNED),
            .OUT_W(OUT_W), .OUT_FRAC(OUT_FRAC), .OUT_SIGNED(OUT_SIGNED),
            .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW)
        ) cast_lane (
            .clk_i(clk_i),
            .code_i(code),
            .code_o(cast)
        );
        // Zero needs no case of its own: it is cast to zero.
        wire [OUT_W-1:0] positive = (IN_SIGNED != 0 && code[IN_W-1]) ? '0 : cast;
        if (LIMIT > 0) begin : gen_limit
            localparam logic [OUT_W-1:0] MOST = OUT_W'(LIMIT);
            assign rectified[lane*OUT_W +: OUT_W] = (positive > MOST) ? MOST : positive;
        end else begin : gen_no_limit
            assign rectified[lane*OUT_W +: OUT_W] = positive;
        end
    end

    assign s_tready = !m_tvalid || m_tready;

    always_ff @(posedge clk_i) begin
        if (s_tready) m_tdata <= rectified;
        if (!rst_ni) m_tvalid <= 1'b0;
        else if (s_tready) m_tvalid <= s_tvalid;
    end

endmodule

`default_nettype wire
