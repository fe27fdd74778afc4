// Simulation only, behavioural: a layer's weight and bias memories in the place of its hwflow_weights, for the C++ that
// hwflow_firmware runs.
//
//   WEIGHTS, BIASES     names of the C++ arrays
//   PE, WORDS, WORD_W   an address of the weight memory holds WORDS stored words of WORD_W bits for each of PE rows of
//                       the matrix, word v of row p at bits [(p*WORDS+v)*WORD_W +: WORD_W]
//   ROW, DEPTH          addresses of PE rows, and of all
//   B_PE, B_W, B_DEPTH  an address of the bias memory holds B_PE biases of B_W bits
//   *_FILE              $readmemh images
//
// At an edge with take_i both memories go to the C++, as they then are. `memory.mem` and `bias_mem` are the names of the
// memories, wb_* and bb_* their second ports, as in hwflow_weights. Nothing is decoded here, so no errors are found.

`default_nettype none

module hwflow_firmware_weights #(
    parameter     WEIGHTS     = "w2",
    parameter     BIASES      = "b2",
    parameter int PE          = 1,
    parameter int WORDS       = 1,
    parameter int WORD_W      = 8,
    parameter int ROW         = 1,
    parameter int DEPTH       = 1,
    parameter int B_PE        = 1,
    parameter int B_W         = 16,
    parameter int B_DEPTH     = 1,
    parameter     WEIGHT_FILE = "",
    parameter     BIAS_FILE   = "",
    localparam int ADDR_W     = (DEPTH > 1) ? $clog2(DEPTH) : 1,
    localparam int BADDR_W    = (B_DEPTH > 1) ? $clog2(B_DEPTH) : 1,
    localparam int MEM_W      = PE * WORDS * WORD_W,
    localparam int BMEM_W     = B_PE * B_W
) (
    input  wire                 clk_i,
    input  wire                 rst_ni,
    input  wire                 take_i,
    output logic [PE*WORDS-1:0] corrected_o,
    output logic [PE*WORDS-1:0] uncorrectable_o,

    input  wire                 wb_en_i,
    input  wire                 wb_we_i,
    input  wire  [  ADDR_W-1:0] wb_addr_i,
    input  wire  [   MEM_W-1:0] wb_wdata_i,
    output logic [   MEM_W-1:0] wb_rdata_o,
    output logic                wb_wait_o,

    input  wire                 bb_en_i,
    input  wire                 bb_we_i,
    input  wire  [ BADDR_W-1:0] bb_addr_i,
    input  wire  [  BMEM_W-1:0] bb_wdata_i,
    output logic [  BMEM_W-1:0] bb_rdata_o
);

    import "DPI-C" function void hwflow_firmware_store(input string symbol, input int unsigned parts[]);

    localparam int PARTS   = (WORD_W + 31) / 32;  // of a word, the least significant first
    localparam int B_PARTS = (B_W + 31) / 32;

    assign corrected_o = '0;
    assign uncorrectable_o = '0;
    assign wb_wait_o = 1'b0;

    wire [MEM_W-1:0] unused_read;
    wire unused = &{1'b0, rst_ni, unused_read};

    hwflow_weight_mem #(
        .WIDTH    (MEM_W),
        .DEPTH    (DEPTH),
        .MEM_FILE (WEIGHT_FILE)
    ) memory (
        .clk_i     (clk_i),
        .a_addr_i  ('0),
        .a_data_o  (unused_read),
        .b_en_i    (wb_en_i),
        .b_we_i    (wb_we_i),
        .b_addr_i  (wb_addr_i),
        .b_wdata_i (wb_wdata_i),
        .b_rdata_o (wb_rdata_o)
    );

    logic [BMEM_W-1:0] bias_mem [0:B_DEPTH-1]  /*verilator public_flat_rw*/;

    if (BIAS_FILE != "") begin : gen_bias
        initial $readmemh(BIAS_FILE, bias_mem);
    end

    always_ff @(posedge clk_i) begin
        if (bb_en_i) begin
            if (bb_we_i) bias_mem[bb_addr_i] <= bb_wdata_i;
            bb_rdata_o <= bias_mem[bb_addr_i];
        end
    end

    // Words in the order in which the C++ has them, row by row. A word's last part may have bits of the next word above
    // its own, which the C++ leaves.
    int unsigned weights [0:DEPTH*PE*WORDS*PARTS-1];
    int unsigned biases  [0:B_DEPTH*B_PE*B_PARTS-1];
    logic [MEM_W+31:0]  weight_word;
    logic [BMEM_W+31:0] bias_word;

    /* verilator lint_off BLKSEQ */  // the calls at the end get what was assigned before them
    always @(posedge clk_i) begin
        if (take_i) begin
            for (int a = 0; a < DEPTH; a++) begin
                weight_word = {32'b0, memory.mem[a]};
                for (int p = 0; p < PE; p++)
                    for (int v = 0; v < WORDS; v++)
                        for (int i = 0; i < PARTS; i++)
                            weights[((((a / ROW) * PE + p) * ROW + a % ROW) * WORDS + v) * PARTS + i] =
                                weight_word[(p*WORDS+v)*WORD_W+32*i+:32];
            end
            for (int a = 0; a < B_DEPTH; a++) begin
                bias_word = {32'b0, bias_mem[a]};
                for (int p = 0; p < B_PE; p++)
                    for (int i = 0; i < B_PARTS; i++)
                        biases[(a*B_PE+p)*B_PARTS+i] = bias_word[p*B_W+32*i+:32];
            end
            hwflow_firmware_store(WEIGHTS, weights);
            hwflow_firmware_store(BIASES, biases);
        end
    end
    /* verilator lint_on BLKSEQ */

endmodule

`default_nettype wire
