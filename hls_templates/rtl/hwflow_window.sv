// Sliding window: for every output pixel, row by row, the K_H x K_W input pixels under the kernel, in
// the order kernel row, kernel column, channel; PAD_VALUE where the kernel hangs over the image's edge.
//
// The image is kept in a circular line buffer of BUF_ROWS rows. All of it is taken in,
// also rows and columns that no window touches, and images follow one another without a gap or flush.
//
//   W, LANES         bits of an element, elements of a beat; LANES divides CHANNELS
//   POSITIONS        kernel positions of a beat that goes out, which has POSITIONS x LANES elements: 1, or rows of the kernel
//                    as many as divide it, and then LANES is CHANNELS and the line buffer a hwflow_banks
//   IN_H, IN_W_PX    image height and width in pixels, without padding
//   PAD_T/_B/_L/_R   rows and columns of padding; they may differ and may exceed the kernel
//   PAD_VALUE        the code there: 0, or the most negative one ahead of a max pool
//   BUF_ROWS         rows buffered; the default keeps the output busy while the input is, too
//
// Timing. One beat in and one beat out a cycle. A pixel can be read 2 cycles after its last beat was accepted, and a beat
// leaves 4 cycles after it was read, 5 where the line buffer is block RAM, or 6 with POSITIONS > 1; the cycle before,
// hwflow_catch must have room for it, which is HELD beats.
// s_tready and m_t* come from registers. Input pixels are counted from the start of the image that is being output. For
// its output pixel (oy, ox), top = oy*STRIDE_H - PAD_T, left = ox*STRIDE_W - PAD_L, and clamp(x, low, high):
//   - before its first beat can be read, NEED pixels must have been accepted:
//       NEED = clamp(top+K_H-1, 0, IN_H-1)*IN_W_PX + clamp(left+K_W-1, 0, IN_W_PX-1) + 1
//     (outputs are read in order, so the largest NEED so far counts; it is enough for all beats of it);
//   - from the cycle after the last beat of the output pixel before it has been read, until its own has,
//     up to LIMIT pixels are accepted, those of following images included:
//       LIMIT = (clamp(top, 0, IN_H) + BUF_ROWS)*IN_W_PX + FREED
//       FREED = clamp(left, 0, IN_W_PX) if top > -STRIDE_H and top < IN_H, else 0.
// LIMIT >= NEED, so it cannot deadlock.

`default_nettype none

module hwflow_window #(
    parameter int W                     = 8,
    parameter int LANES                 = 1,
    parameter int CHANNELS              = 1,
    parameter int POSITIONS             = 1,
    parameter int IN_H                  = 8,
    parameter int IN_W_PX               = 8,
    parameter int K_H                   = 3,
    parameter int K_W                   = 3,
    parameter int STRIDE_H              = 1,
    parameter int STRIDE_W              = 1,
    parameter int PAD_T                 = 0,
    parameter int PAD_B                 = 0,
    parameter int PAD_L                 = 0,
    parameter int PAD_R                 = 0,
    parameter logic [W-1:0] PAD_VALUE   = '0,
    parameter int BUF_ROWS              = ((K_H < IN_H) ? K_H : IN_H) + ((K_H < STRIDE_H) ? K_H : STRIDE_H) - 1
) (
    input  wire                          clk_i,
    input  wire                          rst_ni,
    input  wire  [          LANES*W-1:0] s_tdata,
    input  wire                          s_tvalid,
    output logic                         s_tready,
    output logic [POSITIONS*LANES*W-1:0] m_tdata,
    output logic                         m_tvalid,
    input  wire                          m_tready
);

    localparam int BEATS = CHANNELS / LANES;  // of a pixel
    localparam int OUT_H = (IN_H + PAD_T + PAD_B - K_H) / STRIDE_H + 1;
    localparam int OUT_W = (IN_W_PX + PAD_L + PAD_R - K_W) / STRIDE_W + 1;
    localparam int IMAGE = IN_H * IN_W_PX;  // pixels
    localparam int BEAT_OUT_W = AT_ONCE * LANES * W;
    localparam int B_COLS = (POSITIONS > 1) ? K_W : 1;               // kernel columns and rows of a beat
    localparam int B_ROWS = (POSITIONS > K_W) ? POSITIONS / K_W : 1;
    localparam int AT_ONCE = B_ROWS * B_COLS;                        // POSITIONS, if they are right
    localparam int PLACES = BUF_ROWS * IN_W_PX * BEATS;              // beats of the line buffer
    localparam int BLOCK  = (PLACES > 32 && LANES * W * PLACES > 1024) ? 1 : 0;  // as in hwflow_ram
    localparam int STAGES = (POSITIONS > 1) ? 4 : 2 + BLOCK;         // from reading to hwflow_catch
    localparam int HELD   = STAGES + 5;                              // beats that are on their way out or wait

    if (W < 1 || LANES < 1 || CHANNELS < 1 || CHANNELS % LANES != 0) begin : gen_error_lanes
        initial $fatal(1, "hwflow_window: LANES (%0d) must divide CHANNELS (%0d)", LANES, CHANNELS);
    end
    if (POSITIONS < 1 || (POSITIONS > 1 && (LANES != CHANNELS || POSITIONS != AT_ONCE || K_H % B_ROWS != 0)))
    begin : gen_error_positions
        initial $fatal(1, "hwflow_window: POSITIONS (%0d) must be 1, or rows of the kernel that divide it, with all CHANNELS",
                       POSITIONS);
    end
    if (IN_H < 1 || IN_W_PX < 1 || K_H < 1 || K_W < 1 || STRIDE_H < 1 || STRIDE_W < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_window: image, kernel and strides must be positive");
    end
    if (PAD_T < 0 || PAD_B < 0 || PAD_L < 0 || PAD_R < 0) begin : gen_error_pad
        initial $fatal(1, "hwflow_window: padding must not be negative");
    end
    if (K_H > IN_H + PAD_T + PAD_B || K_W > IN_W_PX + PAD_L + PAD_R) begin : gen_error_kernel
        initial $fatal(1, "hwflow_window: the %0dx%0d kernel is larger than the padded image", K_H, K_W);
    end
    if (BUF_ROWS < K_H && BUF_ROWS < IN_H) begin : gen_error_rows
        initial $fatal(1, "hwflow_window: BUF_ROWS (%0d) cannot hold one window", BUF_ROWS);
    end

    // --- Beats are counted as they are issued, a window after the other. All else follows in the cycle in which they are
    // --- read, so that few registers wait for what this cycle decides.

    localparam int WINDOW  = K_H * K_W * BEATS / AT_ONCE;
    localparam int PLACE_W = (WINDOW > 1) ? $clog2(WINDOW) : 1;

    logic [PLACE_W-1:0] place_reg;
    logic last_place_reg;
    logic read_reg, window_read_reg;

    wire room;
    wire issue;  // the next cycle reads a beat from the buffer, or has one of padding
    wire window_issued = issue && last_place_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            place_reg       <= '0;
            last_place_reg  <= WINDOW == 1;
            read_reg        <= 1'b0;
            window_read_reg <= 1'b0;
        end else begin
            if (issue) begin
                place_reg      <= last_place_reg ? '0 : place_reg + 1'b1;
                last_place_reg <= WINDOW == 1 || (!last_place_reg && place_reg == PLACE_W'(WINDOW - 2));
            end
            read_reg        <= issue;
            window_read_reg <= window_issued;
        end
    end

    // --- Where the output stands: beat, kernel column and row, and the window's top left corner. Flags say which are
    // --- the last ones.

    localparam int BEAT_W = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam int KH_W   = (K_H > 1) ? $clog2(K_H) : 1;
    localparam int KW_W   = (K_W > 1) ? $clog2(K_W) : 1;
    localparam int ROW_W  = $clog2(IN_H + PAD_T + PAD_B + STRIDE_H + K_H) + 1;  // signed
    localparam int COL_W  = $clog2(IN_W_PX + PAD_L + PAD_R + STRIDE_W + K_W) + 1;

    localparam logic signed [ROW_W-1:0] TOP_FIRST  = ROW_W'(-PAD_T);
    localparam logic signed [ROW_W-1:0] TOP_BEFORE = ROW_W'((OUT_H - 2) * STRIDE_H - PAD_T);  // the last but one
    localparam logic signed [ROW_W-1:0] ROWS       = ROW_W'(IN_H);
    localparam logic signed [COL_W-1:0] LEFT_FIRST  = COL_W'(-PAD_L);
    localparam logic signed [COL_W-1:0] LEFT_LAST   = COL_W'((OUT_W - 1) * STRIDE_W - PAD_L);
    localparam logic signed [COL_W-1:0] LEFT_BEFORE = COL_W'((OUT_W - 2) * STRIDE_W - PAD_L);
    localparam logic signed [COL_W-1:0] COLS        = COL_W'(IN_W_PX);

    logic        [BEAT_W-1:0] beat_reg;
    logic        [  KW_W-1:0] kw_reg;
    logic        [  KH_W-1:0] kh_reg;
    logic signed [ ROW_W-1:0] top_reg;
    logic signed [ COL_W-1:0] left_reg;
    logic last_beat_reg, last_kw_reg, last_kh_reg, last_left_reg, last_top_reg;

    wire pixel_done = read_reg && last_beat_reg;
    wire krow_done  = pixel_done && last_kw_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            beat_reg      <= '0;
            kw_reg        <= '0;
            kh_reg        <= '0;
            top_reg       <= TOP_FIRST;
            left_reg      <= LEFT_FIRST;
            last_beat_reg <= BEATS == 1;
            last_kw_reg   <= K_W == B_COLS;
            last_kh_reg   <= K_H == B_ROWS;
            last_left_reg <= OUT_W == 1;
            last_top_reg  <= OUT_H == 1;
        end else begin
            if (read_reg) begin
                beat_reg      <= last_beat_reg ? '0 : beat_reg + 1'b1;
                last_beat_reg <= BEATS == 1 || (!last_beat_reg && beat_reg == BEAT_W'(BEATS - 2));
            end
            if (pixel_done) begin
                kw_reg      <= last_kw_reg ? '0 : kw_reg + 1'b1;
                last_kw_reg <= K_W == B_COLS || (!last_kw_reg && kw_reg == KW_W'(K_W - 2));
            end
            if (krow_done) begin
                kh_reg      <= last_kh_reg ? '0 : kh_reg + KH_W'(B_ROWS);
                last_kh_reg <= K_H == B_ROWS || (!last_kh_reg && kh_reg == KH_W'(K_H - 2 * B_ROWS));
            end
            if (window_read_reg) begin
                left_reg      <= last_left_reg ? LEFT_FIRST : left_reg + COL_W'(STRIDE_W);
                last_left_reg <= OUT_W == 1 || (!last_left_reg && left_reg == LEFT_BEFORE);
            end
            if (window_read_reg && last_left_reg) begin
                top_reg      <= last_top_reg ? TOP_FIRST : top_reg + ROW_W'(STRIDE_H);
                last_top_reg <= OUT_H == 1 || (!last_top_reg && top_reg == TOP_BEFORE);
            end
        end
    end

    wire signed [ROW_W-1:0] row = top_reg + $signed({{(ROW_W - KH_W) {1'b0}}, kh_reg});
    wire signed [COL_W-1:0] col = left_reg + $signed({{(COL_W - KW_W) {1'b0}}, kw_reg});

    wire [B_ROWS-1:0] row_outside;
    wire [B_COLS-1:0] col_outside;
    for (genvar y = 0; y < B_ROWS; y++) begin : gen_row
        wire signed [ROW_W-1:0] row_here = row + ROW_W'(y);
        assign row_outside[y] = row_here < 0 || row_here >= ROWS;
    end
    for (genvar x = 0; x < B_COLS; x++) begin : gen_col
        wire signed [COL_W-1:0] col_here = col + COL_W'(x);
        assign col_outside[x] = col_here < 0 || col_here >= COLS;
    end

    // --- How many pixels the window needs and how many the buffer has room for; see the header. Two registers hold how
    // --- many pixels there are beyond NEED, and how many there may be before LIMIT; their signs are the handshakes. From
    // --- a window to the next one they change by differences that were computed while windows before it were read. With
    // --- every window that is read, all of what is kept of the windows ahead, up to the fourth, moves on; windows of one
    // --- beat, which may be issued in every cycle, are in time only if it moves on as they are issued.

    localparam int COUNT_W = $clog2(2 * IMAGE + (BUF_ROWS + PAD_T + PAD_B + STRIDE_H + K_H) * IN_W_PX + 2) + 1;

    // NEED - 1 (0) or LIMIT (1) of the window `ahead` of the first one, without the images between them
    function automatic int pixels_of(input int ahead, input int which);
        int oy, ox, y, x;
        oy = (ahead / OUT_W) % OUT_H;
        ox = ahead % OUT_W;
        y = oy * STRIDE_H - PAD_T;
        x = ox * STRIDE_W - PAD_L;
        if (which == 0) begin
            y = y + K_H - 1;
            x = x + K_W - 1;
            y = (y < 0) ? 0 : (y > IN_H - 1) ? IN_H - 1 : y;
            x = (x < 0) ? 0 : (x > IN_W_PX - 1) ? IN_W_PX - 1 : x;
        end else begin
            x = (y <= -STRIDE_H || y >= IN_H || x < 0) ? 0 : (x > IN_W_PX) ? IN_W_PX : x;
            y = ((y < 0) ? 0 : (y > IN_H) ? IN_H : y) + BUF_ROWS;
        end
        pixels_of = y * IN_W_PX + x;
    endfunction

    function automatic int image_of(input int ahead);
        image_of = (ahead % (OUT_H * OUT_W) == 0) ? IMAGE : 0;
    endfunction

    // What the first windows have at reset
    function automatic logic signed [COUNT_W-1:0] step_of(input int ahead, input int which);
        step_of = COUNT_W'(pixels_of(ahead + 1, which) - pixels_of(ahead, which) + image_of(ahead + 1));
    endfunction

    localparam int ROW_4  = ((4 / OUT_W) % OUT_H) * STRIDE_H - PAD_T;
    localparam int LEFT_4 = (4 % OUT_W) * STRIDE_W - PAD_L;

    localparam logic signed [COUNT_W-1:0] ZERO_PX      = '0;
    localparam logic signed [COUNT_W-1:0] IMAGE_PX     = COUNT_W'(IMAGE);
    localparam logic signed [COUNT_W-1:0] LAST_ROW_PX  = COUNT_W'((IN_H - 1) * IN_W_PX);
    localparam logic signed [COUNT_W-1:0] BUF_PX       = COUNT_W'(BUF_ROWS * IN_W_PX);
    localparam logic signed [COUNT_W-1:0] STRIDE_PX    = COUNT_W'(STRIDE_H * IN_W_PX);
    localparam logic signed [COUNT_W-1:0] TOP_FIRST_PX = COUNT_W'(-PAD_T * IN_W_PX);
    localparam logic signed [COUNT_W-1:0] TOP_LAST_PX  = COUNT_W'(((OUT_H - 1) * STRIDE_H - PAD_T) * IN_W_PX);
    localparam logic signed [COUNT_W-1:0] K_H_PX       = COUNT_W'((K_H - 1) * IN_W_PX);
    localparam logic signed [COUNT_W-1:0] FREE_PX      = COUNT_W'(-STRIDE_H * IN_W_PX);
    localparam logic signed [COL_W-1:0] ZERO_COL       = '0;
    localparam logic signed [COL_W-1:0] LAST_COL       = COL_W'(IN_W_PX - 1);
    localparam logic signed [COL_W-1:0] K_W_COL        = COL_W'(K_W - 1);

    // x, from low to high, and more. What is compared with are constants, so that nothing waits for a sum.
    function automatic logic signed [COUNT_W-1:0] clamp_px(
        input logic signed [COUNT_W-1:0] x, input logic signed [COUNT_W-1:0] low,
        input logic signed [COUNT_W-1:0] high, input logic signed [COUNT_W-1:0] more);
        clamp_px = (x < low) ? low + more : (x > high) ? high + more : x + more;
    endfunction

    function automatic logic signed [COL_W-1:0] clamp_col(
        input logic signed [COL_W-1:0] x, input logic signed [COL_W-1:0] low,
        input logic signed [COL_W-1:0] high, input logic signed [COL_W-1:0] more);
        clamp_col = (x < low) ? low + more : (x > high) ? high + more : x + more;
    endfunction

    // Four ahead: its corner
    logic signed [COUNT_W-1:0] top4_reg;
    logic signed [  COL_W-1:0] left4_reg;
    logic first4_reg;  // of an image
    // Three ahead: the parts of NEED - 1 and LIMIT
    logic signed [COUNT_W-1:0] need_row3_reg, limit_row3_reg;
    logic signed [  COL_W-1:0] need_col3_reg, limit_col3_reg;
    logic first3_reg;
    // Two ahead and one ahead: NEED - 1 and LIMIT
    logic signed [COUNT_W-1:0] need2_reg, limit2_reg, need1_reg, limit1_reg;
    logic first2_reg;
    // What the next one has more than this one, and what there is
    logic signed [COUNT_W-1:0] need_step_reg, limit_step_reg;
    logic signed [COUNT_W-1:0] beyond_reg, before_reg;

    wire pixel_in;
    wire moves_on = (WINDOW > 1) ? window_read_reg : window_issued;
    wire last_left4 = left4_reg == LEFT_LAST;
    wire last_top4  = top4_reg == TOP_LAST_PX;
    // Columns left of the window are free once the rows below start further down.
    wire columns_free = top4_reg > FREE_PX && top4_reg < IMAGE_PX;
    wire signed [COUNT_W-1:0] image2 = first2_reg ? IMAGE_PX : ZERO_PX;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            top4_reg       <= COUNT_W'(ROW_4 * IN_W_PX);
            left4_reg      <= COL_W'(LEFT_4);
            first4_reg     <= image_of(4) != 0;
            need_row3_reg  <= COUNT_W'(pixels_of(3, 0));
            limit_row3_reg <= COUNT_W'(pixels_of(3, 1));
            need_col3_reg  <= ZERO_COL;  // in the row's part
            limit_col3_reg <= ZERO_COL;
            first3_reg     <= image_of(3) != 0;
            need2_reg      <= COUNT_W'(pixels_of(2, 0));
            limit2_reg     <= COUNT_W'(pixels_of(2, 1));
            first2_reg     <= image_of(2) != 0;
            need1_reg      <= COUNT_W'(pixels_of(1, 0));
            limit1_reg     <= COUNT_W'(pixels_of(1, 1));
            need_step_reg  <= step_of(0, 0);
            limit_step_reg <= step_of(0, 1);
        end else if (moves_on) begin
            left4_reg      <= last_left4 ? LEFT_FIRST : left4_reg + COL_W'(STRIDE_W);
            if (last_left4) top4_reg <= last_top4 ? TOP_FIRST_PX : top4_reg + STRIDE_PX;
            first4_reg     <= last_left4 && last_top4;
            need_row3_reg  <= clamp_px(top4_reg, -K_H_PX, LAST_ROW_PX - K_H_PX, K_H_PX);
            limit_row3_reg <= clamp_px(top4_reg, ZERO_PX, IMAGE_PX, BUF_PX);
            need_col3_reg  <= clamp_col(left4_reg, -K_W_COL, LAST_COL - K_W_COL, K_W_COL);
            limit_col3_reg <= columns_free ? clamp_col(left4_reg, ZERO_COL, COLS, ZERO_COL) : ZERO_COL;
            first3_reg     <= first4_reg;
            need2_reg      <= need_row3_reg + COUNT_W'(need_col3_reg);
            limit2_reg     <= limit_row3_reg + COUNT_W'(limit_col3_reg);
            first2_reg     <= first3_reg;
            need1_reg      <= need2_reg;
            limit1_reg     <= limit2_reg;
            need_step_reg  <= need2_reg - need1_reg + image2;
            limit_step_reg <= limit2_reg - limit1_reg + image2;
        end
    end

    wire signed [COUNT_W-1:0] limit_step;  // of the window that is read
    if (WINDOW > 1) begin : gen_step
        assign limit_step = limit_step_reg;
    end else begin : gen_step_before
        logic signed [COUNT_W-1:0] step_reg;
        always_ff @(posedge clk_i) step_reg <= limit_step_reg;
        assign limit_step = step_reg;
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            beyond_reg <= COUNT_W'(-1 - pixels_of(0, 0));
            before_reg <= COUNT_W'(pixels_of(0, 1) - 1);
        end else begin
            beyond_reg <= beyond_reg - (window_issued ? need_step_reg : ZERO_PX) + (pixel_in ? COUNT_W'(1) : ZERO_PX);
            before_reg <= before_reg + (window_read_reg ? limit_step : ZERO_PX) - (pixel_in ? COUNT_W'(1) : ZERO_PX);
        end
    end

    assign issue    = room && !beyond_reg[COUNT_W-1];
    assign s_tready = !before_reg[COUNT_W-1];

    // --- Line buffer.

    logic [BEAT_W-1:0] write_beat_reg;
    logic last_write_beat_reg;

    wire write = s_tvalid && s_tready;
    assign pixel_in = write && last_write_beat_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            write_beat_reg      <= '0;
            last_write_beat_reg <= BEATS == 1;
        end else if (write) begin
            write_beat_reg      <= last_write_beat_reg ? '0 : write_beat_reg + 1'b1;
            last_write_beat_reg <= BEATS == 1 || (!last_write_beat_reg && write_beat_reg == BEAT_W'(BEATS - 2));
        end
    end

    wire [BEAT_OUT_W-1:0] read_data;

    if (POSITIONS == 1) begin : gen_lines
        hwflow_lines #(
            .W        (LANES * W),
            .BEATS    (BEATS),
            .IN_H     (IN_H),
            .IN_W_PX  (IN_W_PX),
            .K_H      (K_H),
            .K_W      (K_W),
            .OUT_H    (OUT_H),
            .OUT_W    (OUT_W),
            .STRIDE_H (STRIDE_H),
            .STRIDE_W (STRIDE_W),
            .PAD_T    (PAD_T),
            .PAD_L    (PAD_L),
            .BUF_ROWS (BUF_ROWS)
        ) lines (
            .clk_i        (clk_i),
            .rst_ni       (rst_ni),
            .write_i      (write),
            .write_data_i (s_tdata),
            .read_i       (read_reg),
            .last_beat_i  (last_beat_reg),
            .last_kw_i    (last_kw_reg),
            .last_kh_i    (last_kh_reg),
            .last_left_i  (last_left_reg),
            .last_top_i   (last_top_reg),
            .data_o       (read_data)
        );
    end else begin : gen_banks
        hwflow_banks #(
            .W        (LANES * W),
            .ROWS     (B_ROWS),
            .COLS     (B_COLS),
            .IN_H     (IN_H),
            .IN_W_PX  (IN_W_PX),
            .OUT_H    (OUT_H),
            .STRIDE_H (STRIDE_H),
            .STRIDE_W (STRIDE_W),
            .PAD_T    (PAD_T),
            .PAD_L    (PAD_L),
            .BUF_ROWS (BUF_ROWS)
        ) lines (
            .clk_i        (clk_i),
            .rst_ni       (rst_ni),
            .write_i      (write),
            .write_data_i (s_tdata),
            .read_i       (read_reg),
            .last_kh_i    (last_kh_reg),
            .last_left_i  (last_left_reg),
            .last_top_i   (last_top_reg),
            .data_o       (read_data)
        );
    end

    // --- Output.

    logic [STAGES-1:0] valid_reg;  // of what was read
    logic [BEAT_OUT_W-1:0] data_reg;
    wire  [B_ROWS-1:0] row_padding;
    wire  [B_COLS-1:0] col_padding;

    hwflow_delay #(
        .WIDTH  (B_ROWS + B_COLS),
        .STAGES (STAGES - 1)
    ) wait_for_data (
        .clk_i  (clk_i),
        .en_i   (1'b1),
        .data_i ({row_outside, col_outside}),
        .data_o ({row_padding, col_padding})
    );

    always_ff @(posedge clk_i) begin
        if (!rst_ni) valid_reg <= '0;
        else valid_reg <= {valid_reg[STAGES-2:0], read_reg};
    end

    for (genvar i = 0; i < AT_ONCE; i++) begin : gen_position
        always_ff @(posedge clk_i) begin
            data_reg[i*LANES*W+:LANES*W] <= (row_padding[i/B_COLS] || col_padding[i%B_COLS]) ? {LANES{PAD_VALUE}} :
                                            read_data[i*LANES*W+:LANES*W];
        end
    end

    hwflow_catch #(
        .WIDTH (BEAT_OUT_W),
        .DEPTH (HELD)
    ) results (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .begin_i  (issue),
        .room_o   (room),
        .valid_i  (valid_reg[STAGES-1]),
        .data_i   (data_reg),
        .m_tdata  (m_tdata),
        .m_tvalid (m_tvalid),
        .m_tready (m_tready)
    );

endmodule

`default_nettype wire
