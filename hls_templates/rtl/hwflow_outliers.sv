// Side memory of a layer's outliers and kept weights: adds what the largest weights exceed the weight memory by to the
// words that come from there, and has weights of its own for others. It follows the memory's read address, so the memory
// itself stays as it is.
//
// A row is for one word of the weight memory: its address, and {lane, rest} of every outlier in it, or with KEEPS
// {keep, lane, rest}. Rows are in the order of the addresses; the pointer to the next one returns to the start with the
// address.
//
//   LANES, W_W    weights of a word, bits of one, signed
//   DEPTH         words of the weight memory
//   REST_W        bits of a rest, signed
//   ROWS, SLOTS   words with outliers, and the most outliers that one word has
//   KEEPS         0: rests are added. 1: those with keep = 1 are weights, in the place of what comes from the memory. 2: a
//                 keep of 1 is a weight, and nothing is ever added; rests with keep = 0 are 0
//   REST_FILE     $readmemh file, ROWS words: the address in the high bits, below it SLOTS times {lane, rest} or
//                 {keep, lane, rest}, slot s at bits [s*SLOT_W +: SLOT_W], 0 where the word has fewer of them
//
//   LOADABLE      0: the rows are a ROM in LUTs, among the configuration bits, and no port writes them. 1: they are LUT
//                 RAM, which port B reads and writes, a row an address. A row that no word needs is 0
//
// Two rows are read ahead of the one that is compared. One that port B writes counts from when it is read next; before the
// first word of a round that is a cycle later.
//
// addr_i must count from 0 to DEPTH-1 and round again, and move on after a cycle with next_i.
//
// Timing: data_i belongs to the address of 2 cycles before; data_o comes 1 cycle after it. A word a cycle. Port B 1 cycle;
// it holds its output while it is not enabled.

`default_nettype none

module hwflow_outliers #(
    parameter int LANES     = 4,
    parameter int W_W       = 8,
    parameter int DEPTH     = 8,
    parameter int REST_W    = 10,
    parameter int ROWS      = 2,
    parameter int SLOTS     = 1,
    parameter int KEEPS     = 0,
    parameter REST_FILE     = "",
    parameter int LOADABLE  = 0,
    localparam int ADDR_W   = (DEPTH > 1) ? $clog2(DEPTH) : 1,
    localparam int EFFECT_W = ((W_W > REST_W) ? W_W : REST_W) + ((KEEPS == 2) ? 0 : 1),
    localparam int SLOT_W   = ((KEEPS != 0) ? 1 : 0) + ((LANES > 1) ? $clog2(LANES) : 1) + REST_W,
    localparam int ROW_W    = ADDR_W + SLOTS * SLOT_W,
    localparam int INDEX_W  = (ROWS > 1) ? $clog2(ROWS) : 1,
    localparam int MADDR_W  = (LOADABLE != 0) ? INDEX_W : 1,
    localparam int MEM_W    = (LOADABLE != 0) ? ROW_W : 1
) (
    input  wire                       clk_i,
    input  wire                       rst_ni,

    input  wire                       next_i,
    input  wire  [        ADDR_W-1:0] addr_i,
    input  wire  [     LANES*W_W-1:0] data_i,
    output logic [LANES*EFFECT_W-1:0] data_o,

    input  wire                       b_en_i,
    input  wire                       b_we_i,
    input  wire  [       MADDR_W-1:0] b_addr_i,
    input  wire  [         MEM_W-1:0] b_wdata_i,
    output logic [         MEM_W-1:0] b_rdata_o
);

    localparam int LANE_W  = (LANES > 1) ? $clog2(LANES) : 1;
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

    if (KEEPS < 0 || KEEPS > 2) begin : gen_error_keeps
        initial $fatal(1, "hwflow_outliers: KEEPS (%0d) must be 0 to 2", KEEPS);
    end

    // The row that is compared, the one after it, and the index of the one after that: rows can follow one another in
    // every cycle, and only registers lie before and behind the memory.
    logic [  ROW_W-1:0] row_reg, next_row_reg;
    logic [INDEX_W-1:0] index_reg;

    wire hit = row_reg[SLOTS*SLOT_W+:ADDR_W] == addr_i;
    wire loads = LOADABLE != 0 && !next_i && addr_i == '0;  // what is written before the first word is used
    wire restart = !rst_ni || (next_i && addr_i == LAST_WORD) || loads;

    always_ff @(posedge clk_i) begin
        if (restart) index_reg <= THIRD;
        else if (next_i && hit) index_reg <= (index_reg == LAST_ROW) ? '0 : index_reg + 1'b1;
    end

    // The memory is read in clocked processes alone: Icarus does not see that $readmemh changes what others read.
    if (LOADABLE == 0) begin : gen_rom
        (* rom_block = "logic", rom_style = "distributed" *)  // the first for Yosys, the second for Vivado
        logic [ROW_W-1:0] rom [0:ROWS-1];

        if (REST_FILE != "") begin : gen_load
            initial $readmemh(REST_FILE, rom);
        end else begin : gen_empty
            initial for (int i = 0; i < ROWS; i++) rom[i] = '0;
        end

        always_ff @(posedge clk_i) begin
            if (restart) begin
                row_reg      <= rom[0];
                next_row_reg <= rom[SECOND];
            end else if (next_i && hit) begin
                row_reg      <= next_row_reg;
                next_row_reg <= rom[index_reg];
            end
        end

        wire unused_port_b = &{1'b0, b_en_i, b_we_i, b_addr_i, b_wdata_i};
        assign b_rdata_o = '0;
    end else begin : gen_ram
        // no_rw_check tells Yosys that reading what is being written is not defined.
        (* ram_style = "distributed", syn_ramstyle = "distributed", no_rw_check *)
        logic [ROW_W-1:0] ram [0:ROWS-1];

        if (REST_FILE != "") begin : gen_load
            initial $readmemh(REST_FILE, ram);
        end else begin : gen_empty
            initial for (int i = 0; i < ROWS; i++) ram[i] = '0;
        end

        always_ff @(posedge clk_i) begin
            if (restart) begin
                row_reg      <= ram[0];
                next_row_reg <= ram[SECOND];
            end else if (next_i && hit) begin
                row_reg      <= next_row_reg;
                next_row_reg <= ram[index_reg];
            end
        end

        always_ff @(posedge clk_i) begin
            if (b_en_i) begin
                if (b_we_i) ram[b_addr_i] <= b_wdata_i;
                b_rdata_o <= ram[b_addr_i];
            end
        end
    end

    // The outliers and kept weights of the word
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
        logic keep, keep_reg;

        // At most one slot is for this lane.
        always_comb begin
            rest = '0;
            keep = 1'b0;
            for (int s = 0; s < SLOTS; s++) begin
                if (hit_reg && slots_reg[s*SLOT_W+REST_W+:LANE_W] == LANE_W'(lane)) begin
                    rest = rest | slots_reg[s*SLOT_W+:REST_W];
                    keep = keep | (KEEPS != 0 && slots_reg[s*SLOT_W+SLOT_W-1]);
                end
            end
        end

        wire signed [W_W-1:0] stored = data_i[lane*W_W+:W_W];
        wire signed [W_W-1:0] counts = keep_reg ? '0 : stored;

        always_ff @(posedge clk_i) begin
            rest_reg <= rest;
            keep_reg <= keep;
            if (KEEPS == 2) sum_reg <= EFFECT_W'(counts) | EFFECT_W'(rest_reg);
            else sum_reg <= EFFECT_W'(counts) + EFFECT_W'(rest_reg);
        end

        assign data_o[lane*EFFECT_W+:EFFECT_W] = sum_reg;
    end

endmodule

`default_nettype wire
