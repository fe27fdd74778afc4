// Simple dual-port memory: one port writes, one reads. It is built of LUTs where it is small or shallow, of block RAM
// where it is not.
//
//   WIDTH   bits of a word
//   DEPTH   words
//   BLOCK   1: block RAM, 0: LUTs. By default LUTs up to 32 words or up to 1024 bits
//
// What is read of a word that is written in the same cycle is not defined.
//
// Timing: data 1 cycle after the address, a word a cycle; it holds without read_en_i.

`default_nettype none

module hwflow_ram #(
    parameter int WIDTH   = 16,
    parameter int DEPTH   = 64,
    parameter int BLOCK   = (DEPTH > 32 && WIDTH * DEPTH > 1024) ? 1 : 0,
    localparam int ADDR_W = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
    input  wire               clk_i,

    input  wire               write_en_i,
    input  wire  [ADDR_W-1:0] write_addr_i,
    input  wire  [ WIDTH-1:0] write_data_i,

    input  wire               read_en_i,
    input  wire  [ADDR_W-1:0] read_addr_i,
    output logic [ WIDTH-1:0] read_data_o
);

    if (WIDTH < 1 || DEPTH < 1 || BLOCK < 0 || BLOCK > 1) begin : gen_error_size
        initial $fatal(1, "hwflow_ram: WIDTH (%0d) and DEPTH (%0d) must be positive, BLOCK 0 or 1", WIDTH, DEPTH);
    end

    // no_rw_check tells Yosys that reading what is being written is not defined.
    if (BLOCK != 0) begin : gen_block
        (* ram_style = "block", syn_ramstyle = "block_ram", no_rw_check *)
        logic [WIDTH-1:0] mem [0:DEPTH-1];

        always_ff @(posedge clk_i) if (write_en_i) mem[write_addr_i] <= write_data_i;
        always_ff @(posedge clk_i) if (read_en_i) read_data_o <= mem[read_addr_i];
    end else begin : gen_lut
        (* ram_style = "distributed", syn_ramstyle = "distributed", no_rw_check *)
        logic [WIDTH-1:0] mem [0:DEPTH-1];

        always_ff @(posedge clk_i) if (write_en_i) mem[write_addr_i] <= write_data_i;
        always_ff @(posedge clk_i) if (read_en_i) read_data_o <= mem[read_addr_i];
    end

endmodule

`default_nettype wire
