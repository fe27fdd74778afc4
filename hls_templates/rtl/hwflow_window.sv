// Sliding window: for every output pixel, row by row, the K_H x K_W input pixels under the kernel, in
// the order kernel row, kernel column, channel; PAD_VALUE where the kernel hangs over the image's edge.
//
// The image is kept in a circular line buffer of BUF_ROWS rows in block RAM. All of it is taken in,
// also rows and columns that no window touches, and images follow one another without a gap or flush.
//
//   W, LANES         bits of an element, elements of a beat; LANES divides CHANNELS
//   IN_H, IN_W_PX    image height and width in pixels, without padding
//   PAD_T/_B/_L/_R   rows and columns of padding; they may differ and may exceed the kernel
//   PAD_VALUE        the code there: 0, or the most negative one ahead of a max pool
//   BUF_ROWS         rows buffered; the default keeps the output busy while the input is, too
//
// Timing. One beat in and one beat out a cycle; a beat leaves 1 cycle after it could be read, and a
// pixel can be read in the cycle after its last beat was accepted. s_tready comes from registers.
// Input pixels are counted from the start of the image that is being output. For its output pixel
// (oy, ox), top = oy*STRIDE_H - PAD_T, left = ox*STRIDE_W - PAD_L, and clamp(x, low, high):
//   - before the first beat can leave, NEED pixels must have been accepted:
//       NEED = clamp(top+K_H-1, 0, IN_H-1)*IN_W_PX + clamp(left+K_W-1, 0, IN_W_PX-1) + 1
//     (outputs leave in order, so the largest NEED so far counts; it is enough for all beats of it);
//   - from the cycle after the last beat of the output pixel before it has left the buffer, until its
//     own has, up to LIMIT pixels are accepted, those of following images included:
//       LIMIT = (clamp(top, 0, IN_H) + BUF_ROWS)*IN_W_PX + FREED
//       FREED = clamp(left, 0, IN_W_PX) if top > -STRIDE_H and top < IN_H, else 0.
// LIMIT >= NEED, so it cannot deadlock. The output register holds one beat that has left the buffer.

`default_nettype none

module hwflow_window #(
    parameter int W                     = 8,
    parameter int LANES                 = 1,
    parameter int CHANNELS              = 1,
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
    parameter int BUF_ROWS              =
        ((K_H < IN_H) ? K_H : IN_H) + ((K_H < STRIDE_H) ? K_H : STRIDE_H) - 1
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

    localparam int BEATS = CHANNELS / LANES;  // of a pixel
    localparam int OUT_H = (IN_H + PAD_T + PAD_B - K_H) / STRIDE_H + 1;
    localparam int OUT_W = (IN_W_PX + PAD_L + PAD_R - K_W) / STRIDE_W + 1;
    localparam int IMAGE = IN_H * IN_W_PX;  // pixels
    localparam int DEPTH = BUF_ROWS * IN_W_PX * BEATS;

    if (W < 1 || LANES < 1 || CHANNELS < 1 || CHANNELS % LANES != 0) begin : gen_error_lanes
        initial $fatal(1, "hwflow_window: LANES (%0d) must divide CHANNELS (%0d)", LANES, CHANNELS);
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

    // --- Where the output stands: beat, kernel column and row, and the window's top left corner.

    localparam int BEAT_W = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam int KH_W   = (K_H > 1) ? $clog2(K_H) : 1;
    localparam int KW_W   = (K_W > 1) ? $clog2(K_W) : 1;
    localparam int ROW_W  = $clog2(IN_H + PAD_T + PAD_B + STRIDE_H + K_H) + 1;  // signed
    localparam int COL_W  = $clog2(IN_W_PX + PAD_L + PAD_R + STRIDE_W + K_W) + 1;

    localparam logic signed [ROW_W-1:0] TOP_FIRST  = ROW_W'(-PAD_T);
    localparam logic signed [ROW_W-1:0] TOP_LAST   = ROW_W'((OUT_H - 1) * STRIDE_H - PAD_T);
    localparam logic signed [ROW_W-1:0] ROWS       = ROW_W'(IN_H);
    localparam logic signed [COL_W-1:0] LEFT_FIRST = COL_W'(-PAD_L);
    localparam logic signed [COL_W-1:0] LEFT_LAST  = COL_W'((OUT_W - 1) * STRIDE_W - PAD_L);
    localparam logic signed [COL_W-1:0] COLS       = COL_W'(IN_W_PX);

    logic        [BEAT_W-1:0] beat_reg;
    logic        [  KW_W-1:0] kw_reg;
    logic        [  KH_W-1:0] kh_reg;
    logic signed [ ROW_W-1:0] top_reg;
    logic signed [ COL_W-1:0] left_reg;

    wire issue;  // a beat is read from the buffer, or is padding
    wire pixel_done  = issue && beat_reg == BEAT_W'(BEATS - 1);
    wire krow_done   = pixel_done && kw_reg == KW_W'(K_W - 1);
    wire window_done = krow_done && kh_reg == KH_W'(K_H - 1);
    wire row_done    = window_done && left_reg == LEFT_LAST;
    wire image_done  = row_done && top_reg == TOP_LAST;

    wire signed [ROW_W-1:0] top_next =
        image_done ? TOP_FIRST : row_done ? top_reg + ROW_W'(STRIDE_H) : top_reg;
    wire signed [COL_W-1:0] left_next = row_done ? LEFT_FIRST : left_reg + COL_W'(STRIDE_W);

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            beat_reg <= '0;
            kw_reg   <= '0;
            kh_reg   <= '0;
            top_reg  <= TOP_FIRST;
            left_reg <= LEFT_FIRST;
        end else begin
            if (issue) beat_reg <= pixel_done ? '0 : beat_reg + 1'b1;
            if (pixel_done) kw_reg <= krow_done ? '0 : kw_reg + 1'b1;
            if (krow_done) kh_reg <= window_done ? '0 : kh_reg + 1'b1;
            if (window_done) begin
                top_reg  <= top_next;
                left_reg <= left_next;
            end
        end
    end

    wire signed [ROW_W-1:0] row = top_reg + $signed({{(ROW_W - KH_W) {1'b0}}, kh_reg});
    wire signed [COL_W-1:0] col = left_reg + $signed({{(COL_W - KW_W) {1'b0}}, kw_reg});
    wire padding = row < 0 || row >= ROWS || col < 0 || col >= COLS;

    // --- How many pixels the window needs and how many the buffer has room for; see the header. The
    // --- clamped parts are kept in registers so that only their sums are on the path to the handshakes.

    localparam int COUNT_W = $clog2(IMAGE + (BUF_ROWS + PAD_T + PAD_B + STRIDE_H + K_H) * IN_W_PX + 2) + 1;

    localparam logic signed [COUNT_W-1:0] ZERO_PX      = '0;
    localparam logic signed [COUNT_W-1:0] IMAGE_PX     = COUNT_W'(IMAGE);
    localparam logic signed [COUNT_W-1:0] LAST_ROW_PX  = COUNT_W'((IN_H - 1) * IN_W_PX);
    localparam logic signed [COUNT_W-1:0] BUF_PX       = COUNT_W'(BUF_ROWS * IN_W_PX);
    localparam logic signed [COUNT_W-1:0] STRIDE_PX    = COUNT_W'(STRIDE_H * IN_W_PX);
    localparam logic signed [COUNT_W-1:0] TOP_FIRST_PX = COUNT_W'(-PAD_T * IN_W_PX);
    localparam logic signed [COUNT_W-1:0] K_H_PX       = COUNT_W'((K_H - 1) * IN_W_PX);
    localparam logic signed [COL_W-1:0] ZERO_COL       = '0;
    localparam logic signed [COL_W-1:0] LAST_COL       = COL_W'(IN_W_PX - 1);
    localparam logic signed [COL_W-1:0] K_W_COL        = COL_W'(K_W - 1);

    function automatic logic signed [COUNT_W-1:0] clamp_px(
        input logic signed [COUNT_W-1:0] x, input logic signed [COUNT_W-1:0] high);
        clamp_px = (x < ZERO_PX) ? ZERO_PX : (x > high) ? high : x;
    endfunction

    function automatic logic signed [COL_W-1:0] clamp_col(
        input logic signed [COL_W-1:0] x, input logic signed [COL_W-1:0] high);
        clamp_col = (x < ZERO_COL) ? ZERO_COL : (x > high) ? high : x;
    endfunction

    logic signed [COUNT_W-1:0] accepted_reg;  // below 0: the rest of the last image is still to come
    logic signed [COUNT_W-1:0] top_px_reg;
    logic signed [COUNT_W-1:0] need_row_reg, limit_row_reg;
    logic signed [  COL_W-1:0] need_col_reg, limit_col_reg;

    wire pixel_in;
    wire signed [COUNT_W-1:0] top_px_next =
        image_done ? TOP_FIRST_PX : row_done ? top_px_reg + STRIDE_PX : top_px_reg;
    // Columns left of the window are free once the rows below start further down.
    wire columns_free = top_px_next + STRIDE_PX > ZERO_PX && top_px_next < IMAGE_PX;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            accepted_reg  <= ZERO_PX;
            top_px_reg    <= TOP_FIRST_PX;
            need_row_reg  <= clamp_px(TOP_FIRST_PX + K_H_PX, LAST_ROW_PX);
            need_col_reg  <= clamp_col(LEFT_FIRST + K_W_COL, LAST_COL);
            limit_row_reg <= BUF_PX;
            limit_col_reg <= ZERO_COL;
        end else begin
            accepted_reg <=
                accepted_reg + (pixel_in ? COUNT_W'(1) : ZERO_PX) - (image_done ? IMAGE_PX : ZERO_PX);
            if (window_done) begin
                top_px_reg    <= top_px_next;
                need_row_reg  <= clamp_px(top_px_next + K_H_PX, LAST_ROW_PX);
                need_col_reg  <= clamp_col(left_next + K_W_COL, LAST_COL);
                limit_row_reg <= clamp_px(top_px_next, IMAGE_PX) + BUF_PX;
                limit_col_reg <= columns_free ? clamp_col(left_next, COLS) : ZERO_COL;
            end
        end
    end

    wire has_window = accepted_reg > need_row_reg + COUNT_W'(need_col_reg);
    assign s_tready = accepted_reg < limit_row_reg + COUNT_W'(limit_col_reg);

    // --- Line buffer. Addresses are modulo DEPTH, so that a step between any two beats is one constant,
    // --- and padding has addresses too, which are read in vain.

    localparam int ADDR_W     = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int KERNEL     = ((K_H - 1) * IN_W_PX + K_W) * BEATS - 1;  // first to last beat of a window
    localparam int TO_KROW    = (IN_W_PX - K_W) * BEATS + 1;
    localparam int TO_WINDOW  = STRIDE_W * BEATS - KERNEL;
    localparam int TO_ROW     = (STRIDE_H * IN_W_PX - (OUT_W - 1) * STRIDE_W) * BEATS - KERNEL;
    localparam int TO_IMAGE   =
        (IMAGE - (OUT_H - 1) * STRIDE_H * IN_W_PX - (OUT_W - 1) * STRIDE_W) * BEATS - KERNEL;
    localparam int ADDR_FIRST = -(PAD_T * IN_W_PX + PAD_L) * BEATS;

    // Non-negative remainders: % takes the sign of its left side
    localparam logic [ADDR_W-1:0] STEP_BEAT    = ADDR_W'(1 % DEPTH);
    localparam logic [ADDR_W-1:0] STEP_KROW    = ADDR_W'((TO_KROW % DEPTH + DEPTH) % DEPTH);
    localparam logic [ADDR_W-1:0] STEP_WINDOW  = ADDR_W'((TO_WINDOW % DEPTH + DEPTH) % DEPTH);
    localparam logic [ADDR_W-1:0] STEP_ROW     = ADDR_W'((TO_ROW % DEPTH + DEPTH) % DEPTH);
    localparam logic [ADDR_W-1:0] STEP_IMAGE   = ADDR_W'((TO_IMAGE % DEPTH + DEPTH) % DEPTH);
    localparam logic [ADDR_W-1:0] FIRST        = ADDR_W'((ADDR_FIRST % DEPTH + DEPTH) % DEPTH);
    localparam logic [ADDR_W-1:0] LAST_ADDRESS = ADDR_W'(DEPTH - 1);

    logic [LANES*W-1:0] lines [0:DEPTH-1];

    logic [ADDR_W-1:0] write_addr_reg, read_addr_reg;
    logic [BEAT_W-1:0] write_beat_reg;

    wire write = s_tvalid && s_tready;
    assign pixel_in = write && write_beat_reg == BEAT_W'(BEATS - 1);

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            write_addr_reg <= '0;
            write_beat_reg <= '0;
        end else if (write) begin
            write_addr_reg <= (write_addr_reg == LAST_ADDRESS) ? '0 : write_addr_reg + 1'b1;
            write_beat_reg <= pixel_in ? '0 : write_beat_reg + 1'b1;
        end
    end

    wire [ADDR_W-1:0] step = image_done ? STEP_IMAGE : row_done ? STEP_ROW : window_done ? STEP_WINDOW :
                             krow_done ? STEP_KROW : STEP_BEAT;
    wire [ADDR_W:0] read_sum = {1'b0, read_addr_reg} + {1'b0, step};
    wire [ADDR_W:0] read_wrapped = read_sum - (ADDR_W + 1)'(DEPTH);
    wire [ADDR_W-1:0] read_addr_next = read_wrapped[ADDR_W] ? read_sum[ADDR_W-1:0] : read_wrapped[ADDR_W-1:0];

    wire advance = !m_tvalid || m_tready;
    assign issue = advance && has_window;

    logic [LANES*W-1:0] read_data_reg;
    logic padding_reg;

    always_ff @(posedge clk_i) begin
        if (write) lines[write_addr_reg] <= s_tdata;
    end

    always_ff @(posedge clk_i) begin
        if (advance) read_data_reg <= lines[read_addr_reg];
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            read_addr_reg <= FIRST;
            m_tvalid      <= 1'b0;
            padding_reg   <= 1'b0;
        end else if (advance) begin
            if (issue) read_addr_reg <= read_addr_next;
            m_tvalid    <= issue;
            padding_reg <= padding;
        end
    end

    assign m_tdata = padding_reg ? {LANES{PAD_VALUE}} : read_data_reg;

endmodule

`default_nettype wire
