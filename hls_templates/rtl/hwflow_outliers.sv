// Side memory of a layer's outliers: adds what the largest weights exceed the weight memory by to the
// words that come from there. It follows the memory's read address, so the memory itself stays as it is.
//
// A row is for one word of the weight memory: its address, and {lane, rest} of every outlier in it. Rows
// are in the order of the addresses; the pointer to the next one returns to the start with the address.
//
//   LANES, W_W    weights of a word, bits of one, signed
//   DEPTH         words of the weight memory
//   REST_W        bits of a rest, signed
//   ROWS, SLOTS   words with outliers, and the most outliers that one word has
//   REST_FILE     $readmemh file, ROWS words: the address in the high bits, below it SLOTS times {lane, rest},
//                 slot s at bits [s*SLOT_W +: SLOT_W], 0 where the word has fewer outliers
//
// The rows are kept out of block RAM. No fault reaches them: no port writes them, and no test bench does.
//
// addr_i must count from 0 to DEPTH-1 and round again, and move on after a cycle with next_i.
//
// Timing: data_i belongs to the address of 2 cycles before; data_o comes 1 cycle after it. A word a cycle.

`default_nettype none

module hwflow_outliers #(
    parameter int LANES     = 4,
    parameter int W_W       = 8,
    parameter int DEPTH     = 8,
    parameter int REST_W    = 10,
    parameter int ROWS      = 2,
    parameter int SLOTS     = 1,
    parameter REST_FILE     = "",
    localparam int ADDR_W   = (DEPTH > 1) ? $clog2(DEPTH) : 1,
    localparam int EFFECT_W = ((W_W > REST_W) ? W_W : REST_W) + 1
) (
    input  wire                       clk_i,
    input  wire                       rst_ni,

    input  wire                       next_i,
    input  wire  [        ADDR_W-1:0] addr_i,
    input  wire  [     LANES*W_W-1:0] data_i,
    output logic [LANES*EFFECT_W-1:0] data_o
);

    localparam int LANE_W  = (LANES > 1) ? $clog2(LANES) : 1;
    localparam int SLOT_W  = LANE_W + REST_W;
    localparam int ROW_W   = ADDR_W + SLOTS * SLOT_W;
    localparam int INDEX_W = (ROWS > 1) ? $clog2(ROWS) : 1;
    localparam int SECOND  = 1 % ROWS;
    localparam logic [INDEX_W-1:0] THIRD     = INDEX_W'(2 % ROWS);
    localparam logic [INDEX_W-1:0] LAST_ROW  = INDEX_W'(ROWS - 1);
    localparam logic [ ADDR_W-1:0] LAST_WORD = ADDR_W'(DEPTH - 1);

    if (LANES < 1 || W_W < 1 || DEPTH < 1 || REST_W < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_outliers: LANES, W_W, DEPTH and REST_W must be positive");
    end
    if (ROWS < 1 || ROWS > DEPTH || SLOTS < 1 || SLOTS > LANES) begin : gen_error_rows
        initial $fatal(1, "hwflow_outliers: ROWS (%0d) must be 1 to DEPTH, SLOTS (%0d) 1 to LANES", ROWS, SLOTS);
    end

    (* rom_block = "logic", rom_style = "distributed" *)  // the first for Yosys, the second for Vivado
    logic [ROW_W-1:0] rom [0:ROWS-1];

    if (REST_FILE != "") begin : gen_load
        initial $readmemh(REST_FILE, rom);
    end else begin : gen_empty
        initial for (int i = 0; i < ROWS; i++) rom[i] = '0;
    end

    // The row that is compared, the one after it, and the index of the one after that: rows can follow one another in
    // every cycle, and only registers lie before and behind the memory.
    logic [  ROW_W-1:0] row_reg, next_row_reg;
    logic [INDEX_W-1:0] index_reg;

    wire hit = row_reg[SLOTS*SLOT_W+:ADDR_W] == addr_i;
    wire restart = !rst_ni || (next_i && addr_i == LAST_WORD);

    always_ff @(posedge clk_i) begin
        if (restart) begin
            row_reg      <= rom[0];
            next_row_reg <= rom[SECOND];
            index_reg    <= THIRD;
        end else if (next_i && hit) begin
            row_reg      <= next_row_reg;
            next_row_reg <= rom[index_reg];
            index_reg    <= (index_reg == LAST_ROW) ? '0 : index_reg + 1'b1;
        end
    end

    // The outliers of the word
    logic hit_reg;
    logic [SLOTS*SLOT_W-1:0] slots_reg;

    always_ff @(posedge clk_i) begin
        hit_reg   <= hit;
        slots_reg <= row_reg[SLOTS*SLOT_W-1:0];
    end

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
        logic [REST_W-1:0] rest;
        logic signed [REST_W-1:0] rest_reg;
        logic signed [EFFECT_W-1:0] sum_reg;

        // At most one slot is for this lane.
        always_comb begin
            rest = '0;
            for (int s = 0; s < SLOTS; s++) begin
                if (hit_reg && slots_reg[s*SLOT_W+REST_W+:LANE_W] == LANE_W'(lane)) begin
                    rest = rest | slots_reg[s*SLOT_W+:REST_W];
                end
            end
        end

        wire signed [W_W-1:0] stored = data_i[lane*W_W+:W_W];

        always_ff @(posedge clk_i) begin
            rest_reg <= rest;
            sum_reg  <= EFFECT_W'(stored) + EFFECT_W'(rest_reg);
        end

        assign data_o[lane*EFFECT_W+:EFFECT_W] = sum_reg;
    end

endmodule

`default_nettype wire
