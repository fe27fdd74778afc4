// Stream stage that casts every lane from one fixed-point type to another (see hwflow_cast).
//
//   LANES  elements of a beat
//
// Timing: 1 cycle, one beat a cycle.

`default_nettype none

module hwflow_requant #(
    parameter int LANES      = 1,
    parameter int IN_W       = 24,
    parameter int IN_FRAC    = 12,
    parameter int IN_SIGNED  = 1,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
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
        initial $fatal(1, "hwflow_requant: LANES (%0d) must be positive", LANES);
    end

    wire [LANES*OUT_W-1:0] cast;
    for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
        hwflow_cast #(
            .IN_W(IN_W), .IN_FRAC(IN_FRAC), .IN_SIGNED(IN_SIGNED),
            .OUT_W(OUT_W), .OUT_FRAC(OUT_FRAC), .OUT_SIGNED(OUT_SIGNED),
            .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW)
        ) cast_lane (
            .code_i(s_tdata[lane*IN_W +: IN_W]),
            .code_o(cast[lane*OUT_W +: OUT_W])
        );
    end

    assign s_tready = !m_tvalid || m_tready;

    always_ff @(posedge clk_i) begin
        if (s_tready) m_tdata <= cast;
        if (!rst_ni) m_tvalid <= 1'b0;
        else if (s_tready) m_tvalid <= s_tvalid;
    end

endmodule

`default_nettype wire
