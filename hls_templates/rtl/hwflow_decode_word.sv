// Decoder of words of a block code that several weights share: their labels, and what the labels stand for.
//
//   WORD_W          bits of a word
//   WEIGHTS, W_W    weights of a word, weight code
//   LABEL_W         bits of all labels together, WEIGHTS or more; the first LABEL_W % WEIGHTS weights have one more
//                   than the others
//   DATA_W          how many of them are data of the block code, most significant ones of each label and one or more;
//                   the first DATA_W % WEIGHTS weights have one more than the others
//   BLOCK           block code. 0: BCH, of BCH_M, BCH_T, BCH_EXTENDED as M, T, EXTENDED of hwflow_decode_bch. 1: sparse
//                   parities, of FLIPS_EACH and so on as EACH, PASSES, THRESHOLDS, ROWS of hwflow_decode_flips
//   LANES           weights of a beat: WEIGHTS, or a divisor of it; then a word is used for some beats, one after the other
//   CYCLES          from a word to the next one, at least, in cycles with en_i: 1 to WEIGHTS/LANES
//   TABLE_FILE      $readmemh file, the tables of hwflow_decode_table, one for each kind of label in the order in which
//                   the kinds come first; WORD_W of them all is the longest label's and 1: the label, 0 to fill up, and
//                   whether it is in doubt
//   LOADABLE        as in hwflow_decode_table, whose second port is tb_*: it writes the tables of all lanes, and reads
//                   those of the first one
//
// From bit 0 on a word is the block code's data, weight by weight; its checks; the other bits of the labels, weight by
// weight, WORD_W-(LABEL_W-DATA_W) on. Inside a label the less significant bits come first. A label is in doubt if any of
// its data is.
//
// With LANES = WEIGHTS a word comes in every cycle with en_i, and weight i of it comes out at bits [i*W_W +: W_W].
// Otherwise start_i, only with en_i, says that data_i is a word, of which weight i < LANES comes out there; and every
// later cycle with next_i, before the next start_i, gives the LANES weights that follow. Both may be low. So there
// are tables for LANES weights, and a BCH decoder takes CYCLES for a word.
//
// corrected_o   BLOCK_WAIT + 1 cycles after a word: it was no codeword, and no label is in doubt. uncorrectable_o: one is
//
// A further block code is a branch beside these: from data_i of BLOCK_W bits to data and doubt, a bit for each
// of DATA_W, and whether the word is wrong, BLOCK_WAIT cycles later.
//
// Timing: LATENCY = 1 cycle with en_i for the table, 1 for the label of the beat if LANES < WEIGHTS, and the block
// code's BLOCK_WAIT, which is 2*BCH_T + 5, of sparse parities FLIPS_PASSES + 3, and with CYCLES > 1 the LATENCY of
// hwflow_decode_bch_folded. data_o holds without en_i.

`default_nettype none

module hwflow_decode_word #(
    parameter int WORD_W       = 64,
    parameter int WEIGHTS      = 8,
    parameter int W_W          = 8,
    parameter int LABEL_W      = 45,
    parameter int DATA_W       = LABEL_W,
    parameter int BLOCK        = 0,
    parameter int BCH_M        = 6,
    parameter int BCH_T        = 3,
    parameter int BCH_EXTENDED = 1,
    parameter int FLIPS_EACH   = 2,
    parameter int FLIPS_PASSES = 1,
    parameter logic [8*(FLIPS_PASSES+1)-1:0]     FLIPS_THRESHOLDS = '0,
    parameter logic [16*FLIPS_EACH*DATA_W-1:0] FLIPS_ROWS       = '0,
    parameter int LANES        = WEIGHTS,
    parameter int CYCLES       = 1,
    parameter TABLE_FILE       = "",
    parameter int LOADABLE     = 0,
    localparam int LONGEST     = LABEL_W / WEIGHTS + ((LABEL_W % WEIGHTS > 0) ? 1 : 0),
    localparam int LONGER      = LABEL_W % WEIGHTS,      // labels of a bit more
    localparam int MORE_DATA   = DATA_W % WEIGHTS,       // labels of a data bit more
    localparam int FEWER       = (LONGER < MORE_DATA) ? LONGER : MORE_DATA,
    localparam int OTHER       = (LONGER < MORE_DATA) ? MORE_DATA : LONGER,
    localparam int KINDS       = 1 + ((FEWER > 0) ? 1 : 0) + ((OTHER > FEWER) ? 1 : 0),
    localparam int TADDR_W     = (LOADABLE != 0) ? LONGEST + 1 + $clog2(KINDS) : 1,
    localparam int TMEM_W      = (LOADABLE != 0) ? W_W : 1
) (
    input  wire                  clk_i,
    input  wire                  en_i,
    input  wire                  start_i,
    input  wire                  next_i,
    input  wire  [   WORD_W-1:0] data_i,
    output logic [LANES*W_W-1:0] data_o,
    output logic                 corrected_o,
    output logic                 uncorrectable_o,

    input  wire                  tb_en_i,
    input  wire                  tb_we_i,
    input  wire  [  TADDR_W-1:0] tb_addr_i,
    input  wire  [   TMEM_W-1:0] tb_wdata_i,
    output logic [   TMEM_W-1:0] tb_rdata_o
);

    localparam int RAW_W      = LABEL_W - DATA_W;
    localparam int BLOCK_W    = WORD_W - RAW_W;
    localparam int KIND_W     = (KINDS > 1) ? $clog2(KINDS) : 1;
    localparam int SLOT_W     = KIND_W + 1 + LONGEST;   // of a label: its kind, whether it is in doubt, the label
    localparam int STEPS      = BCH_T - 1;
    localparam int SLOW       = (STEPS > 0 && STEPS <= CYCLES) ? CYCLES / STEPS : 1;
    localparam int CHUNKS     = (SLOW < BCH_T + 1) ? SLOW : BCH_T + 1;
    localparam int BLOCK_WAIT = (BLOCK != 0) ? FLIPS_PASSES + 3 :
                                (CYCLES == 1) ? 2 * BCH_T + 5 : 2 * CYCLES + 2 + STEPS * CHUNKS;

    if (WEIGHTS < 1 || W_W < 1 || DATA_W < WEIGHTS || DATA_W > LABEL_W || LABEL_W >= WORD_W) begin : gen_error_labels
        initial $fatal(1, "hwflow_decode_word: of LABEL_W (%0d), fewer than WORD_W (%0d), DATA_W (%0d) must be one or %s",
                       LABEL_W, WORD_W, DATA_W, "more for each of WEIGHTS");
    end
    if (BLOCK < 0 || BLOCK > 1) begin : gen_error_block
        initial $fatal(1, "hwflow_decode_word: no such BLOCK (%0d)", BLOCK);
    end

    if (LANES < 1 || LANES > WEIGHTS || WEIGHTS % LANES != 0 || CYCLES < 1 || CYCLES * LANES > WEIGHTS)
    begin : gen_error_lanes
        initial $fatal(1, "hwflow_decode_word: LANES (%0d) must divide WEIGHTS (%0d), CYCLES (%0d) be 1 to WEIGHTS/LANES",
                       LANES, WEIGHTS, CYCLES);
    end

    // --- The data of the block code, and which of it is in doubt.

    wire [DATA_W-1:0] block_data, doubt;
    wire wrong;

    if (BLOCK == 0 && CYCLES > 1) begin : gen_bch_folded
        hwflow_decode_bch_folded #(
            .N        (BLOCK_W),
            .K        (DATA_W),
            .M        (BCH_M),
            .T        (BCH_T),
            .EXTENDED (BCH_EXTENDED),
            .CYCLES   (CYCLES)
        ) decode (
            .clk_i   (clk_i),
            .en_i    (en_i),
            .start_i (start_i),
            .data_i  (data_i[BLOCK_W-1:0]),
            .data_o  (block_data),
            .doubt_o (doubt),
            .wrong_o (wrong)
        );
    end else if (BLOCK == 0) begin : gen_bch
        hwflow_decode_bch #(
            .N        (BLOCK_W),
            .K        (DATA_W),
            .M        (BCH_M),
            .T        (BCH_T),
            .EXTENDED (BCH_EXTENDED)
        ) decode (
            .clk_i   (clk_i),
            .en_i    (en_i),
            .data_i  (data_i[BLOCK_W-1:0]),
            .data_o  (block_data),
            .doubt_o (doubt),
            .wrong_o (wrong)
        );
    end else begin : gen_flips
        hwflow_decode_flips #(
            .N          (BLOCK_W),
            .K          (DATA_W),
            .EACH       (FLIPS_EACH),
            .PASSES     (FLIPS_PASSES),
            .THRESHOLDS (FLIPS_THRESHOLDS),
            .ROWS       (FLIPS_ROWS)
        ) decode (
            .clk_i   (clk_i),
            .en_i    (en_i),
            .data_i  (data_i[BLOCK_W-1:0]),
            .data_o  (block_data),
            .doubt_o (doubt),
            .wrong_o (wrong)
        );
    end

    always_ff @(posedge clk_i) begin
        if (en_i) begin
            corrected_o     <= wrong && doubt == '0;
            uncorrectable_o <= doubt != '0;
        end
    end

    // --- The other bits wait for it. One that there never is fills up an empty vector.

    wire [RAW_W:0] raw;

    if (CYCLES > 1) begin : gen_raw_words
        hwflow_delay_words #(
            .WIDTH  (RAW_W + 1),
            .STAGES (BLOCK_WAIT),
            .CYCLES (CYCLES)
        ) raw_line (
            .clk_i   (clk_i),
            .en_i    (en_i),
            .start_i (start_i),
            .data_i  ((RAW_W + 1)'(data_i >> BLOCK_W)),
            .data_o  (raw)
        );
    end else begin : gen_raw_line
        hwflow_delay #(
            .WIDTH  (RAW_W + 1),
            .STAGES (BLOCK_WAIT)
        ) raw_line (
            .clk_i  (clk_i),
            .en_i   (en_i),
            .data_i ((RAW_W + 1)'(data_i >> BLOCK_W)),
            .data_o (raw)
        );
    end

    wire unused_raw = &{1'b0, raw};

    // --- The labels, and those of a beat.

    wire [SLOT_W*WEIGHTS-1:0] labels;
    wire [SLOT_W*LANES-1:0] beat;

    for (genvar i = 0; i < WEIGHTS; i++) begin : gen_weight
        localparam int BITS      = LABEL_W / WEIGHTS + ((i < LONGER) ? 1 : 0);
        localparam int DATA      = DATA_W / WEIGHTS + ((i < MORE_DATA) ? 1 : 0);
        localparam int LABEL_AT  = i * (LABEL_W / WEIGHTS) + ((i < LONGER) ? i : LONGER);
        localparam int DATA_AT   = i * (DATA_W / WEIGHTS) + ((i < MORE_DATA) ? i : MORE_DATA);
        localparam int KIND      = ((FEWER > 0 && i >= FEWER) ? 1 : 0) + ((OTHER > FEWER && i >= OTHER) ? 1 : 0);
        wire [BITS-1:0] label;

        assign label[BITS-1-:DATA] = block_data[DATA_AT+:DATA];
        if (BITS > DATA) begin : gen_raw
            assign label[BITS-DATA-1:0] = raw[LABEL_AT-DATA_AT+:BITS-DATA];
        end
        assign labels[i*SLOT_W+:SLOT_W] = {KIND_W'(KIND), |doubt[DATA_AT+:DATA], LONGEST'(label)};
    end

    if (LANES == WEIGHTS) begin : gen_word_a_beat
        wire unused_beats = &{1'b0, start_i, next_i};
        assign beat = labels;
    end else begin : gen_some_beats
        wire load, move;
        logic [SLOT_W*WEIGHTS-1:0] labels_reg;

        hwflow_delay #(
            .WIDTH  (2),
            .STAGES (BLOCK_WAIT)
        ) beat_line (
            .clk_i  (clk_i),
            .en_i   (en_i),
            .data_i ({start_i, next_i}),
            .data_o ({load, move})
        );

        always_ff @(posedge clk_i) begin
            if (en_i && (load || move)) labels_reg <= load ? labels : labels_reg >> (SLOT_W * LANES);
        end

        assign beat = labels_reg[SLOT_W*LANES-1:0];
    end

    // --- What they stand for.

    wire [LANES*TMEM_W-1:0] table_read;

    assign tb_rdata_o = table_read[TMEM_W-1:0];
    if (LANES > 1) begin : gen_other_lanes
        wire unused_read = &{1'b0, table_read[LANES*TMEM_W-1:TMEM_W]};
    end

    for (genvar s = 0; s < LANES; s++) begin : gen_lane
        hwflow_decode_table #(
            .W_W        (W_W),
            .WORD_W     (LONGEST + 1),
            .TABLES     (KINDS),
            .TABLE_FILE (TABLE_FILE),
            .LOADABLE   (LOADABLE)
        ) decode (
            .clk_i   (clk_i),
            .en_i    (en_i),
            .table_i (beat[s*SLOT_W+LONGEST+1+:KIND_W]),
            .data_i  (beat[s*SLOT_W+:LONGEST+1]),
            .data_o  (data_o[s*W_W+:W_W]),
            .b_en_i    (tb_en_i),
            .b_we_i    (tb_we_i),
            .b_addr_i  (tb_addr_i),
            .b_wdata_i (tb_wdata_i),
            .b_rdata_o (table_read[s*TMEM_W+:TMEM_W])
        );
    end

endmodule

`default_nettype wire
