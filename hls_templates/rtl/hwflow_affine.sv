// Affine layer, channel by channel: y[ch] = cast((bias[ch] << B_SHIFT) + w[ch]*x[ch]), exact up to the cast.
// It is a batch normalisation that no layer before it could take in.
//
//   PE                    lanes of a beat, input and output: channels; a pixel is some beats
//   X_W, X_SIGNED         input code
//   W_W                   weight code, signed
//   W_LATENCY             cycles from w_next_o to the weights
//   ACC_W, ACC_FRAC       sum: it must hold every product and every bias, and the two together, which is
//                         not checked; ACC_FRAC is that of x plus that of w
//   B_W, B_SHIFT          bias code, signed, and the left shift that aligns it to the sum's LSB
//   OUT_*, ROUNDING, OVERFLOW   as in hwflow_cast
//
// Weights and biases come from hwflow_weights, channelwise: w_next_o asks for a beat. W_LATENCY cycles after it,
// beat nf has w[nf*PE+p] at w_data_i[p*W_W +: W_W] and bias[nf*PE+p] at w_bias_i[p*B_W +: B_W].
//
// Timing: W_LATENCY + 6 cycles, one beat a cycle. s_tready comes from a register.

`default_nettype none

module hwflow_affine #(
    parameter int PE         = 2,
    parameter int X_W        = 16,
    parameter int X_SIGNED   = 1,
    parameter int W_W        = 8,
    parameter int W_LATENCY  = 3,
    parameter int ACC_W      = 32,
    parameter int ACC_FRAC   = 15,
    parameter int B_W        = 16,
    parameter int B_SHIFT    = 0,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 0,
    parameter int OVERFLOW   = 0
) (
    input  wire                 clk_i,
    input  wire                 rst_ni,

    input  wire  [  PE*X_W-1:0] s_tdata,
    input  wire                 s_tvalid,
    output logic                s_tready,

    output logic                w_next_o,
    input  wire  [  PE*W_W-1:0] w_data_i,
    input  wire  [  PE*B_W-1:0] w_bias_i,

    output logic [PE*OUT_W-1:0] m_tdata,
    output logic                m_tvalid,
    input  wire                 m_tready
);

    localparam int DONE_AT   = W_LATENCY + 4;  // cycles from a beat to its result
    localparam int PRODUCT_W = X_W + W_W;  // holds the product also if x is unsigned

    if (PE < 1 || X_W < 1 || W_W < 1 || W_LATENCY < 1 || B_W < 1 || X_SIGNED < 0 || X_SIGNED > 1 || B_SHIFT < 0)
    begin : gen_error_type
        initial $fatal(1, "hwflow_affine: PE, W_LATENCY and widths must be positive, X_SIGNED 0 or 1, B_SHIFT not negative");
    end
    if (PRODUCT_W > ACC_W || B_W + B_SHIFT > ACC_W) begin : gen_error_acc
        initial $fatal(1, "hwflow_affine: ACC_W (%0d) holds not every product, or not every bias", ACC_W);
    end

    // --- A beat that begins has room for its result. It waits until its weights come.

    wire take = s_tvalid && s_tready;
    wire [PE*X_W-1:0] x;

    assign w_next_o = take;

    hwflow_delay #(
        .WIDTH  (PE * X_W),
        .STAGES (W_LATENCY + 1)
    ) wait_for_weights (
        .clk_i  (clk_i),
        .en_i   (1'b1),
        .data_i (s_tdata),
        .data_o (x)
    );

    // --- Operands, products, sums, one cast.

    logic [DONE_AT-1:0] valid_reg;
    wire [PE*OUT_W-1:0] y;

    for (genvar p = 0; p < PE; p++) begin : gen_lane
        wire signed [X_W-X_SIGNED:0] x_operand;
        if (X_SIGNED != 0) begin : gen_signed
            assign x_operand = x[p*X_W+:X_W];
        end else begin : gen_unsigned
            assign x_operand = {1'b0, x[p*X_W+:X_W]};
        end
        logic signed [W_W-1:0] w_reg;
        logic signed [PRODUCT_W-1:0] product_reg;
        logic signed [B_W-1:0] bias_reg, product_bias_reg;
        logic signed [ACC_W-1:0] sum_reg;

        always_ff @(posedge clk_i) begin
            w_reg            <= w_data_i[p*W_W+:W_W];
            bias_reg         <= w_bias_i[p*B_W+:B_W];
            product_reg      <= w_reg * x_operand;
            product_bias_reg <= bias_reg;
            sum_reg          <= (ACC_W'(product_bias_reg) <<< B_SHIFT) + ACC_W'(product_reg);
        end

        hwflow_cast #(
            .IN_W       (ACC_W),
            .IN_FRAC    (ACC_FRAC),
            .IN_SIGNED  (1),
            .OUT_W      (OUT_W),
            .OUT_FRAC   (OUT_FRAC),
            .OUT_SIGNED (OUT_SIGNED),
            .ROUNDING   (ROUNDING),
            .OVERFLOW   (OVERFLOW),
            .REGISTER   (1)
        ) cast (
            .clk_i  (clk_i),
            .code_i (sum_reg),
            .code_o (y[p*OUT_W+:OUT_W])
        );
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) valid_reg <= '0;
        else valid_reg <= {valid_reg[DONE_AT-2:0], take};
    end

    hwflow_catch #(
        .WIDTH (PE * OUT_W),
        .DEPTH (DONE_AT + 5)
    ) results (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .begin_i  (take),
        .room_o   (s_tready),
        .valid_i  (valid_reg[DONE_AT-1]),
        .data_i   (y),
        .m_tdata  (m_tdata),
        .m_tvalid (m_tvalid),
        .m_tready (m_tready)
    );

endmodule

`default_nettype wire
