// Decoder of words that are a weight each, through a table: any word has its weight, however it came about.
//
//   W_W             weight code
//   WORD_W          bits of a word
//   TABLES          tables in the file
//   TABLE_FILE      $readmemh file, TABLES times 2^WORD_W words of W_W bits: word i of a table is the weight code that
//                   the word i stands for; "": i itself
//
// table_i says which table a word is looked up in, 0 to TABLES-1.
//
// The table is kept out of block RAM, and no port writes it: it lies among the configuration bits, as the outliers'
// rests do. No fault reaches it.
//
// Timing: 1 cycle with en_i, a word a cycle. data_o holds without en_i.

`default_nettype none

module hwflow_decode_table #(
    parameter int W_W    = 8,
    parameter int WORD_W = W_W,
    parameter int TABLES = 1,
    parameter TABLE_FILE = "",
    localparam int TABLE_W = (TABLES > 1) ? $clog2(TABLES) : 1
) (
    input  wire                clk_i,
    input  wire                en_i,
    input  wire  [TABLE_W-1:0] table_i,
    input  wire  [ WORD_W-1:0] data_i,
    output logic [    W_W-1:0] data_o
);

    localparam int ADDR_W = WORD_W + $clog2(TABLES);

    if (W_W < 1 || W_W > 16 || WORD_W < 1 || WORD_W > 16) begin : gen_error_width
        initial $fatal(1, "hwflow_decode_table: W_W (%0d) and WORD_W (%0d) must be 1 to 16", W_W, WORD_W);
    end
    if (TABLES < 1) begin : gen_error_table
        initial $fatal(1, "hwflow_decode_table: TABLES (%0d) must be positive", TABLES);
    end

    (* rom_block = "logic", rom_style = "distributed" *)  // the first for Yosys, the second for Vivado
    logic [W_W-1:0] rom [0:(TABLES<<WORD_W)-1];

    if (TABLE_FILE != "") begin : gen_load
        initial $readmemh(TABLE_FILE, rom);
    end else begin : gen_plain
        initial for (int i = 0; i < (TABLES << WORD_W); i++) rom[i] = W_W'(i);
    end

    always_ff @(posedge clk_i) begin
        if (en_i) data_o <= rom[ADDR_W'({table_i, data_i})];
    end

endmodule

`default_nettype wire
