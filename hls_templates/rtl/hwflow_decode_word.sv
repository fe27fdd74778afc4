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
//   TABLE_FILE      $readmemh file, the tables of hwflow_decode_table, one for each kind of label in the order in which
//                   the kinds come first; WORD_W of them all is the longest label's and 1: the label, 0 to fill up, and
//                   whether it is in doubt
//
// From bit 0 on a word is the block code's data, weight by weight; its checks; the other bits of the labels, weight by
// weight, WORD_W-(LABEL_W-DATA_W) on. Inside a label the less significant bits come first. Weight i comes out at
// bits [i*W_W +: W_W]. A label is in doubt if any of its data is.
//
// A further block code is a branch beside these: from data_i of BLOCK_W bits to data and doubt, a bit for each
// of DATA_W, BLOCK_WAIT cycles later.
//
// Timing: LATENCY = 2*BCH_T + 6 cycles with en_i, of sparse parities FLIPS_PASSES + 4, a word a cycle: the block code's,
// and the table. data_o holds without en_i.

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
    parameter TABLE_FILE       = ""
) (
    input  wire                    clk_i,
    input  wire                    en_i,
    input  wire  [     WORD_W-1:0] data_i,
    output logic [WEIGHTS*W_W-1:0] data_o
);

    localparam int RAW_W      = LABEL_W - DATA_W;
    localparam int BLOCK_W    = WORD_W - RAW_W;
    localparam int LONGER     = LABEL_W % WEIGHTS;      // labels of a bit more
    localparam int MORE_DATA  = DATA_W % WEIGHTS;       // labels of a data bit more
    localparam int LONGEST    = LABEL_W / WEIGHTS + ((LONGER > 0) ? 1 : 0);
    localparam int FEWER      = (LONGER < MORE_DATA) ? LONGER : MORE_DATA;
    localparam int OTHER      = (LONGER < MORE_DATA) ? MORE_DATA : LONGER;
    localparam int KINDS      = 1 + ((FEWER > 0) ? 1 : 0) + ((OTHER > FEWER) ? 1 : 0);
    localparam int BLOCK_WAIT = (BLOCK == 0) ? 2 * BCH_T + 5 : FLIPS_PASSES + 3;  // cycles of its decoder

    if (WEIGHTS < 1 || W_W < 1 || DATA_W < WEIGHTS || DATA_W > LABEL_W || LABEL_W >= WORD_W) begin : gen_error_labels
        initial $fatal(1, "hwflow_decode_word: of LABEL_W (%0d), fewer than WORD_W (%0d), DATA_W (%0d) must be one or %s",
                       LABEL_W, WORD_W, DATA_W, "more for each of WEIGHTS");
    end
    if (BLOCK < 0 || BLOCK > 1) begin : gen_error_block
        initial $fatal(1, "hwflow_decode_word: no such BLOCK (%0d)", BLOCK);
    end

    // --- The data of the block code, and which of it is in doubt.

    wire [DATA_W-1:0] block_data, doubt;

    if (BLOCK == 0) begin : gen_bch
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
            .doubt_o (doubt)
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
            .doubt_o (doubt)
        );
    end

    // --- The other bits wait for it. One that there never is fills up an empty vector.

    wire [RAW_W:0] raw;

    hwflow_delay #(
        .WIDTH  (RAW_W + 1),
        .STAGES (BLOCK_WAIT)
    ) raw_line (
        .clk_i  (clk_i),
        .en_i   (en_i),
        .data_i ((RAW_W + 1)'(data_i >> BLOCK_W)),
        .data_o (raw)
    );

    wire unused_raw = &{1'b0, raw};

    // --- What the labels stand for.

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

        hwflow_decode_table #(
            .W_W        (W_W),
            .WORD_W     (LONGEST + 1),
            .TABLES     (KINDS),
            .TABLE      (KIND),
            .TABLE_FILE (TABLE_FILE)
        ) decode (
            .clk_i  (clk_i),
            .en_i   (en_i),
            .data_i ({|doubt[DATA_AT+:DATA], LONGEST'(label)}),
            .data_o (data_o[i*W_W+:W_W])
        );
    end

endmodule

`default_nettype wire
