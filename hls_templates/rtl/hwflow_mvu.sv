// Matrix-vector unit: y[o] = cast((bias[o] << B_SHIFT) + sum over i of w[o][i]*x[i]), with exact sums.
//
// PE x SIMD weights are used a cycle. A vector of N_IN elements comes in as SF = N_IN/SIMD beats (synapse
// folds) and leaves as NF = N_OUT/PE beats (neuron folds). The first neuron fold takes the vector from the
// input and keeps a copy, which the other folds replay.
//
//   PE, SIMD              outputs and inputs in parallel; PE divides N_OUT, SIMD divides N_IN
//   X_W, X_SIGNED         input code
//   W_W, EFFECT_W         weight code as it is stored and as it comes in, both signed; they differ if something
//                         was added to it
//   W_LATENCY             cycles from w_next_o to the weights
//   ACC_W, ACC_FRAC       accumulator: it must hold every sum, which is checked for the products of stored
//                         weights but not with bias and rests; ACC_FRAC is that of x plus that of w
//   B_W, B_SHIFT          bias code, signed, and the left shift that aligns it to the accumulator's LSB
//   OUT_*, ROUNDING, OVERFLOW   as in hwflow_cast
//
// Weights and biases come from hwflow_weights: w_en_o moves it on, w_next_o asks for a beat, and the beats come
// neuron fold by neuron fold. W_LATENCY enabled cycles after w_next_o, beat (nf, sf) has w[nf*PE+p][sf*SIMD+s] at
// w_data_i[(p*SIMD+s)*EFFECT_W +: EFFECT_W] and bias[nf*PE+p] at w_bias_i[p*B_W +: B_W].
//
// Timing: R = NF*SF cycles a vector while the streams do not stall, back to back too. The input is taken
// in the first SF of them, so s_tready is low in the others. A result leaves W_LATENCY + 4 cycles after the
// beat that completes it was taken in, or replayed. s_tready depends on m_tready in the same cycle, only
// while two results wait.

`default_nettype none

module hwflow_mvu #(
    parameter int PE         = 2,
    parameter int SIMD       = 2,
    parameter int N_IN       = 8,
    parameter int N_OUT      = 4,
    parameter int X_W        = 16,
    parameter int X_SIGNED   = 1,
    parameter int W_W        = 8,
    parameter int EFFECT_W   = W_W,
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
    input  wire                         clk_i,
    input  wire                         rst_ni,

    input  wire  [        SIMD*X_W-1:0] s_tdata,
    input  wire                         s_tvalid,
    output logic                        s_tready,

    output logic                        w_en_o,
    output logic                        w_next_o,
    input  wire  [PE*SIMD*EFFECT_W-1:0] w_data_i,
    input  wire  [          PE*B_W-1:0] w_bias_i,

    output logic [        PE*OUT_W-1:0] m_tdata,
    output logic                        m_tvalid,
    input  wire                         m_tready
);

    localparam int NF        = N_OUT / PE;
    localparam int SF        = N_IN / SIMD;
    localparam int PRODUCT_W = X_W + EFFECT_W;
    localparam int TREE_W    = PRODUCT_W + $clog2(SIMD);
    localparam int SUM_W     = (TREE_W < ACC_W) ? TREE_W : ACC_W;  // arithmetic modulo 2**ACC_W is exact
    localparam int SF_W      = (SF > 1) ? $clog2(SF) : 1;
    localparam int NF_W      = (NF > 1) ? $clog2(NF) : 1;

    // Largest magnitude of N_IN products; the sum reaches it as a positive number if x is signed, as a
    // negative one, which may be one larger, if not.
    localparam logic [255:0] X_PEAK     = (X_SIGNED != 0) ? 256'd1 << (X_W - 1) : (256'd1 << X_W) - 256'd1;
    localparam logic [255:0] SUM_PEAK   = (256'(N_IN) * X_PEAK) << (W_W - 1);
    localparam logic [255:0] ACC_LIMIT  = (256'd1 << (ACC_W - 1)) - 256'(X_SIGNED);

    if (PE < 1 || SIMD < 1 || N_IN < 1 || N_OUT < 1 || N_OUT % PE != 0 || N_IN % SIMD != 0)
    begin : gen_error_fold
        initial $fatal(1, "hwflow_mvu: PE (%0d) must divide N_OUT (%0d), SIMD (%0d) N_IN (%0d)",
                       PE, N_OUT, SIMD, N_IN);
    end
    if (X_W < 1 || W_W < 1 || B_W < 1 || X_SIGNED < 0 || X_SIGNED > 1 || B_SHIFT < 0) begin : gen_error_type
        initial $fatal(1, "hwflow_mvu: widths must be positive, X_SIGNED 0 or 1, B_SHIFT not negative");
    end
    if (EFFECT_W < W_W || W_LATENCY < 1) begin : gen_error_weights
        initial $fatal(1, "hwflow_mvu: EFFECT_W (%0d) must be at least W_W (%0d), W_LATENCY (%0d) at least 1",
                       EFFECT_W, W_W, W_LATENCY);
    end
    if (SUM_PEAK > ACC_LIMIT || B_W + B_SHIFT > ACC_W) begin : gen_error_acc
        initial $fatal(1, "hwflow_mvu: ACC_W (%0d) holds not every sum of %0d products, or not every bias",
                       ACC_W, N_IN);
    end

    // --- Stage 0: one beat of x a cycle, and the weights that it meets are asked for.

    // The beats of stages 1 to 3
    logic [W_LATENCY+1:0] valid_reg;
    wire valid3 = valid_reg[W_LATENCY+1];

    // Results of stage 4 have nowhere to go: everything waits
    logic done4_reg;
    wire advance = !(done4_reg && m_tvalid && !m_tready);

    logic [SF_W-1:0] sf_reg;
    logic [NF_W-1:0] nf_reg;

    wire first_fold = nf_reg == '0;
    wire last_fold  = nf_reg == NF_W'(NF - 1);
    wire first_beat = sf_reg == '0;
    wire last_beat  = sf_reg == SF_W'(SF - 1);
    wire issue = advance && (s_tvalid || !first_fold);

    assign s_tready = advance && first_fold;
    assign w_en_o   = advance;
    assign w_next_o = issue;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            sf_reg <= '0;
            nf_reg <= '0;
        end else if (issue) begin
            sf_reg <= last_beat ? '0 : sf_reg + 1'b1;
            if (last_beat) nf_reg <= last_fold ? '0 : nf_reg + 1'b1;
        end
    end

    // --- Stage 1: x, from the stream or from its copy. It waits there until its weights come, so that stage 1 has
    // --- W_LATENCY registers.

    logic first0_reg, last0_reg;
    logic [SIMD*X_W-1:0] x_stream_reg;
    wire [SIMD*X_W-1:0] x0, x1;
    wire first1, last1;

    always_ff @(posedge clk_i) begin
        if (advance) begin
            first0_reg   <= first_beat;
            last0_reg    <= last_beat;
            x_stream_reg <= s_tdata;
        end
    end

    if (NF > 1) begin : gen_replay
        logic [SIMD*X_W-1:0] x_mem [0:SF-1];
        logic [SIMD*X_W-1:0] x_replay_reg;
        logic replay_reg;

        always_ff @(posedge clk_i) begin
            if (issue && first_fold) x_mem[sf_reg] <= s_tdata;
        end

        always_ff @(posedge clk_i) begin
            if (advance) begin
                x_replay_reg <= x_mem[sf_reg];
                replay_reg   <= !first_fold;
            end
        end

        assign x0 = replay_reg ? x_replay_reg : x_stream_reg;
    end else begin : gen_no_replay
        assign x0 = x_stream_reg;
    end

    hwflow_delay #(
        .WIDTH  (2 + SIMD * X_W),
        .STAGES (W_LATENCY - 1)
    ) wait_for_weights (
        .clk_i  (clk_i),
        .en_i   (advance),
        .data_i ({first0_reg, last0_reg, x0}),
        .data_o ({first1, last1, x1})
    );

    // --- Stage 2: products. X_W + EFFECT_W bits hold them also if x is unsigned.

    logic first2_reg, last2_reg;

    always_ff @(posedge clk_i) begin
        if (advance) begin
            first2_reg <= first1;
            last2_reg  <= last1;
        end
    end

    for (genvar s = 0; s < SIMD; s++) begin : gen_lane
        wire signed [X_W-X_SIGNED:0] x;
        if (X_SIGNED != 0) begin : gen_signed
            assign x = x1[s*X_W+:X_W];
        end else begin : gen_unsigned
            assign x = {1'b0, x1[s*X_W+:X_W]};
        end
        for (genvar p = 0; p < PE; p++) begin : gen_product
            wire signed [EFFECT_W-1:0] w = w_data_i[(p*SIMD+s)*EFFECT_W+:EFFECT_W];
            logic signed [PRODUCT_W-1:0] product_reg;
            always_ff @(posedge clk_i) begin
                if (advance) product_reg <= w * x;
            end
        end
    end

    // --- Stage 3: one sum of SIMD products a PE, and the bias. Stage 4: accumulators. Stage 5: output.
    // --- The adder tree is laid out as a heap: node i adds nodes 2i+1 and 2i+2, the last SIMD are leaves.

    logic first3_reg, last3_reg;
    wire [PE*B_W-1:0] bias3;
    wire [PE*OUT_W-1:0] y4;

    always_ff @(posedge clk_i) begin
        if (advance) begin
            first3_reg <= first2_reg;
            last3_reg  <= last2_reg;
        end
    end

    hwflow_delay #(
        .WIDTH  (PE * B_W),
        .STAGES (2)
    ) wait_for_sums (
        .clk_i  (clk_i),
        .en_i   (advance),
        .data_i (w_bias_i),
        .data_o (bias3)
    );

    for (genvar p = 0; p < PE; p++) begin : gen_pe
        logic signed [SUM_W-1:0] sum3_reg;
        logic signed [ACC_W-1:0] acc4_reg;
        wire signed [B_W-1:0] bias = bias3[p*B_W+:B_W];
        wire signed [ACC_W-1:0] start = first3_reg ? ACC_W'(bias) <<< B_SHIFT : acc4_reg;

        for (genvar i = 2 * SIMD - 2; i >= 0; i--) begin : gen_node
            wire signed [SUM_W-1:0] sum;
            if (i >= SIMD - 1) begin : gen_leaf
                assign sum = SUM_W'(gen_lane[i-SIMD+1].gen_product[p].product_reg);
            end else begin : gen_add
                assign sum = gen_node[2*i+1].sum + gen_node[2*i+2].sum;
            end
        end

        always_ff @(posedge clk_i) begin
            if (advance) sum3_reg <= gen_node[0].sum;
        end

        always_ff @(posedge clk_i) begin
            if (advance && valid3) acc4_reg <= start + ACC_W'(sum3_reg);
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
            .code_i (acc4_reg),
            .code_o (y4[p*OUT_W+:OUT_W])
        );
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            valid_reg <= '0;
            done4_reg <= 1'b0;
            m_tvalid  <= 1'b0;
        end else begin
            if (advance) begin
                valid_reg <= {valid_reg[W_LATENCY:0], issue};
                done4_reg <= valid3 && last3_reg;
            end
            if (advance && done4_reg) m_tvalid <= 1'b1;
            else if (m_tready) m_tvalid <= 1'b0;
        end
    end

    always_ff @(posedge clk_i) begin
        if (advance && done4_reg) m_tdata <= y4;
    end

endmodule

`default_nettype wire
