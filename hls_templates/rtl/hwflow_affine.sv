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
// Weights and biases come from hwflow_weights, channelwise: w_en_o moves it on, w_next_o asks for a beat.
// W_LATENCY enabled cycles after w_next_o, beat nf has w[nf*PE+p] at w_data_i[p*W_W +: W_W] and bias[nf*PE+p] at
// w_bias_i[p*B_W +: B_W].
//
// Timing: W_LATENCY + 3 cycles, one beat a cycle. s_tready depends on m_tready in the same cycle.

`default_nettype none

module hwflow_affine #(
    parameter int PE         = 2,
    parameter int X_W        = 16,
    parameter int X_SIGNED   = 1,
    parameter int W_W        = 8,
    parameter int W_LATENCY  = 1,
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

    output logic                w_en_o,
    output logic                w_next_o,
    input  wire  [  PE*W_W-1:0] w_data_i,
    input  wire  [  PE*B_W-1:0] w_bias_i,

    output logic [PE*OUT_W-1:0] m_tdata,
    output logic                m_tvalid,
    input  wire                 m_tready
);

    localparam int PRODUCT_W = X_W + W_W;  // holds the product also if x is unsigned

    if (PE < 1 || X_W < 1 || W_W < 1 || W_LATENCY < 1 || B_W < 1 || X_SIGNED < 0 || X_SIGNED > 1 || B_SHIFT < 0)
    begin : gen_error_type
        initial $fatal(1, "hwflow_affine: PE, W_LATENCY and widths must be positive, X_SIGNED 0 or 1, B_SHIFT not negative");
    end
    if (PRODUCT_W > ACC_W || B_W + B_SHIFT > ACC_W) begin : gen_error_acc
        initial $fatal(1, "hwflow_affine: ACC_W (%0d) holds not every product, or not every bias", ACC_W);
    end

    wire advance = m_tready || !m_tvalid;
    assign s_tready = advance;
    assign w_en_o   = advance;
    assign w_next_o = advance && s_tvalid;

    // --- Stage 0: the beat, and its weights are asked for. Stage 1: it waits until they come.

    wire [PE*X_W-1:0] x1;

    hwflow_delay #(
        .WIDTH  (PE * X_W),
        .STAGES (W_LATENCY)
    ) wait_for_weights (
        .clk_i  (clk_i),
        .en_i   (advance),
        .data_i (s_tdata),
        .data_o (x1)
    );

    // --- Stage 2: products. Stage 3: sums. Then one cast into the output register.

    logic [W_LATENCY+1:0] valid_reg;  // the beats of stages 1 to 3
    wire [PE*OUT_W-1:0] y3;

    for (genvar p = 0; p < PE; p++) begin : gen_lane
        wire signed [X_W-X_SIGNED:0] x;
        if (X_SIGNED != 0) begin : gen_signed
            assign x = x1[p*X_W+:X_W];
        end else begin : gen_unsigned
            assign x = {1'b0, x1[p*X_W+:X_W]};
        end
        wire signed [W_W-1:0] w = w_data_i[p*W_W+:W_W];
        logic signed [PRODUCT_W-1:0] product2_reg;
        logic signed [B_W-1:0] bias2_reg;
        logic signed [ACC_W-1:0] sum3_reg;

        always_ff @(posedge clk_i) begin
            if (advance) begin
                product2_reg <= w * x;
                bias2_reg    <= w_bias_i[p*B_W+:B_W];
                sum3_reg     <= (ACC_W'(bias2_reg) <<< B_SHIFT) + ACC_W'(product2_reg);
            end
        end

        hwflow_cast #(
            .IN_W       (ACC_W),
            .IN_FRAC    (ACC_FRAC),
            .IN_SIGNED  (1),
            .OUT_W      (OUT_W),
            .OUT_FRAC   (OUT_FRAC),
            .OUT_SIGNED (OUT_SIGNED),
            .ROUNDING   (ROUNDING),
            .OVERFLOW   (OVERFLOW)
        ) cast (
            .code_i (sum3_reg),
            .code_o (y3[p*OUT_W+:OUT_W])
        );
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            valid_reg <= '0;
            m_tvalid  <= 1'b0;
        end else if (advance) begin
            valid_reg <= {valid_reg[W_LATENCY:0], s_tvalid};
            m_tvalid  <= valid_reg[W_LATENCY+1];
        end
    end

    always_ff @(posedge clk_i) begin
        if (advance) m_tdata <= y3;
    end

endmodule

`default_nettype wire
