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
// Yosys chooses blocks of one shape for a memory, and puts LUTs between blocks and registers where it is deeper: 9216 words
// of 32 bits are 9 blocks of 1024 deep. So for Yosys alone the words up to the largest power of two and those above it are
// two memories, where that takes no more blocks: 8192 words are blocks of 2 bits, and a choice of two is left.
//
// Port B has registers of its own for address and enables, which nothing but the memory's blocks hangs on, however far
// apart they are, and an output register. For the cycle after b_en_i, in which it writes b_wdata_i, and the next one, the
// memory and that register are enabled; else nothing of them changes.
//
// Timing: port A 2 cycles from address to data. Port B 3 cycles from b_en_i and address to data, which it holds until a cycle
// after the next b_en_i; it writes what is at b_wdata_i a cycle after b_en_i.

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

    logic b_first_reg, b_active_reg;  // the first of the two cycles in which port B is enabled, both
    logic [ADDR_W-1:0] b_addr_reg;

    always_ff @(posedge clk_i) begin
        b_first_reg  <= b_en_i;
        b_active_reg <= b_en_i || b_first_reg;
        b_addr_reg   <= b_addr_i;
    end

    (* ram_style = STYLE, no_rw_check = DEPTH > 1 *)
    logic [WIDTH-1:0] mem [0:DEPTH-1]  /*verilator public_flat_rw*/;

`ifdef YOSYS
    // Blocks of so many words by the narrowest that a block of 18 kbit can be: 18 bits x 1024, 9 x 2048, and so on.
    function automatic int blocks_of(input int words, input int shape);
        blocks_of = ((WIDTH + (18 >> shape) - 1) / (18 >> shape)) * ((words + (1024 << shape) - 1) >> (10 + shape));
    endfunction

    function automatic int fewest_of(input int words);
        fewest_of = blocks_of(words, 0);
        for (int i = 1; i < 5; i++) if (blocks_of(words, i) < fewest_of) fewest_of = blocks_of(words, i);
    endfunction

    // Whether the two parts take no more blocks, whichever of the best shapes the upper one is given, and these are more
    // than two deep.
    function automatic logic pays(input int low);
        int fewest;
        fewest = fewest_of(DEPTH);
        pays = DEPTH > low;
        for (int i = 0; i < 5; i++) begin
            if (blocks_of(DEPTH, i) == fewest &&
                (DEPTH <= 2048 << i || fewest_of(low) + blocks_of(DEPTH - low, i) > fewest)) pays = 1'b0;
        end
    endfunction

    localparam int LOW       = 1 << (ADDR_W - 1);
    localparam logic IN_TWO  = NAME == BLOCK && pays(LOW);
`else
    localparam int LOW       = 1;
    localparam logic IN_TWO  = 1'b0;
`endif

    if (IN_TWO) begin : gen_two
        localparam int LOW_W = ADDR_W - 1;

        // Words from LOW on are the only ones of `high` that an address reaches, so that no other takes a block.
        (* ram_style = "block", no_rw_check *)
        logic [WIDTH-1:0] low [0:LOW-1];
        (* ram_style = "block", no_rw_check *)
        logic [WIDTH-1:0] high [0:DEPTH-1];

        if (MEM_FILE != "" && PRELOADED != 0) begin : gen_load
            initial $readmemh(MEM_FILE, low);
            initial $readmemh(MEM_FILE, high);
        end

        wire [LOW_W-1:0] a_low_addr = a_addr_i[LOW_W-1:0], b_low_addr = b_addr_reg[LOW_W-1:0];
        logic [WIDTH-1:0] a_low_reg, a_high_reg, a_low_out_reg, a_high_out_reg;
        logic [WIDTH-1:0] b_low_reg, b_high_reg, b_low_out_reg, b_high_out_reg;
        logic a_is_high_reg, a_is_high_out_reg, b_is_high_reg, b_is_high_out_reg;
        logic b_low_write_reg, b_high_write_reg;

        // Each part has its output register, so that its blocks take it in; what chooses comes behind.
        assign a_data_o  = a_is_high_out_reg ? a_high_out_reg : a_low_out_reg;
        assign b_rdata_o = b_is_high_out_reg ? b_high_out_reg : b_low_out_reg;

        always_ff @(posedge clk_i) begin
            a_low_reg     <= low[a_low_addr];
            a_high_reg    <= high[{1'b1, a_low_addr}];
            a_is_high_reg <= a_addr_i[LOW_W];

            a_low_out_reg     <= a_low_reg;
            a_high_out_reg    <= a_high_reg;
            a_is_high_out_reg <= a_is_high_reg;
        end

        always_ff @(posedge clk_i) begin
            b_low_write_reg  <= b_en_i && b_we_i && !b_addr_i[LOW_W];
            b_high_write_reg <= b_en_i && b_we_i && b_addr_i[LOW_W];
            if (b_active_reg) begin
                if (b_low_write_reg) low[b_low_addr] <= b_wdata_i;
                if (b_high_write_reg) high[{1'b1, b_low_addr}] <= b_wdata_i;
                b_low_reg     <= low[b_low_addr];
                b_high_reg    <= high[{1'b1, b_low_addr}];
                b_is_high_reg <= b_addr_reg[LOW_W];

                b_low_out_reg     <= b_low_reg;
                b_high_out_reg    <= b_high_reg;
                b_is_high_out_reg <= b_is_high_reg;
            end
        end
    end else begin : gen_one
        if (MEM_FILE != "" && PRELOADED != 0) begin : gen_load
            initial $readmemh(MEM_FILE, mem);
        end

        logic [WIDTH-1:0] a_read_reg;

        always_ff @(posedge clk_i) begin
            a_read_reg <= mem[a_addr_i];
            a_data_o   <= a_read_reg;
        end

        logic b_write_reg;
        logic [WIDTH-1:0] b_read_reg;

        always_ff @(posedge clk_i) begin
            b_write_reg <= b_en_i && b_we_i;
            if (b_active_reg) b_rdata_o <= b_read_reg;
        end

        if (NAME == ULTRA) begin : gen_reads_or_writes
            always_ff @(posedge clk_i) begin
                if (b_active_reg) begin
                    if (b_write_reg) mem[b_addr_reg] <= b_wdata_i;
                    else b_read_reg <= mem[b_addr_reg];
                end
            end
        end else begin : gen_reads_always
            always_ff @(posedge clk_i) begin
                if (b_active_reg) begin
                    if (b_write_reg) mem[b_addr_reg] <= b_wdata_i;
                    b_read_reg <= mem[b_addr_reg];
                end
            end
        end
    end

endmodule

`default_nettype wire
