// A layer's weights and biases for the unit that multiplies, beat by beat in the order of its folds, round
// and round: hwflow_weight_mem, the outliers' rests, and the biases.
//
//   PE, SIMD        outputs and inputs of a beat; PE divides N_OUT, SIMD divides N_IN. NF = N_OUT/PE,
//                   SF = N_IN/SIMD
//   N_IN, N_OUT     the matrix
//   CHANNELWISE     0: a bias an output, for all of its beats. 1: a bias a weight, for layers that scale
//                   channels; the channels are N_IN, N_OUT = PE = 1
//   W_W             weight code, signed
//   B_W             bias code, signed
//   WEIGHT_FILE     $readmemh file, NF*SF words: word nf*SF+sf holds w[nf*PE+p][sf*SIMD+s] at bits
//                   [(p*SIMD+s)*W_W +: W_W]
//   BIAS_FILE       $readmemh file, NF words: word nf holds bias[nf*PE+p] at bits [p*B_W +: B_W]; channelwise
//                   SF words: word sf holds bias[sf*SIMD+s] at bits [s*B_W +: B_W]
//   REST_ROWS, REST_SLOTS, REST_W, REST_FILE   side memory of the outliers: ROWS and others of
//                   hwflow_outliers, whose lane p*SIMD+s adds to w[nf*PE+p][sf*SIMD+s]; 0 rows: none
//
// en_i moves everything on; next_i, only with en_i, says that the beat read in this cycle is used, and turns
// to the next one. Data and bias of a beat come out together, and hold without en_i.
//
// The weight memory's second port is wb_*: wb_rdata of a read follows wb_en_i by a cycle. Without files the
// weights are whatever port B writes, and the biases 0. `memory.mem` and `bias_mem` are the names by which
// a test bench flips stored bits.
//
// Timing: 1 cycle with en_i from next_i to the beat's data; a beat a cycle.

`default_nettype none

module hwflow_weights #(
    parameter int PE          = 2,
    parameter int SIMD        = 2,
    parameter int N_IN        = 8,
    parameter int N_OUT       = 4,
    parameter int CHANNELWISE = 0,
    parameter int W_W         = 8,
    parameter int B_W         = 16,
    parameter WEIGHT_FILE     = "",
    parameter BIAS_FILE       = "",
    parameter int REST_ROWS   = 0,
    parameter int REST_SLOTS  = 1,
    parameter int REST_W      = 1,
    parameter REST_FILE       = "",
    localparam int LANES      = PE * SIMD,
    localparam int BEATS      = (N_OUT / PE) * (N_IN / SIMD),
    localparam int ADDR_W     = (BEATS > 1) ? $clog2(BEATS) : 1,
    localparam int EFFECT_W   = (REST_ROWS == 0) ? W_W : ((W_W > REST_W) ? W_W : REST_W) + 1,
    localparam int BIASES     = (CHANNELWISE != 0) ? SIMD : PE
) (
    input  wire                       clk_i,
    input  wire                       rst_ni,

    input  wire                       en_i,
    input  wire                       next_i,
    output logic [LANES*EFFECT_W-1:0] data_o,
    output logic [    BIASES*B_W-1:0] bias_o,

    input  wire                       wb_en_i,
    input  wire                       wb_we_i,
    input  wire  [        ADDR_W-1:0] wb_addr_i,
    input  wire  [     LANES*W_W-1:0] wb_wdata_i,
    output logic [     LANES*W_W-1:0] wb_rdata_o
);

    localparam int BIAS_BEATS = (CHANNELWISE != 0) ? 1 : N_IN / SIMD;  // beats of one word of biases
    localparam int BIAS_WORDS = BEATS / BIAS_BEATS;
    localparam int STAY_W     = (BIAS_BEATS > 1) ? $clog2(BIAS_BEATS) : 1;
    localparam int BADDR_W    = (BIAS_WORDS > 1) ? $clog2(BIAS_WORDS) : 1;

    if (PE < 1 || SIMD < 1 || N_IN < 1 || N_OUT < 1 || N_OUT % PE != 0 || N_IN % SIMD != 0)
    begin : gen_error_fold
        initial $fatal(1, "hwflow_weights: PE (%0d) must divide N_OUT (%0d), SIMD (%0d) N_IN (%0d)",
                       PE, N_OUT, SIMD, N_IN);
    end
    if (W_W < 1 || B_W < 1 || CHANNELWISE < 0 || CHANNELWISE > 1) begin : gen_error_type
        initial $fatal(1, "hwflow_weights: widths must be positive, CHANNELWISE 0 or 1");
    end
    if (CHANNELWISE != 0 && N_OUT != 1) begin : gen_error_channels
        initial $fatal(1, "hwflow_weights: the channels are N_IN; N_OUT (%0d) must be 1", N_OUT);
    end

    // --- The beat that is read in this cycle, and the biases that belong to it.

    logic [ ADDR_W-1:0] beat_reg;
    logic [ STAY_W-1:0] stay_reg;
    logic [BADDR_W-1:0] bias_addr_reg;

    wire last_beat = beat_reg == ADDR_W'(BEATS - 1);
    wire last_stay = stay_reg == STAY_W'(BIAS_BEATS - 1);

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            beat_reg      <= '0;
            stay_reg      <= '0;
            bias_addr_reg <= '0;
        end else if (next_i) begin
            beat_reg <= last_beat ? '0 : beat_reg + 1'b1;
            stay_reg <= last_stay ? '0 : stay_reg + 1'b1;
            if (last_stay) bias_addr_reg <= last_beat ? '0 : bias_addr_reg + 1'b1;
        end
    end

    wire [LANES*W_W-1:0] stored;

    hwflow_weight_mem #(
        .WIDTH    (LANES * W_W),
        .DEPTH    (BEATS),
        .MEM_FILE (WEIGHT_FILE)
    ) memory (
        .clk_i     (clk_i),
        .a_en_i    (en_i),
        .a_addr_i  (beat_reg),
        .a_data_o  (stored),
        .b_en_i    (wb_en_i),
        .b_we_i    (wb_we_i),
        .b_addr_i  (wb_addr_i),
        .b_wdata_i (wb_wdata_i),
        .b_rdata_o (wb_rdata_o)
    );

    if (REST_ROWS == 0) begin : gen_no_outliers
        assign data_o = stored;
    end else begin : gen_outliers
        hwflow_outliers #(
            .LANES     (LANES),
            .W_W       (W_W),
            .DEPTH     (BEATS),
            .REST_W    (REST_W),
            .ROWS      (REST_ROWS),
            .SLOTS     (REST_SLOTS),
            .REST_FILE (REST_FILE)
        ) outliers (
            .clk_i  (clk_i),
            .rst_ni (rst_ni),
            .en_i   (en_i),
            .next_i (next_i),
            .addr_i (beat_reg),
            .data_i (stored),
            .data_o (data_o)
        );
    end

    logic [BIASES*B_W-1:0] bias_mem [0:BIAS_WORDS-1]  /*verilator public_flat_rw*/;

    if (BIAS_FILE != "") begin : gen_bias
        initial $readmemh(BIAS_FILE, bias_mem);
    end else begin : gen_no_bias
        initial for (int i = 0; i < BIAS_WORDS; i++) bias_mem[i] = '0;
    end

    always_ff @(posedge clk_i) begin
        if (en_i) bias_o <= bias_mem[bias_addr_reg];
    end

endmodule

`default_nettype wire
