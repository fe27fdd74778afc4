// Cell of the configuration ring at a memory: 32-bit accesses become accesses of its wide words through its second port.
// A write of 32 bits reads the word, changes them, and writes the word back.
//
//   ADDR_W   bits of a word's address in the ring, see hwflow_axil
//   BASE     the memory's first address, in words of 32 bits, a multiple of all that it takes
//   WIDTH    bits of the memory's words
//   DEPTH    words of the memory
//
// Word i of the memory is at BASE + i*S, its bits 32*j and up at BASE + i*S + j, where S is the least power of two that
// is not less than WIDTH/32. Other addresses are left to other cells. Bits beyond WIDTH are zeros, and not written.
//
// The memory reads or writes while mem_en_o is high, and mem_rdata_i follows within three cycles, and stays. While
// mem_wait_i is high it does not write, and the write is held. mem_wdata_o stays for a cycle after a write.
//
// Timing: 1 cycle for messages that pass, 8 for an access, and those in which its write waits. All outputs are
// registers, and the memory's word has one that may stand beside the memory.

`default_nettype none

module hwflow_cfg_mem #(
    parameter int ADDR_W  = 10,
    parameter int BASE    = 64,
    parameter int WIDTH   = 72,
    parameter int DEPTH   = 12,
    localparam int CFG_W  = ADDR_W + 35,
    localparam int ROW_W  = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire  [CFG_W-1:0] cfg_i,
    output logic [CFG_W-1:0] cfg_o,

    output logic             mem_en_o,
    output logic             mem_we_o,
    output logic [ROW_W-1:0] mem_addr_o,
    output logic [WIDTH-1:0] mem_wdata_o,
    input  wire  [WIDTH-1:0] mem_rdata_i,
    input  wire              mem_wait_i
);

    localparam int SLICES  = (WIDTH + 31) / 32;
    localparam int SHIFT   = $clog2(SLICES);
    localparam int SLICE_W = (SLICES > 1) ? SHIFT : 1;
    localparam int SPAN_W  = SHIFT + $clog2(DEPTH);
    localparam logic [1:0] READ = 2'd0, XOR = 2'd2, ANSWER = 2'd3;

    if (WIDTH < 1 || DEPTH < 1 || ADDR_W < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_cfg_mem: ADDR_W (%0d), WIDTH (%0d) and DEPTH (%0d) must be positive", ADDR_W, WIDTH,
                       DEPTH);
    end
    if (BASE < 0 || BASE % (1 << SPAN_W) != 0 || SPAN_W > ADDR_W || BASE >> ADDR_W != 0) begin : gen_error_base
        initial $fatal(1, "hwflow_cfg_mem: BASE (%0d) must be a multiple of %0d and fit ADDR_W (%0d)", BASE,
                       1 << SPAN_W, ADDR_W);
    end

    // --- Whether the access is for this memory.

    wire [ADDR_W-1:0] addr = cfg_i[32+:ADDR_W];
    wire [1:0] op = cfg_i[CFG_W-2-:2];
    wire [ROW_W-1:0] row = (DEPTH > 1) ? ROW_W'(addr >> SHIFT) : '0;
    wire [SLICE_W-1:0] slice = (SLICES > 1) ? SLICE_W'(addr) : '0;
    wire in_span = (addr >> SPAN_W) == ADDR_W'(BASE >> SPAN_W);
    wire hit = cfg_i[CFG_W-1] && op != ANSWER && in_span && 32'(row) < DEPTH && 32'(slice) < SLICES;

    // --- The access: read, hold what was read, change and write it.

    // one hot: the memory reads, thrice its word comes, it is here, it is written, it is answered
    logic [6:0] step_reg;
    logic [1:0] op_reg;
    logic [SLICE_W-1:0] slice_reg;
    logic [31:0] data_reg, part_reg;
    logic [WIDTH-1:0] word_reg;

    wire [32*SLICES-1:0] padded = (32 * SLICES)'(word_reg);
    wire [32*SLICES-1:0] changed;

    for (genvar i = 0; i < SLICES; i++) begin : gen_slice
        wire mine = slice_reg == SLICE_W'(i);
        wire [31:0] held = padded[32*i+:32];
        assign changed[32*i+:32] = !mine ? held : (op_reg == XOR) ? held ^ data_reg : data_reg;
    end

    wire waits = mem_we_o && mem_wait_i;

    if (32 * SLICES > WIDTH) begin : gen_beyond
        wire unused_beyond = &{1'b0, changed[32*SLICES-1:WIDTH]};
    end

    always_ff @(posedge clk_i) begin
        if (hit) begin
            op_reg     <= op;
            data_reg   <= cfg_i[31:0];
            slice_reg  <= slice;
            mem_addr_o <= row;
        end
        word_reg <= mem_rdata_i;
        if (step_reg[4]) begin
            mem_wdata_o <= changed[WIDTH-1:0];
            part_reg    <= padded[32*slice_reg+:32];
        end
        cfg_o[CFG_W-2:0] <= step_reg[6] ? {ANSWER, ADDR_W'(0), part_reg} : cfg_i[CFG_W-2:0];
        if (!rst_ni) begin
            step_reg       <= '0;
            mem_en_o       <= 1'b0;
            mem_we_o       <= 1'b0;
            cfg_o[CFG_W-1] <= 1'b0;
        end else begin
            step_reg       <= waits ? step_reg : {step_reg[5:0], hit};
            mem_en_o       <= hit || waits || (step_reg[4] && op_reg != READ);
            mem_we_o       <= waits || (step_reg[4] && op_reg != READ);
            cfg_o[CFG_W-1] <= step_reg[6] || (cfg_i[CFG_W-1] && !hit);
        end
    end

endmodule

`default_nettype wire
