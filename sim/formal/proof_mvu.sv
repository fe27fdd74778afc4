// Formal only: the control of hwflow_mvu gives N_OUT / PE results a vector of N_IN / SIMD beats, none too many, and stops
// for ever neither with a result inside nor without one; it asks for a vector's weights as often as it uses them. That
// the results are right is what its testbench holds.

`default_nettype none

module proof_mvu #(
    parameter int N_IN      = 2,
    parameter int N_OUT     = 2,
    parameter int W_LATENCY = 2,
    localparam int PATIENCE = W_LATENCY + 8 + N_IN,
    localparam int HOLDS    = W_LATENCY + 10 + 2 * N_OUT,
    localparam int COUNT_W  = $clog2(HOLDS + N_OUT + 1) + 1,
    localparam int WAIT_W   = $clog2(PATIENCE + 2),
    localparam int PLACE_W  = $clog2(N_IN + 1),
    localparam int ASKED_W  = $clog2(N_IN * N_OUT + 1)
) (
    input wire       clk_i,
    input wire       rst_ni,
    input wire       s_tdata,
    input wire       s_tvalid,
    input wire       m_tready,
    input wire [1:0] weight_i,
    input wire       bias_i
);

    wire [1:0] m_tdata;
    wire s_tready, m_tvalid, next;

    hwflow_mvu #(
        .PE(1), .SIMD(1), .N_IN(N_IN), .N_OUT(N_OUT), .X_W(1), .X_SIGNED(0), .W_W(2), .W_LATENCY(W_LATENCY),
        .ACC_W(8), .ACC_FRAC(0), .B_W(1), .B_SHIFT(0), .OUT_W(2), .OUT_FRAC(0), .OUT_SIGNED(1)
    ) cell_under_proof (
        .clk_i(clk_i), .rst_ni(rst_ni),
        .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .w_next_o(next), .w_data_i(weight_i), .w_bias_i(bias_i),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

    logic [COUNT_W-1:0] held_reg;   // results of the vectors that are in
    logic [PLACE_W-1:0] place_reg;  // beats of the vector that comes in
    logic [ASKED_W-1:0] asked_reg;  // weights of the vector that is worked on
    logic past_reg, waiting_reg;
    logic [WAIT_W-1:0] silent_reg, closed_reg;

    initial past_reg = 1'b0;

    wire in    = s_tvalid && s_tready;
    wire whole = in && place_reg == PLACE_W'(N_IN - 1);
    wire out   = m_tvalid && m_tready;

    always_ff @(posedge clk_i) begin
        past_reg <= 1'b1;
        if (!rst_ni) begin
            held_reg    <= '0;
            place_reg   <= '0;
            asked_reg   <= '0;
            waiting_reg <= 1'b0;
            silent_reg  <= '0;
            closed_reg  <= '0;
        end else begin
            held_reg <= held_reg + (whole ? COUNT_W'(N_OUT) : '0) - COUNT_W'(out);
            if (in) place_reg <= whole ? '0 : place_reg + 1'b1;
            if (next) asked_reg <= (asked_reg == ASKED_W'(N_IN * N_OUT - 1)) ? '0 : asked_reg + 1'b1;
            waiting_reg <= m_tvalid && !m_tready;
            silent_reg  <= (m_tvalid || held_reg == '0) ? '0 : silent_reg + 1'b1;
            closed_reg  <= (s_tready || held_reg != '0) ? '0 : closed_reg + 1'b1;
        end
    end

    always @(posedge clk_i) begin
        assume (past_reg || !rst_ni);
        if (past_reg && rst_ni) begin
            invents_nothing: assert (!m_tvalid || held_reg != '0);
            holds_no_more: assert (held_reg <= COUNT_W'(HOLDS));
            gives_in_time: assert (silent_reg <= WAIT_W'(PATIENCE));
            takes_in_time: assert (closed_reg <= WAIT_W'(PATIENCE));
            keeps_valid: assert (!waiting_reg || m_tvalid);
            asks_with_the_vector: assert (!in || (next && asked_reg == ASKED_W'(place_reg)));
        end
    end

endmodule

`default_nettype wire
