// Line buffer of hwflow_window that gives ROWS x COLS pixels a cycle: a rectangle at any place of the image.
//
// It is a memory for every pixel of the rectangle: pixel (y, x) is in memory (y mod ROWS, x mod COLS), so that those of
// any rectangle are in different ones, each at this address or the next one of row and column. What the memories give is
// then turned, so that the rectangle's top left pixel comes first. Rows count on from image to image.
//
//   W                   bits of a pixel
//   ROWS, COLS          pixels that are read at once
//   IN_H, IN_W_PX       image in pixels
//   OUT_H, STRIDE_H, STRIDE_W, PAD_T, PAD_L   of the windows, as in hwflow_window
//   BUF_ROWS            rows buffered, at the least
//
// Pixels come with write_i, in order. Every read_i reads a rectangle and moves on to the next one, as hwflow_window emits
// them; the last_*_i say that this one is the last of its window, row of windows and image. Pixels beyond the image's edge are not defined.
//
// Timing: data 3 cycles after read_i, a rectangle a cycle, of pixels that were written before read_i.

`default_nettype none

module hwflow_banks #(
    parameter int W        = 8,
    parameter int ROWS     = 1,
    parameter int COLS     = 3,
    parameter int IN_H     = 8,
    parameter int IN_W_PX  = 8,
    parameter int OUT_H    = 6,
    parameter int STRIDE_H = 1,
    parameter int STRIDE_W = 1,
    parameter int PAD_T    = 0,
    parameter int PAD_L    = 0,
    parameter int BUF_ROWS = 3
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire                    write_i,
    input  wire  [          W-1:0] write_data_i,

    input  wire                    read_i,
    input  wire                    last_kh_i,
    input  wire                    last_left_i,
    input  wire                    last_top_i,
    output wire  [ROWS*COLS*W-1:0] data_o
);

    localparam int SLOTS  = (BUF_ROWS + ROWS - 1) / ROWS;     // rows of a memory
    localparam int PLACES = (IN_W_PX + COLS - 1) / COLS;      // pixels of a row in a memory
    localparam int SLOT_W = (SLOTS > 1) ? $clog2(SLOTS) : 1;
    localparam int PLACE_W = (PLACES > 1) ? $clog2(PLACES) : 1;
    localparam int ROW_W  = (ROWS > 1) ? $clog2(ROWS) : 1;
    localparam int COL_W  = (COLS > 1) ? $clog2(COLS) : 1;
    localparam int DEPTH  = SLOTS << PLACE_W;
    localparam int ADDR_W = $clog2(DEPTH);

    if (W < 1 || ROWS < 1 || COLS < 1 || IN_H < 1 || IN_W_PX < 1 || BUF_ROWS < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_banks: sizes must be positive");
    end

    // A number of rows as slots and rows of ROWS, a number of columns as places and columns of COLS; both may be negative.
    localparam int PERIOD = SLOTS * ROWS;
    localparam int DOWN   = ((STRIDE_H % PERIOD) + PERIOD) % PERIOD;  // from a row of windows to the next
    localparam int TO_IMAGE = IN_H - (OUT_H - 1) * STRIDE_H;
    localparam int NEXT   = ((TO_IMAGE % PERIOD) + PERIOD) % PERIOD;  // to that of the next image
    localparam int TOP    = ((-PAD_T % PERIOD) + PERIOD) % PERIOD;
    localparam int LEFT   = (COLS << PLACE_W) - PAD_L % (COLS << PLACE_W);

    localparam logic [SLOT_W-1:0] LAST_SLOT  = SLOT_W'(SLOTS - 1);
    localparam logic [ROW_W-1:0] LAST_ROW    = ROW_W'(ROWS - 1);
    localparam logic [COL_W-1:0] LAST_COL    = COL_W'(COLS - 1);
    localparam logic [SLOT_W-1:0] TOP_SLOT   = SLOT_W'(TOP / ROWS);
    localparam logic [SLOT_W-1:0] BELOW_SLOT = SLOT_W'((TOP / ROWS + 1) % SLOTS);
    localparam logic [PLACE_W-1:0] LEFT_PLACE  = PLACE_W'(LEFT / COLS);
    localparam logic [PLACE_W-1:0] RIGHT_PLACE = PLACE_W'(LEFT / COLS + 1);

    // The slot `by` further, of 2 SLOTS - 1 at most
    function automatic logic [SLOT_W-1:0] slot_after(input logic [SLOT_W-1:0] slot, input logic [SLOT_W:0] by);
        logic [SLOT_W+1:0] sum;
        sum = {2'b00, slot} + {1'b0, by};
        slot_after = SLOT_W'((sum >= (SLOT_W + 2)'(SLOTS)) ? sum - (SLOT_W + 2)'(SLOTS) : sum);
    endfunction

    // --- Where the next pixel is written.

    logic [SLOT_W-1:0] write_slot_reg;
    logic [PLACE_W-1:0] write_place_reg;
    logic [ROW_W-1:0] write_row_reg;
    logic [COL_W-1:0] write_col_reg;

    wire write_wraps = write_col_reg == LAST_COL;
    wire write_ends  = write_place_reg == PLACE_W'((IN_W_PX - 1) / COLS) && write_col_reg == COL_W'((IN_W_PX - 1) % COLS);

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            write_slot_reg  <= '0;
            write_place_reg <= '0;
            write_row_reg   <= '0;
            write_col_reg   <= '0;
        end else if (write_i) begin
            write_col_reg <= (write_ends || write_wraps) ? '0 : write_col_reg + 1'b1;
            if (write_ends) write_place_reg <= '0;
            else if (write_wraps) write_place_reg <= write_place_reg + 1'b1;
            if (write_ends) write_row_reg <= (write_row_reg == LAST_ROW) ? '0 : write_row_reg + 1'b1;
            if (write_ends && write_row_reg == LAST_ROW) begin
                write_slot_reg <= (write_slot_reg == LAST_SLOT) ? '0 : write_slot_reg + 1'b1;
            end
        end
    end

    // --- Where the rectangle is: the slot and the place of its first pixel and those after them, and in which row and
    // --- column of memories it is. The slots of the window's first rectangle are kept.

    logic [SLOT_W-1:0] top_slot_reg, top_below_reg, slot_reg, below_reg;
    logic [PLACE_W-1:0] place_reg, right_reg;
    logic [ROW_W-1:0] row_reg;
    logic [COL_W-1:0] col_reg;

    wire row_done = last_kh_i && last_left_i;

    wire [ROW_W:0] row_sum   = {1'b0, row_reg} + (last_top_i ? (ROW_W + 1)'(NEXT % ROWS) : (ROW_W + 1)'(DOWN % ROWS));
    wire           row_wraps = row_sum >= (ROW_W + 1)'(ROWS);
    wire [SLOT_W:0] down     = (last_top_i ? (SLOT_W + 1)'(NEXT / ROWS) : (SLOT_W + 1)'(DOWN / ROWS)) +
                               (SLOT_W + 1)'(row_wraps);
    wire [COL_W:0] col_sum   = {1'b0, col_reg} + (COL_W + 1)'(STRIDE_W % COLS);
    wire           col_wraps = col_sum >= (COL_W + 1)'(COLS);
    wire [PLACE_W-1:0] across = PLACE_W'(STRIDE_W / COLS) + PLACE_W'(col_wraps);

    wire [SLOT_W-1:0] next_top   = row_done ? slot_after(top_slot_reg, down) : top_slot_reg;
    wire [SLOT_W-1:0] next_below = row_done ? slot_after(top_below_reg, down) : top_below_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            top_slot_reg  <= TOP_SLOT;
            top_below_reg <= BELOW_SLOT;
            slot_reg      <= TOP_SLOT;
            below_reg     <= BELOW_SLOT;
            place_reg     <= LEFT_PLACE;
            right_reg     <= RIGHT_PLACE;
            row_reg       <= ROW_W'(TOP % ROWS);
            col_reg       <= COL_W'(LEFT % COLS);
        end else if (read_i) begin
            top_slot_reg  <= next_top;
            top_below_reg <= next_below;
            slot_reg      <= last_kh_i ? next_top : below_reg;
            below_reg     <= last_kh_i ? next_below : slot_after(below_reg, (SLOT_W + 1)'(1));
            if (row_done) begin
                place_reg <= LEFT_PLACE;
                right_reg <= RIGHT_PLACE;
                row_reg   <= ROW_W'(row_wraps ? row_sum - (ROW_W + 1)'(ROWS) : row_sum);
                col_reg   <= COL_W'(LEFT % COLS);
            end else if (last_kh_i) begin
                place_reg <= place_reg + across;
                right_reg <= right_reg + across;
                col_reg   <= COL_W'(col_wraps ? col_sum - (COL_W + 1)'(COLS) : col_sum);
            end
        end
    end

    logic [ROW_W-1:0] row1_reg, row2_reg, row3_reg;
    logic [COL_W-1:0] col1_reg, col2_reg;

    always_ff @(posedge clk_i) begin
        row1_reg <= row_reg;
        row2_reg <= row1_reg;
        row3_reg <= row2_reg;
        col1_reg <= col_reg;
        col2_reg <= col1_reg;
    end

    // --- The memories, with a register behind each, and another behind the choice of columns.

    wire [ROWS*COLS*W-1:0] turned;

    for (genvar r = 0; r < ROWS; r++) begin : gen_row
        logic [COLS*W-1:0] read_reg, turned_reg;
        wire  [COLS*W-1:0] read, by_column;

        for (genvar c = 0; c < COLS; c++) begin : gen_col
            wire [ SLOT_W-1:0] slot  = ({1'b0, row_reg} > (ROW_W + 1)'(r)) ? below_reg : slot_reg;
            wire [PLACE_W-1:0] place = ({1'b0, col_reg} > (COL_W + 1)'(c)) ? right_reg : place_reg;
            wire chosen = write_i && write_row_reg == ROW_W'(r) && write_col_reg == COL_W'(c);

            hwflow_ram #(
                .WIDTH (W),
                .DEPTH (DEPTH)
            ) pixels (
                .clk_i        (clk_i),
                .write_en_i   (chosen),
                .write_addr_i (ADDR_W'({write_slot_reg, write_place_reg})),
                .write_data_i (write_data_i),
                .read_en_i    (1'b1),
                .read_addr_i  (ADDR_W'({slot, place})),
                .read_data_o  (read[c*W+:W])
            );
        end

        hwflow_turn #(
            .W (W),
            .N (COLS)
        ) turn_columns (
            .data_i (read_reg),
            .by_i   (col2_reg),
            .data_o (by_column)
        );

        always_ff @(posedge clk_i) begin
            read_reg   <= read;
            turned_reg <= by_column;
        end

        assign turned[r*COLS*W+:COLS*W] = turned_reg;
    end

    hwflow_turn #(
        .W (COLS * W),
        .N (ROWS)
    ) turn_rows (
        .data_i (turned),
        .by_i   (row3_reg),
        .data_o (data_o)
    );

endmodule

`default_nettype wire
