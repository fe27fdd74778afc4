// A layer's weights and biases for the unit that multiplies, beat by beat in the order of its folds, round
// and round: hwflow_weight_mem, the decoder of its storage code, the outliers' rests, and the biases.
//
//   PE, SIMD        outputs and inputs of a beat; PE divides N_OUT, SIMD divides N_IN. NF = N_OUT/PE,
//                   SF = N_IN/SIMD
//   N_IN, N_OUT     the matrix
//   CHANNELWISE     0: a bias an output, for all of its beats. 1: a bias a column, for layers that work channel by
//                   channel: the channels are N_IN, a row has one weight of each; PE = 1
//   W_W             weight code, signed
//   CODE            storage code. 0: plain, a stored word is a weight, K = 1. 1: SECDED, it is K = 64/W_W weights
//                   of one output and 8 check bits, as hwflow_decode_secded has them. 2: table, a stored word is a
//                   weight through the table of hwflow_decode_table, K = 1. 3: a block code, a stored word is K = WEIGHTS
//                   weights of one output in STORED_W bits, as hwflow_decode_word has them
//   ON_DOUBLE       as in hwflow_decode_secded
//   STORED_W        WORD_W of hwflow_decode_word, whose WEIGHTS, LABEL_W, DATA_W, BLOCK, BCH_* and FLIPS_* follow;
//                   CODE 3 alone needs them
//   TABLE_FILE      as in hwflow_decode_table, with CODE 3 as in hwflow_decode_word; both need one
//   B_W             bias code, signed
//   WEIGHT_FILE     $readmemh file, see below
//   MEM_STYLE       STYLE of hwflow_weight_mem
//   PRELOADED       0: the weight memory does not take its WEIGHT_FILE, as URAM in hardware
//   BIAS_FILE       $readmemh file, NF words: word nf holds bias[nf*PE+p] at bits [p*B_W +: B_W]; channelwise
//                   SF words: word sf holds bias[sf*SIMD+s] at bits [s*B_W +: B_W]
//   REST_ROWS, REST_SLOTS, REST_W, KEEPS, REST_FILE   side memory of the outliers and kept weights: ROWS and others of
//                   hwflow_outliers, whose lane p*SIMD+s is for w[nf*PE+p][sf*SIMD+s] of beat nf*SF+sf; 0 rows: none
//
// Row o of the matrix is ceil(N_IN/K) stored words of WORD_W bits, the last filled up with zeros: word j holds
// w[o][j*K+l] as its weight l. An address of the memory holds WORDS of them for each of PE rows, word v of row
// p at bits [(p*WORDS+v)*WORD_W +: WORD_W]:
//   SIMD a multiple of K, or N_IN   WORDS = ceil(SIMD/K), address nf*SF+sf
//   SIMD a divisor of K             WORDS = 1, address nf*ceil(N_IN/K)+j; it is read for K/SIMD beats, or for
//                                   those that are left of the row
//
// next_i says that the beat whose turn it is in this cycle is used, and turns to the next one. Data and bias of a beat come
// out together; nothing ever waits, so that they are there for a cycle only. The memory's address comes from a register: the
// memory is read at the edge after the one that takes next_i, biases later, and nothing is kept of what was read before.
//
//   LOADABLE        1: the rests and the tables have second ports, rb_* and tb_*; else these are a bit wide and not used
//
// The weight memory's second port is wb_*: wb_rdata of a read follows wb_en_i by three cycles, and wb_wdata of a write is
// that of the cycle after wb_en_i. It has the stored words, check bits too. While wb_wait_o is high the memory does not
// write, and the write is to be held: a beat is read that may be of the same address, and would not be defined in the
// block RAM of all parts. It is low again after 2 * TURNS cycles, or 3 * TURNS where the rounds are odd, for the lowest
// bits of the addresses that beats are read at differ in turn. That of the biases is bb_*: bb_rdata follows by a cycle,
// and bb_wdata is there with bb_en_i. Without files the weights are whatever port B writes, and the biases 0.
// `memory.mem` and `bias_mem` are the names by which a test bench flips stored bits.
//
// corrected_o, uncorrectable_o   a bit for each stored word of an address, for a cycle when it was read: its code found
//               errors, and corrected them or not. A word that is read for several beats counts once.
//
// A word of a block code that is read for several beats is decoded once, with the first of them, by a decoder that takes
// as many cycles as the fewest beats that a word is read for: K/SIMD, or what is left for a row's last word.
//
// Timing: from next_i to the beat's data 3 cycles; with a table 1 more, for SECDED 2 more or with SIMD < K 3 more, for a
// block code the LATENCY of hwflow_decode_word more; with a side memory 1 more. A beat a cycle.

`default_nettype none

module hwflow_weights #(
    parameter int PE          = 2,
    parameter int SIMD        = 2,
    parameter int N_IN        = 8,
    parameter int N_OUT       = 4,
    parameter int CHANNELWISE = 0,
    parameter int W_W         = 8,
    parameter int CODE        = 0,
    parameter int ON_DOUBLE   = 0,
    parameter int STORED_W    = 64,
    parameter int WEIGHTS     = 8,
    parameter int LABEL_W     = 45,
    parameter int DATA_W      = LABEL_W,
    parameter int BLOCK       = 0,
    parameter int BCH_M       = 6,
    parameter int BCH_T       = 3,
    parameter int BCH_EXTENDED = 1,
    parameter int FLIPS_EACH   = 2,
    parameter int FLIPS_PASSES = 1,
    parameter logic [8*(FLIPS_PASSES+1)-1:0]   FLIPS_THRESHOLDS = '0,
    parameter logic [16*FLIPS_EACH*DATA_W-1:0] FLIPS_ROWS       = '0,
    parameter TABLE_FILE      = "",
    parameter int B_W         = 16,
    parameter WEIGHT_FILE     = "",
    parameter MEM_STYLE       = "block",
    parameter int PRELOADED   = 1,
    parameter BIAS_FILE       = "",
    parameter int REST_ROWS   = 0,
    parameter int REST_SLOTS  = 1,
    parameter int REST_W      = 1,
    parameter int KEEPS       = 0,
    parameter REST_FILE       = "",
    parameter int LOADABLE    = 0,
    localparam int K          = (CODE == 1) ? 64 / W_W : (CODE == 3) ? WEIGHTS : 1,
    localparam int WORD_W     = (CODE == 1) ? K * W_W + 8 : (CODE == 3) ? STORED_W : W_W,
    localparam int WORDS      = (SIMD + K - 1) / K,
    localparam int TURNS      = (SIMD < K && SIMD < N_IN) ? K / SIMD : 1,  // beats of an address
    localparam int ROW        = (N_IN / SIMD + TURNS - 1) / TURNS,         // addresses of PE rows
    localparam int DEPTH      = (N_OUT / PE) * ROW,
    localparam int ADDR_W     = (DEPTH > 1) ? $clog2(DEPTH) : 1,
    localparam int MEM_W      = PE * WORDS * WORD_W,
    localparam int LANES      = PE * SIMD,
    localparam int EFFECT_W   = (REST_ROWS == 0) ? W_W : ((W_W > REST_W) ? W_W : REST_W) + ((KEEPS == 2) ? 0 : 1),
    localparam int BIASES     = (CHANNELWISE != 0) ? SIMD : PE,
    localparam int BIAS_WORDS = (CHANNELWISE != 0) ? N_IN / SIMD : N_OUT / PE,
    localparam int BADDR_W    = (BIAS_WORDS > 1) ? $clog2(BIAS_WORDS) : 1,
    localparam int BEATS      = (N_OUT / PE) * (N_IN / SIMD),
    localparam int BEAT_W     = (BEATS > 1) ? $clog2(BEATS) : 1,
    localparam int REST_LOADS = (LOADABLE != 0 && REST_ROWS > 0) ? 1 : 0,
    localparam int RADDR_W    = (REST_LOADS != 0 && REST_ROWS > 1) ? $clog2(REST_ROWS) : 1,
    localparam int SLOT_W     = ((KEEPS != 0) ? 1 : 0) + ((LANES > 1) ? $clog2(LANES) : 1) + REST_W,
    localparam int RMEM_W     = (REST_LOADS != 0) ? BEAT_W + REST_SLOTS * SLOT_W : 1,
    localparam int TABLE_LOADS = (LOADABLE != 0 && CODE >= 2) ? 1 : 0,
    localparam int LONGER     = LABEL_W % WEIGHTS,                         // see hwflow_decode_word
    localparam int MORE_DATA  = DATA_W % WEIGHTS,
    localparam int LABEL      = LABEL_W / WEIGHTS + ((LONGER > 0) ? 1 : 0),
    localparam int KINDS      = 1 + ((LONGER > 0 || MORE_DATA > 0) ? 1 : 0) +
                                ((LONGER > 0 && MORE_DATA > 0 && LONGER != MORE_DATA) ? 1 : 0),
    localparam int TADDR_W    = (TABLE_LOADS == 0) ? 1 : (CODE == 2) ? W_W : LABEL + 1 + $clog2(KINDS),
    localparam int TMEM_W     = (TABLE_LOADS != 0) ? W_W : 1
) (
    input  wire                       clk_i,
    input  wire                       rst_ni,

    input  wire                       next_i,
    output logic [LANES*EFFECT_W-1:0] data_o,
    output logic [    BIASES*B_W-1:0] bias_o,
    output logic [      PE*WORDS-1:0] corrected_o,
    output logic [      PE*WORDS-1:0] uncorrectable_o,

    input  wire                       wb_en_i,
    input  wire                       wb_we_i,
    input  wire  [        ADDR_W-1:0] wb_addr_i,
    input  wire  [         MEM_W-1:0] wb_wdata_i,
    output logic [         MEM_W-1:0] wb_rdata_o,
    output wire                       wb_wait_o,

    input  wire                       bb_en_i,
    input  wire                       bb_we_i,
    input  wire  [       BADDR_W-1:0] bb_addr_i,
    input  wire  [    BIASES*B_W-1:0] bb_wdata_i,
    output logic [    BIASES*B_W-1:0] bb_rdata_o,

    input  wire                       rb_en_i,
    input  wire                       rb_we_i,
    input  wire  [       RADDR_W-1:0] rb_addr_i,
    input  wire  [        RMEM_W-1:0] rb_wdata_i,
    output logic [        RMEM_W-1:0] rb_rdata_o,

    input  wire                       tb_en_i,
    input  wire                       tb_we_i,
    input  wire  [       TADDR_W-1:0] tb_addr_i,
    input  wire  [        TMEM_W-1:0] tb_wdata_i,
    output logic [        TMEM_W-1:0] tb_rdata_o
);

    localparam int SF         = N_IN / SIMD;
    localparam int CYCLES     = (SF % TURNS == 0) ? TURNS : SF % TURNS;  // fewest beats of an address
    localparam int STEPS      = BCH_T - 1;
    localparam int SLOW       = (STEPS > 0 && STEPS <= CYCLES) ? CYCLES / STEPS : 1;
    localparam int CHUNKS     = (SLOW < BCH_T + 1) ? SLOW : BCH_T + 1;
    localparam int BLOCK_WAIT = (BLOCK != 0) ? FLIPS_PASSES + 3 :
                                (CYCLES == 1) ? 2 * BCH_T + 5 : 2 * CYCLES + 2 + STEPS * CHUNKS;
    localparam int ASK        = 1;                                       // cycles from next_i to the memory's address
    localparam int READ       = ASK + 2;                                 // cycles from next_i to the stored words
    localparam int DECODE     = (CODE == 1) ? ((TURNS == 1) ? 2 : 3) : (CODE == 2) ? 1 : (CODE != 3) ? 0 :
                                (TURNS == 1) ? BLOCK_WAIT + 1 : BLOCK_WAIT + 2;
    localparam int LATENCY    = READ + DECODE + ((REST_ROWS == 0) ? 0 : 1);
    localparam int GIVEN      = (CODE == 3 && TURNS > 1) ? SIMD : K;     // weights that a decoder gives at once
    localparam int TURN_W     = (TURNS > 1) ? $clog2(TURNS) : 1;
    localparam int SF_W       = (SF > 1) ? $clog2(SF) : 1;

    if (PE < 1 || SIMD < 1 || N_IN < 1 || N_OUT < 1 || N_OUT % PE != 0 || N_IN % SIMD != 0)
    begin : gen_error_fold
        initial $fatal(1, "hwflow_weights: PE (%0d) must divide N_OUT (%0d), SIMD (%0d) N_IN (%0d)",
                       PE, N_OUT, SIMD, N_IN);
    end
    if (W_W < 1 || B_W < 1 || CHANNELWISE < 0 || CHANNELWISE > 1) begin : gen_error_type
        initial $fatal(1, "hwflow_weights: widths must be positive, CHANNELWISE 0 or 1");
    end
    if (CHANNELWISE != 0 && PE != 1) begin : gen_error_channels
        initial $fatal(1, "hwflow_weights: the channels are N_IN; PE (%0d) must be 1", PE);
    end

    if (CODE < 0 || CODE > 3) begin : gen_error_code
        initial $fatal(1, "hwflow_weights: no such CODE (%0d)", CODE);
    end
    if (CODE >= 2 && TABLE_FILE == "") begin : gen_error_table
        initial $fatal(1, "hwflow_weights: CODE %0d needs a TABLE_FILE", CODE);
    end
    if (SIMD != N_IN && SIMD % K != 0 && K % SIMD != 0) begin : gen_error_word
        initial $fatal(1, "hwflow_weights: of SIMD (%0d) and the %0d weights of a word, one must divide the other",
                       SIMD, K);
    end

    // --- The beat whose turn it is.

    logic [BEAT_W-1:0] beat_reg;
    logic [  SF_W-1:0] sf_reg;

    logic last_beat, last_fold;  // registers

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            beat_reg  <= '0;
            sf_reg    <= '0;
            last_beat <= BEATS == 1;
            last_fold <= SF == 1;
        end else if (next_i) begin
            beat_reg  <= last_beat ? '0 : beat_reg + 1'b1;
            sf_reg    <= last_fold ? '0 : sf_reg + 1'b1;
            last_beat <= BEATS == 1 || (!last_beat && beat_reg == BEAT_W'(BEATS - 2));
            last_fold <= SF == 1 || (!last_fold && sf_reg == SF_W'(SF - 2));
        end
    end

    // --- Its stored words, and the turn of an address that it is.

    wire [ADDR_W-1:0] addr;
    wire [TURN_W-1:0] turn;
    wire [MEM_W-1:0] stored;

    if (TURNS == 1) begin : gen_address_a_beat
        assign addr = beat_reg;
        assign turn = '0;
    end else begin : gen_address_some_beats
        logic [ADDR_W-1:0] addr_reg;
        logic [TURN_W-1:0] turn_reg;
        wire last_turn = last_fold || turn_reg == TURN_W'(TURNS - 1);

        assign addr = addr_reg;
        assign turn = turn_reg;

        always_ff @(posedge clk_i) begin
            if (!rst_ni) begin
                addr_reg <= '0;
                turn_reg <= '0;
            end else if (next_i) begin
                turn_reg <= last_turn ? '0 : turn_reg + 1'b1;
                if (last_turn) addr_reg <= last_beat ? '0 : addr_reg + 1'b1;
            end
        end
    end

    // What the memory reads: registers of their own, which nothing but its blocks hangs on, however far apart they are. One
    // word is no block RAM, and may be written at any time.
    logic [ADDR_W-1:0] read_addr_reg;

    always_ff @(posedge clk_i) read_addr_reg <= addr;

    assign wb_wait_o = DEPTH > 1 && wb_en_i && wb_we_i && next_i && wb_addr_i[0] == addr[0];

    hwflow_weight_mem #(
        .WIDTH    (MEM_W),
        .DEPTH    (DEPTH),
        .MEM_FILE (WEIGHT_FILE),
        .STYLE    (MEM_STYLE),
        .PRELOADED (PRELOADED)
    ) memory (
        .clk_i     (clk_i),
        .a_addr_i  (read_addr_reg),
        .a_data_o  (stored),
        .b_en_i    (rst_ni && wb_en_i && !wb_wait_o),
        .b_we_i    (wb_we_i),
        .b_addr_i  (wb_addr_i),
        .b_wdata_i (wb_wdata_i),
        .b_rdata_o (wb_rdata_o)
    );

    // --- Its weights. What does not pass the decoders waits for them.

    wire [PE*WORDS*GIVEN*W_W-1:0] decoded;
    wire [LANES*W_W-1:0] weights;

    if (CODE == 0 || CODE == 2) begin : gen_no_errors
        assign corrected_o = '0;
        assign uncorrectable_o = '0;
    end

    if (CODE < 2) begin : gen_no_tables
        wire unused_port_b = &{1'b0, tb_en_i, tb_we_i, tb_addr_i, tb_wdata_i};
        assign tb_rdata_o = '0;
    end

    if (CODE == 0) begin : gen_plain
        assign decoded = stored;
    end else begin : gen_decoders
        wire start, more;  // of what was read: a word's first beat, another one
        wire unused_turns = &{1'b0, start, more};

        hwflow_delay #(
            .WIDTH  (2),
            .STAGES (READ)
        ) read_line (
            .clk_i  (clk_i),
            .en_i   (1'b1),
            .data_i ({next_i && turn == '0, next_i && turn != '0}),
            .data_o ({start, more})
        );

        wire [PE*WORDS*TMEM_W-1:0] table_read;  // of every decoder; all have the same tables
        wire unused_read = &{1'b0, table_read};

        if (CODE >= 2) begin : gen_tables
            assign tb_rdata_o = table_read[TMEM_W-1:0];
        end

        if (CODE != 2) begin : gen_errors
            wire read;
            logic [PE*WORDS-1:0] corrected, uncorrectable;

            hwflow_delay #(
                .WIDTH  (1),
                .STAGES ((CODE == 1) ? 2 : BLOCK_WAIT + 1)
            ) errors_line (
                .clk_i  (clk_i),
                .en_i   (1'b1),
                .data_i (start),
                .data_o (read)
            );

            always_ff @(posedge clk_i) begin
                corrected_o     <= corrected & {(PE * WORDS) {read}};
                uncorrectable_o <= uncorrectable & {(PE * WORDS) {read}};
            end
        end

        for (genvar i = 0; i < PE * WORDS; i++) begin : gen_word
            if (CODE == 1) begin : gen_secded
                hwflow_decode_secded #(
                    .W_W       (W_W),
                    .ON_DOUBLE (ON_DOUBLE)
                ) decode (
                    .clk_i  (clk_i),
                    .en_i   (1'b1),
                    .data_i (stored[i*WORD_W+:WORD_W]),
                    .data_o (decoded[i*GIVEN*W_W+:GIVEN*W_W]),
                    .corrected_o     (gen_errors.corrected[i]),
                    .uncorrectable_o (gen_errors.uncorrectable[i])
                );
                assign table_read[i*TMEM_W+:TMEM_W] = '0;
            end else if (CODE == 3) begin : gen_block
                hwflow_decode_word #(
                    .WORD_W       (WORD_W),
                    .WEIGHTS      (WEIGHTS),
                    .W_W          (W_W),
                    .LABEL_W      (LABEL_W),
                    .DATA_W       (DATA_W),
                    .BLOCK        (BLOCK),
                    .BCH_M        (BCH_M),
                    .BCH_T        (BCH_T),
                    .BCH_EXTENDED (BCH_EXTENDED),
                    .FLIPS_EACH   (FLIPS_EACH),
                    .FLIPS_PASSES (FLIPS_PASSES),
                    .FLIPS_THRESHOLDS (FLIPS_THRESHOLDS),
                    .FLIPS_ROWS   (FLIPS_ROWS),
                    .LANES        (GIVEN),
                    .CYCLES       (CYCLES),
                    .TABLE_FILE   (TABLE_FILE),
                    .LOADABLE     (LOADABLE)
                ) decode (
                    .clk_i   (clk_i),
                    .en_i    (1'b1),
                    .start_i (start),
                    .next_i  (more),
                    .data_i  (stored[i*WORD_W+:WORD_W]),
                    .data_o  (decoded[i*GIVEN*W_W+:GIVEN*W_W]),
                    .corrected_o     (gen_errors.corrected[i]),
                    .uncorrectable_o (gen_errors.uncorrectable[i]),
                    .tb_en_i    (tb_en_i),
                    .tb_we_i    (tb_we_i),
                    .tb_addr_i  (tb_addr_i),
                    .tb_wdata_i (tb_wdata_i),
                    .tb_rdata_o (table_read[i*TMEM_W+:TMEM_W])
                );
            end else begin : gen_table
                hwflow_decode_table #(
                    .W_W        (W_W),
                    .TABLE_FILE (TABLE_FILE),
                    .LOADABLE   (LOADABLE)
                ) decode (
                    .clk_i   (clk_i),
                    .en_i    (1'b1),
                    .table_i (1'b0),
                    .data_i  (stored[i*WORD_W+:WORD_W]),
                    .data_o  (decoded[i*GIVEN*W_W+:GIVEN*W_W]),
                    .b_en_i    (tb_en_i),
                    .b_we_i    (tb_we_i),
                    .b_addr_i  (tb_addr_i),
                    .b_wdata_i (tb_wdata_i),
                    .b_rdata_o (table_read[i*TMEM_W+:TMEM_W])
                );
            end
        end
    end

    if (CODE == 1 && TURNS > 1) begin : gen_turns
        wire [TURN_W-1:0] turn_decoded;

        hwflow_delay #(
            .WIDTH  (TURN_W),
            .STAGES (READ + DECODE - 1)
        ) turn_line (
            .clk_i  (clk_i),
            .en_i   (1'b1),
            .data_i (turn),
            .data_o (turn_decoded)
        );

        for (genvar p = 0; p < PE; p++) begin : gen_row
            wire [K*W_W-1:0] lanes = decoded[p*K*W_W+:K*W_W] >> (turn_decoded * SIMD * W_W);
            logic [SIMD*W_W-1:0] lanes_reg;
            wire unused_lanes = &{1'b0, lanes};
            always_ff @(posedge clk_i) lanes_reg <= lanes[SIMD*W_W-1:0];
            assign weights[p*SIMD*W_W+:SIMD*W_W] = lanes_reg;
        end
    end else begin : gen_no_turns
        wire unused_turn = &{1'b0, turn};

        for (genvar p = 0; p < PE; p++) begin : gen_row
            wire [WORDS*GIVEN*W_W-1:0] lanes = decoded[p*WORDS*GIVEN*W_W+:WORDS*GIVEN*W_W];
            wire unused_lanes = &{1'b0, lanes};  // of a row's last word
            assign weights[p*SIMD*W_W+:SIMD*W_W] = lanes[SIMD*W_W-1:0];
        end
    end

    if (REST_ROWS == 0) begin : gen_no_outliers
        assign data_o = weights;
        wire unused_port_b = &{1'b0, rb_en_i, rb_we_i, rb_addr_i, rb_wdata_i};
        assign rb_rdata_o = '0;
    end else begin : gen_outliers
        wire next_decoded;
        wire [BEAT_W-1:0] beat_decoded;

        hwflow_delay #(
            .WIDTH  (BEAT_W),
            .STAGES (ASK + DECODE)
        ) beat_line (
            .clk_i  (clk_i),
            .en_i   (1'b1),
            .data_i (beat_reg),
            .data_o (beat_decoded)
        );

        logic [ASK+DECODE-1:0] next_reg;

        assign next_decoded = next_reg[ASK+DECODE-1];

        always_ff @(posedge clk_i) begin
            if (!rst_ni) next_reg <= '0;
            else next_reg <= (ASK + DECODE)'({next_reg, next_i});
        end

        hwflow_outliers #(
            .LANES     (LANES),
            .W_W       (W_W),
            .DEPTH     (BEATS),
            .REST_W    (REST_W),
            .ROWS      (REST_ROWS),
            .SLOTS     (REST_SLOTS),
            .KEEPS     (KEEPS),
            .REST_FILE (REST_FILE),
            .LOADABLE  (LOADABLE)
        ) outliers (
            .clk_i  (clk_i),
            .rst_ni (rst_ni),
            .next_i (next_decoded),
            .addr_i (beat_decoded),
            .data_i (weights),
            .data_o (data_o),
            .b_en_i    (rb_en_i),
            .b_we_i    (rb_we_i),
            .b_addr_i  (rb_addr_i),
            .b_wdata_i (rb_wdata_i),
            .b_rdata_o (rb_rdata_o)
        );
    end

    // --- Its biases.

    wire [BADDR_W-1:0] bias_addr, bias_addr_decoded;
    logic [BIASES*B_W-1:0] bias_mem [0:BIAS_WORDS-1]  /*verilator public_flat_rw*/;

    if (BIAS_WORDS == BEATS) begin : gen_bias_a_beat
        assign bias_addr = beat_reg;
    end else if (CHANNELWISE != 0) begin : gen_bias_a_column
        assign bias_addr = sf_reg;
    end else begin : gen_bias_some_beats
        logic [BADDR_W-1:0] nf_reg;

        assign bias_addr = nf_reg;

        always_ff @(posedge clk_i) begin
            if (!rst_ni) nf_reg <= '0;
            else if (next_i && last_fold) nf_reg <= last_beat ? '0 : nf_reg + 1'b1;
        end
    end

    hwflow_delay #(
        .WIDTH  (BADDR_W),
        .STAGES (LATENCY - 1)
    ) bias_line (
        .clk_i  (clk_i),
        .en_i   (1'b1),
        .data_i (bias_addr),
        .data_o (bias_addr_decoded)
    );

    if (BIAS_FILE != "") begin : gen_bias
        initial $readmemh(BIAS_FILE, bias_mem);
    end else begin : gen_no_bias
        initial for (int i = 0; i < BIAS_WORDS; i++) bias_mem[i] = '0;
    end

    always_ff @(posedge clk_i) begin
        bias_o <= bias_mem[bias_addr_decoded];
    end

    always_ff @(posedge clk_i) begin
        if (bb_en_i) begin
            if (bb_we_i) bias_mem[bb_addr_i] <= bb_wdata_i;
            bb_rdata_o <= bias_mem[bb_addr_i];
        end
    end

endmodule

`default_nettype wire
