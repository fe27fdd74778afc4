// Depthwise convolution: y[o] = cast((bias[o] << B_SHIFT) + sum over k of w[k][o]*x[k][o / MULTIPLIER]), exact up to the
// cast; k counts the POSITIONS of the window.
//
// The positions come one after the other, in the order in which hwflow_window emits them, each as some beats of channels.
// Every beat adds a product to the sums of its outputs, which are kept until the last position completes them.
//
//   PE                    outputs of a beat: of PE / MULTIPLIER channels, which are the lanes of the input
//   CHANNELS              outputs; PE divides them
//   POSITIONS             of the window
//   MULTIPLIER            outputs of a channel; it divides PE
//   X_W, X_SIGNED         input code
//   W_W, EFFECT_W         weight code as it is stored and as it comes in, both signed; they differ if something
//                         is added to weights on their way from the memory
//   W_LATENCY             cycles from w_next_o to the weights
//   ACC_W, ACC_FRAC       sum: it must hold every sum of products and bias on the way, of which each product of a
//                         stored weight and each bias alone is checked; ACC_FRAC is that of x plus that of w
//   B_W, B_SHIFT          bias code, signed, and the left shift that aligns it to the sum's LSB
//   OUT_*, ROUNDING, OVERFLOW   as in hwflow_cast
//
// Weights and biases come from hwflow_weights, channelwise, with a row a position: w_next_o asks for a beat. W_LATENCY
// cycles after it, beat k*CHANNELS/PE+nf has w[k][nf*PE+p] at w_data_i[p*EFFECT_W +: EFFECT_W] and bias[nf*PE+p] at
// w_bias_i[p*B_W +: B_W]. Only the biases of the first position are used.
//
// Nothing waits between the input and the results, which a hwflow_catch takes in: the beat that completes a result is
// taken only when there is room for it.
//
// Timing: one beat in a cycle. A result leaves W_LATENCY + 6 cycles after the beat that completes it. s_tready comes
// from registers.

`default_nettype none

module hwflow_depthwise #(
    parameter int PE         = 2,
    parameter int CHANNELS   = 4,
    parameter int POSITIONS  = 9,
    parameter int MULTIPLIER = 1,
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
    localparam int LANES     = PE / MULTIPLIER
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire  [  LANES*X_W-1:0] s_tdata,
    input  wire                    s_tvalid,
    output logic                   s_tready,

    output logic                   w_next_o,
    input  wire  [PE*EFFECT_W-1:0] w_data_i,
    input  wire  [     PE*B_W-1:0] w_bias_i,

    output logic [   PE*OUT_W-1:0] m_tdata,
    output logic                   m_tvalid,
    input  wire                    m_tready
);

    localparam int BEATS     = CHANNELS / PE;
    localparam int BEAT_W    = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam int POS_W     = (POSITIONS > 1) ? $clog2(POSITIONS) : 1;
    localparam int BLOCK     = (BEATS > 32 && PE * ACC_W * BEATS > 1024) ? 1 : 0;  // as in hwflow_ram
    localparam int READ      = 1 + BLOCK;      // cycles from the address of sums to them
    localparam int ADD_AT    = W_LATENCY + 2;  // cycles from a beat to its product, and to the sums that it is added to
    localparam int DONE_AT   = ADD_AT + 2;     // cycles from the beat that completes a result to hwflow_catch
    // holds the product also if x is unsigned; of one that is wider than any sum no more counts
    localparam int PRODUCT_W = (X_W + EFFECT_W < ACC_W) ? X_W + EFFECT_W : ACC_W;

    if (PE < 1 || CHANNELS < 1 || POSITIONS < 1 || MULTIPLIER < 1 || CHANNELS % PE != 0 || PE % MULTIPLIER != 0)
    begin : gen_error_size
        initial $fatal(1, "hwflow_depthwise: PE (%0d) must divide CHANNELS (%0d), MULTIPLIER (%0d) PE, POSITIONS be positive",
                       PE, CHANNELS, MULTIPLIER);
    end
    if (X_W < 1 || W_W < 1 || EFFECT_W < W_W || W_LATENCY < 1 || B_W < 1 || X_SIGNED < 0 || X_SIGNED > 1 || B_SHIFT < 0)
    begin : gen_error_type
        initial $fatal(1, "hwflow_depthwise: widths and W_LATENCY must be positive, EFFECT_W (%0d) not below W_W, X_SIGNED 0 or 1",
                       EFFECT_W);
    end
    if (X_W + W_W > ACC_W || EFFECT_W > ACC_W || B_W + B_SHIFT > ACC_W) begin : gen_error_acc
        initial $fatal(1, "hwflow_depthwise: ACC_W (%0d) holds not every product, or not every bias", ACC_W);
    end

    // --- The beat, which waits until its weights come. One that completes a result has room for it.

    logic [BEAT_W-1:0] beat_reg;
    logic [POS_W-1:0] pos_reg;
    logic last_beat_reg, last_pos_reg, first_pos_reg;

    wire room;
    wire accept   = s_tvalid && s_tready;
    wire complete = accept && last_pos_reg;
    assign s_tready = room || !last_pos_reg;
    assign w_next_o = accept;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            beat_reg      <= '0;
            pos_reg       <= '0;
            last_beat_reg <= BEATS == 1;
            first_pos_reg <= 1'b1;
            last_pos_reg  <= POSITIONS == 1;
        end else if (accept) begin
            beat_reg      <= last_beat_reg ? '0 : beat_reg + 1'b1;
            last_beat_reg <= BEATS == 1 || (!last_beat_reg && beat_reg == BEAT_W'(BEATS - 2));
            if (last_beat_reg) begin
                pos_reg       <= last_pos_reg ? '0 : pos_reg + 1'b1;
                first_pos_reg <= last_pos_reg;
                last_pos_reg  <= POSITIONS == 1 || (!last_pos_reg && pos_reg == POS_W'(POSITIONS - 2));
            end
        end
    end

    logic [ADD_AT-1:0] valid_reg;
    logic [DONE_AT-1:0] complete_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            valid_reg    <= '0;
            complete_reg <= '0;
        end else begin
            valid_reg    <= {valid_reg[ADD_AT-2:0], accept};
            complete_reg <= {complete_reg[DONE_AT-2:0], complete};
        end
    end

    wire [LANES*X_W-1:0] x;
    wire first;

    hwflow_delay #(
        .WIDTH  (LANES * X_W),
        .STAGES (W_LATENCY + 1)
    ) wait_for_weights (
        .clk_i  (clk_i),
        .en_i   (1'b1),
        .data_i (s_tdata),
        .data_o (x)
    );

    hwflow_delay #(
        .WIDTH  (1),
        .STAGES (ADD_AT)
    ) wait_for_product (
        .clk_i  (clk_i),
        .en_i   (1'b1),
        .data_i (first_pos_reg),
        .data_o (first)
    );

    // --- The sums of its outputs so far. They are written back in the cycle in which they are added to; the same outputs
    // --- cannot come again in between.

    wire [PE*ACC_W-1:0] state, state_next;

    if (BEATS > 1) begin : gen_memory
        wire [PE*ACC_W-1:0] read_data;
        wire [BEAT_W-1:0] read_beat, write_beat;

        hwflow_delay #(
            .WIDTH  (BEAT_W),
            .STAGES (ADD_AT - READ)
        ) read_line (
            .clk_i  (clk_i),
            .en_i   (1'b1),
            .data_i (beat_reg),
            .data_o (read_beat)
        );

        hwflow_delay #(
            .WIDTH  (BEAT_W),
            .STAGES (READ)
        ) write_line (
            .clk_i  (clk_i),
            .en_i   (1'b1),
            .data_i (read_beat),
            .data_o (write_beat)
        );

        hwflow_ram #(
            .WIDTH (PE * ACC_W),
            .DEPTH (BEATS),
            .BLOCK (BLOCK)
        ) sums (
            .clk_i        (clk_i),
            .write_en_i   (valid_reg[ADD_AT-1]),
            .write_addr_i (write_beat),
            .write_data_i (state_next),
            .read_en_i    (1'b1),
            .read_addr_i  (read_beat),
            .read_data_o  (read_data)
        );

        hwflow_delay #(
            .WIDTH  (PE * ACC_W),
            .STAGES (READ - 1)
        ) sums_line (
            .clk_i  (clk_i),
            .en_i   (1'b1),
            .data_i (read_data),
            .data_o (state)
        );
    end else begin : gen_register
        logic [PE*ACC_W-1:0] state_reg;

        always_ff @(posedge clk_i) begin
            if (valid_reg[ADD_AT-1]) state_reg <= state_next;
        end

        assign state = state_reg;
    end

    // --- Operands, products, sums, one cast.

    wire [PE*OUT_W-1:0] y;

    for (genvar p = 0; p < PE; p++) begin : gen_lane
        wire signed [X_W-X_SIGNED:0] x_operand;
        if (X_SIGNED != 0) begin : gen_signed
            assign x_operand = x[p/MULTIPLIER*X_W+:X_W];
        end else begin : gen_unsigned
            assign x_operand = {1'b0, x[p/MULTIPLIER*X_W+:X_W]};
        end
        logic signed [EFFECT_W-1:0] w_reg;
        logic signed [PRODUCT_W-1:0] product_reg;
        logic signed [B_W-1:0] bias_reg, product_bias_reg;
        wire signed [ACC_W-1:0] so_far = first ? ACC_W'(product_bias_reg) <<< B_SHIFT : state[p*ACC_W+:ACC_W];
        logic signed [ACC_W-1:0] done_reg;

        assign state_next[p*ACC_W+:ACC_W] = so_far + ACC_W'(product_reg);

        always_ff @(posedge clk_i) begin
            w_reg            <= w_data_i[p*EFFECT_W+:EFFECT_W];
            bias_reg         <= w_bias_i[p*B_W+:B_W];
            product_reg      <= w_reg * x_operand;
            product_bias_reg <= bias_reg;
            done_reg         <= state_next[p*ACC_W+:ACC_W];
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
            .code_i (done_reg),
            .code_o (y[p*OUT_W+:OUT_W])
        );
    end

    hwflow_catch #(
        .WIDTH (PE * OUT_W),
        .DEPTH (DONE_AT + 5)
    ) results (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .begin_i  (complete),
        .room_o   (room),
        .valid_i  (complete_reg[DONE_AT-1]),
        .data_i   (y),
        .m_tdata  (m_tdata),
        .m_tvalid (m_tvalid),
        .m_tready (m_tready)
    );

endmodule

`default_nettype wire
