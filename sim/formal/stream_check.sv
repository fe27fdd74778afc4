// Formal only: whether what leaves a stream cell is what went in: no element lost, repeated, invented, changed or out
// of turn, data stable while a beat waits, and no beat waits for ever.
//
//   W, LANES_IN, LANES_OUT   bits of an element, elements of a beat in and out
//   HOLDS                    elements that the cell may hold, at the most
//   PATIENCE                 cycles within which what is complete comes out, and within which an empty cell takes a beat
//   ALONE                    0: others decide too when a beat is taken, so that this says nothing of it
//
// One element, any, is followed: which one is the solver's choice (pick_i, pick_lane_i), as are all data. in_i says that
// a beat enters: it is accepted, or, of a cell that hands it on before that, offered for the first time.

`default_nettype none

module stream_check #(
    parameter int W         = 2,
    parameter int LANES_IN  = 1,
    parameter int LANES_OUT = 1,
    parameter int HOLDS     = 4,
    parameter int PATIENCE  = 4,
    parameter int ALONE     = 1,
    localparam int COUNT_W  = $clog2(HOLDS + LANES_IN + LANES_OUT + 1) + 1,
    localparam int WAIT_W   = $clog2(PATIENCE + 2)
) (
    input wire                   clk_i,
    input wire                   rst_ni,
    input wire                   pick_i,
    input wire [7:0]             pick_lane_i,
    input wire                   in_i,
    input wire [LANES_IN*W-1:0]  s_tdata,
    input wire                   s_tvalid,
    input wire                   s_tready,
    input wire [LANES_OUT*W-1:0] m_tdata,
    input wire                   m_tvalid,
    input wire                   m_tready
);

    logic [COUNT_W-1:0] held_reg;   // elements inside
    logic [COUNT_W-1:0] ahead_reg;  // of them, those before the followed one
    logic [W-1:0]       value_reg;
    logic               picked_reg, gone_reg;
    logic [WAIT_W-1:0]  silent_reg, closed_reg;
    logic               past_reg, waiting_reg, offering_reg;
    logic [LANES_OUT*W-1:0] last_data_reg;
    logic [LANES_IN*W-1:0]  last_offer_reg;

    initial past_reg = 1'b0;

    wire pick = in_i && pick_i && !picked_reg && pick_lane_i < 8'(LANES_IN);
    wire out  = m_tvalid && m_tready;

    wire [COUNT_W-1:0] held   = held_reg + (in_i ? COUNT_W'(LANES_IN) : '0);
    wire [COUNT_W-1:0] ahead  = pick ? held_reg + COUNT_W'(pick_lane_i) : ahead_reg;
    wire [W-1:0]       value  = pick ? W'(s_tdata >> (pick_lane_i * W)) : value_reg;
    wire               follow = (pick || picked_reg) && !gone_reg;
    wire               here   = follow && ahead < COUNT_W'(LANES_OUT);
    wire [W-1:0]       given  = W'(m_tdata >> (ahead * W));

    always_ff @(posedge clk_i) begin
        past_reg      <= 1'b1;
        last_data_reg <= m_tdata;
        last_offer_reg <= s_tdata;
        offering_reg   <= rst_ni && s_tvalid && !s_tready;
        if (!rst_ni) begin
            held_reg    <= '0;
            picked_reg  <= 1'b0;
            gone_reg    <= 1'b0;
            silent_reg  <= '0;
            closed_reg  <= '0;
            waiting_reg <= 1'b0;
        end else begin
            held_reg    <= held - (out ? COUNT_W'(LANES_OUT) : '0);
            picked_reg  <= picked_reg || pick;
            gone_reg    <= gone_reg || (out && here);
            waiting_reg <= m_tvalid && !m_tready;
            silent_reg  <= (m_tvalid || held < COUNT_W'(LANES_OUT)) ? '0 : silent_reg + 1'b1;
            closed_reg  <= (s_tready || held_reg >= COUNT_W'(LANES_OUT) || m_tvalid) ? '0 : closed_reg + 1'b1;
        end
        if (pick) value_reg <= value;
        ahead_reg <= ahead - (out ? COUNT_W'(LANES_OUT) : '0);
    end

    always @(posedge clk_i) begin
        assume (past_reg || !rst_ni);
        if (past_reg && offering_reg) assume (s_tvalid && s_tdata == last_offer_reg);
        if (past_reg && rst_ni) begin
            invents_nothing: assert (!m_tvalid || held >= COUNT_W'(LANES_OUT));
            gives_it_in_turn: assert (!m_tvalid || !here || given == value);
            holds_no_more: assert (held <= COUNT_W'(HOLDS + LANES_IN));
            gives_in_time: assert (silent_reg <= WAIT_W'(PATIENCE));
            takes_in_time: assert (ALONE == 0 || closed_reg <= WAIT_W'(PATIENCE));
            keeps_valid: assert (!waiting_reg || m_tvalid);
            keeps_data: assert (!waiting_reg || m_tdata == last_data_reg);
        end
    end

endmodule

`default_nettype wire
