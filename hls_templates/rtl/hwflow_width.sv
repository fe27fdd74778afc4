// Stream lane-width converter: the same elements in the same order, LANES_OUT instead of LANES_IN a
// beat. One of the two numbers divides the other; equal, the streams are wired through.
//
//   W          bits of an element
//   LANES_IN   elements of an input beat
//   LANES_OUT  elements of an output beat
//
// Timing: the narrower side moves a beat every cycle. 1 cycle from the (last) input beat of a group
// to its (first) output beat.

`default_nettype none

module hwflow_width #(
    parameter int W         = 8,
    parameter int LANES_IN  = 1,
    parameter int LANES_OUT = 4
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire  [ LANES_IN*W-1:0] s_tdata,
    input  wire                    s_tvalid,
    output logic                   s_tready,

    output logic [LANES_OUT*W-1:0] m_tdata,
    output logic                   m_tvalid,
    input  wire                    m_tready
);

    localparam int IN_BITS  = LANES_IN * W;
    localparam int OUT_BITS = LANES_OUT * W;

    if (W < 1 || LANES_IN < 1 || LANES_OUT < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_width: W, LANES_IN and LANES_OUT must be positive");
    end
    if (LANES_IN % LANES_OUT != 0 && LANES_OUT % LANES_IN != 0) begin : gen_error_ratio
        initial
            $fatal(1, "hwflow_width: LANES_IN (%0d) or LANES_OUT (%0d) must divide the other",
                   LANES_IN, LANES_OUT);
    end

    if (LANES_IN == LANES_OUT) begin : gen_equal
        wire unused = &{1'b0, clk_i, rst_ni};
        assign m_tdata  = s_tdata;
        assign m_tvalid = s_tvalid;
        assign s_tready = m_tready;
    end else if (LANES_IN < LANES_OUT) begin : gen_widen
        localparam int RATIO   = LANES_OUT / LANES_IN;
        localparam int COUNT_W = $clog2(RATIO + 1);
        localparam logic [COUNT_W-1:0] FULL = COUNT_W'(RATIO);

        logic [OUT_BITS-1:0] group_reg;
        logic [ COUNT_W-1:0] count_reg;  // input beats in the group
        wire                 take = s_tvalid && s_tready;

        assign m_tdata  = group_reg;
        assign m_tvalid = (count_reg == FULL);
        assign s_tready = !m_tvalid || m_tready;

        always_ff @(posedge clk_i) begin
            if (take) group_reg <= {s_tdata, group_reg[OUT_BITS-1:IN_BITS]};
            if (!rst_ni) count_reg <= '0;
            else if (m_tvalid && m_tready) count_reg <= {{(COUNT_W - 1) {1'b0}}, take};
            else if (take) count_reg <= count_reg + 1'b1;
        end
    end else begin : gen_narrow
        localparam int RATIO   = LANES_IN / LANES_OUT;
        localparam int COUNT_W = $clog2(RATIO + 1);
        localparam logic [COUNT_W-1:0] FULL = COUNT_W'(RATIO);
        localparam logic [COUNT_W-1:0] ONE  = COUNT_W'(1);

        logic [IN_BITS-1:0] group_reg;
        logic [COUNT_W-1:0] count_reg;  // output beats left in the group

        assign m_tdata  = group_reg[OUT_BITS-1:0];
        assign m_tvalid = (count_reg != '0);
        assign s_tready = (count_reg == '0) || (count_reg == ONE && m_tready);

        always_ff @(posedge clk_i) begin
            if (s_tvalid && s_tready) group_reg <= s_tdata;
            else if (m_tready) group_reg <= {{OUT_BITS{1'b0}}, group_reg[IN_BITS-1:OUT_BITS]};
            if (!rst_ni) count_reg <= '0;
            else if (s_tvalid && s_tready) count_reg <= FULL;
            else if (m_tvalid && m_tready) count_reg <= count_reg - 1'b1;
        end
    end

endmodule

`default_nettype wire
