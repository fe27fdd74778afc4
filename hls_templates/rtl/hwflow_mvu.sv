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
//   W_LATENCY             cycles from w_next_o to the weights, at least 2
//   ACC_W, ACC_FRAC       accumulator: it must hold every sum, which is checked for the products of stored
//                         weights but not with bias and rests; ACC_FRAC is that of x plus that of w
//   B_W, B_SHIFT          bias code, signed, and the left shift that aligns it to the accumulator's LSB
//   OUT_*, ROUNDING, OVERFLOW   as in hwflow_cast
//   PAIRS                 1: a hwflow_mul_pair for every two outputs, which share x, so that a DSP48E2 gives two products;
//                         PE must be even, and the codes as narrow as it says
//
// Weights and biases come from hwflow_weights: w_next_o asks for a beat, and the beats come neuron fold by neuron
// fold. W_LATENCY cycles after w_next_o, beat (nf, sf) has w[nf*PE+p][sf*SIMD+s] at
// w_data_i[(p*SIMD+s)*EFFECT_W +: EFFECT_W] and bias[nf*PE+p] at w_bias_i[p*B_W +: B_W].
//
// Nothing waits between the input and the results, which a hwflow_catch takes in: the beat that completes a result
// begins only when there is room for it.
//
// Timing: R = NF*SF cycles a vector while the streams do not stall, back to back too. The input is taken in the first
// SF of them, so s_tready is low in the others. A result leaves W_LATENCY + TREE + 8 cycles after the beat that
// completes it was taken in, or replayed, with TREE = (ceil(log2(SIMD)) + 1) / 2, rounded down. s_tready comes from
// registers.

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
    parameter int W_LATENCY  = 3,
    parameter int ACC_W      = 32,
    parameter int ACC_FRAC   = 15,
    parameter int B_W        = 16,
    parameter int B_SHIFT    = 0,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 0,
    parameter int OVERFLOW   = 0,
    parameter int PAIRS      = 0
) (
    input  wire                         clk_i,
    input  wire                         rst_ni,

    input  wire  [        SIMD*X_W-1:0] s_tdata,
    input  wire                         s_tvalid,
    output logic                        s_tready,

    output logic                        w_next_o,
    input  wire  [PE*SIMD*EFFECT_W-1:0] w_data_i,
    input  wire  [          PE*B_W-1:0] w_bias_i,

    output logic [        PE*OUT_W-1:0] m_tdata,
    output logic                        m_tvalid,
    input  wire                         m_tready
);

    localparam int NF        = N_OUT / PE;
    localparam int SF        = N_IN / SIMD;
    localparam int OPERAND_W = X_W + 1 - X_SIGNED;
    localparam int PRODUCT_W = X_W + EFFECT_W;
    localparam int TREE_W    = PRODUCT_W + $clog2(SIMD);
    localparam int LEVELS    = $clog2(SIMD);
    localparam int SUM_AT    = W_LATENCY + 4 + (LEVELS + 1) / 2;  // cycles from issue to the sum of its products
    localparam int SUM_W     = (TREE_W < ACC_W) ? TREE_W : ACC_W;  // arithmetic modulo 2**ACC_W is exact
    localparam int SF_W      = (SF > 1) ? $clog2(SF) : 1;
    localparam int NF_W      = (NF > 1) ? $clog2(NF) : 1;
    localparam int BLOCK     = (SF > 32 && SIMD * X_W * SF > 1024) ? 1 : 0;   // as in hwflow_ram
    localparam int CHOICE    = (NF > 1 && BLOCK != 0 && W_LATENCY > 2) ? 3 : 2;  // cycles from w_next_o to a beat's x
    localparam int SHARERS   = 4;  // outputs that share a copy of x
    localparam int GROUPS    = (PE + SHARERS - 1) / SHARERS;

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
    if (PAIRS < 0 || PAIRS > 1 || (PAIRS == 1 && PE % 2 != 0)) begin : gen_error_pairs
        initial $fatal(1, "hwflow_mvu: PAIRS (%0d) must be 0 or 1, and with 1 PE (%0d) even", PAIRS, PE);
    end
    if (EFFECT_W < W_W || W_LATENCY < 2) begin : gen_error_weights
        initial $fatal(1, "hwflow_mvu: EFFECT_W (%0d) must be at least W_W (%0d), W_LATENCY (%0d) at least 2",
                       EFFECT_W, W_W, W_LATENCY);
    end
    if (SUM_PEAK > ACC_LIMIT || B_W + B_SHIFT > ACC_W) begin : gen_error_acc
        initial $fatal(1, "hwflow_mvu: ACC_W (%0d) holds not every sum of %0d products, or not every bias",
                       ACC_W, N_IN);
    end

    // --- Stage 0: one beat of x a cycle. The last beat of a result needs room for it.

    logic [SF_W-1:0] sf_reg;
    logic [NF_W-1:0] nf_reg;
    logic first_beat_reg, last_beat_reg, first_fold_reg, last_fold_reg;  // of the beat that is next

    wire room;
    wire go    = room || !last_beat_reg;
    wire issue = go && (s_tvalid || !first_fold_reg);
    wire done  = issue && last_beat_reg;

    assign s_tready = go && first_fold_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            sf_reg         <= '0;
            nf_reg         <= '0;
            first_beat_reg <= 1'b1;
            last_beat_reg  <= SF == 1;
            first_fold_reg <= 1'b1;
            last_fold_reg  <= NF == 1;
        end else begin
            if (issue) begin
                sf_reg         <= last_beat_reg ? '0 : sf_reg + 1'b1;
                first_beat_reg <= last_beat_reg;
                last_beat_reg  <= SF == 1 || (!last_beat_reg && sf_reg == SF_W'(SF - 2));
            end
            if (done) begin
                nf_reg         <= last_fold_reg ? '0 : nf_reg + 1'b1;
                first_fold_reg <= last_fold_reg;
                last_fold_reg  <= NF == 1 || (!last_fold_reg && nf_reg == NF_W'(NF - 2));
            end
        end
    end

    // The beats on their way, and those that complete a result
    logic [SUM_AT-1:0] valid_reg;
    logic [SUM_AT+1:0] done_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            valid_reg <= '0;
            done_reg  <= '0;
        end else begin
            valid_reg <= {valid_reg[SUM_AT-2:0], issue};
            done_reg  <= {done_reg[SUM_AT:0], done};
        end
    end

    // --- Stage 1: the weights that the beat meets are asked for, and x is kept or read. It waits until its weights come.

    logic [SF_W-1:0] place_reg;
    logic beat_reg, fresh_reg;  // from the stream
    logic [SIMD*X_W-1:0] x_stream_reg, x_passed_reg;
    wire [SIMD*X_W-1:0] x_chosen, x_late;

    assign w_next_o = beat_reg;

    always_ff @(posedge clk_i) begin
        beat_reg     <= rst_ni && issue;
        fresh_reg    <= first_fold_reg;
        place_reg    <= sf_reg;
        x_stream_reg <= s_tdata;
        x_passed_reg <= x_stream_reg;
    end

    if (NF > 1) begin : gen_replay
        wire [SIMD*X_W-1:0] x_replay;

        hwflow_ram #(
            .WIDTH (SIMD * X_W),
            .DEPTH (SF),
            .BLOCK (BLOCK)
        ) copy (
            .clk_i        (clk_i),
            .write_en_i   (beat_reg && fresh_reg),
            .write_addr_i (place_reg),
            .write_data_i (x_stream_reg),
            .read_en_i    (1'b1),
            .read_addr_i  (place_reg),
            .read_data_o  (x_replay)
        );

        logic replay_reg;
        always_ff @(posedge clk_i) replay_reg <= !fresh_reg;

        if (CHOICE > 2) begin : gen_block  // which takes the register in
            logic [SIMD*X_W-1:0] x_replay_reg, x_passed2_reg;
            logic replay2_reg;
            always_ff @(posedge clk_i) begin
                x_replay_reg  <= x_replay;
                x_passed2_reg <= x_passed_reg;
                replay2_reg   <= replay_reg;
            end
            assign x_chosen = replay2_reg ? x_replay_reg : x_passed2_reg;
        end else begin : gen_lut
            assign x_chosen = replay_reg ? x_replay : x_passed_reg;
        end
    end else begin : gen_no_replay
        wire unused_copy = &{1'b0, fresh_reg, place_reg};
        assign x_chosen = x_passed_reg;
    end

    hwflow_delay #(
        .WIDTH  (SIMD * X_W),
        .STAGES (W_LATENCY - CHOICE)
    ) wait_for_weights (
        .clk_i  (clk_i),
        .en_i   (1'b1),
        .data_i (x_chosen),
        .data_o (x_late)
    );

    // --- Operands, and products in two registers, which a DSP has. X_W + EFFECT_W bits hold them also if x is unsigned.
    // --- Every multiplier has an x of its own beside it, by way of a copy for every SHARERS outputs. Vivado keeps the
    // --- copies apart, as the registers say; Yosys both, as their blocks say. So Vivado may move the second ones into DSPs.

    for (genvar g = 0; g < GROUPS; g++) begin : gen_group
        (* keep = "true" *) logic [SIMD*X_W-1:0] copy_reg;
        (* keep *) always_ff @(posedge clk_i) copy_reg <= x_late;
    end

    wire [PE*SIMD*PRODUCT_W-1:0] products;

    for (genvar p = 0; p < PE; p++) begin : gen_output
        for (genvar s = 0; s < SIMD; s++) begin : gen_product
            localparam int AT = p * SIMD + s;
            wire [X_W-1:0] x = gen_group[p/SHARERS].copy_reg[s*X_W+:X_W];
            wire signed [OPERAND_W-1:0] x_operand;
            if (X_SIGNED != 0) begin : gen_signed
                assign x_operand = x;
            end else begin : gen_unsigned
                assign x_operand = {1'b0, x};
            end

            if (PAIRS == 0) begin : gen_one
                logic signed [EFFECT_W-1:0] w_reg;
                logic signed [OPERAND_W-1:0] x_reg;
                logic signed [PRODUCT_W-1:0] raw_reg, product_reg;
                (* keep *) always_ff @(posedge clk_i) x_reg <= x_operand;
                always_ff @(posedge clk_i) begin
                    w_reg       <= w_data_i[AT*EFFECT_W+:EFFECT_W];
                    raw_reg     <= w_reg * x_reg;
                    product_reg <= raw_reg;
                end
                assign products[AT*PRODUCT_W+:PRODUCT_W] = product_reg;
            end else if (p % 2 == 0) begin : gen_two
                localparam int OTHER = AT + SIMD;
                wire [EFFECT_W+OPERAND_W-1:0] product, other_product;
                wire unused_sign = &{1'b0, product, other_product};

                hwflow_mul_pair #(
                    .W   (EFFECT_W),
                    .X_W (OPERAND_W)
                ) multiply (
                    .clk_i (clk_i),
                    .a_i   (w_data_i[AT*EFFECT_W+:EFFECT_W]),
                    .b_i   (w_data_i[OTHER*EFFECT_W+:EFFECT_W]),
                    .x_i   (x_operand),
                    .ax_o  (product),
                    .bx_o  (other_product)
                );

                assign products[AT*PRODUCT_W+:PRODUCT_W] = product[PRODUCT_W-1:0];
                assign products[OTHER*PRODUCT_W+:PRODUCT_W] = other_product[PRODUCT_W-1:0];
            end else begin : gen_other
                wire unused_operand = &{1'b0, x_operand};
            end
        end
    end

    // --- One sum of SIMD products a PE, accumulators, cast. The adder tree is laid out as a heap: node i adds nodes
    // --- 2i+1 and 2i+2, the last SIMD are leaves. Nodes at an even distance from the root have a register, leaves
    // --- too unless they are the furthest, so that all products pass TREE of them.

    wire first;
    wire [PE*B_W-1:0] biases;
    wire [PE*OUT_W-1:0] y;

    hwflow_delay #(
        .WIDTH  (1),
        .STAGES (SUM_AT)
    ) first_line (
        .clk_i  (clk_i),
        .en_i   (1'b1),
        .data_i (first_beat_reg),
        .data_o (first)
    );

    hwflow_delay #(
        .WIDTH  (PE * B_W),
        .STAGES (SUM_AT - W_LATENCY - 1)
    ) wait_for_sums (
        .clk_i  (clk_i),
        .en_i   (1'b1),
        .data_i (w_bias_i),
        .data_o (biases)
    );

    for (genvar p = 0; p < PE; p++) begin : gen_pe
        for (genvar i = 2 * SIMD - 2; i >= 0; i--) begin : gen_node
            localparam int DISTANCE = $clog2(i + 2) - 1;
            wire signed [SUM_W-1:0] node, sum;

            if (i >= SIMD - 1) begin : gen_leaf
                wire signed [PRODUCT_W-1:0] product = products[(p*SIMD+i-SIMD+1)*PRODUCT_W+:PRODUCT_W];
                assign node = SUM_W'(product);
            end else begin : gen_add
                assign node = gen_node[2*i+1].sum + gen_node[2*i+2].sum;
            end

            if (DISTANCE % 2 == 0 && DISTANCE < LEVELS) begin : gen_register
                logic signed [SUM_W-1:0] sum_reg;
                always_ff @(posedge clk_i) sum_reg <= node;
                assign sum = sum_reg;
            end else begin : gen_wire
                assign sum = node;
            end
        end

        logic signed [ACC_W-1:0] acc_reg;
        wire signed [B_W-1:0] bias = biases[p*B_W+:B_W];
        wire signed [ACC_W-1:0] start = first ? ACC_W'(bias) <<< B_SHIFT : acc_reg;

        always_ff @(posedge clk_i) begin
            if (valid_reg[SUM_AT-1]) acc_reg <= start + ACC_W'(gen_node[0].sum);
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
            .code_i (acc_reg),
            .code_o (y[p*OUT_W+:OUT_W])
        );
    end

    // --- Results.

    hwflow_catch #(
        .WIDTH (PE * OUT_W),
        .DEPTH ((SUM_AT + 6 + SF - 1) / SF + 1)
    ) results (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .begin_i  (done),
        .room_o   (room),
        .valid_i  (done_reg[SUM_AT+1]),
        .data_i   (y),
        .m_tdata  (m_tdata),
        .m_tvalid (m_tvalid),
        .m_tready (m_tready)
    );

endmodule

`default_nettype wire
