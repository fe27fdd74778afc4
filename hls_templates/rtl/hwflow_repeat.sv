// Every pixel of an image ROWS x COLUMNS times: upsampling to the nearest pixel.
//
// A row goes out as it comes in, every pixel COLUMNS times, and is kept; then it goes out ROWS - 1 times more.
//
//   W, LANES       bits of an element, elements of a beat
//   BEATS          beats of a pixel
//   IN_W_PX        width of the image in pixels
//   ROWS, COLUMNS  how often a row, and a pixel of it, goes out
//
// Timing: 1 cycle, a beat out a cycle. The ready of the input depends on m_tready in the same cycle.

`default_nettype none

module hwflow_repeat #(
    parameter int W       = 8,
    parameter int LANES   = 1,
    parameter int BEATS   = 1,
    parameter int IN_W_PX = 4,
    parameter int ROWS    = 2,
    parameter int COLUMNS = 2
) (
    input  wire                clk_i,
    input  wire                rst_ni,

    input  wire  [LANES*W-1:0] s_tdata,
    input  wire                s_tvalid,
    output logic               s_tready,

    output logic [LANES*W-1:0] m_tdata,
    output logic               m_tvalid,
    input  wire                m_tready
);

    localparam int DEPTH    = IN_W_PX * BEATS;
    localparam int ADDR_W   = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int BEAT_W   = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam int ROW_W    = (ROWS > 1) ? $clog2(ROWS) : 1;
    localparam int COLUMN_W = (COLUMNS > 1) ? $clog2(COLUMNS) : 1;

    if (W < 1 || LANES < 1 || BEATS < 1 || IN_W_PX < 1 || ROWS < 1 || COLUMNS < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_repeat: W, LANES, BEATS, IN_W_PX, ROWS and COLUMNS must be positive");
    end

    // --- The next beat: of which pixel, and for the how manieth time.

    logic [  ADDR_W-1:0] pixel_reg;  // address of its first beat
    logic [  BEAT_W-1:0] beat_reg;
    logic [COLUMN_W-1:0] column_reg;
    logic [   ROW_W-1:0] row_reg;

    wire last_beat   = beat_reg == BEAT_W'(BEATS - 1);
    wire last_column = column_reg == COLUMN_W'(COLUMNS - 1);
    wire last_pixel  = pixel_reg == ADDR_W'(DEPTH - BEATS);
    wire last_row    = row_reg == ROW_W'(ROWS - 1);
    wire is_new      = column_reg == '0 && row_reg == '0;
    wire [ADDR_W-1:0] address = pixel_reg + ADDR_W'(beat_reg);

    wire space = !m_tvalid || m_tready;
    wire moves = space && (s_tvalid || !is_new);

    assign s_tready = space && is_new;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            m_tvalid   <= 1'b0;
            beat_reg   <= '0;
            column_reg <= '0;
            pixel_reg  <= '0;
            row_reg    <= '0;
        end else begin
            if (space) m_tvalid <= moves;
            if (moves) begin
                beat_reg <= last_beat ? '0 : beat_reg + 1'b1;
                if (last_beat) column_reg <= last_column ? '0 : column_reg + 1'b1;
                if (last_beat && last_column) begin
                    pixel_reg <= last_pixel ? '0 : pixel_reg + ADDR_W'(BEATS);
                    if (last_pixel) row_reg <= last_row ? '0 : row_reg + 1'b1;
                end
            end
        end
    end

    // --- Its data: new ones are kept, old ones read.

    logic [LANES*W-1:0] new_reg;
    logic               is_new_reg;
    wire  [LANES*W-1:0] kept;

    always_ff @(posedge clk_i) begin
        if (space) begin
            new_reg    <= s_tdata;
            is_new_reg <= is_new;
        end
    end

    hwflow_ram #(
        .WIDTH (LANES * W),
        .DEPTH (DEPTH)
    ) row (
        .clk_i        (clk_i),
        .write_en_i   (moves && is_new),
        .write_addr_i (address),
        .write_data_i (s_tdata),
        .read_en_i    (space && !is_new),
        .read_addr_i  (address),
        .read_data_o  (kept)
    );

    assign m_tdata = is_new_reg ? new_reg : kept;

endmodule

`default_nettype wire
