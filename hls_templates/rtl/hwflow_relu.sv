// Rectifier: x > 0 ? min(cast(x), LIMIT) : 0 in every lane. The comparison comes before the cast, so that under
// OVERFLOW = WRAP a large input can wrap to a negative output, as it does in hls4ml's firmware.
//
//   LANES  elements of a beat
//   LIMIT  largest code of the output, of a ReLU6 or a quantised ReLU; 0: none but the type's. It needs
//          OVERFLOW = SAT, so that no code wraps below it
//   LOADABLE  1: port B, mb_*, reads and writes the limit, a word, at any time; LIMIT, not 0, is what it is at first
//   the other parameters are hwflow_cast's
//
// Timing: 1 cycle, one beat a cycle. Port B 1 cycle; it holds its output while it is not enabled.

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
    parameter int OVERFLOW   = 1,
    parameter int LOADABLE   = 0,
    localparam int MEM_W     = (LOADABLE != 0) ? OUT_W : 1
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire  [ LANES*IN_W-1:0] s_tdata,
    input  wire                    s_tvalid,
    output logic                   s_tready,

    output logic [LANES*OUT_W-1:0] m_tdata,
    output logic                   m_tvalid,
    input  wire                    m_tready,

    input  wire                    mb_en_i,
    input  wire                    mb_we_i,
    input  wire  [            0:0] mb_addr_i,
    input  wire  [      MEM_W-1:0] mb_wdata_i,
    output logic [      MEM_W-1:0] mb_rdata_o
);

    if (LANES < 1) begin : gen_error_lanes
        initial $fatal(1, "hwflow_relu: LANES (%0d) must be positive", LANES);
    end

    if (LIMIT < 0 || (LIMIT > 0 && OVERFLOW == 0)) begin : gen_error_limit
        initial $fatal(1, "hwflow_relu: LIMIT (%0d) must be positive, and OVERFLOW saturate", LIMIT);
    end
    if (LOADABLE != 0 && LIMIT == 0) begin : gen_error_loadable
        initial $fatal(1, "hwflow_relu: LOADABLE needs a LIMIT");
    end

    // --- The limit.

    wire [OUT_W-1:0] most;

    if (LOADABLE != 0) begin : gen_register
        logic [OUT_W-1:0] limit_reg;

        initial limit_reg = OUT_W'(LIMIT);
        assign most = limit_reg;

        always_ff @(posedge clk_i) begin
            if (mb_en_i) begin
                if (mb_we_i) limit_reg <= mb_wdata_i;
                mb_rdata_o <= limit_reg;
            end
        end

        wire unused_address = &{1'b0, mb_addr_i};
    end else begin : gen_constant
        assign most = OUT_W'(LIMIT);

        wire unused_port_b = &{1'b0, most, mb_en_i, mb_we_i, mb_addr_i, mb_wdata_i};
        assign mb_rdata_o = '0;
    end

    // --- The elements.

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
            assign rectified[lane*OUT_W +: OUT_W] = (positive > most) ? most : positive;
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
