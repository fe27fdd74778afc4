// Element-wise product of two streams whose types may differ: the exact product, then one cast.
//
//   LANES                    elements of a beat, the same in all three streams
//   A_*, B_*                 types of the inputs
//   OUT_*, ROUNDING, OVERFLOW  type of the output, see hwflow_cast
//
// Timing: 6 cycles (operands, product twice, cast, and hwflow_catch), one beat a cycle. A beat is taken from both inputs
// at once; the ready of each input depends on the valid of the other, and on nothing behind this module.

`default_nettype none

module hwflow_multiply #(
    parameter int LANES      = 1,
    parameter int A_W        = 16,
    parameter int A_FRAC     = 10,
    parameter int A_SIGNED   = 1,
    parameter int B_W        = 16,
    parameter int B_FRAC     = 10,
    parameter int B_SIGNED   = 1,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 2,
    parameter int OVERFLOW   = 1
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire  [  LANES*A_W-1:0] a_tdata,
    input  wire                    a_tvalid,
    output logic                   a_tready,

    input  wire  [  LANES*B_W-1:0] b_tdata,
    input  wire                    b_tvalid,
    output logic                   b_tready,

    output logic [LANES*OUT_W-1:0] m_tdata,
    output logic                   m_tvalid,
    input  wire                    m_tready
);

    localparam int PRODUCT_W = A_W + B_W + 2;
    localparam int DONE_AT   = 4;

    if (LANES < 1 || A_W < 1 || B_W < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_multiply: LANES, A_W and B_W must be positive");
    end

    wire room;
    wire take = a_tvalid && b_tvalid && room;
    assign a_tready = b_tvalid && room;
    assign b_tready = a_tvalid && room;

    logic [DONE_AT-1:0] valid_reg;
    wire [LANES*OUT_W-1:0] y;

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
        logic signed [A_W:0] a_reg;
        logic signed [B_W:0] b_reg;
        logic signed [PRODUCT_W-1:0] whole_reg, product_reg;

        always_ff @(posedge clk_i) begin
            a_reg       <= {(A_SIGNED != 0) && a_tdata[(lane+1)*A_W-1], a_tdata[lane*A_W+:A_W]};
            b_reg       <= {(B_SIGNED != 0) && b_tdata[(lane+1)*B_W-1], b_tdata[lane*B_W+:B_W]};
            whole_reg   <= a_reg * b_reg;
            product_reg <= whole_reg;
        end

        hwflow_cast #(
            .IN_W(PRODUCT_W), .IN_FRAC(A_FRAC + B_FRAC), .IN_SIGNED(1),
            .OUT_W(OUT_W), .OUT_FRAC(OUT_FRAC), .OUT_SIGNED(OUT_SIGNED),
            .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW), .REGISTER(1)
        ) cast_lane (
            .clk_i(clk_i),
            .code_i(product_reg),
            .code_o(y[lane*OUT_W+:OUT_W])
        );
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) valid_reg <= '0;
        else valid_reg <= {valid_reg[DONE_AT-2:0], take};
    end

    hwflow_catch #(
        .WIDTH (LANES * OUT_W),
        .DEPTH (DONE_AT + 5)
    ) results (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .begin_i  (take),
        .room_o   (room),
        .valid_i  (valid_reg[DONE_AT-1]),
        .data_i   (y),
        .m_tdata  (m_tdata),
        .m_tvalid (m_tvalid),
        .m_tready (m_tready)
    );

endmodule

`default_nettype wire
