// Decoder of a word of a code of sparse parities, by flipping data bits that too many parities speak against: passes in
// parallel, as hwflow/codes/flips.py says. Any word comes out, however many errors it has.
//
//   N, K        bits of a word and of its data: data bits first, then the checks, each the parity of some data bits
//   EACH        checks that a data bit stands in
//   PASSES      in which bits flip
//   THRESHOLDS  violated checks of its own from which on a data bit flips in pass p, at bits [8*p +: 8]; last, those
//               from which on it is in doubt after the passes. Each 1 to EACH
//   ROWS        the checks of data bit i, 0 to N-K-1 and all different, at bits [16*(EACH*i+e) +: 16] for e below EACH
//
// A pass is what hardware does at once: the violated checks of the data as it is by now; then every data bit flips that
// has enough of them. Stored checks never flip. They are read once, for the first syndrome: a bit that flips turns the
// checks that it stands in, so that the next syndrome is this one and the parities of the flips, and the stored checks
// need not be carried along. Votes have neither adders nor comparisons: vectors say which data bits have more than t violated
// checks among the first ones.
//
// Timing: LATENCY = PASSES + 3 cycles with en_i, a word a cycle: the word; its syndrome; for each pass data and syndrome
// after the flips; which data is in doubt. The outputs hold without en_i.

`default_nettype none

module hwflow_decode_flips #(
    parameter int N      = 6,
    parameter int K      = 3,
    parameter int EACH   = 2,
    parameter int PASSES = 1,
    parameter logic [8*(PASSES+1)-1:0] THRESHOLDS = {(PASSES + 1){8'd2}},
    parameter logic [16*EACH*K-1:0]    ROWS       = (16 * EACH * K)'(96'h0002_0001_0002_0000_0001_0000)
) (
    input  wire          clk_i,
    input  wire          en_i,
    input  wire  [N-1:0] data_i,
    output logic [K-1:0] data_o,
    output logic [K-1:0] doubt_o,
    output logic         wrong_o
);

    // What is not inlined is compiled once for all decoders of a simulated design.
    /* verilator no_inline_module */

    localparam int CHECKS = N - K;

    if (K < 1 || CHECKS < 1 || EACH < 1 || EACH > CHECKS) begin : gen_error_code
        initial $fatal(1, "hwflow_decode_flips: no code of N (%0d) and K (%0d) has EACH (%0d) checks a bit", N, K, EACH);
    end
    if (PASSES < 1) begin : gen_error_passes
        initial $fatal(1, "hwflow_decode_flips: PASSES (%0d) must be positive", PASSES);
    end
    for (genvar p = 0; p <= PASSES; p++) begin : gen_threshold
        if (THRESHOLDS[8*p+:8] < 8'd1 || 32'(THRESHOLDS[8*p+:8]) > EACH) begin : gen_error_threshold
            initial $fatal(1, "hwflow_decode_flips: THRESHOLDS (%0d in pass %0d) must be 1 to EACH (%0d)",
                           THRESHOLDS[8*p+:8], p, EACH);
        end
    end

    for (genvar i = 0; i < EACH * K; i++) begin : gen_row
        if (32'(ROWS[16*i+:16]) >= CHECKS) begin : gen_error_row
            initial $fatal(1, "hwflow_decode_flips: ROWS (%0d of bit %0d) must be checks, 0 to %0d",
                           ROWS[16*i+:16], i / EACH, CHECKS - 1);
        end
    end

    // Which data bits stand in check j, at bits [K*j +: K]
    function automatic logic [K*CHECKS-1:0] all_columns();
        all_columns = (K * CHECKS)'(1'b0);
        for (int i = 0; i < K; i++)
            for (int e = 0; e < EACH; e++)
                if (32'(ROWS[16*(EACH*i+e)+:16]) < CHECKS) all_columns[K*32'(ROWS[16*(EACH*i+e)+:16])+i] = 1'b1;
    endfunction

    localparam logic [K*CHECKS-1:0] COLUMNS = all_columns();

    // --- The word, which a block RAM's output register may be.

    logic [N-1:0] word_reg;

    always_ff @(posedge clk_i) if (en_i) word_reg <= data_i;

    // --- Data and syndrome before pass p; after all of them for p = PASSES.

    for (genvar p = 0; p <= PASSES; p++) begin : gen_pass
        localparam int THRESHOLD = 32'(THRESHOLDS[8*p+:8]);
        wire [K-1:0] turned;                    // data whose parities change the syndrome
        wire [CHECKS-1:0] syndrome;
        logic [K-1:0] data_reg;
        logic [CHECKS-1:0] syndrome_reg;
        wire [K-1:0] reached;                   // data with THRESHOLD violated checks or more

        logic wrong_reg;                        // the word has violated checks, known from pass 1 on

        if (p == 0) begin : gen_word
            assign turned = word_reg[K-1:0];
            always_ff @(posedge clk_i) if (en_i) data_reg <= word_reg[K-1:0];
            assign wrong_reg = 1'b0;
        end else begin : gen_flip
            assign turned = gen_pass[p-1].reached;
            always_ff @(posedge clk_i) begin
                if (en_i) begin
                    data_reg  <= gen_pass[p-1].data_reg ^ turned;
                    wrong_reg <= (p == 1) ? |gen_pass[p-1].syndrome_reg : gen_pass[p-1].wrong_reg;
                end
            end
        end

        for (genvar j = 0; j < CHECKS; j++) begin : gen_check
            wire was;
            if (p == 0) begin : gen_stored
                assign was = word_reg[K+j];
            end else begin : gen_syndrome
                assign was = gen_pass[p-1].syndrome_reg[j];
            end
            assign syndrome[j] = was ^ (^(turned & COLUMNS[K*j+:K]));
        end

        always_ff @(posedge clk_i) if (en_i) syndrome_reg <= syndrome;

        for (genvar e = 0; e < EACH; e++) begin : gen_vote
            wire [K-1:0] violated;              // whether check e of each data bit is
            for (genvar i = 0; i < K; i++) begin : gen_bit
                localparam int CHECK = 32'(ROWS[16*(EACH*i+e)+:16]);
                assign violated[i] = syndrome_reg[CHECK];
            end
            for (genvar t = 0; t < THRESHOLD; t++) begin : gen_count
                if (t <= e && t >= THRESHOLD - EACH + e) begin : gen_used
                    wire [K-1:0] enough;        // more than t of the checks 0 to e are
                    if (e == 0) begin : gen_one
                        assign enough = violated;
                    end else if (t == 0) begin : gen_any
                        assign enough = gen_vote[e-1].gen_count[t].gen_used.enough | violated;
                    end else if (t == e) begin : gen_all
                        assign enough = gen_vote[e-1].gen_count[t-1].gen_used.enough & violated;
                    end else begin : gen_some
                        assign enough = gen_vote[e-1].gen_count[t].gen_used.enough |
                                        (gen_vote[e-1].gen_count[t-1].gen_used.enough & violated);
                    end
                end
            end
        end

        if (THRESHOLD >= 1 && THRESHOLD <= EACH) begin : gen_reached
            assign reached = gen_vote[EACH-1].gen_count[THRESHOLD-1].gen_used.enough;
        end
    end

    // --- What is in doubt.

    always_ff @(posedge clk_i) begin
        if (en_i) begin
            data_o  <= gen_pass[PASSES].data_reg;
            doubt_o <= gen_pass[PASSES].reached;
            wrong_o <= gen_pass[PASSES].wrong_reg;
        end
    end

endmodule

`default_nettype wire
