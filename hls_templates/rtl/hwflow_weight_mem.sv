// Weight memory of two ports, in block RAM, in LUTs or in UltraRAM. Port A feeds the multipliers; port B loads, reads
// back, scrubs and injects.
//
//   WIDTH     bits of a word
//   DEPTH     words
//   MEM_FILE  $readmemh image, loaded at time 0 and by synthesis; "" leaves the memory undefined
//   STYLE     the attribute ram_style, for synthesis: "block", "distributed" for LUTs, or "ultra" for UltraRAM
//   PRELOADED 0: MEM_FILE is not loaded. In hardware UltraRAM takes no image, and is zero until port B writes
//
// Port A reads the word as it was before a write in the same cycle (READ_FIRST: the one mode in which the block RAM of
// 7-series and later defines the other port's data too; UltraRAM serves port A before port B), but in block RAM of other
// parts, as of an ECP5, that word is not defined: what port A reads of the address that port B writes is not to be used,
// and hwflow_weights sees to that. no_rw_check tells Yosys, which for an ECP5 would make two copies of the memory that
// give the old word. Nor is what port B reads while it writes to be used: block RAM gives the old word, UltraRAM holds its
// output. `mem` is the name by which a test bench reads and flips stored bits.
//
// Port A reads in every cycle and has an output register, which block RAM and UltraRAM take in.
//
// Timing: port A 2 cycles from address to data. Port B 1 cycle; it holds its output while it is not enabled.

`default_nettype none

module hwflow_weight_mem #(
    parameter int WIDTH    = 32,
    parameter int DEPTH    = 256,
    parameter     MEM_FILE = "",
    parameter     STYLE    = "block",
    parameter int PRELOADED = 1,
    localparam int ADDR_W  = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
    input  wire               clk_i,

    input  wire  [ADDR_W-1:0] a_addr_i,
    output logic [ WIDTH-1:0] a_data_o,

    input  wire               b_en_i,
    input  wire               b_we_i,
    input  wire  [ADDR_W-1:0] b_addr_i,
    input  wire  [ WIDTH-1:0] b_wdata_i,
    output logic [ WIDTH-1:0] b_rdata_o
);

    if (WIDTH < 1 || DEPTH < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_weight_mem: WIDTH (%0d) and DEPTH (%0d) must be positive", WIDTH, DEPTH);
    end

    // Of one width, to be compared.
    localparam logic [87:0] NAME = 88'(STYLE), BLOCK = 88'("block"), LUTS = "distributed", ULTRA = 88'("ultra");

    if (NAME != BLOCK && NAME != LUTS && NAME != ULTRA) begin : gen_error_style
        initial $fatal(1, "hwflow_weight_mem: STYLE must be block, distributed or ultra");
    end

    (* ram_style = STYLE, no_rw_check = DEPTH > 1 *)
    logic [WIDTH-1:0] mem [0:DEPTH-1]  /*verilator public_flat_rw*/;

    if (MEM_FILE != "" && PRELOADED != 0) begin : gen_load
        initial $readmemh(MEM_FILE, mem);
    end

    logic [WIDTH-1:0] a_read_reg;

    always_ff @(posedge clk_i) begin
        a_read_reg <= mem[a_addr_i];
        a_data_o   <= a_read_reg;
    end

    if (NAME == ULTRA) begin : gen_reads_or_writes
        always_ff @(posedge clk_i) begin
            if (b_en_i) begin
                if (b_we_i) mem[b_addr_i] <= b_wdata_i;
                else b_rdata_o <= mem[b_addr_i];
            end
        end
    end else begin : gen_reads_always
        always_ff @(posedge clk_i) begin
            if (b_en_i) begin
                if (b_we_i) mem[b_addr_i] <= b_wdata_i;
                b_rdata_o <= mem[b_addr_i];
            end
        end
    end

endmodule

`default_nettype wire
