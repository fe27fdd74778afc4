// Decoder of stored words that are a weight each, through a table: any word has its weight, however it came about.
//
//   W_W           weight code, and bits of a stored word
//   TABLE_FILE    $readmemh file, 2^W_W words of W_W bits: word i is the weight code that the stored word i stands
//                 for; "": i itself
//
// The table is kept out of block RAM, and no port writes it: it lies among the configuration bits, as the outliers'
// rests do. No fault reaches it.
//
// Timing: 1 cycle with en_i, a word a cycle. data_o holds without en_i.

`default_nettype none

module hwflow_decode_table #(
    parameter int W_W    = 8,
    parameter TABLE_FILE = ""
) (
    input  wire            clk_i,
    input  wire            en_i,
    input  wire  [W_W-1:0] data_i,
    output logic [W_W-1:0] data_o
);

    if (W_W < 1 || W_W > 16) begin : gen_error_width
        initial $fatal(1, "hwflow_decode_table: W_W (%0d) must be 1 to 16", W_W);
    end

    (* rom_block = "logic", rom_style = "distributed" *)  // the first for Yosys, the second for Vivado
    logic [W_W-1:0] rom [0:(1<<W_W)-1];

    if (TABLE_FILE != "") begin : gen_load
        initial $readmemh(TABLE_FILE, rom);
    end else begin : gen_plain
        initial for (int i = 0; i < (1 << W_W); i++) rom[i] = W_W'(i);
    end

    always_ff @(posedge clk_i) begin
        if (en_i) data_o <= rom[data_i];
    end

endmodule

`default_nettype wire
