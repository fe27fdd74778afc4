// Line buffer of hwflow_window that gives a beat of a pixel a cycle.
//
//   W, BEATS            bits of a beat, beats of a pixel
//   IN_H, IN_W_PX       image in pixels
//   K_H, K_W, OUT_H, OUT_W, STRIDE_H, STRIDE_W, PAD_T, PAD_L, BUF_ROWS   as in hwflow_window
//
// Beats come with write_i, in order. Every read_i reads a beat and moves on to the next one, as hwflow_window emits them;
// the last_*_i say that this one is the last of its pixel, kernel row, window, row of windows and image. Pixels beyond
// the image's edge are not defined.
//
// Addresses are modulo DEPTH, so that a step between any two beats is one constant, and padding has addresses too, which
// are read in vain.
//
// Timing: data 1 cycle after read_i, 2 of block RAM, a beat a cycle, of beats that were written before read_i.

`default_nettype none

module hwflow_lines #(
    parameter int W        = 8,
    parameter int BEATS    = 1,
    parameter int IN_H     = 8,
    parameter int IN_W_PX  = 8,
    parameter int K_H      = 3,
    parameter int K_W      = 3,
    parameter int OUT_H    = 6,
    parameter int OUT_W    = 6,
    parameter int STRIDE_H = 1,
    parameter int STRIDE_W = 1,
    parameter int PAD_T    = 0,
    parameter int PAD_L    = 0,
    parameter int BUF_ROWS = 3
) (
    input  wire          clk_i,
    input  wire          rst_ni,

    input  wire          write_i,
    input  wire  [W-1:0] write_data_i,

    input  wire          read_i,
    input  wire          last_beat_i,
    input  wire          last_kw_i,
    input  wire          last_kh_i,
    input  wire          last_left_i,
    input  wire          last_top_i,
    output wire  [W-1:0] data_o
);

    localparam int DEPTH      = BUF_ROWS * IN_W_PX * BEATS;
    localparam int ADDR_W     = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int BLOCK      = (DEPTH > 32 && W * DEPTH > 1024) ? 1 : 0;  // as in hwflow_ram
    localparam int KERNEL     = ((K_H - 1) * IN_W_PX + K_W) * BEATS - 1;  // first to last beat of a window
    localparam int TO_KROW    = (IN_W_PX - K_W) * BEATS + 1;
    localparam int TO_WINDOW  = STRIDE_W * BEATS - KERNEL;
    localparam int TO_ROW     = (STRIDE_H * IN_W_PX - (OUT_W - 1) * STRIDE_W) * BEATS - KERNEL;
    localparam int TO_IMAGE   =
        (IN_H * IN_W_PX - (OUT_H - 1) * STRIDE_H * IN_W_PX - (OUT_W - 1) * STRIDE_W) * BEATS - KERNEL;
    localparam int ADDR_FIRST = -(PAD_T * IN_W_PX + PAD_L) * BEATS;

    // Non-negative remainders: % takes the sign of its left side
    localparam logic [ADDR_W:0] STEP_BEAT    = (ADDR_W + 1)'(1 % DEPTH);
    localparam logic [ADDR_W:0] STEP_KROW    = (ADDR_W + 1)'((TO_KROW % DEPTH + DEPTH) % DEPTH);
    localparam logic [ADDR_W:0] STEP_WINDOW  = (ADDR_W + 1)'((TO_WINDOW % DEPTH + DEPTH) % DEPTH);
    localparam logic [ADDR_W:0] STEP_ROW     = (ADDR_W + 1)'((TO_ROW % DEPTH + DEPTH) % DEPTH);
    localparam logic [ADDR_W:0] STEP_IMAGE   = (ADDR_W + 1)'((TO_IMAGE % DEPTH + DEPTH) % DEPTH);
    localparam logic [ADDR_W:0] WRAP         = (ADDR_W + 1)'(DEPTH);
    localparam logic [ADDR_W-1:0] FIRST        = ADDR_W'((ADDR_FIRST % DEPTH + DEPTH) % DEPTH);
    localparam logic [ADDR_W-1:0] LAST_ADDRESS = ADDR_W'(DEPTH - 1);

    logic [ADDR_W-1:0] write_addr_reg, read_addr_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) write_addr_reg <= '0;
        else if (write_i) write_addr_reg <= (write_addr_reg == LAST_ADDRESS) ? '0 : write_addr_reg + 1'b1;
    end

    // The next address without and with wrapping, side by side: the flags are there at the start of the cycle.
    wire to_krow   = last_beat_i && last_kw_i;
    wire to_window = to_krow && last_kh_i;
    wire to_row    = to_window && last_left_i;
    wire [ADDR_W:0] step = (to_row && last_top_i) ? STEP_IMAGE : to_row ? STEP_ROW : to_window ? STEP_WINDOW :
                           to_krow ? STEP_KROW : STEP_BEAT;
    wire [ADDR_W:0] wrapping = (to_row && last_top_i) ? STEP_IMAGE - WRAP : to_row ? STEP_ROW - WRAP :
                               to_window ? STEP_WINDOW - WRAP : to_krow ? STEP_KROW - WRAP : STEP_BEAT - WRAP;
    wire [ADDR_W:0] read_sum     = {1'b0, read_addr_reg} + step;
    wire [ADDR_W:0] read_wrapped = {1'b0, read_addr_reg} + wrapping;  // negative if it need not wrap
    wire unused_carry = &{1'b0, read_sum[ADDR_W]};

    always_ff @(posedge clk_i) begin
        if (!rst_ni) read_addr_reg <= FIRST;
        else if (read_i) read_addr_reg <= read_wrapped[ADDR_W] ? read_sum[ADDR_W-1:0] : read_wrapped[ADDR_W-1:0];
    end

    wire [W-1:0] read_data;

    hwflow_ram #(
        .WIDTH (W),
        .DEPTH (DEPTH),
        .BLOCK (BLOCK)
    ) beats (
        .clk_i        (clk_i),
        .write_en_i   (write_i),
        .write_addr_i (write_addr_reg),
        .write_data_i (write_data_i),
        .read_en_i    (1'b1),
        .read_addr_i  (read_addr_reg),
        .read_data_o  (read_data)
    );

    // Block RAM takes the register in.
    hwflow_delay #(
        .WIDTH  (W),
        .STAGES (BLOCK)
    ) output_register (
        .clk_i  (clk_i),
        .en_i   (1'b1),
        .data_i (read_data),
        .data_o (data_o)
    );

endmodule

`default_nettype wire
