// Formal only: the control of hwflow_mvu gives N_OUT / PE results a vector of N_IN / SIMD beats, none too many, and stops
// for ever neither with a result inside nor without one; it asks for a vector's weights as often as it uses them. That
// the results are right is what its testbench holds.

`default_nettype none

module proof_mvu #(
    parameter int N_IN      = 2,
    parameter int N_OUT     = 2,
    parameter int W_LATENCY = 2,
    localparam int PATIENCE = W_LATENCY + 9 + N_IN,
    localparam int HOLDS    = W_LATENCY + 11 + 2 * N_OUT,
    localparam int COUNT_W  = $clog2(HOLDS + N_OUT + 1) + 1,
    localparam int WAIT_W   = $clog2(PATIENCE + 2),
    localparam int PLACE_W  = $clog2(N_IN + 1),
    localparam int ASKED_W  = $clog2(N_IN * N_OUT + 1),
    localparam int PIPELINE = W_LATENCY + 6,                                // cycles from a beat to its result
    localparam int DEPTH    = (PIPELINE + 4 + N_IN - 1) / N_IN + 1,         // of hwflow_catch
    localparam int FREE_W   = $clog2(DEPTH + 1),
    localparam int SF_W     = (N_IN > 1) ? $clog2(N_IN) : 1,
    localparam int NF_W     = (N_OUT > 1) ? $clog2(N_OUT) : 1
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
    logic [PLACE_W-1:0] place_reg, before_reg;  // beats of the vector that comes in, and so in the cycle before
    logic [ASKED_W-1:0] asked_reg;  // weights of the vector that is worked on
    logic past_reg, waiting_reg, in_reg;  // in_reg: in the cycle before
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
            in_reg      <= 1'b0;
            before_reg  <= '0;
            silent_reg  <= '0;
            closed_reg  <= '0;
        end else begin
            held_reg <= held_reg + (whole ? COUNT_W'(N_OUT) : '0) - COUNT_W'(out);
            if (in) place_reg <= whole ? '0 : place_reg + 1'b1;
            if (next) asked_reg <= (asked_reg == ASKED_W'(N_IN * N_OUT - 1)) ? '0 : asked_reg + 1'b1;
            waiting_reg <= m_tvalid && !m_tready;
            in_reg      <= in;
            before_reg  <= place_reg;
            silent_reg  <= (m_tvalid || held_reg == '0) ? '0 : silent_reg + 1'b1;
            closed_reg  <= (s_tready || held_reg != '0) ? '0 : closed_reg + 1'b1;
        end
    end

    // What holds inside in every state, so that the solver need not find it: every place for a result is free, or was
    // left in the cycle before, or a result is on its way to it or waits in it, and so on. Yosys takes the wires for those
    // of the cell.
    (* hierconn *) wire [FREE_W-1:0] \cell_under_proof.results.free_reg ;
    (* hierconn *) wire \cell_under_proof.results.left_reg ;
    (* hierconn *) wire \cell_under_proof.results.room_o ;
    (* hierconn *) wire [FREE_W-1:0] \cell_under_proof.results.results.count_reg ;
    (* hierconn *) wire \cell_under_proof.results.results.full_reg ;
    (* hierconn *) wire \cell_under_proof.results.results.empty_reg ;
    (* hierconn *) wire \cell_under_proof.results.results.gen_output.valid_reg ;
    (* hierconn *) wire [PIPELINE-1:0] \cell_under_proof.done_reg ;
    (* hierconn *) wire [SF_W-1:0] \cell_under_proof.sf_reg ;
    (* hierconn *) wire [NF_W-1:0] \cell_under_proof.nf_reg ;
    (* hierconn *) wire \cell_under_proof.first_fold_reg ;
    (* hierconn *) wire \cell_under_proof.last_fold_reg ;
    (* hierconn *) wire \cell_under_proof.last_beat_reg ;

    wire [7:0] free   = \cell_under_proof.results.free_reg ;
    wire [7:0] left   = \cell_under_proof.results.left_reg ;
    wire [7:0] stored = \cell_under_proof.results.results.count_reg ;
    wire [7:0] read   = \cell_under_proof.results.results.gen_output.valid_reg ;
    wire [7:0] sf     = \cell_under_proof.sf_reg ;
    wire [7:0] nf     = \cell_under_proof.nf_reg ;
    wire [7:0] to_do  = (nf == 0) ? 8'd0 : 8'(N_OUT) - nf;  // results of the vector that are not on their way
    wire [PIPELINE-1:0] on_way = \cell_under_proof.done_reg ;

    logic [7:0] moving, oldest;
    always_comb begin
        moving = 0;
        oldest = 0;
        for (int i = 0; i < PIPELINE; i++) begin
            moving = moving + 8'(on_way[i]);
            if (on_way[i]) oldest = 8'(i);
        end
    end

    always @(posedge clk_i) begin
        if (past_reg && rst_ni) begin
            places: assert (free + left + moving + stored + read == 8'(DEPTH));
            room: assert (\cell_under_proof.results.room_o == (free != 0));
            full: assert (\cell_under_proof.results.results.full_reg == (stored == 8'(DEPTH)));
            empty: assert (\cell_under_proof.results.results.empty_reg == (stored == 0));
            results: assert (held_reg == moving + stored + read + to_do);
            folds: assert (nf < 8'(N_OUT) && \cell_under_proof.first_fold_reg == (nf == 0));
            last_fold: assert (\cell_under_proof.last_fold_reg == (nf == 8'(N_OUT - 1)));
            beats: assert (sf < 8'(N_IN) && \cell_under_proof.last_beat_reg == (sf == 8'(N_IN - 1)));
            place: assert (place_reg == ((nf == 0) ? sf : 8'd0));
            asked: assert (asked_reg < N_IN * N_OUT && (asked_reg + next) % (N_IN * N_OUT) == nf * N_IN + sf);
            before: assert (!in_reg || (next && (before_reg + 1) % (N_IN * N_OUT) == nf * N_IN + sf));
            silence: assert (read != 0 || silent_reg <= ((stored != 0) ? 8'(N_IN + PIPELINE) :
                                                         (moving != 0) ? 8'(N_IN) + oldest : sf));
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
            asks_with_the_vector: assert (!in_reg || (next && asked_reg == ASKED_W'(before_reg)));
        end
    end

endmodule

`default_nettype wire
