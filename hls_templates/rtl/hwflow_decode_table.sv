// Decoder of words that are a weight each, through a table: any word has its weight, however it came about.
//
//   W_W             weight code
//   WORD_W          bits of a word
//   TABLES          tables in the file
//   TABLE_FILE      $readmemh file, TABLES times 2^WORD_W words of W_W bits: word i of a table is the weight code that
//                   the word i stands for; "": i itself
//
//   LOADABLE        0: a ROM in LUTs. It lies among the configuration bits, as the outliers' rests do, and no port writes
//                   it. 1: LUT RAM, which port B reads and writes, at any time
//
// table_i says which table a word is looked up in, 0 to TABLES-1.
//
// Timing: 1 cycle with en_i, a word a cycle. data_o holds without en_i. Port B 1 cycle; it holds its output while it is
// not enabled.

`default_nettype none

module hwflow_decode_table #(
    parameter int W_W    = 8,
    parameter int WORD_W = W_W,
    parameter int TABLES = 1,
    parameter TABLE_FILE = "",
    parameter int LOADABLE = 0,
    localparam int TABLE_W = (TABLES > 1) ? $clog2(TABLES) : 1,
    localparam int MADDR_W = (LOADABLE != 0) ? WORD_W + $clog2(TABLES) : 1,
    localparam int MEM_W   = (LOADABLE != 0) ? W_W : 1
) (
    input  wire                clk_i,
    input  wire                en_i,
    input  wire  [TABLE_W-1:0] table_i,
    input  wire  [ WORD_W-1:0] data_i,
    output logic [    W_W-1:0] data_o,

    input  wire                b_en_i,
    input  wire                b_we_i,
    input  wire  [MADDR_W-1:0] b_addr_i,
    input  wire  [  MEM_W-1:0] b_wdata_i,
    output logic [  MEM_W-1:0] b_rdata_o
);

    localparam int ADDR_W = WORD_W + $clog2(TABLES);

    if (W_W < 1 || W_W > 16 || WORD_W < 1 || WORD_W > 16) begin : gen_error_width
        initial $fatal(1, "hwflow_decode_table: W_W (%0d) and WORD_W (%0d) must be 1 to 16", W_W, WORD_W);
    end
    if (TABLES < 1) begin : gen_error_table
        initial $fatal(1, "hwflow_decode_table: TABLES (%0d) must be positive", TABLES);
    end

    wire [ADDR_W-1:0] addr = ADDR_W'({table_i, data_i});

    if (LOADABLE == 0) begin : gen_rom
        (* rom_block = "logic", rom_style = "distributed" *)  // the first for Yosys, the second for Vivado
        logic [W_W-1:0] rom [0:(TABLES<<WORD_W)-1];

        if (TABLE_FILE != "") begin : gen_load
            initial $readmemh(TABLE_FILE, rom);
        end else begin : gen_plain
            initial for (int i = 0; i < (TABLES << WORD_W); i++) rom[i] = W_W'(i);
        end

        always_ff @(posedge clk_i) begin
            if (en_i) data_o <= rom[addr];
        end

        wire unused_port_b = &{1'b0, b_en_i, b_we_i, b_addr_i, b_wdata_i};
        assign b_rdata_o = '0;
    end else begin : gen_ram
        // no_rw_check tells Yosys that reading what is being written is not defined.
        (* ram_style = "distributed", syn_ramstyle = "distributed", no_rw_check *)
        logic [W_W-1:0] ram [0:(TABLES<<WORD_W)-1];

        if (TABLE_FILE != "") begin : gen_load
            initial $readmemh(TABLE_FILE, ram);
        end else begin : gen_plain
            initial for (int i = 0; i < (TABLES << WORD_W); i++) ram[i] = W_W'(i);
        end

        always_ff @(posedge clk_i) begin
            if (en_i) data_o <= ram[addr];
        end

        always_ff @(posedge clk_i) begin
            if (b_en_i) begin
                if (b_we_i) ram[b_addr_i] <= b_wdata_i;
                b_rdata_o <= ram[b_addr_i];
            end
        end
    end

endmodule

`default_nettype wire
