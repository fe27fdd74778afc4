// Simulation only: streams the beats of a file, with random pauses if asked, without waking anything else.
//
//   WIDTH, DEPTH  bits of a beat, beats that the memory holds
//   IMAGE_BEATS   beats an image
//   DATA_FILE     $readmemh file of count_i beats, read when start_i rises
//   CYCLE_FILE    $writememh file of the cycles in which each image's first beat was first offered; cycle_i
//                 counts them. It is written in the cycle after the last of these, or when start_i falls before.
//
// From start_i on, count_i beats leave in order, whole images; without start_i, everything begins anew. In
// stall_percent_i percent of the cycles in which a beat could be offered it is not; seed_i picks the cycles.
// started_o: the first beat is or was offered. m_tlast stands on an image's last beat.

`default_nettype none

module hwflow_source #(
    parameter int WIDTH       = 8,
    parameter int DEPTH       = 64,
    parameter int IMAGE_BEATS = 1,
    parameter DATA_FILE       = "input.mem",
    parameter CYCLE_FILE      = "begun.mem"
) (
    input  wire              clk_i,
    input  wire              rst_ni,
    input  wire              start_i,
    input  wire  [31:0]      count_i,
    input  wire  [31:0]      cycle_i,
    input  wire  [6:0]       stall_percent_i,
    input  wire  [31:0]      seed_i,
    output logic             started_o,
    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tlast,
    output logic             m_tvalid,
    input  wire              m_tready
);

    localparam int INDEX_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int IMAGES  = (DEPTH + IMAGE_BEATS - 1) / IMAGE_BEATS;
    localparam int IMAGE_W = (IMAGES > 1) ? $clog2(IMAGES) : 1;

    logic [WIDTH-1:0] mem    [0:DEPTH-1];
    logic [31:0]      cycles [0:IMAGES-1];
    logic [31:0]      index_reg, image_reg, beat_reg;
    logic             pause, taken, seen_reg, written_reg;

    always @(posedge start_i) $readmemh(DATA_FILE, mem, 0, count_i - 1);

    hwflow_pause pauses (
        .clk_i(clk_i), .rst_ni(rst_ni && start_i), .percent_i(stall_percent_i), .seed_i(seed_i), .pause_o(pause)
    );

    assign taken = m_tvalid && m_tready;
    assign started_o = (index_reg != 0) || m_tvalid;

    logic [31:0] next;
    assign next = index_reg + (taken ? 32'd1 : 32'd0);

    always_ff @(posedge clk_i) begin
        if (!rst_ni || !start_i) begin
            index_reg <= '0;
            m_tvalid  <= 1'b0;
            m_tdata   <= '0;
        end else begin
            index_reg <= next;
            if (!m_tvalid || m_tready) begin
                m_tvalid <= (next < count_i) && !pause;
                m_tdata  <= mem[next[INDEX_W-1:0]];
            end
        end
    end

    assign m_tlast = beat_reg == IMAGE_BEATS - 1;

    // An image begins where it is offered: of a fork at the input, one branch may use a beat before the other takes it.
    wire complete = rst_ni && start_i && !written_reg && (image_reg == count_i / IMAGE_BEATS);

    always_ff @(posedge clk_i) begin
        if (!rst_ni || !start_i) begin
            image_reg   <= '0;
            beat_reg    <= '0;
            seen_reg    <= 1'b0;
            written_reg <= 1'b0;
        end else begin
            if (m_tvalid && beat_reg == 0 && !seen_reg) begin
                cycles[image_reg[IMAGE_W-1:0]] <= cycle_i;
                image_reg <= image_reg + 1;
                seen_reg  <= 1'b1;
            end
            if (taken) begin
                beat_reg <= (beat_reg == IMAGE_BEATS - 1) ? 32'd0 : beat_reg + 1;
                seen_reg <= 1'b0;
            end
            if (complete) written_reg <= 1'b1;
        end
    end

    always @(posedge clk_i) begin
        if (complete) $writememh(CYCLE_FILE, cycles, 0, image_reg - 1);
    end

    always @(negedge start_i) begin
        if (rst_ni && !written_reg && image_reg != 0) $writememh(CYCLE_FILE, cycles, 0, image_reg - 1);
    end

endmodule

`default_nettype wire
