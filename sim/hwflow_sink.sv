// Simulation only: captures beats, with random pauses if asked, and writes them to a file at the end.
//
//   WIDTH, DEPTH  bits of a beat, beats that the memory holds
//   IMAGE_BEATS   beats an image
//   DATA_FILE     $writememh file of the beats
//   CYCLE_FILE    $writememh file of the cycles in which each image's last beat came; cycle_i counts them
//
// It captures from start_i on; without start_i, everything begins anew. The files are written when count_i beats have
// come, or with fewer when start_i falls before. done_o: count_i beats have come and both files are written.
// wrong_last_o: tlast stood elsewhere than on an image's last beat.

`default_nettype none

module hwflow_sink #(
    parameter int WIDTH       = 8,
    parameter int DEPTH       = 64,
    parameter int IMAGE_BEATS = 1,
    parameter DATA_FILE       = "output.mem",
    parameter CYCLE_FILE      = "cycles.mem"
) (
    input  wire              clk_i,
    input  wire              rst_ni,
    input  wire              start_i,
    input  wire  [31:0]      count_i,
    input  wire  [31:0]      cycle_i,
    input  wire  [6:0]       stall_percent_i,
    input  wire  [31:0]      seed_i,
    input  wire  [WIDTH-1:0] s_tdata,
    input  wire              s_tvalid,
    input  wire              s_tlast,
    output logic             s_tready,
    output logic             done_o,
    output logic             wrong_last_o
);

    localparam int INDEX_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int IMAGES  = (DEPTH + IMAGE_BEATS - 1) / IMAGE_BEATS;
    localparam int IMAGE_W = (IMAGES > 1) ? $clog2(IMAGES) : 1;

    logic [WIDTH-1:0] mem    [0:DEPTH-1];
    logic [31:0]      cycles [0:IMAGES-1];
    logic [31:0]      index_reg, image_reg, beat_reg;
    logic             pause, last, complete;

    hwflow_pause pauses (
        .clk_i(clk_i), .rst_ni(rst_ni && start_i), .percent_i(stall_percent_i), .seed_i(seed_i), .pause_o(pause)
    );

    assign last = beat_reg == IMAGE_BEATS - 1;
    assign complete = rst_ni && start_i && !done_o && (index_reg == count_i);

    always_ff @(posedge clk_i) begin
        if (!rst_ni || !start_i) begin
            index_reg    <= '0;
            image_reg    <= '0;
            beat_reg     <= '0;
            s_tready     <= 1'b0;
            done_o       <= 1'b0;
            wrong_last_o <= 1'b0;
        end else begin
            s_tready <= !pause;
            if (s_tvalid && s_tready) begin
                mem[index_reg[INDEX_W-1:0]] <= s_tdata;
                index_reg <= index_reg + 1;
                beat_reg  <= last ? 32'd0 : beat_reg + 1;
                if (last) begin
                    cycles[image_reg[IMAGE_W-1:0]] <= cycle_i;
                    image_reg <= image_reg + 1;
                end
                if (s_tlast != last) wrong_last_o <= 1'b1;
            end
            if (complete) done_o <= 1'b1;
        end
    end

    always @(posedge clk_i) begin
        if (complete) begin
            $writememh(DATA_FILE, mem, 0, index_reg - 1);
            $writememh(CYCLE_FILE, cycles, 0, image_reg - 1);
        end
    end

    always @(negedge start_i) begin
        if (rst_ni && !done_o && index_reg != 0) $writememh(DATA_FILE, mem, 0, index_reg - 1);
        if (rst_ni && !done_o && image_reg != 0) $writememh(CYCLE_FILE, cycles, 0, image_reg - 1);
    end

endmodule

`default_nettype wire
