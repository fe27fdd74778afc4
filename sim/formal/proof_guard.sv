// Formal only: what leaves hwflow_guard is what its header says of any beats that come in, with tlast anywhere: those of
// an image in order, zeros where it ends early, nothing of what it has too much; whole images, and none waits for ever.

`default_nettype none

module proof_guard #(
    parameter int WIDTH = 1,
    parameter int BEATS = 2,
    localparam int HOLDS    = 4 * BEATS + 1,  // each beat inside may be an image that is filled up
    localparam int COUNT_W  = $clog2(HOLDS + BEATS + 1) + 1,
    localparam int PATIENCE = 4,
    localparam int WAIT_W   = $clog2(PATIENCE + 2)
) (
    input wire             clk_i,
    input wire             rst_ni,
    input wire             pick_i,
    input wire [1:0]       pick_fill_i,
    input wire [WIDTH-1:0] s_tdata,
    input wire             s_tlast,
    input wire             s_tvalid,
    input wire             m_tready
);

    wire [WIDTH-1:0] m_tdata;
    wire s_tready, m_tvalid, ended, early, late, busy;

    hwflow_guard #(.WIDTH(WIDTH), .BEATS(BEATS)) cell_under_proof (
        .clk_i(clk_i), .rst_ni(rst_ni), .check_i(1'b1), .enable_i(1'b1),
        .s_tdata(s_tdata), .s_tlast(s_tlast), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready),
        .ended_o(ended), .early_o(early), .late_o(late), .busy_o(busy)
    );

    // What has to come: the beats of the images so far, and one of them, any, or a zero that fills up, any.
    logic [COUNT_W-1:0] held_reg, ahead_reg, place_reg;
    logic [WIDTH-1:0] value_reg, last_data_reg;
    logic dropping_reg, picked_reg, gone_reg, past_reg, waiting_reg;
    logic [WAIT_W-1:0] silent_reg, closed_reg;

    initial past_reg = 1'b0;

    wire in    = s_tvalid && s_tready;
    wire kept  = in && !dropping_reg;
    wire whole = kept && (s_tlast || place_reg == COUNT_W'(BEATS - 1));
    wire [COUNT_W-1:0] fills = whole ? COUNT_W'(BEATS - 1) - place_reg : '0;

    wire pick = kept && pick_i && !picked_reg && COUNT_W'(pick_fill_i) <= fills;
    wire out  = m_tvalid && m_tready;
    wire here = picked_reg && !gone_reg && ahead_reg == '0;

    always_ff @(posedge clk_i) begin
        past_reg      <= 1'b1;
        last_data_reg <= m_tdata;
        if (!rst_ni) begin
            held_reg     <= '0;
            place_reg    <= '0;
            dropping_reg <= 1'b0;
            picked_reg   <= 1'b0;
            gone_reg     <= 1'b0;
            waiting_reg  <= 1'b0;
            silent_reg   <= '0;
            closed_reg   <= '0;
        end else begin
            held_reg <= held_reg + (kept ? 1'b1 + fills : '0) - COUNT_W'(out);
            if (kept) place_reg <= whole ? '0 : place_reg + 1'b1;
            if (kept && whole) dropping_reg <= !s_tlast;
            else if (in && s_tlast) dropping_reg <= 1'b0;
            picked_reg  <= picked_reg || pick;
            gone_reg    <= gone_reg || (out && here);
            waiting_reg <= m_tvalid && !m_tready;
            silent_reg  <= (m_tvalid || held_reg == '0) ? '0 : silent_reg + 1'b1;
            closed_reg  <= (s_tready || held_reg != '0) ? '0 : closed_reg + 1'b1;
        end
        if (pick) value_reg <= (pick_fill_i != '0) ? '0 : s_tdata;
        ahead_reg <= (pick ? held_reg + COUNT_W'(pick_fill_i) : ahead_reg) - COUNT_W'(out);
    end

    always @(posedge clk_i) begin
        assume (past_reg || !rst_ni);
        if (past_reg && rst_ni) begin
            invents_nothing: assert (!m_tvalid || held_reg != '0);
            gives_it_in_turn: assert (!m_tvalid || !here || m_tdata == value_reg);
            holds_no_more: assert (held_reg <= COUNT_W'(HOLDS));
            gives_in_time: assert (silent_reg <= WAIT_W'(PATIENCE));
            takes_in_time: assert (closed_reg <= WAIT_W'(PATIENCE));
            keeps_valid: assert (!waiting_reg || m_tvalid);
            keeps_data: assert (!waiting_reg || m_tdata == last_data_reg);
        end
    end

endmodule

`default_nettype wire
