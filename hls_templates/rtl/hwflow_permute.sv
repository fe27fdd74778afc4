// The beats of an image in another order: those of one image are written one after the other, while those of the image
// before it are read.
//
//   W, LANES         bits of an element, elements of a beat
//   SIZE_0, _1, _2   beats of the image that goes out, by its axes: beat (i, j, k) is
//   STRIDE_0, _1, _2     beat i STRIDE_0 + j STRIDE_1 + k STRIDE_2 of the image that comes in
//
// Timing. A beat in and a beat out a cycle. The first beat of an image leaves 2 cycles after its last one has come in; the
// first beat of an image is taken 1 cycle after the last one of the second image before it has been read, or later.
// s_tready comes from registers.

`default_nettype none

module hwflow_permute #(
    parameter int W        = 8,
    parameter int LANES    = 1,
    parameter int SIZE_0   = 3,
    parameter int SIZE_1   = 2,
    parameter int SIZE_2   = 4,
    parameter int STRIDE_0 = 4,
    parameter int STRIDE_1 = 12,
    parameter int STRIDE_2 = 1
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

    localparam int IMAGE   = SIZE_0 * SIZE_1 * SIZE_2;
    localparam int DEPTH   = 2 * IMAGE;
    localparam int PLACE_W = (IMAGE > 1) ? $clog2(IMAGE) : 1;
    localparam int ADDR_W  = $clog2(DEPTH);
    localparam int I_W     = (SIZE_0 > 1) ? $clog2(SIZE_0) : 1;
    localparam int J_W     = (SIZE_1 > 1) ? $clog2(SIZE_1) : 1;
    localparam int K_W     = (SIZE_2 > 1) ? $clog2(SIZE_2) : 1;

    if (W < 1 || LANES < 1 || SIZE_0 < 1 || SIZE_1 < 1 || SIZE_2 < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_permute: W, LANES and sizes must be positive");
    end
    if (STRIDE_0 < 1 || STRIDE_1 < 1 || STRIDE_2 < 1 ||
        (SIZE_0 - 1) * STRIDE_0 + (SIZE_1 - 1) * STRIDE_1 + (SIZE_2 - 1) * STRIDE_2 != IMAGE - 1) begin : gen_error_stride
        initial $fatal(1, "hwflow_permute: strides must be positive, and the last beat be the last one of the image");
    end

    // --- Two images, one of which is written and one read; which of them are there to be read.

    logic [1:0] full_reg;
    logic       write_bank_reg;
    logic       read_bank_reg;

    function automatic logic [ADDR_W-1:0] in_bank(input logic bank, input logic [PLACE_W-1:0] place);
        in_bank = (bank ? ADDR_W'(IMAGE) : ADDR_W'(0)) + ADDR_W'(place);
    endfunction

    // --- Beats that come in.

    logic [PLACE_W-1:0] write_reg;
    wire take       = s_tvalid && s_tready;
    wire last_write = write_reg == PLACE_W'(IMAGE - 1);

    assign s_tready = !full_reg[write_bank_reg];

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            write_reg      <= '0;
            write_bank_reg <= 1'b0;
        end else if (take) begin
            write_reg <= last_write ? '0 : write_reg + 1'b1;
            if (last_write) write_bank_reg <= !write_bank_reg;
        end
    end

    // --- Beats that go out; where the row and the plane that they are in begin.

    logic [    I_W-1:0] i_reg;
    logic [    J_W-1:0] j_reg;
    logic [    K_W-1:0] k_reg;
    logic [PLACE_W-1:0] plane_reg;
    logic [PLACE_W-1:0] row_reg;
    logic [PLACE_W-1:0] read_reg;

    wire last_i    = i_reg == I_W'(SIZE_0 - 1);
    wire last_j    = j_reg == J_W'(SIZE_1 - 1);
    wire last_k    = k_reg == K_W'(SIZE_2 - 1);
    wire last_read = last_i && last_j && last_k;
    wire space     = !m_tvalid || m_tready;
    wire read      = space && full_reg[read_bank_reg];

    wire [PLACE_W-1:0] next_plane = last_i ? '0 : plane_reg + PLACE_W'(STRIDE_0);
    wire [PLACE_W-1:0] next_row   = last_j ? next_plane : row_reg + PLACE_W'(STRIDE_1);

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            i_reg         <= '0;
            j_reg         <= '0;
            k_reg         <= '0;
            plane_reg     <= '0;
            row_reg       <= '0;
            read_reg      <= '0;
            read_bank_reg <= 1'b0;
            m_tvalid      <= 1'b0;
        end else begin
            if (space) m_tvalid <= read;
            if (read) begin
                k_reg    <= last_k ? '0 : k_reg + 1'b1;
                read_reg <= last_k ? next_row : read_reg + PLACE_W'(STRIDE_2);
                if (last_k) begin
                    j_reg   <= last_j ? '0 : j_reg + 1'b1;
                    row_reg <= next_row;
                end
                if (last_k && last_j) begin
                    i_reg     <= last_i ? '0 : i_reg + 1'b1;
                    plane_reg <= next_plane;
                end
                if (last_read) read_bank_reg <= !read_bank_reg;
            end
        end
    end

    // An image that is read to its end and one that is written to its end are never the same.
    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            full_reg <= 2'b00;
        end else begin
            if (take && last_write) full_reg[write_bank_reg] <= 1'b1;
            if (read && last_read) full_reg[read_bank_reg] <= 1'b0;
        end
    end

    hwflow_ram #(
        .WIDTH (LANES * W),
        .DEPTH (DEPTH)
    ) images (
        .clk_i        (clk_i),
        .write_en_i   (take),
        .write_addr_i (in_bank(write_bank_reg, write_reg)),
        .write_data_i (s_tdata),
        .read_en_i    (read),
        .read_addr_i  (in_bank(read_bank_reg, read_reg)),
        .read_data_o  (m_tdata)
    );

endmodule

`default_nettype wire
