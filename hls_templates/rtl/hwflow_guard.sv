// Guard of the input: whatever comes in, whole images of BEATS beats leave, so that nothing shifts. An image ends with
// tlast. One that ends early is filled up with zeros; of one that does not end in time the beats up to tlast are
// dropped. So a lost or a surplus beat ends with its image; a lost last beat takes the image after it with it.
//
//   WIDTH   bits of a beat
//   BEATS   beats of an image
//
// check_i   0: the source has no tlast, and BEATS beats are an image
// enable_i  0: no image begins
// ended_o   an image is whole; with it early_o: it was filled up, or late_o: it goes on, and its surplus beats will be
//           dropped
// busy_o    within an image, or within surplus beats
//
// Timing: 3 cycles from input to output, a beat a cycle. s_tready is a register.

`default_nettype none

module hwflow_guard #(
    parameter int WIDTH = 16,
    parameter int BEATS = 4
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire              check_i,
    input  wire              enable_i,

    input  wire  [WIDTH-1:0] s_tdata,
    input  wire              s_tlast,
    input  wire              s_tvalid,
    output logic             s_tready,

    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tvalid,
    input  wire              m_tready,

    output logic             ended_o,
    output logic             early_o,
    output logic             late_o,
    output logic             busy_o
);

    localparam int BEAT_W = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam logic [BEAT_W-1:0] LAST = BEAT_W'(BEATS - 1);

    if (WIDTH < 1 || BEATS < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_guard: WIDTH (%0d) and BEATS (%0d) must be positive", WIDTH, BEATS);
    end

    wire [WIDTH-1:0] data;
    wire last, valid, ready;

    hwflow_fifo #(
        .WIDTH (WIDTH + 1),
        .DEPTH (2)
    ) entry (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .s_tdata  ({s_tlast, s_tdata}),
        .s_tvalid (s_tvalid),
        .s_tready (s_tready),
        .m_tdata  ({last, data}),
        .m_tvalid (valid),
        .m_tready (ready)
    );

    logic [BEAT_W-1:0] beat_reg;
    logic fill_reg;  // the image has ended early
    logic drop_reg;  // it has not ended in time

    wire space = !m_tvalid || m_tready;
    wire first_beat = beat_reg == '0;
    wire last_beat = beat_reg == LAST;
    wire go = enable_i || !first_beat;
    wire pass = space && !drop_reg && (fill_reg || (valid && go));
    wire ends = check_i && last;
    wire late = check_i && !last && !fill_reg;

    assign ready = drop_reg || (space && !fill_reg && go);

    always_ff @(posedge clk_i) begin
        if (space) m_tdata <= fill_reg ? '0 : data;
        if (!rst_ni) begin
            beat_reg <= '0;
            fill_reg <= 1'b0;
            drop_reg <= 1'b0;
            m_tvalid <= 1'b0;
            ended_o  <= 1'b0;
            early_o  <= 1'b0;
            late_o   <= 1'b0;
            busy_o   <= 1'b0;
        end else begin
            if (space) m_tvalid <= pass;
            if (pass) beat_reg <= last_beat ? '0 : beat_reg + 1'b1;
            if (pass) fill_reg <= !last_beat && (fill_reg || ends);
            if (drop_reg) drop_reg <= !(valid && (last || !check_i));
            else drop_reg <= pass && last_beat && late;
            ended_o <= pass && last_beat;
            early_o <= pass && last_beat && fill_reg;
            late_o  <= pass && last_beat && late;
            busy_o  <= drop_reg || !first_beat || pass;
        end
    end

endmodule

`default_nettype wire
