// Pixels at the edges of an image are dropped, then zeros put around it.
//
//   W, LANES           bits of an element, elements of a beat
//   BEATS              beats of a pixel
//   IN_H, IN_W_PX      height and width of the image in pixels
//   CROP_T/_B/_L/_R    rows and columns that are dropped
//   PAD_T/_B/_L/_R     rows and columns of zeros
//
// Timing: 1 cycle. A beat a cycle that comes in, goes out, or both; and one for every beat of a corner where rows of
// zeros cross dropped columns, or dropped rows columns of zeros. Zeros before an image wait for its first beat. The ready
// of the input depends on m_tready in the same cycle.

`default_nettype none

module hwflow_border #(
    parameter int W       = 8,
    parameter int LANES   = 1,
    parameter int BEATS   = 1,
    parameter int IN_H    = 4,
    parameter int IN_W_PX = 4,
    parameter int CROP_T  = 0,
    parameter int CROP_B  = 0,
    parameter int CROP_L  = 0,
    parameter int CROP_R  = 0,
    parameter int PAD_T   = 1,
    parameter int PAD_B   = 1,
    parameter int PAD_L   = 1,
    parameter int PAD_R   = 1
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

    localparam int ROWS    = PAD_T + IN_H + PAD_B;
    localparam int COLUMNS = PAD_L + IN_W_PX + PAD_R;
    localparam int BEAT_W  = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam int ROW_W   = $clog2(ROWS + 1);
    localparam int COL_W   = $clog2(COLUMNS + 1);

    if (W < 1 || LANES < 1 || BEATS < 1 || IN_H < 1 || IN_W_PX < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_border: W, LANES, BEATS, IN_H and IN_W_PX must be positive");
    end
    if (PAD_T < 0 || PAD_B < 0 || PAD_L < 0 || PAD_R < 0 || CROP_T < 0 || CROP_B < 0 || CROP_L < 0 || CROP_R < 0 ||
        CROP_T + CROP_B >= IN_H || CROP_L + CROP_R >= IN_W_PX) begin : gen_error_edges
        initial $fatal(1, "hwflow_border: edges must not be negative, and something of the image be left");
    end

    // --- Where the next beat is, in the image with its zeros; what is dropped lies between the zeros and the rest.

    logic [BEAT_W-1:0] beat_reg;
    logic [ COL_W-1:0] column_reg;
    logic [ ROW_W-1:0] row_reg;

    wire last_beat   = beat_reg == BEAT_W'(BEATS - 1);
    wire last_column = column_reg == COL_W'(COLUMNS - 1);
    wire last_row    = row_reg == ROW_W'(ROWS - 1);

    // Of the rows, then of the columns: those of the image, and those of the image that stay.
    wire [1:0] in_image;
    wire [1:0] kept;

    hwflow_between #(.W(ROW_W), .FROM(PAD_T), .TO(PAD_T + IN_H)) rows_inside (.x_i(row_reg), .between_o(in_image[0]));
    hwflow_between #(.W(ROW_W), .FROM(PAD_T + CROP_T), .TO(PAD_T + IN_H - CROP_B)) rows_stay (
        .x_i(row_reg), .between_o(kept[0])
    );
    hwflow_between #(.W(COL_W), .FROM(PAD_L), .TO(PAD_L + IN_W_PX)) columns_inside (
        .x_i(column_reg), .between_o(in_image[1])
    );
    hwflow_between #(.W(COL_W), .FROM(PAD_L + CROP_L), .TO(PAD_L + IN_W_PX - CROP_R)) columns_stay (
        .x_i(column_reg), .between_o(kept[1])
    );

    wire takes = in_image[0] && in_image[1];
    wire gives = (kept[0] || !in_image[0]) && (kept[1] || !in_image[1]);

    // --- A beat comes in and goes out at once.

    wire space = !m_tvalid || m_tready;
    wire room  = space || !gives;
    wire waits = takes || (beat_reg == '0 && column_reg == '0 && row_reg == '0);
    wire moves = room && (s_tvalid || !waits);

    assign s_tready = takes && room;

    always_ff @(posedge clk_i) begin
        if (space) m_tdata <= takes ? s_tdata : {(LANES * W) {1'b0}};
        if (!rst_ni) begin
            m_tvalid   <= 1'b0;
            beat_reg   <= '0;
            column_reg <= '0;
            row_reg    <= '0;
        end else begin
            if (space) m_tvalid <= gives && moves;
            if (moves) begin
                beat_reg <= last_beat ? '0 : beat_reg + 1'b1;
                if (last_beat) column_reg <= last_column ? '0 : column_reg + 1'b1;
                if (last_beat && last_column) row_reg <= last_row ? '0 : row_reg + 1'b1;
            end
        end
    end

endmodule

`default_nettype wire
