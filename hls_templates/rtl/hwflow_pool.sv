// Pooling: reduces POSITIONS pixels of CHANNELS elements to one, channel by channel.
//
// The pixels come one after the other, in the order in which hwflow_window emits them; for global
// pooling the module stands alone, with the image's size as POSITIONS.
//
//   MODE         0: the largest code, then one cast. 1: average,
//                    cast(q), q = trunc_toward_zero((sum << ACC_SHIFT) / POSITIONS), exact,
//                with q a code of IN_FRAC + ACC_SHIFT fraction bits. 2: the exact sum, then one cast
//   LANES        elements of a beat, input and output; it divides CHANNELS
//   ACC_W        average: bits of the accumulator that is modelled; it must hold the sum of POSITIONS
//                codes, so that the sum is exact (the hardware is as wide as that, not wider)
//   ACC_SHIFT    average: fraction bits by which that accumulator exceeds the input
//   IN_*, OUT_*, ROUNDING, OVERFLOW   as in hwflow_cast
//
// Nothing waits between the input and the results, which a hwflow_catch takes in: the beat that completes a result is
// taken only when there is room for it.
//
// Timing: one beat in a cycle. A result leaves LATENCY + 2 cycles after the beat that completes it, which is 5 (maximum
// and sum) or 8 (average), 1 more where the state of the channels is in block RAM, and 1 more for every 17 bits beyond the first
// of the constant that divides. s_tready comes from registers.

`default_nettype none

module hwflow_pool #(
    parameter int MODE       = 0,
    parameter int LANES      = 1,
    parameter int CHANNELS   = 1,
    parameter int POSITIONS  = 4,
    parameter int IN_W       = 16,
    parameter int IN_SIGNED  = 1,
    parameter int IN_FRAC    = 10,
    parameter int ACC_W      = 32,
    parameter int ACC_SHIFT  = 0,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 0,
    parameter int OVERFLOW   = 0
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire  [ LANES*IN_W-1:0] s_tdata,
    input  wire                    s_tvalid,
    output logic                   s_tready,

    output logic [LANES*OUT_W-1:0] m_tdata,
    output logic                   m_tvalid,
    input  wire                    m_tready
);

    localparam int MAXIMUM = 0;
    localparam int AVERAGE = 1;
    localparam int SUM     = 2;
    localparam int BEATS   = CHANNELS / LANES;
    localparam int STATE_W = (MODE == MAXIMUM) ? IN_W : IN_W + $clog2(POSITIONS);  // holds any sum of codes
    localparam int BEAT_W  = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam int POS_W   = (POSITIONS > 1) ? $clog2(POSITIONS) : 1;
    localparam int RESULT_W = (MODE == AVERAGE) ? IN_W + ACC_SHIFT : STATE_W;
    localparam int BLOCK   = (BEATS > 32 && LANES * STATE_W * BEATS > 1024) ? 1 : 0;  // as in hwflow_ram

    // Division of the magnitude by the constant POSITIONS = ODD * 2**TWOS. Powers of two common to
    // numerator and divisor cancel, so it is n * 2**GROW / ODD, with n the magnitude without its
    // DROP lowest bits (a floor of a floor is exact) and GROW or DROP 0.
    //
    // For 0 <= v < 2**V and L = ceil(log2(ODD)), floor(v / ODD) = floor(v * M / 2**(V+L)) with
    // M = ceil(2**(V+L) / ODD): M * ODD = 2**(V+L) + e, 0 <= e < ODD <= 2**L, so v * M / 2**(V+L)
    // exceeds v / ODD by v * e / (ODD * 2**(V+L)) < 1 / ODD, which takes it past no integer.
    // Here v = n * 2**GROW and V = N_W + GROW; the factor 2**GROW is taken out of the shift instead.
    // M < 2**(V+1), as ODD > 2**(L-1) and V >= L. The multiplication by M goes CHUNK bits of M at a time.
    localparam int TWOS   = $clog2(POSITIONS & -POSITIONS);
    localparam int ODD    = POSITIONS >> TWOS;
    localparam int DROP   = (TWOS > ACC_SHIFT) ? TWOS - ACC_SHIFT : 0;
    localparam int GROW   = (ACC_SHIFT > TWOS) ? ACC_SHIFT - TWOS : 0;
    localparam int N_W    = STATE_W - DROP;
    localparam int L      = $clog2(ODD);
    localparam int V      = N_W + GROW;
    localparam int M_W    = V + 1;
    localparam int CHUNK  = 17;
    localparam int CHUNKS = (ODD == 1) ? 1 : (M_W + CHUNK - 1) / CHUNK;

    localparam int READ    = 1 + BLOCK;  // cycles from a beat to the state of its channels
    localparam int DIVIDE  = (MODE == AVERAGE) ? 2 + CHUNKS : 0;
    localparam int LATENCY = READ + DIVIDE + 2;  // cycles from the beat that completes a result to hwflow_catch

    if (MODE != MAXIMUM && MODE != AVERAGE && MODE != SUM) begin : gen_error_mode
        initial $fatal(1, "hwflow_pool: MODE (%0d) is 0 for maximum, 1 for average or 2 for sum", MODE);
    end
    if (LANES < 1 || CHANNELS < 1 || POSITIONS < 1 || CHANNELS % LANES != 0) begin : gen_error_size
        initial $fatal(1, "hwflow_pool: LANES (%0d) must divide CHANNELS (%0d), POSITIONS (%0d) be positive",
                       LANES, CHANNELS, POSITIONS);
    end
    if (IN_SIGNED < 0 || IN_SIGNED > 1 || ACC_SHIFT < 0) begin : gen_error_type
        initial $fatal(1, "hwflow_pool: IN_SIGNED must be 0 or 1, ACC_SHIFT (%0d) not negative", ACC_SHIFT);
    end
    if (MODE == AVERAGE && ACC_W < STATE_W) begin : gen_error_acc
        initial $fatal(1, "hwflow_pool: ACC_W (%0d) holds not every sum of %0d codes: it takes %0d bits",
                       ACC_W, POSITIONS, STATE_W);
    end

    // --- The beat, and the state of its channels so far, READ cycles later. The state is written back a cycle after that;
    // --- the same channels cannot come again in between.

    logic [BEAT_W-1:0] beat_reg;
    logic [POS_W-1:0] pos_reg;
    logic last_beat_reg, last_pos_reg, first_pos_reg;

    wire room;
    wire accept   = s_tvalid && s_tready;
    wire complete = accept && last_pos_reg;
    assign s_tready = room || !last_pos_reg;

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

    logic [READ-1:0] valid_reg;
    logic [LATENCY-1:0] complete_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            valid_reg    <= '0;
            complete_reg <= '0;
        end else begin
            valid_reg    <= READ'({valid_reg, accept});
            complete_reg <= {complete_reg[LATENCY-2:0], complete};
        end
    end

    wire [LANES*IN_W-1:0] x;
    wire first;
    wire [LANES*STATE_W-1:0] state, state_next;

    hwflow_delay #(
        .WIDTH  (1 + LANES * IN_W),
        .STAGES (READ)
    ) wait_for_state (
        .clk_i  (clk_i),
        .en_i   (1'b1),
        .data_i ({first_pos_reg, s_tdata}),
        .data_o ({first, x})
    );

    if (BEATS > 1) begin : gen_memory
        wire [LANES*STATE_W-1:0] read_data;
        wire [BEAT_W-1:0] write_beat;

        hwflow_delay #(
            .WIDTH  (BEAT_W),
            .STAGES (READ)
        ) write_line (
            .clk_i  (clk_i),
            .en_i   (1'b1),
            .data_i (beat_reg),
            .data_o (write_beat)
        );

        hwflow_ram #(
            .WIDTH (LANES * STATE_W),
            .DEPTH (BEATS),
            .BLOCK (BLOCK)
        ) states (
            .clk_i        (clk_i),
            .write_en_i   (valid_reg[READ-1]),
            .write_addr_i (write_beat),
            .write_data_i (state_next),
            .read_en_i    (1'b1),
            .read_addr_i  (beat_reg),
            .read_data_o  (read_data)
        );

        hwflow_delay #(
            .WIDTH  (LANES * STATE_W),
            .STAGES (READ - 1)
        ) read_line (
            .clk_i  (clk_i),
            .en_i   (1'b1),
            .data_i (read_data),
            .data_o (state)
        );
    end else begin : gen_register
        logic [LANES*STATE_W-1:0] state_reg;

        always_ff @(posedge clk_i) begin
            if (valid_reg[READ-1]) state_reg <= state_next;
        end

        assign state = state_reg;
    end

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_reduce
        wire [IN_W-1:0] code = x[lane*IN_W+:IN_W];
        wire [STATE_W-1:0] so_far = state[lane*STATE_W+:STATE_W];
        wire [STATE_W-1:0] reduced;

        if (MODE != MAXIMUM) begin : gen_sum
            wire [STATE_W-1:0] extended;
            if (IN_SIGNED != 0) begin : gen_signed
                assign extended = STATE_W'($signed(code));
            end else begin : gen_unsigned
                assign extended = STATE_W'(code);
            end
            assign reduced = extended + (first ? '0 : so_far);
        end else begin : gen_max
            wire larger;
            if (IN_SIGNED != 0) begin : gen_signed
                assign larger = $signed(code) > $signed(so_far);
            end else begin : gen_unsigned
                assign larger = code > so_far;
            end
            assign reduced = (first || larger) ? code : so_far;
        end

        assign state_next[lane*STATE_W+:STATE_W] = reduced;
    end

    // --- A finished state, and what the cast takes of it.

    logic [LANES*STATE_W-1:0] done_reg;
    wire [LANES*RESULT_W-1:0] result;

    always_ff @(posedge clk_i) done_reg <= state_next;

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_result
        if (MODE == AVERAGE) begin : gen_divide
            wire [STATE_W-1:0] sum = done_reg[lane*STATE_W+:STATE_W];
            wire negative = (IN_SIGNED != 0) && sum[STATE_W-1];
            wire [STATE_W-1:0] magnitude = negative ? -sum : sum;
            wire negative_divided;
            wire [RESULT_W-1:0] quotient;  // no average exceeds the largest code
            logic [N_W-1:0] n_reg;
            logic [RESULT_W-1:0] result_reg;

            always_ff @(posedge clk_i) begin
                n_reg      <= N_W'(magnitude >> DROP);
                result_reg <= negative_divided ? -quotient : quotient;
            end

            hwflow_delay #(
                .WIDTH  (1),
                .STAGES (1 + CHUNKS)
            ) sign_line (
                .clk_i  (clk_i),
                .en_i   (1'b1),
                .data_i (negative),
                .data_o (negative_divided)
            );

            if (ODD == 1) begin : gen_shift
                logic [RESULT_W-1:0] quotient_reg;
                always_ff @(posedge clk_i) quotient_reg <= RESULT_W'(n_reg) << GROW;
                assign quotient = quotient_reg;
            end else begin : gen_multiply
                localparam logic [V+L:0] POWER = {1'b1, {(V + L) {1'b0}}};
                localparam logic [M_W-1:0] M = M_W'((POWER + (V+L+1)'(ODD - 1)) / (V+L+1)'(ODD));
                localparam logic [CHUNKS*CHUNK-1:0] PARTS = (CHUNKS*CHUNK)'(M);

                // Product with a chunk of M, and the sum of these up to it, all as late as the sum needs them
                for (genvar i = 0; i < CHUNKS; i++) begin : gen_chunk
                    logic [N_W+CHUNK-1:0] product_reg;
                    wire [N_W+CHUNK-1:0] product;
                    logic [N_W+CHUNKS*CHUNK-1:0] sum_reg;

                    always_ff @(posedge clk_i) product_reg <= (N_W+CHUNK)'(n_reg) * (N_W+CHUNK)'(PARTS[i*CHUNK+:CHUNK]);

                    hwflow_delay #(
                        .WIDTH  (N_W + CHUNK),
                        .STAGES ((i > 1) ? i - 1 : 0)
                    ) wait_for_sum (
                        .clk_i  (clk_i),
                        .en_i   (1'b1),
                        .data_i (product_reg),
                        .data_o (product)
                    );

                    if (i == 0) begin : gen_first
                        assign sum_reg = (N_W+CHUNKS*CHUNK)'(product);
                    end else begin : gen_next
                        always_ff @(posedge clk_i) begin
                            sum_reg <= gen_chunk[i-1].sum_reg + ((N_W+CHUNKS*CHUNK)'(product) << (i * CHUNK));
                        end
                    end
                end

                assign quotient = RESULT_W'(gen_chunk[CHUNKS-1].sum_reg >> (N_W + L));
            end

            assign result[lane*RESULT_W+:RESULT_W] = result_reg;
        end else begin : gen_no_divide
            assign result[lane*RESULT_W+:RESULT_W] = done_reg[lane*STATE_W+:STATE_W];
        end
    end

    // --- Output: one cast.

    wire [LANES*OUT_W-1:0] y;

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_cast
        hwflow_cast #(
            .IN_W       (RESULT_W),
            .IN_FRAC    ((MODE == AVERAGE) ? IN_FRAC + ACC_SHIFT : IN_FRAC),
            .IN_SIGNED  (IN_SIGNED),
            .OUT_W      (OUT_W),
            .OUT_FRAC   (OUT_FRAC),
            .OUT_SIGNED (OUT_SIGNED),
            .ROUNDING   (ROUNDING),
            .OVERFLOW   (OVERFLOW),
            .REGISTER   (1)
        ) cast (
            .clk_i  (clk_i),
            .code_i (result[lane*RESULT_W+:RESULT_W]),
            .code_o (y[lane*OUT_W+:OUT_W])
        );
    end

    hwflow_catch #(
        .WIDTH (LANES * OUT_W),
        .DEPTH (LATENCY + 4)
    ) results (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .begin_i  (complete),
        .room_o   (room),
        .valid_i  (complete_reg[LATENCY-1]),
        .data_i   (y),
        .m_tdata  (m_tdata),
        .m_tvalid (m_tvalid),
        .m_tready (m_tready)
    );

endmodule

`default_nettype wire
