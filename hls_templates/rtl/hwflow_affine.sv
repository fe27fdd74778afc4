// Affine layer, channel by channel: y[ch] = cast((bias[ch] << B_SHIFT) + w[ch]*x[ch]), exact up to the cast.
// It is a batch normalisation that no layer before it could take in; its weights are in block RAM.
//
//   PE                    lanes of a beat, input and output; it divides CHANNELS
//   CHANNELS              channels of a pixel, NF = CHANNELS/PE beats
//   X_W, X_SIGNED         input code
//   W_W                   weight code, signed
//   ACC_W, ACC_FRAC       sum: it must hold every product and every bias, and the two together, which is
//                         not checked; ACC_FRAC is that of x plus that of w
//   B_W, B_SHIFT          bias code, signed, and the left shift that aligns it to the sum's LSB
//   OUT_*, ROUNDING, OVERFLOW   as in hwflow_cast
//   WEIGHT_FILE           $readmemh file, NF words: word nf holds w[nf*PE+p] at bits [p*W_W +: W_W]
//   BIAS_FILE             $readmemh file, NF words: word nf holds bias[nf*PE+p] at bits [p*B_W +: B_W]
//
// The weight memory's second port is wb_*: b_rdata of a read follows wb_en_i by a cycle. Without files
// the weights are whatever port B writes, and the biases 0.
//
// Timing: 4 cycles, one beat a cycle. s_tready depends on m_tready in the same cycle.

`default_nettype none

module hwflow_affine #(
    parameter int PE         = 2,
    parameter int CHANNELS   = 4,
    parameter int X_W        = 16,
    parameter int X_SIGNED   = 1,
    parameter int W_W        = 8,
    parameter int ACC_W      = 32,
    parameter int ACC_FRAC   = 15,
    parameter int B_W        = 16,
    parameter int B_SHIFT    = 0,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 0,
    parameter int OVERFLOW   = 0,
    parameter WEIGHT_FILE    = "",
    parameter BIAS_FILE      = "",
    localparam int NF        = CHANNELS / PE,
    localparam int WADDR_W   = (NF > 1) ? $clog2(NF) : 1
) (
    input  wire                 clk_i,
    input  wire                 rst_ni,

    input  wire  [  PE*X_W-1:0] s_tdata,
    input  wire                 s_tvalid,
    output logic                s_tready,

    output logic [PE*OUT_W-1:0] m_tdata,
    output logic                m_tvalid,
    input  wire                 m_tready,

    input  wire                 wb_en_i,
    input  wire                 wb_we_i,
    input  wire  [ WADDR_W-1:0] wb_addr_i,
    input  wire  [  PE*W_W-1:0] wb_wdata_i,
    output logic [  PE*W_W-1:0] wb_rdata_o
);

    localparam int PRODUCT_W = X_W + W_W;  // holds the product also if x is unsigned

    if (PE < 1 || CHANNELS < 1 || CHANNELS % PE != 0) begin : gen_error_fold
        initial $fatal(1, "hwflow_affine: PE (%0d) must divide CHANNELS (%0d)", PE, CHANNELS);
    end
    if (X_W < 1 || W_W < 1 || B_W < 1 || X_SIGNED < 0 || X_SIGNED > 1 || B_SHIFT < 0) begin : gen_error_type
        initial $fatal(1, "hwflow_affine: widths must be positive, X_SIGNED 0 or 1, B_SHIFT not negative");
    end
    if (PRODUCT_W > ACC_W || B_W + B_SHIFT > ACC_W) begin : gen_error_acc
        initial $fatal(1, "hwflow_affine: ACC_W (%0d) holds not every product, or not every bias", ACC_W);
    end

    wire advance = m_tready || !m_tvalid;
    assign s_tready = advance;

    // --- Stage 0: the beat and its address. Stage 1: the memories' outputs.

    logic [WADDR_W-1:0] nf_reg;
    logic valid1_reg;
    logic [PE*X_W-1:0] x1_reg;
    logic [PE*B_W-1:0] bias1_reg;
    wire [PE*W_W-1:0] w1;

    logic [PE*B_W-1:0] bias_mem [0:NF-1]  /*verilator public_flat_rw*/;

    if (BIAS_FILE != "") begin : gen_bias
        initial $readmemh(BIAS_FILE, bias_mem);
    end else begin : gen_no_bias
        initial for (int i = 0; i < NF; i++) bias_mem[i] = '0;
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) nf_reg <= '0;
        else if (s_tvalid && advance) nf_reg <= (nf_reg == WADDR_W'(NF - 1)) ? '0 : nf_reg + 1'b1;
    end

    always_ff @(posedge clk_i) begin
        if (advance) begin
            x1_reg    <= s_tdata;
            bias1_reg <= bias_mem[nf_reg];
        end
    end

    hwflow_weight_mem #(
        .WIDTH    (PE * W_W),
        .DEPTH    (NF),
        .MEM_FILE (WEIGHT_FILE)
    ) weights (
        .clk_i     (clk_i),
        .a_en_i    (advance),
        .a_addr_i  (nf_reg),
        .a_data_o  (w1),
        .b_en_i    (wb_en_i),
        .b_we_i    (wb_we_i),
        .b_addr_i  (wb_addr_i),
        .b_wdata_i (wb_wdata_i),
        .b_rdata_o (wb_rdata_o)
    );

    // --- Stage 2: products. Stage 3: sums. Then one cast into the output register.

    logic valid2_reg, valid3_reg;
    wire [PE*OUT_W-1:0] y3;

    for (genvar p = 0; p < PE; p++) begin : gen_lane
        wire signed [X_W-X_SIGNED:0] x;
        if (X_SIGNED != 0) begin : gen_signed
            assign x = x1_reg[p*X_W+:X_W];
        end else begin : gen_unsigned
            assign x = {1'b0, x1_reg[p*X_W+:X_W]};
        end
        wire signed [W_W-1:0] w = w1[p*W_W+:W_W];
        logic signed [PRODUCT_W-1:0] product2_reg;
        logic signed [B_W-1:0] bias2_reg;
        logic signed [ACC_W-1:0] sum3_reg;

        always_ff @(posedge clk_i) begin
            if (advance) begin
                product2_reg <= w * x;
                bias2_reg    <= bias1_reg[p*B_W+:B_W];
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
            valid1_reg <= 1'b0;
            valid2_reg <= 1'b0;
            valid3_reg <= 1'b0;
            m_tvalid   <= 1'b0;
        end else if (advance) begin
            valid1_reg <= s_tvalid;
            valid2_reg <= valid1_reg;
            valid3_reg <= valid2_reg;
            m_tvalid   <= valid3_reg;
        end
    end

    always_ff @(posedge clk_i) begin
        if (advance) m_tdata <= y3;
    end

endmodule

`default_nettype wire
